//! The workload that a Rollout takes its pod template from (`spec.workloadRef`). It is read for each turn that needs it,
//! so that no template is kept; the watch only says that it changed.

use crate::key::Key;
use controller::reconcile;
use crds::{LabelSelector, ObjectRef, PodTemplate, Rollout};
use k8s_openapi::api::{
    apps::v1::{Deployment, ReplicaSet},
    core::v1,
};
use kube::core::{ApiResource, DynamicObject};
use serde::Deserialize as _;
use serde_json::Value;

/// A kind of workloads that a template may be taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Source {
    /// Of `apps/v1`.
    Deployment,
    /// Of `apps/v1`.
    ReplicaSet,
    /// Of `v1`.
    PodTemplate,
}

impl Source {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Deployment, Self::ReplicaSet, Self::PodTemplate];

    /// The kind's name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::ReplicaSet => "ReplicaSet",
            Self::PodTemplate => "PodTemplate",
        }
    }

    /// Where the API server has objects of this kind.
    pub(crate) fn resource(self) -> ApiResource {
        match self {
            Self::Deployment => ApiResource::erase::<Deployment>(&()),
            Self::ReplicaSet => ApiResource::erase::<ReplicaSet>(&()),
            Self::PodTemplate => ApiResource::erase::<v1::PodTemplate>(&()),
        }
    }

    /// The workload that `rollout`, in the namespace of `key`, takes its template from, if it does.
    pub(crate) fn of(rollout: &Rollout, key: &Key) -> Option<(Self, Key)> {
        let (source, name) = Self::named_by(rollout)?;
        Some((source, key.beside(name)))
    }

    /// The kind and name of the workload that `rollout` takes its template from, if it does.
    pub(super) fn named_by(rollout: &Rollout) -> Option<(Self, &str)> {
        let ObjectRef { kind, name, .. } = rollout.spec.workload_ref.as_ref()?;
        let kind = kind.as_deref()?;
        let source = Self::ALL.into_iter().find(|source| source.name() == kind)?;
        Some((source, name.as_deref()?))
    }
}

/// A workload, and in which state it was read.
#[derive(Clone, Debug)]
pub(crate) struct Workload {
    /// What a turn needs to know of it.
    pub(crate) value: reconcile::Workload,
    /// Its `metadata.resourceVersion`.
    pub(crate) version: Option<String>,
}

impl Workload {
    /// What is read of a workload.
    pub(crate) fn read(source: Source, mut object: DynamicObject) -> Self {
        let mut spec = object.data["spec"].take();
        let template = match source {
            Source::PodTemplate => object.data["template"].take(),
            Source::Deployment | Source::ReplicaSet => spec["template"].take(),
        };
        let replicas = (source == Source::Deployment).then(|| spec["replicas"].as_u64());
        let value = reconcile::Workload {
            generation: object.metadata.generation.unwrap_or_default(),
            template: PodTemplate(template),
            selector: selector(&spec["selector"]),
            replicas: replicas.flatten().and_then(|pods| pods.try_into().ok()),
        };
        Self {
            value,
            version: object.metadata.resource_version,
        }
    }
}

/// A selector; API servers let only those pass that can be read.
fn selector(value: &Value) -> Option<LabelSelector> {
    (!value.is_null())
        .then(|| LabelSelector::deserialize(value).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::{Source, Workload};
    use crate::key::Key;
    use serde_json::{Value, json};

    fn read(source: Source, fields: &Value) -> Workload {
        let mut object = json!({
            "apiVersion": "v1", "kind": source.name(),
            "metadata": {"name": "old", "generation": 4, "resourceVersion": "9"},
        });
        for (name, value) in fields.as_object().unwrap() {
            object[name] = value.clone();
        }
        Workload::read(source, serde_json::from_value(object).unwrap())
    }

    #[test]
    fn each_kind_has_its_template_where_it_is() {
        let template = json!({"metadata": {"labels": {"app": "shop"}}});
        let spec = json!({"spec": {"replicas": 3, "selector": {"matchLabels": {"app": "shop"}}, "template": template}});
        for (source, fields, replicas, selects) in [
            (Source::Deployment, spec.clone(), Some(3), true),
            (Source::ReplicaSet, spec, None, true),
            (
                Source::PodTemplate,
                json!({"template": template}),
                None,
                false,
            ),
        ] {
            let workload = read(source, &fields);
            assert_eq!(workload.value.template.0, template, "{source:?}");
            assert_eq!(workload.value.replicas, replicas, "{source:?}");
            assert_eq!(workload.value.selector.is_some(), selects, "{source:?}");
            assert_eq!(
                (workload.value.generation, workload.version.as_deref()),
                (4, Some("9"))
            );
        }
    }

    #[test]
    fn the_reference_names_one_of_the_same_namespace() {
        let key = Key::new("prod", "shop");
        for (reference, expected) in [
            (
                json!({"kind": "Deployment", "name": "old"}),
                Some((Source::Deployment, Key::new("prod", "old"))),
            ),
            (json!({"kind": "StatefulSet", "name": "old"}), None),
            (json!({"kind": "Deployment"}), None),
        ] {
            let rollout = json!({
                "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "spec": {"workloadRef": reference},
            });
            assert_eq!(
                Source::of(&serde_json::from_value(rollout).unwrap(), &key),
                expected
            );
        }
    }
}
