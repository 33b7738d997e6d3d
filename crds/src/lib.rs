//! The rollout API as Rust types.
//!
//! Two APIs are described here: `argoproj.io/v1alpha1` with its `Rollout` and the kinds around it, field
//! for field as its users write it, and the `Proxy` of `sluice.dev/v1alpha1`, which tells a standalone
//! process where to listen and where the endpoints are. Sluice's own options ride in the extension
//! points of the first ([`sluice`]). [`crd`] makes an API server know the first.
//!
//! The types only hold what was written. Whether a value makes sense (a weight in its range, a
//! route that exists) is checked by whoever acts on it. [`read()`] turns a JSON value into a type
//! and tells every fault and every unknown field together with its path.
//!
//! ```
//! let value = serde_json::json!({
//!     "apiVersion": "argoproj.io/v1alpha1",
//!     "kind": "Rollout",
//!     "metadata": {"name": "shop"},
//!     "spec": {"strategy": {"canary": {"steps": [{"setWeight": 10}], "stpes": []}}},
//! });
//! let read = crds::read::<crds::Rollout>(&value);
//! assert_eq!(read.unknown[0].to_string(), "spec.strategy.canary.stpes");
//! assert_eq!(read.value.unwrap().metadata.name.as_deref(), Some("shop"));
//! ```

pub mod analysis;
pub mod analysis_run;
pub mod analysis_template;
mod choice;
pub mod crd;
pub mod duration;
pub mod experiment;
pub mod hash;
mod int_or_string;
mod lenient;
mod meta;
pub mod metric;
mod path;
pub mod proxy;
mod read;
mod rollout;
pub mod schema;
pub mod sluice;
pub mod status;
pub mod step;
pub mod strategy;
mod string_match;
mod time;
pub mod traffic_routing;

pub use analysis_run::AnalysisRun;
pub use analysis_template::{AnalysisTemplate, ClusterAnalysisTemplate};
pub use choice::Choice;
pub use duration::GoDuration;
pub use experiment::Experiment;
pub use int_or_string::IntOrString;
pub use meta::{LabelSelector, LabelSelectorOperator, LabelSelectorRequirement, ObjectMeta};
pub use path::{FieldPath, Segment};
pub use proxy::Proxy;
pub use read::{Fault, Read, read};
pub use rollout::{
    AnalysisHistory, ObjectRef, PodTemplate, RollbackWindow, Rollout, RolloutSpec, ScaleDown,
};
pub use status::RolloutStatus;
pub use step::CanaryStep;
pub use strategy::{BlueGreen, Canary, Strategy};
pub use string_match::StringMatch;
pub use time::{NoTime, Time};
pub use traffic_routing::TrafficRouting;
