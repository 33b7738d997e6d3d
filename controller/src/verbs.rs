//! What people tell a Rollout of a cluster, as patches: the protocol of `kubectl argo rollouts`, which any controller of
//! the API understands (`pkg/kubectl-argo-rollouts/cmd` of Argo Rollouts).

use crds::analysis_run::AnalysisPhase;
use crds::{Rollout, RolloutStatus, Time};
use serde_json::{Value, json};

mod analysis_run;
mod image;
mod revision;
mod standing;

#[cfg(test)]
mod tests;

pub use analysis_run::{ArgumentValue, NoArgumentValue, RunName, analysis_run};
pub use image::{ContainerImage, NoContainerImage};
pub use revision::{Back, Revision};
pub use standing::{Standing, standing};

/// What a Rollout is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Verb {
    /// To go on: past its pause, or past the step that it is at.
    Promote,
    /// To go past all that is left.
    PromoteFull,
    /// To give the new version's requests back to the old one.
    Abort,
    /// To begin an aborted update again.
    Retry,
    /// To stay where it is.
    Pause,
    /// To replace pods that are older than this.
    Restart(Time),
    /// To run other images in containers.
    SetImages(Vec<ContainerImage>),
    /// To have this pod template: that of an earlier version, by [`Revision::back`].
    Undo(Value),
}

/// A change of a Rollout.
#[derive(Clone, Debug, PartialEq)]
pub enum Patch {
    /// A JSON merge patch (RFC 7386) of the object.
    Spec(Value),
    /// A JSON merge patch of the object, by way of its status.
    Status(Value),
    /// What is to be the pod template of the object, or of the workload of `spec.workloadRef` where it has one.
    Template(Value),
}

/// The patches that tell `rollout`, in their order; none where nothing is left to tell. `workload` is the pod template of
/// its workload, where it has one.
///
/// # Errors
/// What is asked for makes no sense for this Rollout, in words.
pub fn patches(
    verb: &Verb,
    rollout: &Rollout,
    workload: Option<&Value>,
) -> Result<Vec<Patch>, String> {
    let status = |value: Value| vec![Patch::Status(json!({"status": value}))];
    let spec = |value: Value| vec![Patch::Spec(json!({"spec": value}))];
    Ok(match verb {
        Verb::Promote => promote(rollout, &status_of(rollout)?),
        Verb::PromoteFull => promote_full(rollout, &status_of(rollout)?),
        Verb::Abort => status(json!({"abort": true})),
        Verb::Retry => status(json!({"abort": false})),
        Verb::Pause => spec(json!({"paused": true})),
        Verb::Restart(at) => spec(json!({"restartAt": at})),
        Verb::SetImages(images) => {
            let template = template(rollout, workload);
            vec![Patch::Template(image::set(template, images)?)]
        }
        Verb::Undo(template) => vec![Patch::Template(template.clone())],
    })
}

/// The pod template that holds for `rollout`: that of its `workload`, where it has one.
pub fn template<'t>(rollout: &'t Rollout, workload: Option<&'t Value>) -> &'t Value {
    let own = rollout.spec.template.as_ref().map(|template| &template.0);
    workload.or(own).unwrap_or(&Value::Null)
}

/// The status of `rollout`; that of one that no controller has looked at where there is none.
///
/// # Errors
/// Why it cannot be read.
pub fn status_of(rollout: &Rollout) -> Result<RolloutStatus, String> {
    let written = rollout.status.clone().unwrap_or_else(|| json!({}));
    serde_json::from_value(written).map_err(|error| format!("its status cannot be read: {error}"))
}

fn promote(rollout: &Rollout, seen: &RolloutStatus) -> Vec<Patch> {
    let strategy = rollout.spec.strategy.as_ref();
    let canary = strategy.and_then(|strategy| strategy.canary.as_ref());
    let steps = canary.map_or(0, |canary| canary.steps.len());
    let next = i32::try_from(steps)
        .unwrap_or(i32::MAX)
        .min(seen.current_step_index.unwrap_or(0).saturating_add(1));
    let is_paused = !seen.pause_conditions.is_empty();
    let told = if is_paused && is_inconclusive(seen) && steps > 0 {
        Some(json!({"pauseConditions": null, "controllerPause": false, "currentStepIndex": next}))
    } else if is_paused {
        Some(json!({"pauseConditions": null}))
    } else if steps > 0 {
        Some(json!({"pauseConditions": null, "currentStepIndex": next}))
    } else {
        None
    };
    let told = told.map(|status| Patch::Status(json!({"status": status})));
    told.into_iter().chain(unpause(rollout)).collect()
}

fn promote_full(rollout: &Rollout, seen: &RolloutStatus) -> Vec<Patch> {
    let is_promoted = seen.current_pod_hash == seen.stable_rs;
    let full = || Patch::Status(json!({"status": {"promoteFull": true}}));
    let full = (!is_promoted).then(full);
    full.into_iter().chain(unpause(rollout)).collect()
}

/// The step's analysis could not tell, so that going on means past it.
fn is_inconclusive(seen: &RolloutStatus) -> bool {
    let canary = seen.canary.as_ref();
    let run = canary.and_then(|canary| canary.current_step_analysis_run_status.as_ref());
    seen.controller_pause == Some(true)
        && run.is_some_and(|run| run.status == AnalysisPhase::Inconclusive)
}

fn unpause(rollout: &Rollout) -> Option<Patch> {
    let is_paused = rollout.spec.paused == Some(true);
    is_paused.then(|| Patch::Spec(json!({"spec": {"paused": false}})))
}
