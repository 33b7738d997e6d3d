//! The controller's metrics, beside those of the proxy.

use controller::engine::Engine;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
    registry::Registry,
};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

/// Registers the controller's metrics.
pub(crate) fn register(registry: &mut Registry, engine: &Arc<Mutex<Engine>>) {
    registry.register_collector(Box::new(Rollouts(Arc::clone(engine))));
}

#[derive(Debug)]
struct Rollouts(Arc<Mutex<Engine>>);

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, EncodeLabelSet)]
struct Phase {
    namespace: String,
    rollout: String,
    phase: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, EncodeLabelSet)]
struct Decision {
    namespace: String,
    rollout: String,
    decision: String,
    by: String,
}

impl Collector for Rollouts {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let read = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .tally();
        let help = "The phase that the rollout is in, as 1";
        let mut phases =
            encoder.encode_descriptor("sluice_rollout_phase", help, None, MetricType::Gauge)?;
        for (id, phase) in &read.phases {
            let labels = Phase {
                namespace: id.namespace.to_string(),
                rollout: id.name.to_string(),
                phase: phase.to_string(),
            };
            ConstGauge::new(1i64).encode(phases.encode_family(&labels)?)?;
        }
        let help = "Decisions taken since the process began";
        let mut decisions = encoder.encode_descriptor(
            "sluice_rollout_decisions",
            help,
            None,
            MetricType::Counter,
        )?;
        let mut counted = BTreeMap::new();
        for ((id, decision, by), n) in &read.decisions {
            let labels = Decision {
                namespace: id.namespace.to_string(),
                rollout: id.name.to_string(),
                decision: (*decision).to_owned(),
                by: (*by).to_owned(),
            };
            *counted.entry(labels).or_insert(0) += n;
        }
        for (labels, n) in counted {
            prometheus_client::metrics::counter::ConstCounter::new(n)
                .encode(decisions.encode_family(&labels)?)?;
        }
        let help = "Whether the files as they are now are what runs, as 1 or 0";
        let valid =
            encoder.encode_descriptor("sluice_documents_valid", help, None, MetricType::Gauge)?;
        ConstGauge::new(i64::from(read.documents_valid)).encode(valid)
    }
}
