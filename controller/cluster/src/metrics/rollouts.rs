//! What is known of each Rollout, read when a scrape asks.

use super::Led;
use crate::{
    key::Key,
    objects::{Facts, Packed},
};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _},
    metrics::{MetricType, gauge::ConstGauge},
};
use std::{fmt, sync::Arc};

/// The metrics of each Rollout; none while another process leads.
#[derive(Debug)]
pub(super) struct Rollouts(pub(super) Arc<Led>);

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
        let shared = self.0.get();
        let help = "Whether this process leads, as 1 or 0";
        let leader =
            encoder.encode_descriptor("sluice_controller_leader", help, None, MetricType::Gauge)?;
        ConstGauge::new(i64::from(shared.is_some())).encode(leader)?;
        // Shared with the view, which is held for as long as it takes to go through them.
        let rollouts: Vec<(Key, Packed)> = shared.map_or_else(Vec::new, |shared| {
            let view = shared.view();
            let rollouts = view.rollouts();
            rollouts
                .map(|(key, rollout)| (key.clone(), rollout.clone()))
                .collect()
        });
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
