//! What is said of clients: by proxies before this one, and to endpoints.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::lenient;

/// Whom the proxy believes, and what it tells endpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Forwarding {
    /// Networks of peers, such as `10.0.0.0/8`, that are believed what they say of the client in
    /// `X-Forwarded-*` and `Forwarded`. Every other peer is taken for the client itself, and what it
    /// says is replaced.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trusted: Vec<String>,
    /// How many proxies before this one are trusted whatever their address is: the client's address is
    /// the one that the outermost of them saw.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 32), extend("default" = 0))]
    pub trusted_hops: Option<u32>,
    /// Which headers tell an endpoint of the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "XForwarded"))]
    pub headers: Option<ForwardedHeaders>,
    /// The name under which this proxy adds itself to `Via` (RFC 9110 section 7.6.3) of requests and
    /// responses. Absent passes `Via` on as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
    /// The header that carries a request's id: passed on from trusted peers, made otherwise. Absent
    /// makes none, and passes on what comes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// Which headers tell an endpoint of the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ForwardedHeaders {
    /// `X-Forwarded-For`, `-Host` and `-Proto`.
    #[default]
    XForwarded,
    /// `Forwarded` (RFC 7239).
    Forwarded,
    /// Both.
    Both,
    /// None, and those that come are removed.
    Remove,
}
