//! What is done to requests and responses on a route: the Gateway API's HTTPRoute filters.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::lenient;

/// One thing that is done to requests or responses. Exactly the field that `type` names is to be set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Filter {
    /// What it does.
    #[serde(rename = "type")]
    pub kind: FilterType,
    /// Changes of the request's headers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_header_modifier: Option<HeaderModifier>,
    /// Changes of the response's headers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_header_modifier: Option<HeaderModifier>,
    /// How host and path change before the request is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url_rewrite: Option<UrlRewrite>,
    /// Where the client is sent instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_redirect: Option<RequestRedirect>,
    /// Who gets a copy of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_mirror: Option<RequestMirror>,
    /// Which other origins a browser lets read the answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cors: Option<Cors>,
}

/// What a filter does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum FilterType {
    /// Changes the request's headers.
    RequestHeaderModifier,
    /// Changes the response's headers.
    ResponseHeaderModifier,
    /// Changes host and path before the request is sent.
    #[serde(rename = "URLRewrite")]
    UrlRewrite,
    /// Sends the client elsewhere.
    RequestRedirect,
    /// Sends a copy of the request to another Service.
    RequestMirror,
    /// Tells browsers which other origins may read the answers.
    #[serde(rename = "CORS")]
    Cors,
}

impl FilterType {
    /// The name of the field that belongs to the type.
    pub fn field(self) -> &'static str {
        match self {
            Self::RequestHeaderModifier => "requestHeaderModifier",
            Self::ResponseHeaderModifier => "responseHeaderModifier",
            Self::UrlRewrite => "urlRewrite",
            Self::RequestRedirect => "requestRedirect",
            Self::RequestMirror => "requestMirror",
            Self::Cors => "cors",
        }
    }
}

impl Filter {
    /// The names of the fields that are set.
    pub fn fields(&self) -> Vec<&'static str> {
        let Self {
            kind: _,
            request_header_modifier,
            response_header_modifier,
            url_rewrite,
            request_redirect,
            request_mirror,
            cors,
        } = self;
        [
            (
                request_header_modifier.is_some(),
                FilterType::RequestHeaderModifier,
            ),
            (
                response_header_modifier.is_some(),
                FilterType::ResponseHeaderModifier,
            ),
            (url_rewrite.is_some(), FilterType::UrlRewrite),
            (request_redirect.is_some(), FilterType::RequestRedirect),
            (request_mirror.is_some(), FilterType::RequestMirror),
            (cors.is_some(), FilterType::Cors),
        ]
        .into_iter()
        .filter(|(is_set, _)| *is_set)
        .map(|(_, kind)| kind.field())
        .collect()
    }
}

/// Changes of headers: those of `remove` go, those of `set` replace what is there, and those of `add`
/// are added.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeaderModifier {
    /// Headers that get this one value.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub set: Vec<Header>,
    /// Headers that get one more value.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub add: Vec<Header>,
    /// Names of headers that go.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
}

/// A header and its value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    /// Its name, in any case.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// How host and path change before the request is sent. At least one of them is to be set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UrlRewrite {
    /// The host that the endpoint is told; absent keeps it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// The path that the endpoint is asked for; absent keeps it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathModifier>,
}

/// How a path changes; the query stays. Exactly the field that `type` names is to be set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PathModifier {
    /// What is replaced.
    #[serde(rename = "type")]
    pub kind: PathModifierType,
    /// What the whole path becomes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replace_full_path: Option<String>,
    /// What the prefix that the route matched becomes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replace_prefix_match: Option<String>,
}

/// What of a path is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PathModifierType {
    /// All of it.
    ReplaceFullPath,
    /// The prefix that the route matched. Only with matches of type PathPrefix.
    ReplacePrefixMatch,
}

/// An answer that sends the client elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequestRedirect {
    /// The scheme; absent keeps the request's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheme: Option<Scheme>,
    /// The host; absent keeps the request's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// The port; absent takes the scheme's own where `scheme` is set, else keeps the listener's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub port: Option<u16>,
    /// The path; absent keeps the request's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathModifier>,
    /// The status.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend(
        "default" = Self::DEFAULT_STATUS_CODE,
        "enum" = Self::STATUS_CODES
    ))]
    pub status_code: Option<u16>,
}

impl RequestRedirect {
    /// The status when nothing else is said.
    pub const DEFAULT_STATUS_CODE: u16 = 302;
    /// The statuses that are allowed.
    pub const STATUS_CODES: [u16; 5] = [301, 302, 303, 307, 308];
}

/// The scheme of a URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Scheme {
    /// Plain text.
    Http,
    /// TLS.
    Https,
}

impl Scheme {
    /// The scheme as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// A Service that gets a copy of a share of the requests. Its answers are thrown away; a request is
/// never slowed down by its mirror, and what cannot be mirrored at once is dropped and counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequestMirror {
    /// The Service, in the route's namespace.
    pub service: String,
    /// The share of requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        range(max = 100),
        extend("default" = Self::DEFAULT_PERCENT, "x-unit" = "percent")
    )]
    pub percent: Option<u32>,
    /// Copies under way at the same time, on the whole process.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        range(min = 1, max = 1_000_000),
        extend("default" = Self::DEFAULT_MAX_CONCURRENT)
    )]
    pub max_concurrent: Option<u32>,
    /// The largest request body that is copied; requests with a larger one are not mirrored.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        range(max = 67_108_864),
        extend("default" = Self::DEFAULT_MAX_BODY_BYTES, "x-unit" = "bytes")
    )]
    pub max_body_bytes: Option<u32>,
}

impl RequestMirror {
    /// The share of requests when nothing else is said, in percent.
    pub const DEFAULT_PERCENT: u32 = 100;
    /// The copies under way when nothing else is said.
    pub const DEFAULT_MAX_CONCURRENT: u32 = 64;
    /// The largest body when nothing else is said, in bytes.
    pub const DEFAULT_MAX_BODY_BYTES: u32 = 65_536;
}

/// Answers to the questions of browsers (Fetch standard, section 3.2).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Cors {
    /// Origins such as `https://shop.example`, `https://*.shop.example` or `*`.
    #[schemars(length(min = 1))]
    pub allow_origins: Vec<String>,
    /// Whether cookies and credentials may be sent.
    #[serde(default, deserialize_with = "lenient::flag")]
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = false))]
    pub allow_credentials: Option<bool>,
    /// Methods, beside the simple ones; `*` allows all.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow_methods: Vec<String>,
    /// Request headers; `*` allows all.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow_headers: Vec<String>,
    /// Response headers that scripts may see; `*` shows all.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub expose_headers: Vec<String>,
    /// How long a browser may keep the answer; absent leaves it to the browser.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1), extend("x-unit" = "s"))]
    pub max_age: Option<u32>,
}
