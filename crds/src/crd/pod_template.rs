//! Pod templates, and the specs of Jobs, in which they are.
//!
//! They are kept as they are, whatever a newer Kubernetes puts in. What is said of them is only what changes an object
//! on its way through an API server: the lists that are merged by a key, which `kubectl apply --server-side` needs,
//! and the defaults that Argo Rollouts' definitions put in, which are part of a template's hash.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};

use super::PRESERVE;
use crate::metric::JobSpec;
use crate::rollout::PodTemplate;

impl JsonSchema for PodTemplate {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "PodTemplate".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        pod_template().try_into().unwrap_or_default()
    }
}

impl JsonSchema for JobSpec {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "JobSpec".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let spec = object(json!({"template": pod_template()}), &["template"]);
        spec.try_into().unwrap_or_default()
    }
}

fn pod_template() -> Value {
    let texts = json!({"type": "object", "additionalProperties": text()});
    // Argo's definitions drop all other metadata, so that it is not part of the hash.
    let metadata = json!({"type": "object", "properties": {"labels": texts, "annotations": texts}});
    object(json!({"metadata": metadata, "spec": pod_spec()}), &[])
}

fn pod_spec() -> Value {
    let containers = keyed(&["name"], container());
    let spec = json!({
        "containers": containers,
        "initContainers": containers,
        "ephemeralContainers": containers,
        "hostAliases": keyed(&["ip"], object(json!({"ip": text()}), &["ip"])),
        "imagePullSecrets": keyed(&["name"], reference()),
        "resourceClaims": named(),
        "schedulingGates": named(),
        "resources": object(json!({"claims": named()}), &[]),
        "topologySpreadConstraints": keyed(
            &["topologyKey", "whenUnsatisfiable"],
            object(json!({"topologyKey": text(), "whenUnsatisfiable": text()}), &["topologyKey", "whenUnsatisfiable"]),
        ),
    });
    object(spec, &["containers"])
}

fn container() -> Value {
    let probe = object(
        json!({"grpc": object(json!({"service": defaulted("")}), &[])}),
        &[],
    );
    let port = json!({"containerPort": {"type": "integer", "format": "int32"}, "protocol": defaulted("TCP")});
    let source = object(
        json!({"configMapRef": reference(), "secretRef": reference()}),
        &[],
    );
    let container = json!({
        "name": text(),
        "env": keyed(&["name"], object(json!({"name": text(), "valueFrom": value_source()}), &["name"])),
        "envFrom": {"type": "array", "items": source},
        "ports": keyed(&["containerPort", "protocol"], object(port, &["containerPort"])),
        "resources": object(json!({"claims": named()}), &[]),
        "volumeMounts": keyed(&["mountPath"], object(json!({"mountPath": text()}), &["mountPath"])),
        "volumeDevices": keyed(&["devicePath"], object(json!({"devicePath": text()}), &["devicePath"])),
        "livenessProbe": probe,
        "readinessProbe": probe,
        "startupProbe": probe,
    });
    object(container, &["name"])
}

fn value_source() -> Value {
    let file = object(
        json!({"optional": {"type": "boolean", "default": false}}),
        &[],
    );
    let source =
        json!({"configMapKeyRef": reference(), "secretKeyRef": reference(), "fileKeyRef": file});
    object(source, &[])
}

/// Names another object.
fn reference() -> Value {
    object(json!({"name": defaulted("")}), &[])
}

fn named() -> Value {
    keyed(&["name"], object(json!({"name": text()}), &["name"]))
}

fn object(fields: Value, required: &[&str]) -> Value {
    let mut object = json!({"type": "object", PRESERVE: true});
    object["properties"] = fields;
    if !required.is_empty() {
        object["required"] = json!(required);
    }
    object
}

/// A list whose items are told apart by these fields.
fn keyed(keys: &[&str], item: Value) -> Value {
    let mut list = json!({
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": keys,
    });
    list["items"] = item;
    list
}

fn text() -> Value {
    json!({"type": "string"})
}

fn defaulted(text: &str) -> Value {
    json!({"type": "string", "default": text})
}
