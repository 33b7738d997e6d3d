//! Kayenta, a service that compares two versions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::lenient;

/// An analysis by Kayenta.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Kayenta {
    /// Its URL.
    pub address: String,
    /// The application's name.
    pub application: String,
    /// What is compared.
    pub canary_config_name: String,
    /// The account for metrics.
    pub metrics_account_name: String,
    /// The account for what is compared.
    pub configuration_account_name: String,
    /// The account for results.
    pub storage_account_name: String,
    /// From which score on it passes.
    pub threshold: KayentaThreshold,
    /// What is compared with what.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub scopes: Vec<KayentaScope>,
    /// Looks back from the end; default false.
    #[serde(default, deserialize_with = "lenient::flag")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lookback: Option<bool>,
}

/// Scores, 0 to 100.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KayentaThreshold {
    /// From here on it passes.
    pub pass: i64,
    /// Below this it fails.
    pub marginal: i64,
}

/// What is compared with what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KayentaScope {
    /// Its name.
    pub name: String,
    /// The old version.
    pub control_scope: KayentaScopeDetail,
    /// The new version.
    pub experiment_scope: KayentaScopeDetail,
}

/// One side of a comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KayentaScopeDetail {
    /// What it is called there.
    pub scope: String,
    /// Where it is.
    pub region: String,
    /// Seconds between two values.
    pub step: i64,
    /// From when on, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// Until when, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
}
