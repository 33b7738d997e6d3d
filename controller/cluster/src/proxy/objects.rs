//! What is kept of objects: only what tables are made of, so that nothing else is news.

use crate::{
    instance::Instance,
    objects::{Kind, Read, read},
};
use controller::fleet::{Endpoint, EndpointSlice, Family, Service, ServicePort};
use crds::Rollout;
use k8s_openapi::api::discovery::v1;
use kube::core::{ApiResource, DynamicObject, NotUsed, Object, ObjectMeta};
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;

/// What tables are made of in a Rollout's status.
const OF_STATUS: [&str; 5] = [
    "abort",
    "canary",
    "currentPodHash",
    "currentStepIndex",
    "stableRS",
];
/// The label that says which Service an EndpointSlice is of.
const SERVICE: &str = "kubernetes.io/service-name";
/// Values of `appProtocol` that mean HTTP/2 without TLS (KEP-3726, and one that gRPC's users write).
const HTTP2: [&str; 2] = ["kubernetes.io/h2c", "grpc"];

/// A Rollout without pods, or why it cannot be read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Asking(pub(super) Result<Arc<Rollout>, Arc<str>>);

impl Kind for Asking {
    type Wire = DynamicObject;
    const NAME: &str = Rollout::KIND;

    fn resource() -> ApiResource {
        Read::resource()
    }

    fn keep(mut object: DynamicObject, _: &Instance) -> Option<Self> {
        object.metadata = ObjectMeta {
            name: object.metadata.name,
            namespace: object.metadata.namespace,
            creation_timestamp: object.metadata.creation_timestamp,
            ..ObjectMeta::default()
        };
        retain(&mut object.data["spec"], &["strategy"]);
        retain(&mut object.data["status"], &OF_STATUS);
        Some(Self(read(object).map(Arc::new)))
    }
}

/// Leaves these fields of `value`, if it has any.
fn retain(value: &mut Value, fields: &[&str]) {
    match value {
        Value::Object(all) => all.retain(|field, _| fields.contains(&&**field)),
        other => *other = Value::Object(serde_json::Map::new()),
    }
}

/// What is read of a Service's spec.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct ServiceSpec {
    ports: Option<Vec<Port>>,
    ip_families: Option<Vec<String>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Port {
    name: Option<String>,
    protocol: Option<String>,
    app_protocol: Option<String>,
}

impl Kind for Arc<Service> {
    type Wire = Object<ServiceSpec, NotUsed>;
    const NAME: &str = "Service";

    fn resource() -> ApiResource {
        ApiResource::erase::<k8s_openapi::api::core::v1::Service>(&())
    }

    fn keep(object: Self::Wire, _: &Instance) -> Option<Self> {
        let is_tcp = |port: &Port| is_tcp(port.protocol.as_deref());
        let port = |port: Port| ServicePort {
            name: port.name.unwrap_or_default().into(),
            speaks_http2: port
                .app_protocol
                .is_some_and(|spoken| HTTP2.contains(&&*spoken)),
        };
        let ports = object.spec.ports.into_iter().flatten();
        let families = object.spec.ip_families.unwrap_or_default();
        Some(Self::new(Service {
            ports: ports.filter(is_tcp).map(port).collect(),
            family: match families.first().map(String::as_str) {
                Some("IPv4") => Some(Family::V4),
                Some("IPv6") => Some(Family::V6),
                _ => None,
            },
        }))
    }
}

/// An EndpointSlice, and the Service that it is of, by name.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sliced {
    pub(super) service: Arc<str>,
    pub(super) slice: Arc<EndpointSlice>,
}

/// What is read of an EndpointSlice.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct SliceData {
    endpoints: Option<Vec<v1::Endpoint>>,
    ports: Option<Vec<v1::EndpointPort>>,
}

impl Kind for Sliced {
    type Wire = DynamicObject;
    const NAME: &str = "EndpointSlice";

    fn resource() -> ApiResource {
        ApiResource::erase::<v1::EndpointSlice>(&())
    }

    fn selector(_: &Instance) -> Option<String> {
        Some(SERVICE.to_owned())
    }

    fn keep(object: DynamicObject, _: &Instance) -> Option<Self> {
        let service: Arc<str> = object
            .metadata
            .labels
            .as_ref()?
            .get(SERVICE)?
            .as_str()
            .into();
        let data = SliceData::deserialize(object.data).unwrap_or_else(|error| {
            // What the API server checks cannot come to this, but in a version that nobody knows yet.
            tracing::warn!(
                service = &*service,
                "an EndpointSlice cannot be read: {error}"
            );
            SliceData::default()
        });
        let ports = data.ports.into_iter().flatten();
        let ports = ports.filter(|port| is_tcp(port.protocol.as_deref()));
        let port = |port: v1::EndpointPort| {
            let number = port.port.and_then(|number| number.try_into().ok())?;
            Some((port.name.unwrap_or_default().into(), number))
        };
        let slice = EndpointSlice {
            ports: ports.filter_map(port).collect(),
            endpoints: data
                .endpoints
                .into_iter()
                .flatten()
                .filter_map(endpoint)
                .collect(),
        };
        Some(Self {
            service,
            slice: Arc::new(slice),
        })
    }
}

fn is_tcp(protocol: Option<&str>) -> bool {
    protocol.is_none_or(|protocol| protocol == "TCP")
}

/// Of several addresses the first, as they lead to the same pod. One by name is none that can be used. What is not said of
/// conditions is taken as the API says.
fn endpoint(written: v1::Endpoint) -> Option<Endpoint> {
    let conditions = written.conditions.unwrap_or_default();
    let is_ready = conditions.ready.unwrap_or(true);
    let pod = written
        .target_ref
        .filter(|target| target.kind.as_deref() == Some("Pod"));
    Some(Endpoint {
        pod: pod.and_then(|pod| pod.name).map(Into::into),
        address: written.addresses.first()?.parse().ok()?,
        is_ready,
        is_serving: conditions.serving.unwrap_or(is_ready),
        is_terminating: conditions.terminating.unwrap_or(false),
    })
}
