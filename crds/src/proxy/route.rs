//! What goes where.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Filter, RequestRedirect};
use crate::sluice::Condition;
use crate::{Choice, GoDuration, lenient};

/// Requests that go to one Service, one Rollout, or elsewhere. Exactly one of `service`, `rollout` and
/// `redirect` is to be set; a filter of type RequestRedirect counts as `redirect`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Route {
    /// Its name, unique in the proxy; absent means `route-` and its place among the routes, counted
    /// from 0. Its rate limit and its requests under way are counted by it, also when it changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The names of the listeners that it is for; none means all.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub listeners: Vec<String>,
    /// Host names, such as `shop.example` or `*.shop.example`; none means any.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// Which requests. A request needs to match only one entry; none means any request.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub matches: Vec<RouteMatch>,
    /// The namespace of the Services and the Rollout that it names; absent means the proxy's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The Service they go to. When it belongs to a Rollout, that Rollout's split decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The Rollout they go to, split as it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollout: Option<String>,
    /// Where the client is sent instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect: Option<RequestRedirect>,
    /// What is done to requests and responses. Each type at most once, but for RequestMirror.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<Filter>,
    /// How long things may take here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeouts: Option<RouteTimeouts>,
    /// How many requests are let through; absent sets no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    /// How many requests may be under way at the same time on the whole process; more are answered
    /// with 503. Absent sets no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_concurrent: Option<u32>,
    /// The largest request body; a larger one gets a 413. Absent means `limits.bodyBytes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-unit" = "bytes"))]
    pub max_body_bytes: Option<u64>,
}

impl Route {
    /// Its name where it is the route at `index`.
    pub fn name(&self, index: usize) -> String {
        self.name
            .clone()
            .unwrap_or_else(|| format!("route-{index}"))
    }

    /// Where the client is sent instead, by the field or by a filter.
    pub fn redirect(&self) -> Option<&RequestRedirect> {
        let of_filter = |filter: &'_ Filter| filter.request_redirect.is_some();
        self.redirect.as_ref().or_else(|| {
            let filter = self.filters.iter().find(|filter| of_filter(filter))?;
            filter.request_redirect.as_ref()
        })
    }
}

/// Which requests. All conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RouteMatch {
    /// The path; absent means any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathMatch>,
    /// The method, in capitals; absent means any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Conditions on headers.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<Condition>,
    /// Conditions on query parameters.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub query_params: Vec<Condition>,
}

/// How a path must look.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PathMatch {
    /// How it is compared.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "PathPrefix"))]
    pub kind: Option<PathMatchType>,
    /// What it is compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "/"))]
    pub value: Option<String>,
}

impl PathMatch {
    /// How the path is compared.
    pub fn match_type(&self) -> PathMatchType {
        self.kind.unwrap_or_default()
    }

    /// What the path is compared with.
    pub fn value(&self) -> &str {
        self.value.as_deref().unwrap_or("/")
    }
}

/// How a path is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PathMatchType {
    /// Whole path elements from the beginning: `/a` matches `/a` and `/a/b`, not `/ab`.
    #[default]
    PathPrefix,
    /// The paths are the same.
    Exact,
    /// The whole path matches this regular expression.
    RegularExpression,
}

/// How long things may take on a route.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RouteTimeouts {
    /// From the request's head to the end of the response; absent sets no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-min" = "1ms", "x-max" = "24h"))]
    pub request: Option<GoDuration>,
    /// From the request's end to the response's head, for each attempt; absent takes the proxy's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-min" = "1ms", "x-max" = "24h"))]
    pub response_header: Option<GoDuration>,
    /// Without a byte in either direction; absent takes the proxy's.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-min" = "1ms", "x-max" = "24h"))]
    pub idle: Option<GoDuration>,
}

/// How many requests are let through, by the whole process; more are answered with 429.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RateLimit {
    /// Requests in the long run.
    #[schemars(
        range(max = 1_000_000_000),
        extend("exclusiveMinimum" = 0, "x-unit" = "per second")
    )]
    pub per_second: f64,
    /// Requests that may come at once; absent means `perSecond`, rounded up.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub burst: Option<u32>,
    /// What requests are told apart by: `route` counts all together.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "route"))]
    pub key: Option<RateKey>,
}

/// What a rate limit tells requests apart by.
pub type RateKey = Choice<RateWord, RateHeader>;

/// What a rate limit tells requests apart by, where that needs no more said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum RateWord {
    /// Nothing: all count together.
    #[default]
    Route,
    /// The client's address.
    ClientAddress,
}

/// A header by which a rate limit tells requests apart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RateHeader {
    /// Its name. Requests without it count together.
    pub header: String,
}
