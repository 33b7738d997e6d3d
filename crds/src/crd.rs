//! The API as an API server takes it: a CustomResourceDefinition for each kind.
//!
//! The schemas are made from the types and are structural: no references, each place of one type. They refuse what
//! Argo Rollouts' own refuse for a Rollout's own fields, which includes unknown fields where `kubectl` asks for that,
//! and put in the same defaults. Pod templates and the options of plugins are kept as they are.

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use crate::{AnalysisRun, AnalysisTemplate, ClusterAnalysisTemplate, Experiment, Rollout};

mod pod_template;
mod structural;

const GROUP: &str = "argoproj.io";
const VERSION: &str = "v1alpha1";
const PRESERVE: &str = "x-kubernetes-preserve-unknown-fields";

/// The definitions of all kinds, as objects of `apiextensions.k8s.io/v1`.
pub fn all() -> Vec<Value> {
    vec![
        Kind::named::<Rollout>(Rollout::KIND, "ro")
            .columns(&ROLLOUT_COLUMNS)
            .subresources(json!({
                "status": {},
                "scale": {
                    "specReplicasPath": ".spec.replicas",
                    "statusReplicasPath": ".status.HPAReplicas",
                    "labelSelectorPath": ".status.selector",
                },
            }))
            .definition(),
        Kind::named::<AnalysisTemplate>(AnalysisTemplate::KIND, "at").definition(),
        Kind::named::<ClusterAnalysisTemplate>(ClusterAnalysisTemplate::KIND, "cat")
            .in_no_namespace()
            .definition(),
        Kind::named::<AnalysisRun>(AnalysisRun::KIND, "ar")
            .columns(&[STATUS_COLUMN])
            .definition(),
        Kind::named::<Experiment>(Experiment::KIND, "exp")
            .columns(&[STATUS_COLUMN])
            .definition(),
    ]
}

/// What `kubectl get` shows: the heading, the type, the field, and what that is.
type Column = (&'static str, &'static str, &'static str, &'static str);

const ROLLOUT_COLUMNS: [Column; 4] = [
    (
        "Desired",
        "integer",
        ".spec.replicas",
        "Pods that are wanted",
    ),
    ("Current", "integer", ".status.replicas", "Pods that run"),
    (
        "Up-to-date",
        "integer",
        ".status.updatedReplicas",
        "Pods of the wanted version",
    ),
    (
        "Available",
        "integer",
        ".status.availableReplicas",
        "Pods that have been ready for minReadySeconds",
    ),
];
const STATUS_COLUMN: Column = ("Status", "string", ".status.phase", "How it stands");
const AGE_COLUMN: Column = (
    "Age",
    "date",
    ".metadata.creationTimestamp",
    "Time since it was created",
);

/// One kind of object.
struct Kind {
    name: &'static str,
    short_name: &'static str,
    scope: &'static str,
    columns: Vec<Column>,
    subresources: Value,
    schema: Value,
}

impl Kind {
    fn named<T: JsonSchema>(name: &'static str, short_name: &'static str) -> Self {
        Self {
            name,
            short_name,
            scope: "Namespaced",
            columns: vec![],
            subresources: json!({}),
            schema: schema_of::<T>(),
        }
    }

    fn in_no_namespace(self) -> Self {
        Self {
            scope: "Cluster",
            ..self
        }
    }

    fn columns(self, columns: &[Column]) -> Self {
        Self {
            columns: columns.to_vec(),
            ..self
        }
    }

    fn subresources(self, subresources: Value) -> Self {
        Self {
            subresources,
            ..self
        }
    }

    fn definition(self) -> Value {
        let singular = self.name.to_lowercase();
        let plural = format!("{singular}s");
        let columns = self.columns.iter().chain([&AGE_COLUMN]);
        let columns: Vec<_> = columns
            .map(|(name, kind, path, description)| {
                json!({"name": name, "type": kind, "jsonPath": path, "description": description})
            })
            .collect();
        json!({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("{plural}.{GROUP}")},
            "spec": {
                "group": GROUP,
                "names": {
                    "kind": self.name,
                    "listKind": format!("{}List", self.name),
                    "plural": plural,
                    "singular": singular,
                    "shortNames": [self.short_name],
                },
                "scope": self.scope,
                "versions": [{
                    "name": VERSION,
                    "served": true,
                    "storage": true,
                    "additionalPrinterColumns": columns,
                    "schema": {"openAPIV3Schema": self.schema},
                    "subresources": self.subresources,
                }],
            },
        })
    }
}

/// The structural schema of an object.
fn schema_of<T: JsonSchema>() -> Value {
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let schema = settings.into_generator().into_root_schema_for::<T>();
    let mut schema = structural::from(schema.into());
    // An API server knows metadata by itself, and fills in the type.
    schema["properties"]["metadata"] = json!({"type": "object"});
    schema["required"] = json!(["spec"]);
    schema
}

/// An object of which only its owner knows the fields.
pub(crate) struct FreeObject;

impl JsonSchema for FreeObject {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "FreeObject".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "object", PRESERVE: true})
    }
}
