//! The fields of the types whose encoding is hashed: `PodTemplateSpec` of k8s.io/api v0.34.5 and `CanaryStep` of Argo
//! Rollouts 1.10, with all types in them.
//!
//! Made from the Go types by reflection, in their order of fields, embedded structs laid open. Which of the functions
//! in [`crate::hash::field`] makes a field says what is written in its absence. A newer version of Kubernetes adds
//! fields, and now and then moves one; a table of that version then takes the place of this one.

mod affinity;
mod container;
mod meta;
mod pod;
mod step;
mod volume;

use super::field::Kind;

/// The template of a pod.
pub(super) static POD_TEMPLATE: Kind = Kind::Struct(&pod::POD_TEMPLATE_SPEC);
/// The steps of a canary.
pub(super) static STEPS: Kind = Kind::List(&Kind::Struct(&step::CANARY_STEP));
