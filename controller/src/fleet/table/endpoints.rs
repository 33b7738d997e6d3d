//! Where the requests for a Service go.

use crate::{
    fleet::seen::{Endpoint, EndpointSlice, Family, Service, ServicePort},
    spec::ServiceSpec,
};
use std::{net::SocketAddr, sync::Arc};
use traffic::{BackendPolicy, policy::Protocol};

/// The port that requests are sent to where a Service has several.
const HTTP: &str = "http";

/// An endpoint, and the port that requests are sent to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed<'s> {
    pub(super) endpoint: &'s Endpoint,
    port: u16,
}

/// The endpoints of `service`, in the order of their addresses, and how they are spoken to.
pub(super) fn endpoints(service: &Service, slices: &[Arc<EndpointSlice>]) -> ServiceSpec {
    those(service, slices, |_| true)
}

/// As [`endpoints`], as if there were only those that are wanted.
pub(super) fn those(
    service: &Service,
    slices: &[Arc<EndpointSlice>],
    is_wanted: impl Fn(&Placed<'_>) -> bool,
) -> ServiceSpec {
    let Some(port) = port(service) else {
        return ServiceSpec::default();
    };
    let all = slices.iter().flat_map(|slice| at(slice, port));
    let all: Vec<Placed<'_>> = all.filter(is_wanted).collect();
    let mut addresses = of_one_family(in_use(&all), service.family);
    addresses.sort_unstable();
    addresses.dedup();
    let protocol = match port.speaks_http2 {
        true => Protocol::Http2,
        false => Protocol::Http1,
    };
    ServiceSpec {
        endpoints: addresses.into(),
        policy: Arc::new(BackendPolicy {
            protocol,
            ..BackendPolicy::default()
        }),
    }
}

/// The port named `http`, else the first.
fn port(service: &Service) -> Option<&ServicePort> {
    let mut ports = service.ports.iter();
    ports
        .find(|port| *port.name == *HTTP)
        .or_else(|| service.ports.first())
}

/// The endpoints of `slice`, where it has the port. A port by name may have another number in each slice.
fn at<'s>(
    slice: &'s EndpointSlice,
    port: &ServicePort,
) -> impl Iterator<Item = Placed<'s>> + use<'s> {
    let mut ports = slice.ports.iter();
    let number = ports.find(|(name, _)| *name == port.name).map(|(_, n)| *n);
    let placed = move |port| {
        let endpoints = slice.endpoints.iter();
        endpoints.map(move |endpoint| Placed { endpoint, port })
    };
    number.into_iter().flat_map(placed)
}

/// Those that are ready. When none is, those that still serve while they end: the rule of kube-proxy (KEP-1669).
fn in_use(all: &[Placed<'_>]) -> Vec<SocketAddr> {
    let those = |wanted: fn(&Endpoint) -> bool| -> Vec<SocketAddr> {
        let placed = all.iter().filter(|placed| wanted(placed.endpoint));
        placed
            .map(|placed| SocketAddr::new(placed.endpoint.address, placed.port))
            .collect()
    };
    let ready = those(|endpoint| endpoint.is_ready);
    match ready.is_empty() {
        true => those(|endpoint| endpoint.is_serving && endpoint.is_terminating),
        false => ready,
    }
}

/// Those of the Service's first family, unless there are only others: with both families each pod would count twice.
fn of_one_family(addresses: Vec<SocketAddr>, family: Option<Family>) -> Vec<SocketAddr> {
    let is_first = |address: &&SocketAddr| Some(Family::of(address.ip())) == family;
    let of_first: Vec<SocketAddr> = addresses.iter().filter(is_first).copied().collect();
    match of_first.is_empty() {
        true => addresses,
        false => of_first,
    }
}

#[cfg(test)]
mod tests;
