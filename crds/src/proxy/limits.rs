//! How long things may take, and how much of them there may be.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::GoDuration;

/// How long things may take.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Timeouts {
    /// Until a connection to an endpoint stands, TLS included.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "2s", "x-min" = "1ms", "x-max" = "24h"))]
    pub connect: Option<GoDuration>,
    /// From the request's end until the response's head. Routes may set their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "30s", "x-min" = "1ms", "x-max" = "24h"))]
    pub response_header: Option<GoDuration>,
    /// Without a byte in either direction on a body or a tunnel. Routes may set their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "5m", "x-min" = "1ms", "x-max" = "24h"))]
    pub idle: Option<GoDuration>,
    /// Of a client's connection between two requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "1m15s", "x-min" = "1ms", "x-max" = "24h"))]
    pub keep_alive: Option<GoDuration>,
    /// From a request's first byte until its head is complete; for a connection's first request from
    /// its beginning, with PROXY header and TLS handshake.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "30s", "x-min" = "1ms", "x-max" = "24h"))]
    pub request_header: Option<GoDuration>,
    /// For requests under way when the process is asked to end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "30s", "x-min" = "1ms", "x-max" = "24h"))]
    pub drain: Option<GoDuration>,
}

/// How many connections to endpoints are kept for reuse. Every worker keeps its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pool {
    /// The most idle connections to one endpoint that one worker keeps.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 100_000), extend("default" = 128))]
    pub idle_per_endpoint: Option<u32>,
    /// How long a connection is kept idle. Should be shorter than the endpoints' own idle timeout: a
    /// server that closes a connection in the moment in which a request is sent on it makes that
    /// request fail.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "4s", "x-min" = "1ms", "x-max" = "24h"))]
    pub idle_time: Option<GoDuration>,
}

/// What clients may ask of the proxy. Connections are those of the whole process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Client connections; more are accepted and closed at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1), extend("default" = 100_000))]
    pub connections: Option<u32>,
    /// Client connections from one address (one /64 of IPv6); 0 sets no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = 0))]
    pub connections_per_client: Option<u32>,
    /// The largest head of a request or a response: start line and headers. A larger request gets a
    /// 431, a larger response counts as no valid HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        range(min = 1024, max = 16_777_216),
        extend("default" = 65_536, "x-unit" = "bytes")
    )]
    pub head_bytes: Option<u32>,
    /// The most headers of one message; more get a 431.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 8, max = 10_000), extend("default" = 100))]
    pub headers: Option<u32>,
    /// The longest request target; a longer one gets a 414.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        range(min = 64, max = 16_777_216),
        extend("default" = 16_384, "x-unit" = "bytes")
    )]
    pub uri_bytes: Option<u32>,
    /// The largest request body; a larger one gets a 413. Absent sets no limit; routes may set their
    /// own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-unit" = "bytes"))]
    pub body_bytes: Option<u64>,
    /// The least that a request's body must come on each second once it has begun for five seconds,
    /// or for the idle timeout where that is less; a slower one gets a 408. 0 leaves it to the idle timeout.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = 0, "x-unit" = "bytes/s"))]
    pub body_rate: Option<u32>,
    /// Requests that one connection may carry before it is closed in order. Absent sets no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub requests_per_connection: Option<u64>,
    /// Resident memory of the process from which on new requests are answered with 503 and
    /// `Retry-After`. Absent sets no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 16_777_216), extend("x-unit" = "bytes"))]
    pub memory_bytes: Option<u64>,
    /// What HTTP/2 clients may do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http2: Option<Http2Limits>,
}

/// What HTTP/2 clients may do on one connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Http2Limits {
    /// Streams at the same time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000), extend("default" = 128))]
    pub concurrent_streams: Option<u32>,
    /// Streams that the client reset before they were looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1_000_000), extend("default" = 20))]
    pub pending_resets: Option<u32>,
    /// Streams that the client may make the proxy reset in a connection's life.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000), extend("default" = 128))]
    pub local_resets: Option<u32>,
    /// Control frames (PING, SETTINGS, RST_STREAM, PRIORITY, empty DATA and so on) within ten seconds, beside one for
    /// every 32 bytes that the client was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 10, max = 1_000_000), extend("default" = 1000))]
    pub control_frames: Option<u32>,
    /// How far a stream's body may come ahead of its reader.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        range(min = 1024, max = 2_147_483_647),
        extend("default" = 262_144, "x-unit" = "bytes")
    )]
    pub stream_window: Option<u32>,
    /// How far all bodies of a connection may come ahead of their readers. Where more stall, it grows by what they hold, as
    /// long as that is no more than 256 MiB, or a quarter of `memoryBytes`, for all connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        range(min = 65_535, max = 2_147_483_647),
        extend("default" = 4_194_304, "x-unit" = "bytes")
    )]
    pub connection_window: Option<u32>,
}
