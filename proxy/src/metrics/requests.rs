//! Rate, errors and duration of each version's requests.

use super::{encode::count, latency::Latency};
use prometheus_client::{
    collector::Collector, encoding::DescriptorEncoder, metrics::MetricType, registry::Unit,
};
use std::{fmt, sync::Arc};
use traffic::{Failure, GrpcCode, Role, RolloutId, Series, Stats};

/// The labels that say which version is meant.
pub(super) type VersionLabels<'a> = [(&'static str, &'a str); 3];

/// The labels of `role` in `rollout`.
pub(super) fn version_labels(rollout: &RolloutId, role: Role) -> VersionLabels<'_> {
    [
        ("namespace", &*rollout.namespace),
        ("rollout", &*rollout.name),
        ("role", role.as_str()),
    ]
}

/// Shows what the proxy counted.
#[derive(Debug)]
pub(super) struct Requests {
    stats: Arc<Stats>,
}

impl Requests {
    pub(super) fn new(stats: Arc<Stats>) -> Self {
        Self { stats }
    }
}

impl Collector for Requests {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        // A family's lines stand together, so every version is read before the first line is written. What is kept
        // of each is small: the merged histogram is folded up at once.
        let versions: Vec<Version> = self.stats.all().into_iter().map(Version::read).collect();
        requests(&mut encoder, &versions)?;
        durations(&mut encoder, &versions)?;
        in_flight(&mut encoder, &versions)?;
        failures(&mut encoder, &versions)?;
        grpc_calls(&mut encoder, &versions)?;
        split_requests(&mut encoder, &versions)
    }
}

/// One version's totals, folded up for the scrape.
struct Version {
    series: Arc<Series>,
    statuses: Vec<(u16, u64)>,
    failures: [u64; Failure::ALL.len()],
    called: [u64; GrpcCode::ALL.len()],
    split: u64,
    in_flight: u64,
    latency: Latency,
}

impl Version {
    fn read(series: Arc<Series>) -> Self {
        let totals = series.totals();
        Self {
            series,
            statuses: totals.statuses,
            failures: totals.failures,
            called: totals.called,
            split: totals.split,
            in_flight: totals.in_flight,
            latency: Latency::new(&totals.latency, totals.latency_sum),
        }
    }

    fn labels(&self) -> VersionLabels<'_> {
        version_labels(self.series.rollout(), self.series.role())
    }
}

fn requests(encoder: &mut DescriptorEncoder<'_>, versions: &[Version]) -> fmt::Result {
    let mut family = encoder.encode_descriptor(
        "sluice_requests",
        "Requests that ended, by the status that the client got; 499 means that the client went away first, 999 a status outside 100 to 599",
        None,
        MetricType::Counter,
    )?;
    for version in versions {
        for (status, n) in &version.statuses {
            let labels = (version.labels(), [("status", *status)]);
            count(&mut family.encode_family(&labels)?, n)?;
        }
    }
    Ok(())
}

fn durations(encoder: &mut DescriptorEncoder<'_>, versions: &[Version]) -> fmt::Result {
    let mut family = encoder.encode_descriptor(
        "sluice_request_duration",
        "Time from sending a request to a version until its response had passed whole, or had failed; cancelled requests are left out",
        Some(&Unit::Seconds),
        MetricType::Histogram,
    )?;
    for version in versions {
        version
            .latency
            .encode(family.encode_family(&version.labels())?)?;
    }
    Ok(())
}

fn in_flight(encoder: &mut DescriptorEncoder<'_>, versions: &[Version]) -> fmt::Result {
    let mut family = encoder.encode_descriptor(
        "sluice_requests_in_flight",
        "Requests sent to a version that have not ended yet",
        None,
        MetricType::Gauge,
    )?;
    for version in versions {
        family
            .encode_family(&version.labels())?
            .encode_gauge(&version.in_flight)?;
    }
    Ok(())
}

fn failures(encoder: &mut DescriptorEncoder<'_>, versions: &[Version]) -> fmt::Result {
    let mut family = encoder.encode_descriptor(
        "sluice_failures",
        "Requests that a version failed, by reason; each is also counted once in sluice_requests_total",
        None,
        MetricType::Counter,
    )?;
    for version in versions {
        // Zeros are shown: a counter that appears with its first failure hides that failure from rate().
        for (reason, n) in Failure::ALL.iter().zip(&version.failures) {
            let labels = (version.labels(), [("reason", reason.as_str())]);
            count(&mut family.encode_family(&labels)?, n)?;
        }
    }
    Ok(())
}

fn grpc_calls(encoder: &mut DescriptorEncoder<'_>, versions: &[Version]) -> fmt::Result {
    let mut family = encoder.encode_descriptor(
        "sluice_grpc_calls",
        "gRPC calls that were answered in full with status 200, by the code that they ended with; each is also counted in sluice_requests_total",
        None,
        MetricType::Counter,
    )?;
    // Most versions speak no gRPC. One that does has all codes from its first call on, for the same reason as above.
    let speaks_grpc = |version: &&Version| version.called.iter().any(|n| *n > 0);
    for version in versions.iter().filter(speaks_grpc) {
        for (code, n) in GrpcCode::ALL.iter().zip(&version.called) {
            let labels = (version.labels(), [("code", code.as_str())]);
            count(&mut family.encode_family(&labels)?, n)?;
        }
    }
    Ok(())
}

fn split_requests(encoder: &mut DescriptorEncoder<'_>, versions: &[Version]) -> fmt::Result {
    let mut family = encoder.encode_descriptor(
        "sluice_split_requests",
        "Requests whose version was decided by the weight, not by a rule, counted when they were sent",
        None,
        MetricType::Counter,
    )?;
    let is_split =
        |version: &&Version| matches!(version.series.role(), Role::Stable | Role::Canary);
    for version in versions.iter().filter(is_split) {
        count(
            &mut family.encode_family(&version.labels())?,
            &version.split,
        )?;
    }
    Ok(())
}
