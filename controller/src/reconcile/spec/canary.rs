//! `spec.strategy.canary`, checked.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crds::step::{SetCanaryScale, StepAction};
use crds::{Rollout, TrafficRouting, sluice};
use rollout::pods::{Budget, Threshold};
use traffic::Weight;

use super::{
    SCALE_DOWN_DELAY, amount, count, delayed, is_none, named, not_yet, seconds, strategies,
};
use crate::spec::Routed;

mod services;

pub(in crate::reconcile) use services::{Pair, Services};

/// `spec.strategy.canary`.
#[derive(Clone, Debug)]
pub(in crate::reconcile) struct Canary<'w> {
    pub(in crate::reconcile) steps: Vec<Step<'w>>,
    pub(in crate::reconcile) hash: String,
    pub(in crate::reconcile) budget: Budget,
    pub(in crate::reconcile) threshold: Threshold,
    /// What always leads to the canary.
    pub(in crate::reconcile) canary_service: Option<&'w str>,
    /// What always leads to stable.
    pub(in crate::reconcile) stable_service: Option<&'w str>,
    /// How its traffic is split; nothing where pods are the traffic.
    pub(in crate::reconcile) routing: Option<Routing<'w>>,
}

/// A canary whose traffic the proxies split.
#[derive(Clone, Debug)]
pub(in crate::reconcile) struct Routing<'w> {
    pub(in crate::reconcile) services: Services<'w>,
    /// What its options and steps ask of the proxies and of the guard.
    pub(in crate::reconcile) asks: Arc<Routed>,
    /// `minPodsPerReplicaSet`; 0 is none.
    pub(in crate::reconcile) least_each: u32,
    /// `dynamicStableScale`.
    pub(in crate::reconcile) is_dynamic: bool,
    /// How long the version that was stable before keeps its pods.
    pub(in crate::reconcile) scale_down_delay: Duration,
    /// `scaleDownDelayRevisionLimit`: how many older ReplicaSets may wait for that.
    pub(in crate::reconcile) delayed: usize,
    pub(in crate::reconcile) abort: Abort,
}

/// What becomes of the pods of an aborted canary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::reconcile) enum Abort {
    /// They stay so long after stable has all of its own.
    After(Duration),
    /// They stay.
    Never,
    /// They go as soon as no proxy sends them anything: with `dynamicStableScale`, where no delay is written, as stable
    /// may need their room.
    WithTraffic,
}

/// A step of a canary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::reconcile) enum Step<'w> {
    /// In per cent.
    SetWeight(u8),
    /// So long, or until somebody goes on.
    Pause(Option<Duration>),
    SetCanaryScale(Scale),
    /// The route's name.
    SetHeaderRoute(&'w str),
    /// The route's name.
    SetMirrorRoute(&'w str),
    /// The step plugin `sluice/evidence`.
    Evidence,
}

/// `setCanaryScale`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::reconcile) enum Scale {
    /// As the traffic asks.
    Traffic,
    /// In per cent of `spec.replicas`.
    Weight(u8),
    Pods(u32),
}

/// Where a field of the strategy is.
fn at(field: &str) -> String {
    format!("spec.strategy.canary.{field}")
}

/// Checks `canary` of a Rollout of so many replicas, which keeps `history` old ReplicaSets.
///
/// # Errors
/// The first fault: the field, what was found and what is allowed.
pub(super) fn read(
    canary: &crds::Canary,
    replicas: u32,
    history: u32,
) -> Result<Canary<'_>, String> {
    let later = [
        (
            "trafficRouting",
            canary
                .traffic_routing
                .as_ref()
                .is_some_and(|routing| !is_ours(routing)),
        ),
        ("analysis", canary.analysis.is_some()),
    ];
    if let Some((field, _)) = later.iter().find(|(_, is_set)| *is_set) {
        return Err(not_yet(&at(field)));
    }
    needs_no_router(canary)?;
    let canary_service = named(canary.canary_service.as_deref());
    let stable_service = named(canary.stable_service.as_deref());
    if canary_service.is_some() && canary_service == stable_service {
        return Err(format!(
            "{}: found the Service of canaryService, allowed another one",
            at("stableService")
        ));
    }
    let surge = amount(&at("maxSurge"), canary.max_surge.as_ref())?;
    let unavailable = amount(&at("maxUnavailable"), canary.max_unavailable.as_ref())?;
    if is_none(surge) && is_none(unavailable) {
        return Err(format!(
            "{}: found 0 beside a maxUnavailable of 0, so that no pod could ever be replaced",
            at("maxSurge")
        ));
    }
    let is_routed = canary.traffic_routing.is_some();
    let steps = canary.steps.iter().enumerate();
    let steps =
        steps.map(|(index, written)| step(&at(&format!("steps[{index}]")), written, is_routed));
    Ok(Canary {
        steps: steps.collect::<Result<_, _>>()?,
        hash: crds::hash::steps(&canary.steps),
        budget: Budget::new(replicas, surge, unavailable),
        threshold: threshold(canary),
        canary_service,
        stable_service,
        routing: is_routed.then(|| routing(canary, history)).transpose()?,
    })
}

/// How the proxies are to split the traffic of `rollout`, with the hash of its steps; nothing where they do not, or its
/// strategy is wrong.
pub(in crate::reconcile) fn routed(rollout: &Rollout) -> Option<(Arc<Routed>, String)> {
    let (canary, None) = strategies(rollout) else {
        return None;
    };
    let replicas = count("", rollout.spec.replicas.unwrap_or(1)).ok()?;
    let history = count("", rollout.spec.revision_history_limit.unwrap_or(10)).ok()?;
    let canary = read(canary?, replicas, history).ok()?;
    Some((canary.routing?.asks, canary.hash))
}

/// Whether the proxies of Sluice split the traffic, and nothing else does.
fn is_ours(routing: &TrafficRouting) -> bool {
    let others = [
        routing.istio.is_some(),
        routing.nginx.is_some(),
        routing.alb.is_some(),
        routing.smi.is_some(),
        routing.ambassador.is_some(),
        routing.app_mesh.is_some(),
        routing.traefik.is_some(),
        routing.apisix.is_some(),
    ];
    let mut plugins = routing.plugins.keys();
    plugins.next().is_some_and(|name| name == sluice::PROXY)
        && plugins.next().is_none()
        && !others.contains(&true)
}

fn needs_no_router(canary: &crds::Canary) -> Result<(), String> {
    let is_dynamic = canary.dynamic_stable_scale == Some(true);
    let has_delay = canary.scale_down_delay_seconds.is_some();
    if canary.traffic_routing.is_some() {
        return match is_dynamic && has_delay {
            false => Ok(()),
            true => Err(format!(
                "{}: found beside dynamicStableScale, which takes stable's pods as they lose their traffic; allowed \
                 one of them",
                at("scaleDownDelaySeconds")
            )),
        };
    }
    let routed_only = [
        ("scaleDownDelaySeconds", has_delay),
        ("dynamicStableScale", is_dynamic),
        (
            "minPodsPerReplicaSet",
            canary.min_pods_per_replica_set.is_some(),
        ),
        ("pingPong", canary.ping_pong.is_some()),
    ];
    match routed_only.iter().find(|(_, is_set)| *is_set) {
        None => Ok(()),
        Some((field, _)) => Err(format!(
            "{}: can only be used with trafficRouting",
            at(field)
        )),
    }
}

fn routing(canary: &crds::Canary, history: u32) -> Result<Routing<'_>, String> {
    let seconds_of = |field, written: Option<i32>| {
        let written = written.map(|written| count(&at(field), written));
        written
            .transpose()
            .map(|written| written.map(|seconds| Duration::from_secs(seconds.into())))
    };
    let is_dynamic = canary.dynamic_stable_scale == Some(true);
    let abort = seconds_of(
        "abortScaleDownDelaySeconds",
        canary.abort_scale_down_delay_seconds,
    )?;
    let default = seconds(SCALE_DOWN_DELAY);
    Ok(Routing {
        services: Services::read(canary)?,
        asks: Arc::new(Routed::read(canary)?),
        least_each: count(
            &at("minPodsPerReplicaSet"),
            canary.min_pods_per_replica_set.unwrap_or(0),
        )?,
        is_dynamic,
        scale_down_delay: seconds_of("scaleDownDelaySeconds", canary.scale_down_delay_seconds)?
            .unwrap_or(default),
        delayed: delayed(
            &at("scaleDownDelayRevisionLimit"),
            canary.scale_down_delay_revision_limit,
            history,
        )?,
        abort: match abort {
            Some(Duration::ZERO) => Abort::Never,
            Some(delay) => Abort::After(delay),
            None if is_dynamic => Abort::WithTraffic,
            None => Abort::After(default),
        },
    })
}

fn step<'w>(at: &str, step: &'w crds::CanaryStep, is_routed: bool) -> Result<Step<'w>, String> {
    let action = step.action().map_err(|error| format!("{at}: {error}"))?;
    match action {
        StepAction::SetWeight(weight) => percent(weight)
            .map(Step::SetWeight)
            .ok_or_else(|| format!("{at}.setWeight: found {weight}, allowed 0 to 100")),
        StepAction::Pause(pause) => pause
            .duration()
            .map(Step::Pause)
            .map_err(|error| format!("{at}.pause.duration: {error}")),
        StepAction::SetCanaryScale(written) if is_routed => {
            scale(&format!("{at}.setCanaryScale"), written).map(Step::SetCanaryScale)
        }
        StepAction::SetHeaderRoute(route) if is_routed => Ok(Step::SetHeaderRoute(
            route.name.as_deref().unwrap_or_default(),
        )),
        StepAction::SetMirrorRoute(route) if is_routed => Ok(Step::SetMirrorRoute(&route.name)),
        StepAction::Plugin(plugin) if is_routed && plugin.name == sluice::EVIDENCE => {
            Ok(Step::Evidence)
        }
        StepAction::SetCanaryScale(_)
        | StepAction::SetHeaderRoute(_)
        | StepAction::SetMirrorRoute(_)
            if !is_routed =>
        {
            Err(format!(
                "{at}.{}: can only be used with trafficRouting",
                action.name()
            ))
        }
        _ => Err(not_yet(&format!("{at}.{}", action.name()))),
    }
}

/// Where nothing is written, the traffic decides, as in Argo Rollouts.
fn scale(at: &str, written: &SetCanaryScale) -> Result<Scale, String> {
    match (written.replicas, written.weight) {
        _ if written.match_traffic_weight == Some(true) => Ok(Scale::Traffic),
        (Some(replicas), _) => count(&format!("{at}.replicas"), replicas).map(Scale::Pods),
        (None, Some(weight)) => percent(weight)
            .map(Scale::Weight)
            .ok_or_else(|| format!("{at}.weight: found {weight}, allowed 0 to 100")),
        (None, None) => Ok(Scale::Traffic),
    }
}

fn percent(written: i32) -> Option<u8> {
    let percent = u8::try_from(written).ok();
    percent.filter(|percent| *percent <= 100)
}

fn threshold(canary: &crds::Canary) -> Threshold {
    use crds::strategy::ProgressType;
    let Some(written) = &canary.replica_progress_threshold else {
        return Threshold::All;
    };
    match (written.kind, u32::try_from(written.value)) {
        (_, Err(_)) => Threshold::All,
        (ProgressType::Percent, Ok(value)) => Threshold::Percent(value),
        (ProgressType::Pods, Ok(value)) => Threshold::Pods(value),
    }
}

impl Canary<'_> {
    /// The weight that the steps up to and with the one at `index` have set; none where they have set none.
    pub(in crate::reconcile) fn weight_at(&self, index: usize) -> Weight {
        let steps = self.steps.iter().take(index.saturating_add(1)).rev();
        let set = steps
            .filter_map(|step| match step {
                Step::SetWeight(percent) => Weight::from_percent(*percent),
                _ => None,
            })
            .next();
        set.unwrap_or(Weight::ZERO)
    }

    /// What the canary's pods follow at the step at `index`: the last `setCanaryScale` decides.
    pub(in crate::reconcile) fn scale_at(&self, index: usize) -> Scale {
        let steps = self.steps.iter().take(index.saturating_add(1)).rev();
        let set = steps
            .filter_map(|step| match step {
                Step::SetCanaryScale(scale) => Some(*scale),
                _ => None,
            })
            .next();
        set.unwrap_or(Scale::Traffic)
    }
}

impl fmt::Display for Step<'_> {
    /// In the words of Argo Rollouts, as its event of a completed step has them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetWeight(percent) => write!(f, "setWeight: {percent}"),
            Self::Pause(None) => write!(f, "pause"),
            Self::Pause(Some(duration)) => write!(f, "pause: {}s", duration.as_secs()),
            Self::SetCanaryScale(Scale::Traffic) => {
                write!(f, "setCanaryScale{{matchTrafficWeight: true}}")
            }
            Self::SetCanaryScale(Scale::Weight(percent)) => {
                write!(f, "setCanaryScale{{weight: {percent}}}")
            }
            Self::SetCanaryScale(Scale::Pods(pods)) => {
                write!(f, "setCanaryScale{{replicas: {pods}}}")
            }
            Self::SetHeaderRoute(name) => write!(f, "setHeaderRoute: {name}"),
            Self::SetMirrorRoute(name) => write!(f, "setMirrorRoute: {name}"),
            Self::Evidence => write!(f, "plugin: {}", sluice::EVIDENCE),
        }
    }
}
