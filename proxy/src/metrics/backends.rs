//! What is under way at Services, and how their endpoints do.

use super::encode::count;
use prometheus_client::{collector::Collector, encoding::DescriptorEncoder, metrics::MetricType};
use std::{fmt, sync::Arc};
use traffic::{
    BackendId, BackendState, Stats,
    state::backend::{CheckResult, EjectionReason, Limit},
};

/// Shows what is known of Services.
#[derive(Debug)]
pub(super) struct Backends {
    stats: Arc<Stats>,
}

impl Backends {
    pub(super) fn new(stats: Arc<Stats>) -> Self {
        Self { stats }
    }
}

type Services = [(BackendId, Arc<BackendState>)];

impl Collector for Backends {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let services = self.stats.backends();
        health(&mut encoder, &services)?;
        under_way(&mut encoder, &services)?;
        for counter in COUNTERS {
            counter.encode(&mut encoder, &services)?;
        }
        Ok(())
    }
}

/// The labels that say which Service is meant.
fn labels(id: &BackendId) -> [(&'static str, &str); 2] {
    [("namespace", &*id.namespace), ("service", &*id.name)]
}

fn health(encoder: &mut DescriptorEncoder<'_>, services: &Services) -> fmt::Result {
    let mut family = encoder.encode_descriptor(
        "sluice_endpoint_health",
        "1 for an endpoint that gets requests, 0 for one that is ejected or failed its health checks",
        None,
        MetricType::Gauge,
    )?;
    for (id, state) in services {
        let [namespace, service] = labels(id);
        for endpoint in state.known() {
            let address = endpoint.address().to_string();
            let is_used = endpoint.is_healthy() && !endpoint.is_ejected();
            family
                .encode_family(&[namespace, service, ("endpoint", address.as_str())])?
                .encode_gauge(&u32::from(is_used))?;
        }
    }
    Ok(())
}

/// What is under way, by what limits it.
const GAUGES: [(Limit, &str, &str); Limit::ALL.len()] = [
    (
        Limit::Connections,
        "sluice_backend_connections",
        "Connections to the endpoints of a Service, idle ones and tunnels included",
    ),
    (
        Limit::Pending,
        "sluice_backend_pending",
        "Requests that wait for a connection to a Service",
    ),
    (
        Limit::Requests,
        "sluice_backend_requests",
        "Requests under way at a Service",
    ),
];

fn under_way(encoder: &mut DescriptorEncoder<'_>, services: &Services) -> fmt::Result {
    for (limit, name, help) in GAUGES {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (id, state) in services {
            family
                .encode_family(&labels(id))?
                .encode_gauge(&state.under_way(limit))?;
        }
    }
    Ok(())
}

/// A counter of each Service, by the values of one label.
struct Counter {
    /// The name without `_total`.
    name: &'static str,
    help: &'static str,
    label: &'static str,
    values: fn(&BackendState) -> Vec<(&'static str, u64)>,
}

const COUNTERS: [Counter; 5] = [
    Counter {
        name: "sluice_endpoint_ejections",
        help: "Ejections of endpoints",
        label: "reason",
        values: |state| {
            let of = |reason: EjectionReason| (reason.as_str(), state.ejections(reason));
            EjectionReason::ALL.map(of).to_vec()
        },
    },
    Counter {
        name: "sluice_health_checks",
        help: "Requests that the proxy sent to find out whether an endpoint works",
        label: "result",
        values: |state| {
            let of = |result: CheckResult| (result.as_str(), state.checks(result));
            CheckResult::ALL.map(of).to_vec()
        },
    },
    Counter {
        name: "sluice_backend_refusals",
        help: "What was refused because a Service's limit was reached",
        label: "limit",
        values: |state| {
            let of = |limit: Limit| (limit.as_str(), state.refusals(limit));
            Limit::ALL.map(of).to_vec()
        },
    },
    Counter {
        name: "sluice_retries",
        help: "Retries that were sent, and those that the budget refused",
        label: "result",
        values: |state| {
            vec![
                ("sent", state.retries()),
                ("exhausted", state.retries_refused()),
            ]
        },
    },
    Counter {
        name: "sluice_fail_open_attempts",
        help: "Attempts at endpoints that were out of use, because all were",
        label: "",
        values: |state| vec![("", state.failed_open())],
    },
];

impl Counter {
    fn encode(&self, encoder: &mut DescriptorEncoder<'_>, services: &Services) -> fmt::Result {
        let mut family =
            encoder.encode_descriptor(self.name, self.help, None, MetricType::Counter)?;
        for (id, state) in services {
            let [namespace, service] = labels(id);
            for (value, number) in (self.values)(state) {
                if self.label.is_empty() {
                    count(&mut family.encode_family(&[namespace, service])?, &number)?;
                } else {
                    let labels = [namespace, service, (self.label, value)];
                    count(&mut family.encode_family(&labels)?, &number)?;
                }
            }
        }
        Ok(())
    }
}
