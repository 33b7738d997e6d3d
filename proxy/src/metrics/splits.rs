//! Weights as they are set, and shares as they are measured.

use super::{
    requests::version_labels,
    shares::{Share, Shares},
};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, MetricEncoder},
    metrics::MetricType,
};
use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};
use traffic::{Role, RolloutId};

/// Shows what [`Shares`] knows.
#[derive(Debug)]
pub(super) struct Splits {
    shares: Arc<Mutex<Shares>>,
}

impl Splits {
    pub(super) fn new(shares: Arc<Mutex<Shares>>) -> Self {
        Self { shares }
    }
}

impl Collector for Splits {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        // Copied out: whoever observes next must not wait for the encoding.
        let shares: Vec<(RolloutId, Share)> = self
            .shares
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .map(|(rollout, share)| (rollout.clone(), share))
            .collect();
        let mut weights = encoder.encode_descriptor(
            "sluice_split_weight",
            "Weight that the route table gives a version, 0 to 1",
            None,
            MetricType::Gauge,
        )?;
        for (rollout, Share { weight, .. }) in &shares {
            let sides = [weight.complement().fraction(), weight.fraction()];
            encode_sides(&mut weights, rollout, sides)?;
        }
        let mut measured = encoder.encode_descriptor(
            "sluice_split_share",
            "Part of the requests decided by the weight that a version got, 0 to 1, within 10 s or since the weight was set; absent while there were none",
            None,
            MetricType::Gauge,
        )?;
        for (rollout, share) in &shares {
            if let Some(canary) = share.measured {
                encode_sides(&mut measured, rollout, [1.0 - canary, canary])?;
            }
        }
        Ok(())
    }
}

/// The values of stable and canary.
fn encode_sides(
    family: &mut MetricEncoder<'_>,
    rollout: &RolloutId,
    sides: [f64; 2],
) -> fmt::Result {
    for (role, value) in [Role::Stable, Role::Canary].into_iter().zip(sides) {
        family
            .encode_family(&version_labels(rollout, role))?
            .encode_gauge(&value)?;
    }
    Ok(())
}
