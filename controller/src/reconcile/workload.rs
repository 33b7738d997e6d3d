//! `spec.workloadRef`: the pod template is that of a workload which was there before, and which the Rollout replaces.

use crds::status::RolloutPhase;
use crds::{LabelSelector, ObjectRef, PodTemplate, ScaleDown};
use serde_json::json;

use super::names::WORKLOAD_GENERATION;
use super::work::Work;
use super::{World, Write};

/// The pod template and the selector that hold for `world`'s Rollout.
///
/// # Errors
/// The field that is missing or wrong, what was found and what is allowed.
pub(super) fn template(world: &World) -> Result<(&PodTemplate, &LabelSelector), String> {
    let spec = &world.rollout.spec;
    let own = spec
        .template
        .as_ref()
        .filter(|template| !is_empty(template));
    let (template, selector) = match (&spec.workload_ref, own) {
        (None, own) => (
            own.ok_or("spec.template: required")?,
            spec.selector.as_ref(),
        ),
        (Some(_), Some(_)) => {
            return Err(
                "spec.template: template must be empty for workload reference rollout".to_owned(),
            );
        }
        (Some(reference), None) => {
            let workload = world.workload.as_ref();
            let workload = workload.ok_or_else(|| missing(reference))?;
            let selector = spec.selector.as_ref().or(workload.selector.as_ref());
            (&workload.template, selector)
        }
    };
    let selector = selector.filter(|selector| {
        !selector.match_labels.is_empty() || !selector.match_expressions.is_empty()
    });
    let selector = selector
        .ok_or("spec.selector: required, and must not be empty, as it would select every pod")?;
    Ok((template, selector))
}

/// Whether the kind that is referred to can hold a template.
///
/// # Errors
/// What was found and what is allowed.
pub(super) fn is_known(reference: &ObjectRef) -> Result<(), String> {
    match reference.kind.as_deref().unwrap_or_default() {
        "Deployment" | "ReplicaSet" | "PodTemplate" => Ok(()),
        kind => Err(format!(
            "spec.workloadRef.kind: found {kind:?}, allowed Deployment, ReplicaSet and PodTemplate"
        )),
    }
}

fn missing(reference: &ObjectRef) -> String {
    let kind = reference.kind.as_deref().unwrap_or_default();
    let name = reference.name.as_deref().unwrap_or_default();
    let not_found = || format!("spec.workloadRef: {kind} {name:?} not found");
    is_known(reference).err().unwrap_or_else(not_found)
}

/// What clients write where a template is required, and they have none.
fn is_empty(template: &PodTemplate) -> bool {
    let containers = &template.0["spec"]["containers"];
    containers.as_array().is_none_or(Vec::is_empty) && template.0["metadata"]["labels"].is_null()
}

/// The generation of the workload that the template is taken from, if it is.
pub(super) fn generation(world: &World) -> Option<String> {
    let reference = world.rollout.spec.workload_ref.as_ref();
    let workload = reference.and(world.workload.as_ref());
    workload.map(|workload| workload.generation.to_string())
}

impl Work<'_> {
    /// Says at the Rollout which generation of its workload it has seen. Whether that is news.
    pub(super) fn follow_workload(&mut self) -> bool {
        let written = self
            .world
            .rollout
            .metadata
            .annotations
            .get(WORKLOAD_GENERATION);
        let generation = self.workload_generation();
        if written == generation.as_ref() {
            return false;
        }
        let patch = json!({"metadata": {"annotations": {WORKLOAD_GENERATION: generation}}});
        self.write(Write::PatchRollout { patch });
        true
    }

    pub(super) fn workload_generation(&self) -> Option<String> {
        generation(self.world)
    }

    /// `scaleDown: progressively`: the workload loses a pod for each of the Rollout that is ready, and gets them back when
    /// the Rollout shrinks. Only while the Rollout has its first version: later ones say nothing of the workload.
    pub(super) fn replace_workload(&mut self, shrinks: bool) {
        let is_first = self.new_set().is_some_and(|set| set.revision() == 1);
        if !is_first || self.scale_down() != Some(ScaleDown::Progressively) {
            return;
        }
        let ready = self.status.ready_replicas.unwrap_or(0);
        let ready = u32::try_from(ready).unwrap_or(0);
        if self.status.phase == Some(RolloutPhase::Healthy) {
            self.scale_workload(0);
        } else if ready > 0 || shrinks {
            self.scale_workload(self.spec.replicas.saturating_sub(ready));
        }
    }

    /// `scaleDown: onsuccess`: the workload has no pods any more once the Rollout's first version is healthy.
    pub(super) fn retire_workload(&mut self) {
        let is_healthy = self.status.phase == Some(RolloutPhase::Healthy);
        if self.revision() == 1 && is_healthy && self.scale_down() == Some(ScaleDown::OnSuccess) {
            self.scale_workload(0);
        }
    }

    fn scale_down(&self) -> Option<ScaleDown> {
        let reference = self.world.rollout.spec.workload_ref.as_ref();
        reference.and_then(|reference| reference.scale_down)
    }

    fn scale_workload(&mut self, replicas: u32) {
        let known = self
            .world
            .workload
            .as_ref()
            .and_then(|workload| workload.replicas);
        if known.is_some_and(|known| known != replicas) {
            self.write(Write::ScaleWorkload { replicas });
        }
    }
}
