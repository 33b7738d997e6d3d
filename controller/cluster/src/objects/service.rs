//! What is kept of Services.

use super::{Instance, Kind, annotations};
use controller::reconcile::Service;
use kube::core::{ApiResource, NotUsed, Object};
use serde::Deserialize;
use std::{collections::BTreeMap, sync::Arc};

/// What is read of a Service's spec.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Spec {
    selector: Option<BTreeMap<String, String>>,
}

impl Kind for Arc<Service> {
    type Wire = Object<Spec, NotUsed>;
    const NAME: &str = "Service";

    fn resource() -> ApiResource {
        ApiResource::erase::<k8s_openapi::api::core::v1::Service>(&())
    }

    fn keep(mut object: Self::Wire, _: &Instance) -> Option<Self> {
        Some(Self::new(Service {
            annotations: annotations(&mut object.metadata),
            selector: object.spec.selector.unwrap_or_default(),
        }))
    }
}
