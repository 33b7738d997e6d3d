//! The two shapes that prometheus-client has no short form for.

use prometheus_client::{
    encoding::{
        DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, MetricEncoder, NoLabelSet,
    },
    metrics::MetricType,
    registry::Unit,
};
use std::fmt;

/// What a metric without labels is called, and what it says.
pub(super) struct About {
    /// The name without its unit, and without `_total`.
    pub(super) name: &'static str,
    /// The unit, which the name ends with.
    pub(super) unit: Option<Unit>,
    /// What it means, for people.
    pub(super) help: &'static str,
}

/// A gauge without labels.
pub(super) fn gauge(
    encoder: &mut DescriptorEncoder<'_>,
    about: &About,
    value: &impl EncodeGaugeValue,
) -> fmt::Result {
    encoder
        .encode_descriptor(
            about.name,
            about.help,
            about.unit.as_ref(),
            MetricType::Gauge,
        )?
        .encode_gauge(value)
}

/// A counter without labels.
pub(super) fn counter(
    encoder: &mut DescriptorEncoder<'_>,
    about: &About,
    value: &impl EncodeCounterValue,
) -> fmt::Result {
    let mut encoder = encoder.encode_descriptor(
        about.name,
        about.help,
        about.unit.as_ref(),
        MetricType::Counter,
    )?;
    count(&mut encoder, value)
}

/// A counter's value, without an exemplar.
pub(super) fn count(
    encoder: &mut MetricEncoder<'_>,
    value: &impl EncodeCounterValue,
) -> fmt::Result {
    encoder.encode_counter::<NoLabelSet, _, u64>(value, None)
}
