//! What a proxy sees of a cluster, trimmed to what decides where requests go.

use crds::Rollout;
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};
use traffic::BackendId;

/// The objects that a table is made of, each as it was seen last.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The Rollouts.
    pub rollouts: Vec<Arc<Rollout>>,
    /// The Services that they name, and may be more.
    pub services: HashMap<BackendId, Arc<Service>>,
    /// The EndpointSlices of these Services.
    pub slices: HashMap<BackendId, Vec<Arc<EndpointSlice>>>,
}

/// What is looked at of a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// Its ports of TCP, in its order.
    pub ports: Vec<ServicePort>,
    /// The first of `spec.ipFamilies`, if there is one.
    pub family: Option<Family>,
}

/// A port of a Service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServicePort {
    /// Its name; empty where it has none.
    pub name: Box<str>,
    /// Whether `appProtocol` says that HTTP/2 is spoken there without an upgrade.
    pub speaks_http2: bool,
}

/// The version of the Internet Protocol of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Version 4.
    V4,
    /// Version 6.
    V6,
}

impl Family {
    /// That of `address`.
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(Ipv4Addr { .. }) => Self::V4,
            IpAddr::V6(Ipv6Addr { .. }) => Self::V6,
        }
    }
}

/// What is looked at of an EndpointSlice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointSlice {
    /// The numbers of its ports, by the names of the Service's; an unnamed one has an empty name.
    pub ports: Vec<(Box<str>, u16)>,
    /// Its endpoints.
    pub endpoints: Vec<Endpoint>,
}

/// An endpoint, with its conditions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The name of the pod that it is, if it is one.
    pub pod: Option<Box<str>>,
    /// Where it is.
    pub address: IpAddr,
    /// It is to get requests.
    pub is_ready: bool,
    /// It answers requests, be it on its way out.
    pub is_serving: bool,
    /// It is on its way out.
    pub is_terminating: bool,
}
