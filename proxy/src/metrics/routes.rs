//! What routes let through and what they do not.

use super::encode::count;
use prometheus_client::{collector::Collector, encoding::DescriptorEncoder, metrics::MetricType};
use std::{fmt, sync::Arc};
use traffic::{RouteState, Stats};

/// Shows what is known of routes that limit or copy requests.
#[derive(Debug)]
pub(super) struct Routes {
    stats: Arc<Stats>,
}

impl Routes {
    pub(super) fn new(stats: Arc<Stats>) -> Self {
        Self { stats }
    }
}

/// Reads a number of a route.
type Read = fn(&RouteState) -> u64;

/// A counter of routes, each of whose values has one more label.
struct Counter {
    name: &'static str,
    help: &'static str,
    label: &'static str,
    values: &'static [(&'static str, Read)],
}

const COUNTERS: [Counter; 2] = [
    Counter {
        name: "sluice_route_refusals",
        help: "Requests that a route did not let through",
        label: "limit",
        values: &[
            ("rate", RouteState::rate_limited),
            ("concurrency", RouteState::shed),
        ],
    },
    Counter {
        name: "sluice_mirrored_requests",
        help: "Copies of requests for the mirrors of a route",
        label: "result",
        values: &[
            ("sent", |state| state.mirrored().sent),
            ("dropped", |state| state.mirrored().dropped),
        ],
    },
];

impl Collector for Routes {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let routes = self.stats.routes();
        for Counter {
            name,
            help,
            label,
            values,
        } in COUNTERS
        {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (route, state) in &routes {
                for (value, read) in values {
                    let labels = [("route", &**route), (label, *value)];
                    count(&mut family.encode_family(&labels)?, &read(state))?;
                }
            }
        }
        Ok(())
    }
}
