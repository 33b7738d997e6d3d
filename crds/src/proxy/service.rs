//! Named groups of endpoints, and how they are spoken to.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use super::{Balancing, Ejection, HealthCheck};
use crate::sluice::Switch;
use crate::{GoDuration, duration, lenient};

/// A named group of endpoints, and how they are spoken to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Service {
    /// Its name, unique in its namespace.
    pub name: String,
    /// Its namespace; absent means the proxy's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Addresses and ports, such as `127.0.0.1:9001`.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub endpoints: Vec<String>,
    /// The HTTP version that they speak.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "HTTP"))]
    pub protocol: Option<Protocol>,
    /// How connections to them are secured; absent means plain text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<ServiceTls>,
    /// The PROXY protocol header that begins each connection to them; absent sends none. Such a
    /// connection carries requests of one client only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_protocol: Option<ProxyProtocol>,
    /// How an endpoint is chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "PowerOfTwo"))]
    pub balancing: Option<Balancing>,
    /// For how long an endpoint that is new, or back from ejection, gets less than its share, which
    /// rises from a tenth to the whole. Absent gives it its share at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-min" = "1ms", "x-max" = "24h"))]
    pub slow_start: Option<GoDuration>,
    /// When an endpoint that fails is left out for a while: `off`, `on`, or options.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "on"))]
    pub ejection: Option<Switch<Ejection>>,
    /// Requests that the proxy itself sends to find out whether an endpoint works; absent sends none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health_check: Option<HealthCheck>,
    /// What the Service is not burdened with at the same time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<ServiceLimits>,
    /// When a request is sent again to another endpoint of the same Service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// What becomes of long-lived streams (tunnels, and responses that go on) when the Service loses
    /// all its weight: `keep`, or the time after which they are closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "keep", "x-min" = "0s", "x-max" = "24h"))]
    pub stream_drain: Option<StreamDrain>,
}

/// The HTTP version of a Service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Protocol {
    /// HTTP/1.1.
    #[default]
    #[serde(rename = "HTTP")]
    Http,
    /// HTTP/2: by ALPN over TLS, with prior knowledge in plain text. What gRPC needs.
    #[serde(rename = "HTTP2")]
    Http2,
}

/// How connections to a Service are secured. Its files are read again when they change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceTls {
    /// The PEM file of the authorities that are trusted; absent trusts those of the operating system.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1), extend("x-file" = true))]
    pub ca_file: Option<String>,
    /// The name that the certificate must bear and that SNI asks for; absent takes the endpoint's
    /// address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// The certificate that the proxy shows (mutual TLS); absent shows none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<ServiceCertificate>,
}

/// A certificate that the proxy shows to endpoints, and its key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceCertificate {
    /// The PEM file of the chain, the proxy's own certificate first.
    #[schemars(length(min = 1), extend("x-file" = true))]
    pub chain_file: String,
    /// The PEM file of the private key.
    #[schemars(length(min = 1), extend("x-file" = true))]
    pub key_file: String,
}

/// A version of the PROXY protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ProxyProtocol {
    /// One line of text.
    V1,
    /// Binary.
    V2,
}

/// What a Service is not burdened with at the same time, by the whole process. A request beyond a
/// limit is answered with 503 and counts as a failure of its version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceLimits {
    /// Connections to all endpoints together.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1), extend("default" = 10_000))]
    pub connections: Option<u32>,
    /// Requests that wait for a connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = 1024))]
    pub pending: Option<u32>,
    /// Requests under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1), extend("default" = 100_000))]
    pub requests: Option<u32>,
}

/// When a request is sent again, always to its own version. What a version failed is counted when its
/// first attempt ends, whatever a second one gives.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Retry {
    /// Attempts after the first. 0 never retries, apart from requests of which nothing was written to a
    /// connection that had just been closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 10), extend("default" = 1))]
    pub attempts: Option<u32>,
    /// Retries allowed for each request, over the last ten seconds: 0.2 lets at most a fifth of the
    /// load be added.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1), extend("default" = 0.2))]
    pub budget: Option<f64>,
    /// Retries that are allowed whatever the budget says.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 100_000), extend("default" = 3, "x-unit" = "per second"))]
    pub min_per_second: Option<u32>,
    /// Statuses, beside failures to connect and connections that end before an answer, after which an
    /// idempotent request is sent again.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(inner(range(min = 400, max = 599)))]
    pub statuses: Vec<u16>,
    /// How long one attempt may take until its answer's head; absent leaves it to the other timeouts.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-min" = "1ms", "x-max" = "24h"))]
    pub attempt_timeout: Option<GoDuration>,
    /// The largest request body that is kept to be sent again. A request with a larger one is not
    /// repeated once a part of it was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 67_108_864), extend("default" = 65_536, "x-unit" = "bytes"))]
    pub max_body_bytes: Option<u32>,
}

/// What becomes of long-lived streams: `keep`, or the time after which they are closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StreamDrain {
    /// They go on to their end.
    #[default]
    Keep,
    /// They are closed when this time has passed.
    CloseAfter(GoDuration),
}

const KEEP: &str = "keep";

impl Serialize for StreamDrain {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Keep => serializer.serialize_str(KEEP),
            Self::CloseAfter(time) => time.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for StreamDrain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KeepOrTime)
    }
}

impl JsonSchema for StreamDrain {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "StreamDrain".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let time = generator.subschema_for::<GoDuration>();
        json_schema!({"anyOf": [{"type": "string", "const": KEEP}, time]})
    }
}

struct KeepOrTime;

impl Visitor<'_> for KeepOrTime {
    type Value = StreamDrain;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("keep, or a duration such as 30s")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<StreamDrain, E> {
        let time = |time: Duration| StreamDrain::CloseAfter(GoDuration(time));
        match text {
            KEEP => Ok(StreamDrain::Keep),
            _ => duration::parse(text)
                .map(time)
                .map_err(|_| E::invalid_value(serde::de::Unexpected::Str(text), &self)),
        }
    }
}
