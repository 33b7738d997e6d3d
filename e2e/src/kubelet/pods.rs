//! The Pods of a node: each has a task of its own, which lives as long as the object does.

use super::{Host, addresses::Addresses, lifetime::Lifetime};
use crate::pod::plan::PodPlan;
use anyhow::{Context as _, Result};
use futures_util::{StreamExt as _, pin_mut};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api,
    runtime::{WatchStreamExt as _, watcher, watcher::Event},
};
use std::{
    collections::{HashMap, HashSet},
    net::Ipv4Addr,
};
use tokio::{sync::mpsc, task::JoinHandle};

/// The Pods of one node, by uid.
struct Pods {
    host: Host,
    addresses: Addresses,
    living: HashMap<String, Living>,
    /// Those that a list has shown which is not yet complete.
    listed: HashSet<String>,
}

struct Living {
    ip: Ipv4Addr,
    objects: mpsc::UnboundedSender<Pod>,
    task: JoinHandle<()>,
}

impl Drop for Living {
    fn drop(&mut self) {
        // Nothing is left to be done for an object that is gone; its processes are killed with the task.
        self.task.abort();
    }
}

/// Watches the Pods that are bound to `host`, and lets each live.
pub(super) async fn run(host: Host, addresses: Addresses) -> Result<()> {
    let api: Api<Pod> = Api::all(host.client.clone());
    let config = watcher::Config::default().fields(&format!("spec.nodeName={}", host.name));
    let events = watcher(api, config).default_backoff();
    pin_mut!(events);
    let mut pods = Pods {
        host,
        addresses,
        living: HashMap::new(),
        listed: HashSet::new(),
    };
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => pods.take(event)?,
            // It goes on with a new list.
            Err(error) => eprintln!("Pods of {}: {error}", pods.host.name),
        }
    }
    Ok(())
}

impl Pods {
    fn take(&mut self, event: Event<Pod>) -> Result<()> {
        match event {
            Event::Init => self.listed.clear(),
            Event::InitApply(pod) => {
                self.listed.extend(pod.metadata.uid.clone());
                self.see(pod)?;
            }
            Event::InitDone => {
                let listed = &self.listed;
                self.living.retain(|uid, _| listed.contains(uid));
            }
            Event::Apply(pod) => self.see(pod)?,
            Event::Delete(pod) => {
                self.living.remove(&pod.metadata.uid.unwrap_or_default());
            }
        }
        Ok(())
    }

    fn see(&mut self, pod: Pod) -> Result<()> {
        let Some(plan) = PodPlan::of(&pod) else {
            return Ok(());
        };
        if let Some(living) = self.living.get(&plan.uid) {
            // A task that has ended has deleted its object, which is about to be told of.
            let _ = living.objects.send(pod);
            return Ok(());
        }
        let living = &self.living;
        let ip = self
            .addresses
            .give(|ip| living.values().any(|living| living.ip == ip));
        let ip = ip
            .with_context(|| format!("{} has no address left for {}", self.host.name, plan.name))?;
        let (objects, told) = mpsc::unbounded_channel();
        let uid = plan.uid.clone();
        let task = tokio::spawn(Lifetime::new(self.host.clone(), plan, pod, ip).run(told));
        self.living.insert(uid, Living { ip, objects, task });
        Ok(())
    }
}
