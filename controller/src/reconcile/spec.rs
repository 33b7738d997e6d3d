//! What a Rollout's spec asks for, checked.
//!
//! What does not act yet is refused by name: a rollout that counts on it must not go on without it.

use std::time::Duration;

use crds::strategy::AntiAffinity;
use crds::{IntOrString, LabelSelector, PodTemplate, Rollout, Time};
use rollout::pods::{Amount, Budget};

use super::{World, workload};

mod canary;

pub(super) use canary::{Abort, Canary, Pair, Routing, Scale, Step, routed};

/// A Rollout's spec, checked.
#[derive(Clone, Debug)]
pub(super) struct Spec<'w> {
    pub(super) replicas: u32,
    pub(super) template: &'w PodTemplate,
    pub(super) selector: &'w LabelSelector,
    pub(super) strategy: Strategy<'w>,
    pub(super) paused: bool,
    pub(super) min_ready_seconds: i32,
    /// `revisionHistoryLimit`: how many older ReplicaSets stay.
    pub(super) history: usize,
    /// `rollbackWindow.revisions`; 0 is none.
    pub(super) window: usize,
    pub(super) deadline: Duration,
    pub(super) deadline_aborts: bool,
    /// `restartAt`: pods that are older are to be replaced.
    pub(super) restart_at: Option<Time>,
    /// How many pods may be missing.
    pub(super) unavailable: u32,
    /// Keeps pods of the new version off the nodes of the stable one.
    pub(super) anti_affinity: Option<&'w AntiAffinity>,
    pub(super) metadata: Metadata<'w>,
}

/// Labels and annotations that pods have for what their version is at the moment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Metadata<'w> {
    /// `canaryMetadata` or `previewMetadata`.
    pub(super) new: Option<&'w crds::analysis::Metadata>,
    /// `stableMetadata` or `activeMetadata`.
    pub(super) stable: Option<&'w crds::analysis::Metadata>,
}

/// How one version replaces the other.
#[derive(Clone, Debug)]
pub(super) enum Strategy<'w> {
    Canary(Canary<'w>),
    BlueGreen(BlueGreen<'w>),
}

/// `spec.strategy.blueGreen`.
#[derive(Clone, Debug)]
pub(super) struct BlueGreen<'w> {
    pub(super) active: &'w str,
    pub(super) preview: Option<&'w str>,
    pub(super) preview_replicas: Option<u32>,
    pub(super) promotes_itself: bool,
    /// `autoPromotionSeconds`; none when it is 0.
    pub(super) promotes_after: Option<Duration>,
    pub(super) scale_down_delay: Duration,
    /// `scaleDownDelayRevisionLimit`: how many older ReplicaSets may wait for their delay.
    pub(super) delayed: usize,
    /// How long an aborted preview keeps its pods; none is for good.
    pub(super) abort_delay: Option<Duration>,
}

/// The delay of scaling down where a Rollout does not say it (`utils/defaults`).
const SCALE_DOWN_DELAY: i32 = 30;

/// Checks the spec of `world`'s Rollout.
///
/// # Errors
/// The first fault: the field, what was found and what is allowed.
pub(super) fn read(world: &World) -> Result<Spec<'_>, String> {
    let rollout = &*world.rollout;
    let spec = &rollout.spec;
    let replicas = count("spec.replicas", spec.replicas.unwrap_or(1))?;
    let min_ready_seconds = spec.min_ready_seconds.unwrap_or(0);
    count("spec.minReadySeconds", min_ready_seconds)?;
    let history = count(
        "spec.revisionHistoryLimit",
        spec.revision_history_limit.unwrap_or(10),
    )?;
    let deadline = spec.progress_deadline_seconds.unwrap_or(600);
    if deadline <= min_ready_seconds {
        return Err(format!(
            "spec.progressDeadlineSeconds: found {deadline}, must be greater than minReadySeconds ({min_ready_seconds})"
        ));
    }
    let restart_at = spec.restart_at.as_deref().map(str::parse).transpose();
    let restart_at = restart_at.map_err(|error| format!("spec.restartAt: {error}"))?;
    let (template, selector) = workload::template(world)?;
    selects(selector, template)?;
    let strategy = strategy(rollout, replicas, history)?;
    own_services(world)?;
    let window = spec.rollback_window.as_ref();
    let window = window.and_then(|window| window.revisions).unwrap_or(0);
    Ok(Spec {
        replicas,
        template,
        selector,
        strategy,
        paused: spec.paused.unwrap_or_default(),
        min_ready_seconds,
        history: history as usize,
        window: usize::try_from(window).unwrap_or(0),
        deadline: seconds(deadline),
        deadline_aborts: spec.progress_deadline_abort.unwrap_or_default(),
        restart_at,
        unavailable: unavailable(rollout, replicas)?,
        anti_affinity: anti_affinity(rollout)?,
        metadata: metadata(rollout),
    })
}

/// What is written for either strategy.
pub(super) fn strategies(rollout: &Rollout) -> (Option<&crds::Canary>, Option<&crds::BlueGreen>) {
    let strategy = rollout.spec.strategy.as_ref();
    (
        strategy.and_then(|strategy| strategy.canary.as_ref()),
        strategy.and_then(|strategy| strategy.blue_green.as_ref()),
    )
}

fn strategy(rollout: &Rollout, replicas: u32, history: u32) -> Result<Strategy<'_>, String> {
    let (canary, blue_green) = strategies(rollout);
    match (canary, blue_green) {
        (Some(canary), None) => canary::read(canary, replicas, history).map(Strategy::Canary),
        (None, Some(blue_green)) => self::blue_green(blue_green, history).map(Strategy::BlueGreen),
        (None, None) => Err("spec.strategy: required, one of canary and blueGreen".to_owned()),
        (Some(_), Some(_)) => {
            Err("spec.strategy: found both canary and blueGreen, allowed one of them".to_owned())
        }
    }
}

fn blue_green(blue_green: &crds::BlueGreen, history: u32) -> Result<BlueGreen<'_>, String> {
    let at = |field: &str| format!("spec.strategy.blueGreen.{field}");
    let later = [
        (
            "prePromotionAnalysis",
            blue_green.pre_promotion_analysis.is_some(),
        ),
        (
            "postPromotionAnalysis",
            blue_green.post_promotion_analysis.is_some(),
        ),
    ];
    if let Some((field, _)) = later.iter().find(|(_, is_set)| *is_set) {
        return Err(not_yet(&at(field)));
    }
    let active = named(Some(&blue_green.active_service))
        .ok_or_else(|| format!("{}: required", at("activeService")))?;
    let preview = named(blue_green.preview_service.as_deref());
    if preview == Some(active) {
        return Err(format!(
            "{}: found the Service of activeService, allowed another one",
            at("previewService")
        ));
    }
    let delayed = blue_green.scale_down_delay_revision_limit;
    let counted =
        |field: &str, value: Option<i32>| value.map(|value| count(&at(field), value)).transpose();
    let abort_delay = blue_green.abort_scale_down_delay_seconds;
    Ok(BlueGreen {
        active,
        preview,
        preview_replicas: counted("previewReplicaCount", blue_green.preview_replica_count)?,
        promotes_itself: blue_green.auto_promotion_enabled.unwrap_or(true),
        promotes_after: blue_green
            .auto_promotion_seconds
            .filter(|after| *after > 0)
            .map(seconds),
        scale_down_delay: seconds(
            blue_green
                .scale_down_delay_seconds
                .unwrap_or(SCALE_DOWN_DELAY),
        ),
        delayed: self::delayed(&at("scaleDownDelayRevisionLimit"), delayed, history)?,
        abort_delay: match abort_delay.unwrap_or(SCALE_DOWN_DELAY) {
            0 => None,
            delay => Some(seconds(delay)),
        },
    })
}

/// `scaleDownDelayRevisionLimit`: as many as there are where nothing is written.
fn delayed(at: &str, written: Option<i32>, history: u32) -> Result<usize, String> {
    let Some(limit) = written else {
        return Ok(usize::MAX);
    };
    if i64::from(limit) > i64::from(history) {
        return Err(format!(
            "{at}: found {limit}, allowed at most revisionHistoryLimit ({history})"
        ));
    }
    Ok(count(at, limit)? as usize)
}

/// A ReplicaSet's pods must be those that the Rollout selects, or it would make new ones for ever.
fn selects(selector: &LabelSelector, template: &PodTemplate) -> Result<(), String> {
    let labels = &template.0["metadata"]["labels"];
    let missing = selector
        .match_labels
        .iter()
        .find(|(key, value)| labels[key.as_str()].as_str() != Some(value));
    match missing {
        None => Ok(()),
        Some((key, value)) => Err(format!(
            "spec.template.metadata.labels: `selector` does not match template `labels`: {key} must be {value:?}"
        )),
    }
}

fn metadata(rollout: &Rollout) -> Metadata<'_> {
    let (canary, blue_green) = strategies(rollout);
    Metadata {
        new: canary
            .and_then(|canary| canary.canary_metadata.as_ref())
            .or_else(|| blue_green?.preview_metadata.as_ref()),
        stable: canary
            .and_then(|canary| canary.stable_metadata.as_ref())
            .or_else(|| blue_green?.active_metadata.as_ref()),
    }
}

fn anti_affinity(rollout: &Rollout) -> Result<Option<&AntiAffinity>, String> {
    let (canary, blue_green) = strategies(rollout);
    let (kind, written) = match (canary, blue_green) {
        (Some(canary), _) => ("canary", canary.anti_affinity.as_ref()),
        (None, Some(blue_green)) => ("blueGreen", blue_green.anti_affinity.as_ref()),
        (None, None) => return Ok(None),
    };
    let Some(written) = written else {
        return Ok(None);
    };
    let at = format!("spec.strategy.{kind}.antiAffinity");
    let preferred = written
        .preferred_during_scheduling_ignored_during_execution
        .as_ref();
    let required = written
        .required_during_scheduling_ignored_during_execution
        .as_ref();
    match (preferred, required) {
        (Some(preferred), None) if !(1..=100).contains(&preferred.weight) => Err(format!(
            "{at}.preferredDuringSchedulingIgnoredDuringExecution.weight: found {}, allowed 1 to 100",
            preferred.weight
        )),
        (Some(_), None) | (None, Some(_)) => Ok(Some(written)),
        _ => Err(format!(
            "{at}: allowed exactly one of preferredDuringSchedulingIgnoredDuringExecution and \
             requiredDuringSchedulingIgnoredDuringExecution"
        )),
    }
}

/// How many pods `maxUnavailable` lets be missing.
fn unavailable(rollout: &Rollout, replicas: u32) -> Result<u32, String> {
    let (canary, blue_green) = strategies(rollout);
    let (surge, unavailable) = match (canary, blue_green) {
        (Some(canary), _) => (
            amount("spec.strategy.canary.maxSurge", canary.max_surge.as_ref())?,
            amount(
                "spec.strategy.canary.maxUnavailable",
                canary.max_unavailable.as_ref(),
            )?,
        ),
        (None, blue_green) => {
            let written = blue_green.and_then(|blue_green| blue_green.max_unavailable.as_ref());
            let at = "spec.strategy.blueGreen.maxUnavailable";
            (Amount::DEFAULT, amount(at, written)?)
        }
    };
    Ok(replicas - Budget::new(replicas, surge, unavailable).least())
}

/// Every Service that is named must be there, and be written by no other Rollout.
fn own_services(world: &World) -> Result<(), String> {
    let own = world.rollout.metadata.name.as_deref().unwrap_or_default();
    for name in super::services(&world.rollout) {
        let Some(service) = world.services.get(name) else {
            return Err(format!("service {name:?} not found"));
        };
        match super::managed_by(&service.annotations) {
            Some(other) if other != own => {
                return Err(format!(
                    "service {name:?} is managed by another Rollout, {other:?}"
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

/// A text is always a percentage, with or without its sign (`utils/defaults`).
fn amount(at: &str, written: Option<&IntOrString>) -> Result<Amount, String> {
    let wrong = |found: &IntOrString| {
        format!("{at}: found {found}, allowed a number of pods or a percentage such as 25%")
    };
    match written {
        None => Ok(Amount::DEFAULT),
        Some(found @ IntOrString::Int(pods)) => u32::try_from(*pods)
            .map(Amount::Pods)
            .map_err(|_| wrong(found)),
        Some(found @ IntOrString::String(text)) => text
            .trim_end_matches('%')
            .parse()
            .map(Amount::Percent)
            .map_err(|_| wrong(found)),
    }
}

fn is_none(amount: Amount) -> bool {
    matches!(amount, Amount::Pods(0) | Amount::Percent(0))
}

fn count(at: &str, value: i32) -> Result<u32, String> {
    u32::try_from(value).map_err(|_| format!("{at}: found {value}, allowed 0 or more"))
}

fn seconds(seconds: i32) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

fn named(name: Option<&str>) -> Option<&str> {
    name.filter(|name| !name.is_empty())
}

fn not_yet(field: &str) -> String {
    format!("{field}: does not act in this version of Sluice; a rollout that counts on it is held")
}
