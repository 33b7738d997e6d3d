//! Connections, and requests that went to no version.

use super::encode::{About, counter, gauge};
use crate::Counters;
use prometheus_client::{collector::Collector, encoding::DescriptorEncoder, metrics::MetricType};
use std::{fmt, sync::Arc};

/// Shows what the workers count besides requests.
#[derive(Debug)]
pub(super) struct Connections {
    counters: Arc<Counters>,
}

impl Connections {
    pub(super) fn new(counters: Arc<Counters>) -> Self {
        Self { counters }
    }
}

const fn about(name: &'static str, help: &'static str) -> About {
    About {
        name,
        unit: None,
        help,
    }
}

const ACCEPTED: About = about(
    "sluice_connections_accepted",
    "Client connections that were accepted",
);
const PASSED: About = about(
    "sluice_connections_passed",
    "Client connections that the worker which accepted them passed on to one with fewer",
);
const OPEN: About = about(
    "sluice_connections_open",
    "Client connections that are open, tunnels included",
);
const TUNNELS: About = about("sluice_tunnels_open", "Upgraded connections that are open");
const ACCEPT_FAILURES: About = about(
    "sluice_accept_failures",
    "Failures to accept a connection for lack of a resource such as file descriptors",
);
const UNROUTED: About = about(
    "sluice_unrouted_requests",
    "Requests that no route was for, answered 404",
);
const BAD: About = about(
    "sluice_bad_requests",
    "Requests refused for what they are: no valid host, target, method or framing",
);

const REFUSED: About = about(
    "sluice_connections_refused",
    "Client connections that were closed at once, as there were as many as may be",
);
const HANDSHAKES_FAILED: About = about(
    "sluice_handshakes_failed",
    "Client connections that ended in a PROXY header or a TLS handshake that was no good",
);
const SHED: About = about(
    "sluice_shed_requests",
    "Requests answered with 503 for lack of memory, descriptors or ports",
);
const RESCUED: About = about(
    "sluice_rescued_requests",
    "Requests that the canary failed and that were sent to stable, where the rollout asks for that",
);
const DRAINED: About = about(
    "sluice_drained_streams",
    "Long-lived exchanges that were told to end because their version had lost its weight",
);
const PANICS: About = about(
    "sluice_panics",
    "Connections, and requests by HTTP/2, that were given up because the proxy panicked",
);

impl Connections {
    fn encode_workers(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let mut family = encoder.encode_descriptor(
            "sluice_worker_connections",
            "Client connections that a worker has open, tunnels included",
            None,
            MetricType::Gauge,
        )?;
        for (worker, read) in self.counters.by_worker().enumerate() {
            family
                .encode_family(&[("worker", worker)])?
                .encode_gauge(&read.open)?;
        }
        Ok(())
    }
}

impl Collector for Connections {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let read = self.counters.read();
        counter(&mut encoder, &ACCEPTED, &read.accepted)?;
        counter(&mut encoder, &PASSED, &read.passed)?;
        gauge(&mut encoder, &OPEN, &read.open)?;
        self.encode_workers(&mut encoder)?;
        gauge(&mut encoder, &TUNNELS, &read.tunnels)?;
        counter(&mut encoder, &ACCEPT_FAILURES, &read.accept_failures)?;
        counter(&mut encoder, &UNROUTED, &read.no_route)?;
        counter(&mut encoder, &BAD, &read.bad_requests)?;
        counter(&mut encoder, &REFUSED, &read.refused)?;
        counter(&mut encoder, &HANDSHAKES_FAILED, &read.handshakes_failed)?;
        counter(&mut encoder, &SHED, &read.shed)?;
        counter(&mut encoder, &RESCUED, &read.rescued)?;
        counter(&mut encoder, &DRAINED, &read.drained)?;
        counter(&mut encoder, &PANICS, &read.panics)
    }
}
