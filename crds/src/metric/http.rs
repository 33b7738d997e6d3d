//! What is asked by HTTP: Prometheus, its like, and any server.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::crd::FreeObject;
use crate::lenient;

/// A query to a Prometheus.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Prometheus {
    /// Its URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Who asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authentication: Option<Authentication>,
    /// Seconds it may take; default 30.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<i64>,
    /// Its certificate is not checked; default false.
    #[serde(default, deserialize_with = "lenient::flag")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub insecure: Option<bool>,
    /// Headers of the request.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<Header>,
    /// Asks for a range of time, in place of a moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range_query: Option<RangeQuery>,
}

/// A range of time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RangeQuery {
    /// An expression for its beginning, such as `now() - duration("1h")`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// An expression for its end, such as `now()`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    /// Time between two values, such as `30s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
}

/// A header of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    /// Its name.
    pub key: String,
    /// Its value.
    pub value: String,
}

/// Who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Authentication {
    /// Signed as AWS wants it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sigv4: Option<Sigv4>,
    /// With a token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oauth2: Option<OAuth2>,
    /// With a password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub basic_auth: Option<BasicAuth>,
}

/// How requests to AWS are signed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Sigv4 {
    /// The region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The profile with the credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<String>,
}

/// Where a token comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OAuth2 {
    /// The URL that gives it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_url: Option<String>,
    /// The client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Its secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<String>,
    /// What it is for.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
}

/// A name and a password.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BasicAuth {
    /// The name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

/// A request to any HTTP server.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Web {
    /// `GET`, `POST` or `PUT`; default `GET`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The URL.
    pub url: String,
    /// Headers of the request.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<Header>,
    /// The body, not for `GET`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Seconds it may take; default 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<i64>,
    /// Which part of the answer is the result, such as `{$.data}`; default all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json_path: Option<String>,
    /// Its certificate is not checked; default false.
    #[serde(default, deserialize_with = "lenient::flag")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub insecure: Option<bool>,
    /// The body as JSON, not for `GET`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<FreeObject>")]
    pub json_body: Option<Value>,
    /// Who asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authentication: Option<Authentication>,
}

/// A query to Graphite.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Graphite {
    /// Its URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
}

/// A query to InfluxDB.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Influxdb {
    /// The secret that says where and who.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The query, in Flux.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
}

/// A query to Apache SkyWalking.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SkyWalking {
    /// Its URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The query, in GraphQL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// How far back it looks, such as `5m`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<String>,
}
