//! What is done to a request on a route, beside sending it somewhere: the Gateway API's filters and timeouts.
//!
//! Plain values, with the rules of the Gateway API (HTTPRoute, `gateway.networking.k8s.io/v1`).

use crate::{Backend, Weight};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use std::{num::NonZeroU32, time::Duration};

/// Everything that a route does.
#[derive(Clone, Debug, Default)]
pub struct Actions {
    /// What is done to the request's headers.
    pub request_headers: HeaderEdits,
    /// What is done to the response's headers.
    pub response_headers: HeaderEdits,
    /// How host and path change before the request is sent.
    pub rewrite: Option<Rewrite>,
    /// Who gets a copy of the request.
    pub mirrors: Vec<Mirror>,
    /// Which other origins a browser lets read the answers.
    pub cors: Option<Cors>,
    /// How long things may take here.
    pub timeouts: RouteTimeouts,
    /// How many requests are let through.
    pub rate_limit: Option<RateLimit>,
    /// How many requests may be under way at the same time on the whole process; more are answered with 503.
    pub max_concurrent: Option<NonZeroU32>,
    /// The largest request body, in bytes, in place of the proxy's.
    pub max_body_bytes: Option<u64>,
}

impl Actions {
    /// Whether nothing is done, so that a request passes as it is.
    pub fn is_empty(&self) -> bool {
        let Self {
            request_headers,
            response_headers,
            rewrite,
            mirrors,
            cors,
            timeouts,
            rate_limit,
            max_concurrent,
            max_body_bytes,
        } = self;
        request_headers.is_empty()
            && response_headers.is_empty()
            && rewrite.is_none()
            && mirrors.is_empty()
            && cors.is_none()
            && *timeouts == RouteTimeouts::default()
            && rate_limit.is_none()
            && max_concurrent.is_none()
            && max_body_bytes.is_none()
    }
}

/// Changes of headers: first those of `remove` go, then those of `set` replace what is there, then those of `add` are
/// added. Headers that are not editable ([`is_editable`]) stay as they are. Of several in `set` with the same name the
/// first counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderEdits {
    /// Headers that get this one value.
    pub set: Vec<(HeaderName, HeaderValue)>,
    /// Headers that get one more value.
    pub add: Vec<(HeaderName, HeaderValue)>,
    /// Headers that go.
    pub remove: Vec<HeaderName>,
}

impl HeaderEdits {
    /// Whether nothing is changed.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.add.is_empty() && self.remove.is_empty()
    }
}

/// Whether a route may change the header `name`. It may not change what frames a message or concerns one connection
/// only (RFC 9110 section 7.6.1): a false `Content-Length` would let one message be read as two. The host is changed by
/// [`Rewrite::hostname`].
pub fn is_editable(name: &HeaderName) -> bool {
    !matches!(
        name.as_str(),
        "connection"
            | "content-length"
            | "expect"
            | "host"
            | "http2-settings"
            | "keep-alive"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// `URLRewrite`: how host and path change before a request is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rewrite {
    /// The host that the endpoint is told.
    pub hostname: Option<HeaderValue>,
    /// The path that the endpoint is asked for.
    pub path: Option<PathRewrite>,
}

/// How a path changes. The query stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathRewrite {
    /// Whatever it is, it becomes this.
    ReplaceFullPath(Box<str>),
    /// The prefix that the route matched becomes this; only with a route that matches by prefix.
    ReplacePrefixMatch(Box<str>),
}

/// `RequestRedirect`: an answer that sends the client elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// `http` or `https`; none keeps the request's.
    pub scheme: Option<Box<str>>,
    /// The host; none keeps the request's.
    pub hostname: Option<Box<str>>,
    /// The port; none takes the scheme's own where `scheme` is given, else keeps the listener's.
    pub port: Option<u16>,
    /// How the path changes.
    pub path: Option<PathRewrite>,
    /// 301, 302, 303, 307 or 308.
    pub status: StatusCode,
}

/// `RequestMirror`: a Service that gets a copy of a share of the requests. Its answers are thrown away; a request is
/// never slowed down by its mirror, and what cannot be mirrored at once is dropped and counted.
#[derive(Clone, Debug)]
pub struct Mirror {
    /// Where the copies go. They are counted there, and not as requests of any version under judgement.
    pub backend: Backend,
    /// The share of requests.
    pub share: Weight,
    /// Copies under way at the same time, on the whole process.
    pub max_concurrent: u32,
    /// The largest request body that is copied, in bytes; requests with a larger one are not mirrored.
    pub max_body_bytes: usize,
}

/// `CORS`: answers to the questions of browsers (Fetch standard, section 3.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cors {
    /// Origins such as `https://shop.example`, `https://*.shop.example` or `*`.
    pub allow_origins: Vec<Box<str>>,
    /// Whether cookies and credentials may be sent.
    pub allow_credentials: bool,
    /// Methods, beside the simple ones; `*` allows all.
    pub allow_methods: Vec<Box<str>>,
    /// Request headers; `*` allows all.
    pub allow_headers: Vec<Box<str>>,
    /// Response headers that scripts may see.
    pub expose_headers: Vec<Box<str>>,
    /// How long a browser may keep the answer, in seconds.
    pub max_age: Option<u32>,
}

/// How long things may take on a route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RouteTimeouts {
    /// From the request's head to the end of the response; none sets no limit.
    pub request: Option<Duration>,
    /// From the request's end to the response's head, for each attempt; none takes the proxy's.
    pub response_header: Option<Duration>,
    /// While nothing moves; none takes the proxy's.
    pub idle: Option<Duration>,
}

/// A token bucket, shared by the whole process. Requests beyond it are answered with 429.
#[derive(Clone, Debug)]
pub struct RateLimit {
    /// Requests each second in the long run, more than 0.
    pub per_second: f64,
    /// Requests that may come at once.
    pub burst: NonZeroU32,
    /// What requests are told apart by.
    pub key: RateKey,
}

/// What a rate limit tells requests apart by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RateKey {
    /// Nothing: all share one bucket.
    Route,
    /// The client's address; of an IPv6 address its /64, as one client commonly has all of that.
    ClientAddress,
    /// The first value of this header; requests without it share a bucket.
    Header(HeaderName),
}

/// Whether `method` promises that to do it twice is as to do it once (RFC 9110 section 9.2.2).
pub fn is_idempotent(method: &Method) -> bool {
    matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE | Method::TRACE
    )
}
