//! Several processes that lead at once, each its shards: by the rights of the manifest, which are those of one that leads alone.

use super::{
    namespaced_account,
    process::Controller,
    rollouts::{Rollouts, canary},
};
use anyhow::{Context as _, Result, ensure};
use e2e::bed::{harness, objects::wait};
use futures_util::future::try_join_all;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client};
use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};
use tempfile::NamedTempFile;

const SHARDS: u16 = 4;
const ROLLOUTS: usize = 24;

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        harness::test("several_lead_each_its_shards", several_lead),
        harness::test(
            "another_number_of_shards_never_leads_at_once",
            another_number_waits,
        ),
    ]
}

/// Controllers of one instance.
struct Controllers {
    kubeconfig: NamedTempFile,
    namespace: String,
    instance: &'static str,
    leases: Api<Lease>,
    lease: String,
}

impl Controllers {
    async fn of(client: &Client, namespace: &str, instance: &'static str) -> Result<Self> {
        Ok(Self {
            kubeconfig: namespaced_account(client, namespace, instance).await?,
            namespace: namespace.to_owned(),
            instance,
            leases: Api::namespaced(client.clone(), namespace),
            lease: format!("sluice-controller-lock-{instance}"),
        })
    }

    fn start(&self, shards: u16) -> Result<Controller> {
        // Long enough for a busy machine: one that is late by that much is as good as gone, and its shards move.
        let arguments = [
            &*format!("--namespace={}", self.namespace),
            &format!("--lease-namespace={}", self.namespace),
            &format!("--instance-id={}", self.instance),
            &format!("--shards={shards}"),
            "--lease-duration=6s",
            "--renew-deadline=5s",
            "--retry-period=300ms",
        ];
        Controller::start(Path::new(self.kubeconfig.path()), &arguments)
    }

    /// Waits until nobody holds the Lease.
    async fn given_back(&self) -> Result<()> {
        let is_free = |lease: Option<&Lease>| {
            let spec = lease.and_then(|lease| lease.spec.as_ref());
            spec.is_some_and(|spec| spec.holder_identity.as_deref() == Some(""))
        };
        wait(&self.leases, &self.lease, is_free).await?;
        Ok(())
    }

    /// Waits until one of them has written the Lease.
    async fn go_on(&self) -> Result<()> {
        let version = |lease: &Lease| lease.metadata.resource_version.clone();
        let before = version(&self.leases.get(&self.lease).await?);
        let is_written =
            move |lease: Option<&Lease>| lease.is_some_and(|lease| version(lease) != before);
        wait(&self.leases, &self.lease, is_written).await?;
        Ok(())
    }

    /// Waits until the processes lead what they are to, and each shard is led by one.
    async fn led(
        &self,
        running: &[Controller],
        is_there: impl Fn(&[BTreeSet<u16>]) -> bool,
    ) -> Result<Vec<BTreeSet<u16>>> {
        loop {
            let led = try_join_all(running.iter().map(leads)).await?;
            let all: BTreeSet<u16> = led.iter().flatten().copied().collect();
            let count: usize = led.iter().map(BTreeSet::len).sum();
            if all == (0..SHARDS).collect() && count == all.len() && is_there(&led) {
                return Ok(led);
            }
            self.go_on().await?;
        }
    }

    /// Waits until the processes show all Rollouts, and each of them once.
    async fn each_rollout_is_shown_once(&self, running: &[Controller]) -> Result<()> {
        loop {
            let pages = try_join_all(running.iter().map(Controller::metrics)).await?;
            let lines = pages.iter().flat_map(|page| page.lines());
            let mut counts = BTreeMap::new();
            for line in lines.filter(|line| line.starts_with("rollout_info{")) {
                let name = line.split('"').nth(3).context("a name")?;
                *counts.entry(name.to_owned()).or_insert(0) += 1;
            }
            ensure!(counts.values().all(|count| *count == 1), "{counts:?}");
            if counts.len() == ROLLOUTS {
                return Ok(());
            }
            self.go_on().await?;
        }
    }
}

/// The shards that a process says it leads.
async fn leads(controller: &Controller) -> Result<BTreeSet<u16>> {
    let metrics = controller.metrics().await?;
    let line = "sluice_controller_shard_leader{shard=\"";
    let led = metrics.lines().filter_map(|found| {
        let (shard, leads) = found.strip_prefix(line)?.split_once("\"} ")?;
        (leads == "1").then(|| shard.parse())
    });
    Ok(led.collect::<Result<_, _>>()?)
}

/// One that is updated in a moment.
fn quick(name: &str, version: &str, instance: &str) -> Value {
    let mut rollout = canary(name, version, Some(instance));
    let spec = &mut rollout["spec"];
    spec["replicas"] = json!(1);
    spec["strategy"] = json!({"canary": {}});
    spec["template"]["spec"]["containers"][0]["image"] = json!(format!("sluice/idle:{version}"));
    rollout
}

fn names() -> impl Iterator<Item = String> {
    (0..ROLLOUTS).map(|number| format!("shop-{number}"))
}

async fn all_are_healthy(rollouts: &Rollouts, revision: u32) -> Result<()> {
    let waits = names().map(|name| async move { rollouts.wait(&name, "Healthy", revision).await });
    try_join_all(waits).await?;
    Ok(())
}

/// One is killed while it leads, one joins, and all end. Rollouts go on, and what need not move does not.
async fn several_lead(client: Client, namespace: String) -> Result<()> {
    let rollouts = Rollouts::of(&client, &namespace).await?;
    let start = Controllers::of(&client, &namespace, "sharded").await?;
    let mut controllers = Vec::new();
    for _ in 0..3 {
        controllers.push(start.start(SHARDS)?);
    }
    for name in names() {
        rollouts.apply(&quick(&name, "blue", "sharded")).await?;
    }
    all_are_healthy(&rollouts, 1).await?;
    let each_leads = |led: &[BTreeSet<u16>]| led.iter().all(|shards| !shards.is_empty());
    let before = start.led(&controllers, each_leads).await?;
    start.each_rollout_is_shown_once(&controllers).await?;

    for (number, name) in names().enumerate() {
        rollouts.apply(&quick(&name, "green", "sharded")).await?;
        if number == ROLLOUTS / 2 {
            controllers[0].kill().await?;
        }
    }
    controllers.remove(0);
    all_are_healthy(&rollouts, 2).await?;
    let two = start.led(&controllers, |_| true).await?;
    for (before, after) in before[1..].iter().zip(&two) {
        ensure!(before.is_subset(after), "{before:?} became {after:?}");
    }

    controllers.push(start.start(SHARDS)?);
    let three = start.led(&controllers, each_leads).await?;
    for (before, after) in two.iter().zip(&three) {
        ensure!(after.is_subset(before), "{before:?} became {after:?}");
    }
    start.each_rollout_is_shown_once(&controllers).await?;
    for controller in &mut controllers {
        controller.ends(Signal::TERM).await?;
    }
    start.given_back().await
}

/// From one that leads alone to four shards, and back, as a Deployment is updated. Each waits until the one before is gone, be it
/// asked to end or killed.
async fn another_number_waits(client: Client, namespace: String) -> Result<()> {
    let rollouts = Rollouts::of(&client, &namespace).await?;
    let instance = "renumbered";
    let start = Controllers::of(&client, &namespace, instance).await?;
    let mut alone = start.start(1)?;
    let version = |version| canary("shop", version, Some(instance));
    rollouts.apply(&version("blue")).await?;
    rollouts.wait("shop", "Healthy", 1).await?;

    let mut four = start.start(SHARDS)?;
    four.says("who has not --shards 4").await?;
    rollouts.apply(&version("green")).await?;
    rollouts.wait("shop", "Paused", 2).await?;
    ensure!(four.writes() == 0, "{}", four.log());
    alone.ends(Signal::TERM).await?;
    rollouts.promote("shop").await?;
    rollouts.wait("shop", "Healthy", 2).await?;
    ensure!(four.writes() > 0, "{}", four.log());

    let mut alone = start.start(1)?;
    alone.says("is held by 4 shards").await?;
    four.kill().await?;
    rollouts.apply(&version("red")).await?;
    rollouts.wait("shop", "Paused", 3).await?;
    ensure!(alone.writes() > 0, "{}", alone.log());
    alone.ends(Signal::TERM).await
}
