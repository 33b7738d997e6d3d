//! What this process leads, and what is known of each Rollout there, read when a scrape asks.

use super::Led;
use crate::{
    key::Key,
    objects::{Facts, Packed},
    shard::{Shard, Shards},
    shared::Shared,
};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _},
    metrics::{MetricType, gauge::ConstGauge},
};
use std::{collections::BTreeMap, fmt, sync::Arc};

/// The metrics of each Rollout that this process leads.
#[derive(Debug)]
pub(super) struct Rollouts {
    pub(super) led: Arc<Led>,
    pub(super) shards: Shards,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ShardLabels {
    shard: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Info {
    #[prometheus(flatten)]
    id: Id,
    phase: String,
    strategy: &'static str,
    traffic_router: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Id {
    namespace: String,
    name: String,
}

/// A number of pods of a Rollout.
type Number = fn(&Facts) -> i64;

const NUMBERS: [(&str, &str, Number); 4] = [
    (
        "rollout_info_replicas_available",
        "Pods that are available",
        |facts| facts.available,
    ),
    (
        "rollout_info_replicas_unavailable",
        "Pods that are there and not available",
        |facts| facts.unavailable,
    ),
    (
        "rollout_info_replicas_desired",
        "Pods that are wanted",
        |facts| facts.desired,
    ),
    (
        "rollout_info_replicas_updated",
        "Pods of the version that is wanted",
        |facts| facts.updated,
    ),
];

impl Collector for Rollouts {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let led = self.led.get();
        self.encode_led(&led, &mut encoder)?;
        let rollouts: Vec<(Key, Packed)> = led.values().flat_map(|shared| known(shared)).collect();
        let help = "What a Rollout is and how it stands, as 1";
        let mut infos = encoder.encode_descriptor("rollout_info", help, None, MetricType::Gauge)?;
        for (key, rollout) in &rollouts {
            let info = info(key, rollout.facts());
            ConstGauge::new(1i64).encode(infos.encode_family(&info)?)?;
        }
        for (name, help, number) in NUMBERS {
            let mut numbers = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (key, rollout) in &rollouts {
                let number = number(rollout.facts());
                ConstGauge::new(number).encode(numbers.encode_family(&id(key))?)?;
            }
        }
        Ok(())
    }
}

impl Rollouts {
    /// What this process leads, and what is due there.
    fn encode_led(
        &self,
        led: &BTreeMap<u16, Arc<Shared>>,
        encoder: &mut DescriptorEncoder<'_>,
    ) -> Result<(), fmt::Error> {
        let help = "Whether this process leads anything, as 1 or 0";
        let leader =
            encoder.encode_descriptor("sluice_controller_leader", help, None, MetricType::Gauge)?;
        ConstGauge::new(i64::from(!led.is_empty())).encode(leader)?;
        let (name, help) = (
            "sluice_controller_shard_leader",
            "Whether this process leads the shard, as 1 or 0",
        );
        let mut leaders = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for shard in self.shards.all().map(Shard::index) {
            let leads = i64::from(led.contains_key(&shard));
            ConstGauge::new(leads).encode(leaders.encode_family(&ShardLabels { shard })?)?;
        }
        let depth: usize = led.values().map(|shared| shared.depth()).sum();
        let depth = i64::try_from(depth).unwrap_or(i64::MAX);
        let help = "Rollouts that are due";
        let due = encoder.encode_descriptor("workqueue_depth", help, None, MetricType::Gauge)?;
        ConstGauge::new(depth).encode(due)
    }
}

/// The Rollouts that can be read. They are shared with the view, which is held for as long as it takes to go through them.
fn known(shared: &Shared) -> Vec<(Key, Packed)> {
    let view = shared.view();
    let rollouts = view.rollouts();
    let rollouts = rollouts.map(|(key, rollout)| (key.clone(), rollout.clone()));
    rollouts.collect()
}

fn id(key: &Key) -> Id {
    Id {
        namespace: key.namespace.to_string(),
        name: key.name.to_string(),
    }
}

fn info(key: &Key, facts: &Facts) -> Info {
    Info {
        id: id(key),
        phase: facts.phase.to_string(),
        strategy: facts.strategy,
        traffic_router: facts.router.to_string(),
    }
}
