//! What is written down of requests.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Choice;

/// Where requests are written down.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccessLog {
    /// The file that lines are appended to; absent writes to standard output.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1), extend("x-file" = true))]
    pub file: Option<String>,
    /// How a line looks: `json`, or a template.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "json"))]
    pub format: Option<LogFormat>,
    /// The share of requests that is written down. Failures of a version always are.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1), extend("default" = Self::DEFAULT_SAMPLE))]
    pub sample: Option<f64>,
    /// Lines that may wait to be written, for each worker; more are dropped and counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        range(min = 1, max = 1_048_576),
        extend("default" = Self::DEFAULT_BUFFER, "x-unit" = "lines")
    )]
    pub buffer: Option<u32>,
}

impl AccessLog {
    /// The share of requests that is written down when nothing else is said.
    pub const DEFAULT_SAMPLE: f64 = 1.0;
    /// The lines that may wait when nothing else is said.
    pub const DEFAULT_BUFFER: u32 = 4096;
}

/// How a line of the access log looks.
pub type LogFormat = Choice<LogWord, LogTemplate>;

/// A form of the access log's lines that needs no more said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum LogWord {
    /// One JSON object with all fields.
    #[default]
    Json,
}

/// Lines of text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LogTemplate {
    /// The line, with `%{field}` in the place of values, such as `%{client} %{status}`.
    #[schemars(length(min = 1))]
    pub template: String,
}

/// Where traces go.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tracing {
    /// The OTLP/HTTP endpoint, such as `http://127.0.0.1:4318/v1/traces`.
    pub endpoint: String,
    /// The share of traces that begin here and are recorded. Those that begin elsewhere follow the
    /// caller's decision.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1), extend("default" = Self::DEFAULT_SAMPLE))]
    pub sample: Option<f64>,
    /// The name of the service in the traces.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1), extend("default" = Self::DEFAULT_SERVICE_NAME))]
    pub service_name: Option<String>,
    /// Spans that may wait to be sent; more are dropped and counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        range(min = 1, max = 1_048_576),
        extend("default" = Self::DEFAULT_BUFFER, "x-unit" = "spans")
    )]
    pub buffer: Option<u32>,
}

impl Tracing {
    /// The share of traces that are recorded when nothing else is said.
    pub const DEFAULT_SAMPLE: f64 = 0.01;
    /// The name of the service when nothing else is said.
    pub const DEFAULT_SERVICE_NAME: &str = "sluice";
    /// The spans that may wait when nothing else is said.
    pub const DEFAULT_BUFFER: u32 = 2048;
}
