//! The hashes by which Argo Rollouts tells versions and lists of steps apart.
//!
//! A ReplicaSet's name and labels, the selectors of Services, and a Rollout's status bear them. Who takes a running
//! Rollout over must come to the same ones, or it rolls everything out anew, or goes back to the first step. They are
//! part of the API's form on the wire, which is why they are here and not with those who act on them.
//!
//! Hashed is the JSON that Go's standard library writes for the typed value: fields in the order of the structs of one
//! version of Kubernetes, unknown ones left out, quantities canonical, `<` escaped (Argo's `utils/hash/hash.go` and
//! `ComputeStepHash` in `utils/conditions/conditions.go`).

mod field;
mod json;
mod quantity;
mod readable;
mod typed;
mod types;

#[cfg(test)]
mod tests;

use serde_json::Value;

use crate::rollout::PodTemplate;
use crate::step::CanaryStep;
use field::Kind;
pub use readable::{Malformed, Readable, readable};
use typed::{Reader, Typed};

/// The hash of a pod template: the value of the label `rollouts-pod-template-hash`, and the end of a ReplicaSet's name.
///
/// It is that of Argo Rollouts 1.10, built with Kubernetes 1.34, for the template as an API server returns it, which
/// may have put defaults in. `collisions` is `status.collisionCount`.
///
/// A malformed quantity is left out, with all that comes behind it in the order of keys, as Argo's decoder does.
pub fn pod_template(template: &PodTemplate, collisions: Option<i32>) -> String {
    let mut bytes = encode(&types::POD_TEMPLATE, &template.0).into_bytes();
    if let Some(collisions) = collisions {
        bytes.extend(collisions.to_le_bytes());
        bytes.extend([0; 4]);
    }
    safe_encode(fnv1a(&bytes))
}

/// The hash of a canary's steps: `status.currentStepHash`. No steps have one too.
pub fn steps(steps: &[CanaryStep]) -> String {
    let written = match steps {
        [] => Value::Null,
        _ => serde_json::to_value(steps).unwrap_or_default(),
    };
    safe_encode(fnv1a(encode(&types::STEPS, &written).as_bytes()))
}

/// What Go writes when it has read `value` as a `kind`.
fn encode(kind: &Kind, value: &Value) -> String {
    let typed = Reader::default().read(kind, value);
    let mut out = String::new();
    typed::write(kind, &typed.unwrap_or(Typed::Zero), &mut out);
    out
}

/// FNV-1a of 32 bits.
fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

/// The decimal digits of a number, each replaced by a letter or digit that forms no words (Kubernetes'
/// `rand.SafeEncodeString`).
fn safe_encode(number: u32) -> String {
    const LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    let digits = number.to_string();
    let encoded = digits
        .bytes()
        .map(|digit| LETTERS[usize::from(digit) % LETTERS.len()]);
    encoded.map(char::from).collect()
}
