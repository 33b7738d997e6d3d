//! What an API server writes into a pod template that does not say it.
//!
//! It does so with ReplicaSets and not with Rollouts, so that a ReplicaSet's template is not the one that it was made of.
//! Only the hash tells whether what is left without such fields is that one.

use serde_json::{Map, Value};

/// Fields of a pod, and what is written there (`SetDefaults_PodSpec` of Kubernetes' `pkg/apis/core/v1`).
const POD: [(&str, &str); 5] = [
    ("restartPolicy", r#""Always""#),
    ("terminationGracePeriodSeconds", "30"),
    ("dnsPolicy", r#""ClusterFirst""#),
    ("securityContext", "{}"),
    ("schedulerName", r#""default-scheduler""#),
];
/// The same of a container; `imagePullPolicy` is one or the other by the image.
const CONTAINER: [(&str, &str); 5] = [
    ("imagePullPolicy", r#""IfNotPresent""#),
    ("imagePullPolicy", r#""Always""#),
    ("resources", "{}"),
    ("terminationMessagePath", r#""/dev/termination-log""#),
    ("terminationMessagePolicy", r#""File""#),
];
/// The same of a container's port.
const PORT: [(&str, &str); 1] = [("protocol", r#""TCP""#)];
/// The same of a probe.
const PROBE: [(&str, &str); 4] = [
    ("timeoutSeconds", "1"),
    ("periodSeconds", "10"),
    ("successThreshold", "1"),
    ("failureThreshold", "3"),
];

/// `template` without what an API server may have written, but for what `kept` says too.
pub(crate) fn without(template: &Value, kept: &Value) -> Value {
    let mut template = template.clone();
    if let Some(meta) = template.get_mut("metadata") {
        strip(meta, &Value::Null, &[("creationTimestamp", "null")]);
    }
    let Some(spec) = template.get_mut("spec") else {
        return template;
    };
    let kept = &kept["spec"];
    strip(spec, kept, &POD);
    for field in ["containers", "initContainers"] {
        each(spec, kept, field, container);
    }
    template
}

fn container(container: &mut Value, kept: &Value) {
    strip(container, kept, &CONTAINER);
    each(container, kept, "ports", |port, kept| {
        strip(port, kept, &PORT)
    });
    for field in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = container.get_mut(field) {
            let kept = &kept[field];
            strip(probe, kept, &PROBE);
            if let Some(get) = probe.get_mut("httpGet") {
                strip(get, &kept["httpGet"], &[("scheme", r#""HTTP""#)]);
            }
        }
    }
}

/// Does the same to each item of a list, and the item at its place in `kept`.
fn each(parent: &mut Value, kept: &Value, field: &str, act: impl Fn(&mut Value, &Value)) {
    let items = parent.get_mut(field).and_then(Value::as_array_mut);
    for (place, item) in items.into_iter().flatten().enumerate() {
        act(item, &kept[field][place]);
    }
}

/// Removes the fields that are as an API server writes them, and that `kept` does not have.
fn strip(value: &mut Value, kept: &Value, defaults: &[(&str, &str)]) {
    let Some(fields) = value.as_object_mut() else {
        return;
    };
    for (field, default) in defaults {
        if kept.get(field).is_none() && is(fields, field, default) {
            fields.remove(*field);
        }
    }
}

fn is(fields: &Map<String, Value>, field: &str, default: &str) -> bool {
    let written = fields.get(field).map(Value::to_string);
    written.as_deref() == Some(default)
}
