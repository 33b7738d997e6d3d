//! The part of the status that is about AWS load balancers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An AWS load balancer and its target groups.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlbStatus {
    /// The load balancer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_balancer: Option<AwsResource>,
    /// The target group of the canary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary_target_group: Option<AwsResource>,
    /// The target group of stable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stable_target_group: Option<AwsResource>,
    /// The Ingress that it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingress: Option<String>,
}

/// Something at AWS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AwsResource {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// Its name as metrics have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub full_name: Option<String>,
}
