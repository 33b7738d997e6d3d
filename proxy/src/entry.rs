//! What is known of a request that has ended, for the access log and for traces.

use crate::{log::Noted, trace::TraceId};
use http::{HeaderValue, Method, Version};
use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use traffic::{BackendId, Role, RolloutId};

/// A request that has ended. What is `None` is left out of JSON, and a `-` in a template.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    /// When its head had come, since 1970.
    pub(crate) time: Duration,
    /// The client's address.
    pub(crate) client: IpAddr,
    /// The name of the listener.
    pub(crate) listener: &'a str,
    /// `http` or `https`.
    pub(crate) scheme: &'a str,
    /// The version of HTTP that the client spoke.
    pub(crate) version: Version,
    /// The method.
    pub(crate) method: &'a Method,
    /// The host that was asked for, without its port.
    pub(crate) host: &'a str,
    /// The path with its query, as the client sent it.
    pub(crate) path: &'a str,
    /// The status that the client got; 499 when it went away first.
    pub(crate) status: u16,
    /// Why the version or the proxy failed it.
    pub(crate) failure: Option<&'a str>,
    /// The name of its route.
    pub(crate) route: Option<&'a str>,
    /// The rollout whose split it went through.
    pub(crate) rollout: Option<&'a RolloutId>,
    /// The role of the version that it went to.
    pub(crate) role: Option<Role>,
    /// The Service that it went to.
    pub(crate) service: Option<&'a BackendId>,
    /// The endpoint of the last attempt.
    pub(crate) endpoint: Option<SocketAddr>,
    /// How many times it was sent.
    pub(crate) attempts: u32,
    /// Bytes of its body that came.
    pub(crate) request_bytes: u64,
    /// Bytes of the response's body that were sent.
    pub(crate) response_bytes: u64,
    /// The time from `time` to its end.
    pub(crate) duration: Duration,
    /// The time from `time` to the response's head.
    pub(crate) first_byte: Option<Duration>,
    /// Its id.
    pub(crate) request_id: Option<&'a HeaderValue>,
    /// The trace that it belongs to.
    pub(crate) trace: Option<TraceId>,
    /// The gRPC status.
    pub(crate) grpc_status: Option<u16>,
    /// Its headers that lines tell of.
    pub(crate) noted: &'a Noted,
}

#[cfg(test)]
pub(crate) mod samples {
    //! A request that tests write down.

    use super::*;

    /// What an [`Entry`] borrows.
    pub(crate) struct Sample {
        pub(crate) method: Method,
        pub(crate) path: String,
        pub(crate) rollout: RolloutId,
        pub(crate) service: BackendId,
        pub(crate) request_id: HeaderValue,
        pub(crate) noted: Noted,
    }

    impl Default for Sample {
        fn default() -> Self {
            Self {
                method: Method::GET,
                path: "/cart?id=7".to_owned(),
                rollout: RolloutId::new("default", "shop"),
                service: BackendId::new("default", "shop-green"),
                request_id: HeaderValue::from_static("r-1"),
                noted: Noted::default(),
            }
        }
    }

    impl Sample {
        /// A request that the canary answered.
        pub(crate) fn entry(&self) -> Entry<'_> {
            Entry {
                time: Duration::new(1_795_573_800, 250_000_000),
                client: IpAddr::from([192, 0, 2, 7]),
                listener: "https",
                scheme: "https",
                version: Version::HTTP_2,
                method: &self.method,
                host: "shop.example",
                path: &self.path,
                status: 200,
                failure: None,
                route: Some("shop"),
                rollout: Some(&self.rollout),
                role: Some(Role::Canary),
                service: Some(&self.service),
                endpoint: Some(SocketAddr::from(([10, 0, 0, 3], 9001))),
                attempts: 1,
                request_bytes: 0,
                response_bytes: 512,
                duration: Duration::from_micros(12_345),
                first_byte: Some(Duration::from_micros(9_007)),
                request_id: Some(&self.request_id),
                trace: None,
                grpc_status: None,
                noted: &self.noted,
            }
        }
    }
}
