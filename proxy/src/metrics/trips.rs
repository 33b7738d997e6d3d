//! Canaries that the proxy took the traffic from by itself.

use super::encode::count;
use prometheus_client::{collector::Collector, encoding::DescriptorEncoder, metrics::MetricType};
use std::{fmt, sync::Arc};
use traffic::Stats;

/// Shows how many canaries were tripped.
#[derive(Debug)]
pub(super) struct Trips {
    stats: Arc<Stats>,
}

impl Trips {
    pub(super) fn new(stats: Arc<Stats>) -> Self {
        Self { stats }
    }
}

impl Collector for Trips {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Canaries that the proxy took the traffic from by itself";
        let mut family =
            encoder.encode_descriptor("sluice_trips", help, None, MetricType::Counter)?;
        for (rollout, trips) in self.stats.trips() {
            let labels = [
                ("namespace", &*rollout.namespace),
                ("rollout", &*rollout.name),
            ];
            count(&mut family.encode_family(&labels)?, &trips)?;
        }
        Ok(())
    }
}
