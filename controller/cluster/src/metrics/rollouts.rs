//! What is known of each Rollout, read when a scrape asks.

use super::Led;
use crds::{Rollout, TrafficRouting};
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
type Number = fn(&Rollout) -> i64;

const NUMBERS: [(&str, &str, Number); 4] = [
    (
        "rollout_info_replicas_available",
        "Pods that are available",
        |rollout| status(rollout, "availableReplicas"),
    ),
    (
        "rollout_info_replicas_unavailable",
        "Pods that are there and not available",
        unavailable,
    ),
    (
        "rollout_info_replicas_desired",
        "Pods that are wanted",
        desired,
    ),
    (
        "rollout_info_replicas_updated",
        "Pods of the version that is wanted",
        |rollout| status(rollout, "updatedReplicas"),
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
        let rollouts: Vec<Arc<Rollout>> = shared.map_or_else(Vec::new, |shared| {
            shared
                .view()
                .rollouts()
                .map(|(_, rollout)| Arc::clone(rollout))
                .collect()
        });
        let help = "What a Rollout is and how it stands, as 1";
        let mut infos = encoder.encode_descriptor("rollout_info", help, None, MetricType::Gauge)?;
        for rollout in &rollouts {
            ConstGauge::new(1i64).encode(infos.encode_family(&info(rollout))?)?;
        }
        for (name, help, number) in NUMBERS {
            let mut numbers = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for rollout in &rollouts {
                ConstGauge::new(number(rollout)).encode(numbers.encode_family(&id(rollout))?)?;
            }
        }
        Ok(())
    }
}

fn id(rollout: &Rollout) -> Id {
    Id {
        namespace: rollout.metadata.namespace().to_owned(),
        name: rollout.metadata.name.clone().unwrap_or_default(),
    }
}

fn info(rollout: &Rollout) -> Info {
    let strategy = rollout.spec.strategy.as_ref();
    let canary = strategy.and_then(|strategy| strategy.canary.as_ref());
    let is_blue_green = strategy.is_some_and(|strategy| strategy.blue_green.is_some());
    let phase = rollout
        .status
        .as_ref()
        .and_then(|status| status["phase"].as_str());
    Info {
        id: id(rollout),
        phase: phase.unwrap_or_default().to_owned(),
        strategy: match (canary, is_blue_green) {
            (Some(_), _) => "canary",
            (None, true) => "blueGreen",
            (None, false) => "none",
        },
        traffic_router: canary
            .and_then(|canary| canary.traffic_routing.as_ref())
            .map_or_else(String::new, router),
    }
}

/// Who splits the traffic: the first of them where there are several.
fn router(routing: &TrafficRouting) -> String {
    let known = [
        (routing.alb.is_some(), "ALB"),
        (routing.istio.is_some(), "Istio"),
        (routing.nginx.is_some(), "Nginx"),
        (routing.smi.is_some(), "SMI"),
        (routing.ambassador.is_some(), "Ambassador"),
        (routing.app_mesh.is_some(), "AppMesh"),
        (routing.traefik.is_some(), "Traefik"),
        (routing.apisix.is_some(), "Apisix"),
    ];
    let known = known
        .into_iter()
        .find_map(|(is_set, name)| is_set.then_some(name));
    let plugin = routing.plugins.keys().next().map(String::as_str);
    known.or(plugin).unwrap_or_default().to_owned()
}

fn status(rollout: &Rollout, field: &str) -> i64 {
    let status = rollout.status.as_ref();
    status
        .and_then(|status| status[field].as_i64())
        .unwrap_or(0)
}

fn unavailable(rollout: &Rollout) -> i64 {
    (status(rollout, "replicas") - status(rollout, "availableReplicas")).max(0)
}

fn desired(rollout: &Rollout) -> i64 {
    i64::from(rollout.spec.replicas.unwrap_or(1))
}
