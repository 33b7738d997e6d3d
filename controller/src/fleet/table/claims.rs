//! Who is asked for by which name.

use super::asked::Asked;
use crate::spec::Fault;
use std::collections::HashMap;
use traffic::{BackendId, RolloutId};

/// By which names Services are asked for.
#[derive(Clone, Debug)]
pub struct Names {
    /// The namespace whose Services are asked for by their bare names, too.
    pub namespace: Option<Box<str>>,
    /// The end of the whole names of Services, such as `cluster.local`.
    pub domain: Box<str>,
}

impl Names {
    /// Those of `service`.
    pub(super) fn of(&self, service: &BackendId) -> Vec<String> {
        let BackendId { namespace, name } = service;
        let bare = self.namespace.as_deref() == Some(namespace);
        let mut names = match bare {
            true => vec![name.to_string()],
            false => Vec::new(),
        };
        names.push(format!("{name}.{namespace}"));
        names.push(format!("{name}.{namespace}.svc"));
        names.push(format!("{name}.{namespace}.svc.{}", self.domain));
        names
    }
}

/// What has been given to Rollouts: each Service and each host to the first that asks.
#[derive(Debug, Default)]
pub(super) struct Claims {
    services: HashMap<BackendId, RolloutId>,
    hosts: HashMap<String, RolloutId>,
}

impl Claims {
    /// Gives the Services that `asked` names, with their hosts, to its Rollout. Returns those that it has now.
    pub(super) fn services(
        &mut self,
        asked: &Asked,
        names: &Names,
        faults: &mut Vec<Fault>,
    ) -> Vec<BackendId> {
        let mut given = Vec::new();
        for (at, service) in &asked.services {
            match self.services.get(service) {
                Some(owner) if *owner == asked.id => {}
                Some(owner) => faults.push((at.clone(), taken(&service.name, owner))),
                None => {
                    self.services.insert(service.clone(), asked.id.clone());
                    let hosts = names.of(service).into_iter();
                    self.hosts
                        .extend(hosts.map(|host| (host, asked.id.clone())));
                    given.push(service.clone());
                }
            }
        }
        given
    }

    /// Gives the further hosts that `asked` asks for to its Rollout. Returns those that it has now.
    pub(super) fn hosts(&mut self, asked: &Asked, faults: &mut Vec<Fault>) -> Vec<String> {
        let mut given = Vec::new();
        let wanted = asked.split.iter().flat_map(|split| &split.hosts);
        for (at, host) in wanted {
            match self.hosts.get(host) {
                Some(owner) if *owner == asked.id => {}
                Some(owner) => faults.push((at.clone(), taken(host, owner))),
                None => {
                    self.hosts.insert(host.clone(), asked.id.clone());
                    given.push(host.clone());
                }
            }
        }
        given
    }
}

fn taken(name: &str, owner: &RolloutId) -> String {
    format!(
        "found {name:?}, which Rollout {owner} has, as it is the older one or names that Service"
    )
}
