//! A write in words, for the log.

use controller::reconcile::Write;
use serde_json::Value;

/// The longest value that is shown.
const LONGEST: usize = 64;

/// What is written, in one line.
pub(crate) fn wording(write: &Write) -> String {
    match write {
        Write::CreateReplicaSet { object } => {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            format!(
                "create ReplicaSet {name} with {} pods",
                object["spec"]["replicas"]
            )
        }
        Write::PatchReplicaSet { name, patch } => {
            format!("patch ReplicaSet {name}: {}", fields(patch))
        }
        Write::DeleteReplicaSet { name, .. } => format!("delete ReplicaSet {name}"),
        Write::PatchService { name, patch } => format!("patch Service {name}: {}", fields(patch)),
        Write::PatchPod { name, patch } => format!("patch pod {name}: {}", fields(patch)),
        Write::EvictPod { name } => format!("evict pod {name}"),
        Write::ScaleWorkload { replicas } => format!("scale the workload to {replicas} pods"),
        Write::PatchRollout { patch } => format!("patch Rollout: {}", fields(patch)),
        Write::PatchStatus { patch } => format!("patch status: {}", fields(&patch["status"])),
        Write::Event(event) => format!("tell of {}", event.reason),
    }
}

/// What a patch changes: short values as they are, of longer ones only where.
fn fields(patch: &Value) -> String {
    let mut fields = Vec::new();
    collect(patch, "", &mut fields);
    fields.join(" ")
}

fn collect(value: &Value, path: &str, fields: &mut Vec<String>) {
    let text = value.to_string();
    match value {
        Value::Object(members) if text.len() > LONGEST || path.is_empty() => {
            for (name, member) in members {
                let path = match path {
                    "" => name.clone(),
                    path => format!("{path}.{name}"),
                };
                collect(member, &path, fields);
            }
        }
        _ if text.len() > LONGEST => fields.push(format!("{path}=…")),
        _ => fields.push(format!("{path}={text}")),
    }
}

#[cfg(test)]
mod tests {
    use super::wording;
    use controller::reconcile::Write;
    use serde_json::json;

    #[test]
    fn a_write_is_one_line() {
        let long = "x".repeat(80);
        let cases = [
            (
                Write::CreateReplicaSet {
                    object: json!({"metadata": {"name": "shop-1"}, "spec": {"replicas": 2}}),
                },
                "create ReplicaSet shop-1 with 2 pods",
            ),
            (
                Write::PatchReplicaSet {
                    name: "shop-1".into(),
                    patch: json!({"spec": {"replicas": 3}}),
                },
                r#"patch ReplicaSet shop-1: spec={"replicas":3}"#,
            ),
            (
                Write::DeleteReplicaSet {
                    name: "shop-1".into(),
                    uid: "u".into(),
                },
                "delete ReplicaSet shop-1",
            ),
            (
                Write::PatchStatus {
                    patch: json!({"status": {"message": long, "phase": "Healthy", "abort": null}}),
                },
                r#"patch status: abort=null message=… phase="Healthy""#,
            ),
            (
                Write::PatchRollout {
                    patch: json!({"metadata": {"annotations": {"a": long, "b": "c"}}}),
                },
                r#"patch Rollout: metadata.annotations.a=… metadata.annotations.b="c""#,
            ),
        ];
        for (write, expected) in cases {
            assert_eq!(wording(&write), expected);
        }
    }
}
