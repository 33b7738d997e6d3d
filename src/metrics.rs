//! The controller's metrics, beside those of the proxy.

use controller::engine::Engine;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};
use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

/// Registers the controller's metrics.
pub(crate) fn register(registry: &mut Registry, engine: &Arc<Mutex<Engine>>) {
    registry.register_collector(Box::new(Rollouts(Arc::clone(engine))));
}

#[derive(Debug)]
struct Rollouts(Arc<Mutex<Engine>>);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Phase {
    namespace: String,
    rollout: String,
    phase: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
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
        for ((id, decision, by), n) in &read.decisions {
            let labels = Decision {
                namespace: id.namespace.to_string(),
                rollout: id.name.to_string(),
                decision: decision.as_str().to_owned(),
                by: by.as_str().to_owned(),
            };
            ConstCounter::new(*n).encode(decisions.encode_family(&labels)?)?;
        }
        let help = "Whether the files as they are now are what runs, as 1 or 0";
        let valid =
            encoder.encode_descriptor("sluice_documents_valid", help, None, MetricType::Gauge)?;
        ConstGauge::new(i64::from(read.documents_valid)).encode(valid)
    }
}
