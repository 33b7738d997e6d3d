use super::*;
use std::net::IpAddr;

/// An address and its conditions: ready, serving, terminating.
type Condition = (&'static str, bool, bool, bool);

fn slice(port: (&str, u16), endpoints: &[Condition]) -> Arc<EndpointSlice> {
    let endpoint = |(address, is_ready, is_serving, is_terminating): &Condition| Endpoint {
        pod: None,
        address: address.parse::<IpAddr>().unwrap(),
        is_ready: *is_ready,
        is_serving: *is_serving,
        is_terminating: *is_terminating,
    };
    Arc::new(EndpointSlice {
        ports: vec![(port.0.into(), port.1)],
        endpoints: endpoints.iter().map(endpoint).collect(),
    })
}

fn service(ports: &[(&str, bool)], family: Option<Family>) -> Service {
    let port = |(name, speaks_http2): &(&str, bool)| ServicePort {
        name: (*name).into(),
        speaks_http2: *speaks_http2,
    };
    Service {
        ports: ports.iter().map(port).collect(),
        family,
    }
}

const READY: Condition = ("10.0.0.1", true, true, false);
const STARTING: Condition = ("10.0.0.2", false, false, false);
const ENDING: Condition = ("10.0.0.3", false, true, true);
const GONE: Condition = ("10.0.0.4", false, false, true);
const SIXTH: Condition = ("fd00::1", true, true, false);

#[test]
fn endpoints_are_those_that_are_to_get_requests() {
    let plain = service(&[("", false)], None);
    let check = |service: &Service, slices: &[Arc<EndpointSlice>], expected: &[&str]| {
        let found = endpoints(service, slices);
        let found: Vec<String> = found.endpoints.iter().map(ToString::to_string).collect();
        assert_eq!(found, expected, "{service:?} {slices:?}");
    };
    let all = [slice(("", 80), &[GONE, ENDING, STARTING, READY])];
    check(&plain, &all, &["10.0.0.1:80"]);
    // Nobody is ready: who still answers goes on.
    let last = [slice(("", 80), &[GONE, ENDING, STARTING])];
    check(&plain, &last, &["10.0.0.3:80"]);
    check(&plain, &[slice(("", 80), &[GONE, STARTING])], &[]);
    // Over all slices, not within each.
    let two = [slice(("", 80), &[ENDING]), slice(("", 80), &[READY])];
    check(&plain, &two, &["10.0.0.1:80"]);
    check(&plain, &[], &[]);
    check(&service(&[], None), &all, &[]);
    // A port by name has a number of its own in each slice.
    let other = ("10.0.0.9", true, true, false);
    let named = [
        slice(("http", 80), &[other]),
        slice(("http", 81), &[READY]),
        slice(("metrics", 90), &[READY]),
    ];
    let several = service(&[("metrics", false), ("http", false)], None);
    check(&several, &named, &["10.0.0.1:81", "10.0.0.9:80"]);
    let first = service(&[("metrics", false), ("grpc", false)], None);
    check(&first, &named, &["10.0.0.1:90"]);
    // The same pod by two addresses is one endpoint.
    let both = [slice(("", 80), &[SIXTH]), slice(("", 80), &[READY, READY])];
    let of = |family| service(&[("", false)], Some(family));
    check(&of(Family::V4), &both, &["10.0.0.1:80"]);
    check(&of(Family::V6), &both, &["[fd00::1]:80"]);
    check(&of(Family::V6), &all, &["10.0.0.1:80"]);
}

#[test]
fn http2_is_spoken_where_the_port_says_so() {
    for (speaks_http2, expected) in [(false, Protocol::Http1), (true, Protocol::Http2)] {
        let found = endpoints(&service(&[("", speaks_http2)], None), &[]);
        assert_eq!(found.policy.protocol, expected);
    }
}
