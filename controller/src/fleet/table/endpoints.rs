//! Where the requests for a Service go.

use crate::{
    fleet::seen::{Endpoint, EndpointSlice, Family, Service, ServicePort},
    spec::ServiceSpec,
};
use std::{net::SocketAddr, sync::Arc};
use traffic::{BackendPolicy, policy::Protocol};

/// The port that requests are sent to where a Service has several.
const HTTP: &str = "http";

/// The endpoints of `service`, in the order of their addresses, and how they are spoken to.
pub(super) fn endpoints(service: &Service, slices: &[Arc<EndpointSlice>]) -> ServiceSpec {
    let Some(port) = port(service) else {
        return ServiceSpec::default();
    };
    let all: Vec<(Endpoint, u16)> = slices.iter().flat_map(|slice| at(slice, port)).collect();
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
fn at(slice: &EndpointSlice, port: &ServicePort) -> Vec<(Endpoint, u16)> {
    let mut ports = slice.ports.iter();
    let number = ports.find(|(name, _)| *name == port.name).map(|(_, n)| *n);
    let endpoints = slice.endpoints.iter();
    number.map_or_else(Vec::new, |number| endpoints.map(|e| (*e, number)).collect())
}

/// Those that are ready. When none is, those that still serve while they end: the rule of kube-proxy (KEP-1669).
fn in_use(all: &[(Endpoint, u16)]) -> Vec<SocketAddr> {
    let those = |wanted: fn(&Endpoint) -> bool| -> Vec<SocketAddr> {
        let endpoints = all.iter().filter(|(endpoint, _)| wanted(endpoint));
        endpoints
            .map(|(endpoint, port)| SocketAddr::new(endpoint.address, *port))
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
