//! What is kept of Rollouts.

mod packed;

pub(crate) use packed::{Facts, Packed};

use super::{Instance, Kind, LAST_APPLIED};
use crds::Rollout;
use kube::core::{ApiResource, DynamicObject};
use serde::Deserialize as _;
use serde_json::{Value, json};
use std::sync::Arc;

/// What is kept of a Rollout, or why it cannot be read. One that cannot be read must not keep others from being read.
pub(crate) type Read = Result<Packed, Arc<str>>;

impl Kind for Read {
    type Wire = DynamicObject;
    const NAME: &str = Rollout::KIND;

    fn resource() -> ApiResource {
        ApiResource {
            group: "argoproj.io".to_owned(),
            version: "v1alpha1".to_owned(),
            api_version: Rollout::API_VERSION.to_owned(),
            kind: Rollout::KIND.to_owned(),
            plural: "rollouts".to_owned(),
        }
    }

    fn rollout(object: &DynamicObject) -> Option<(&str, &str)> {
        let meta = &object.metadata;
        Some((meta.namespace.as_deref()?, meta.name.as_deref()?))
    }

    fn selector(instance: &Instance) -> Option<String> {
        Some(instance.selector())
    }

    fn keep(mut object: DynamicObject, instance: &Instance) -> Option<Self> {
        let meta = &mut object.metadata;
        if !instance.looks_after(meta.labels.as_ref()) {
            return None;
        }
        meta.managed_fields = None;
        // Told apart from the object, so that objects that differ in nothing else are the same.
        meta.resource_version = None;
        if let Some(annotations) = &mut meta.annotations {
            annotations.remove(LAST_APPLIED);
        }
        let packed = read(object).and_then(|rollout| {
            Packed::new(&rollout).map_err(|error| Arc::from(error.to_string()))
        });
        Some(packed)
    }
}

/// `object` as a Rollout, or why it is none.
pub(crate) fn read(object: DynamicObject) -> Result<Rollout, Arc<str>> {
    let mut value = match object.data {
        Value::Object(fields) => Value::Object(fields),
        _ => json!({}),
    };
    value["apiVersion"] = Rollout::API_VERSION.into();
    value["kind"] = Rollout::KIND.into();
    value["metadata"] =
        serde_json::to_value(&object.metadata).map_err(|error| Arc::from(error.to_string()))?;
    match Rollout::deserialize(&value) {
        Ok(rollout) => Ok(rollout),
        Err(error) => Err(faults(&value).unwrap_or_else(|| error.to_string()).into()),
    }
}

/// Every fault, with its path.
fn faults(value: &Value) -> Option<String> {
    let faults = crds::read::<Rollout>(value).faults;
    let lines: Vec<String> = faults
        .iter()
        .map(|fault| format!("{}: {}", fault.path, fault.message))
        .collect();
    (!lines.is_empty()).then(|| lines.join("; "))
}

#[cfg(test)]
mod tests {
    use super::{Instance, Kind, Read};
    use serde_json::{Value, json};

    fn keep(spec: &Value) -> Read {
        let wire = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
            "metadata": {
                "name": "shop", "namespace": "prod", "uid": "u0", "resourceVersion": "7", "managedFields": [{}],
                "annotations": {"a": "b", "kubectl.kubernetes.io/last-applied-configuration": "{}"},
            },
            "spec": spec, "status": {"phase": "Healthy"},
        });
        Read::keep(serde_json::from_value(wire).unwrap(), &Instance::default())
            .expect("it names none")
    }

    #[test]
    fn what_says_nothing_is_not_kept() {
        let rollout = keep(&json!({"replicas": 2})).unwrap().unpack().unwrap();
        assert_eq!(rollout.metadata.uid.as_deref(), Some("u0"));
        assert_eq!(rollout.metadata.resource_version, None);
        assert_eq!(rollout.metadata.managed_fields, None);
        assert_eq!(rollout.metadata.annotations.len(), 1);
        assert_eq!(rollout.status.as_ref().unwrap()["phase"], "Healthy");
        assert_eq!(rollout.spec.replicas, Some(2));
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let why = keep(&json!({"replicas": "two"})).unwrap_err();
        assert!(why.starts_with("spec.replicas: "), "{why}");
    }
}
