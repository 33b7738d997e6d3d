//! What splits the traffic between the two versions.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::lenient;

mod mesh;
mod providers;

pub use mesh::{
    AppMesh, AppMeshVirtualNode, AppMeshVirtualNodeGroup, AppMeshVirtualService, Istio,
    IstioDestinationRule, IstioTcpRoute, IstioTlsRoute, IstioVirtualService, Smi,
};
pub use providers::{Alb, Ambassador, Apisix, ApisixRoute, Nginx, Stickiness, Traefik};

/// What splits the traffic. Several may be set at once, so that one can replace the other.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrafficRouting {
    /// Istio.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub istio: Option<Istio>,
    /// The nginx ingress controller.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nginx: Option<Nginx>,
    /// The AWS application load balancer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alb: Option<Alb>,
    /// The Service Mesh Interface.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smi: Option<Smi>,
    /// Ambassador.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ambassador: Option<Ambassador>,
    /// AWS App Mesh.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_mesh: Option<AppMesh>,
    /// Traefik.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traefik: Option<Traefik>,
    /// Apache APISIX.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub apisix: Option<Apisix>,
    /// The routes that steps may set, the first one first asked.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub managed_routes: Vec<ManagedRoute>,
    /// Any other, by name, with its own options. Sluice's are under [`crate::sluice::PROXY`].
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub plugins: BTreeMap<String, Value>,
    /// The weight that stands for all traffic; default 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_traffic_weight: Option<i32>,
}

/// A route that steps may set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManagedRoute {
    /// Its name.
    pub name: String,
}
