//! What a Rollout asks of proxies: which Services it names, and what is to be split.

use super::trial::Tripping;
use crate::{
    document,
    spec::{Fault, Slots, SplitSpec, guard_of, header_route, mirror_route, options_path, trips},
};
use crds::{Canary, FieldPath, Rollout, sluice, sluice::ProxyOptions, step::StepAction};
use rollout::plan::{HeaderRoute, MirrorRoute};
use serde_json::Value;
use traffic::{BackendId, FailureRule, RolloutId};

/// What a Rollout asks of proxies.
#[derive(Debug)]
pub(super) struct Asked {
    /// Which Rollout.
    pub(super) id: RolloutId,
    /// The Services that it names, and where.
    pub(super) services: Vec<(FieldPath, BackendId)>,
    /// What is to be split, if anything is.
    pub(super) split: Option<Splitting>,
}

/// A split that is asked for.
#[derive(Debug)]
pub(super) struct Splitting {
    /// How requests are told apart.
    pub(super) spec: SplitSpec,
    /// Whether the slots take turns: the status says which is stable's. It is the first one otherwise.
    pub(super) takes_turns: bool,
    /// What always leads to stable beside slots that take turns: what is asked for there is split, too.
    pub(super) lasting: Option<BackendId>,
    /// What counts as a failure.
    pub(super) rule: FailureRule,
    /// By what a proxy is to trip a canary by itself, if it is to.
    pub(super) tripping: Option<Tripping>,
    /// Further names by which users ask for the Rollout, and where they are written.
    pub(super) hosts: Vec<(FieldPath, String)>,
    /// Whether all options can be acted on. No canary gets requests by a part of them.
    pub(super) is_sound: bool,
}

impl Asked {
    /// Reads `rollout`; adds what cannot be acted on to `faults`.
    pub(super) fn read(rollout: &Rollout, faults: &mut Vec<Fault>) -> Self {
        let meta = &rollout.metadata;
        let id = RolloutId::new(meta.namespace(), meta.name.as_deref().unwrap_or_default());
        let strategy = rollout.spec.strategy.as_ref();
        let canary = strategy.and_then(|strategy| strategy.canary.as_ref());
        let split = canary.and_then(|canary| splitting(canary, &id, faults));
        Self {
            services: services(rollout, &id),
            id,
            split,
        }
    }
}

/// The Services that `rollout` names.
fn services(rollout: &Rollout, id: &RolloutId) -> Vec<(FieldPath, BackendId)> {
    let strategy = rollout.spec.strategy.as_ref();
    let canary = strategy.and_then(|strategy| strategy.canary.as_ref());
    let pair = canary.and_then(|canary| canary.ping_pong.as_ref());
    let blue_green = strategy.and_then(|strategy| strategy.blue_green.as_ref());
    let named = [
        (
            "canary.stableService",
            canary.and_then(|c| c.stable_service.as_deref()),
        ),
        (
            "canary.canaryService",
            canary.and_then(|c| c.canary_service.as_deref()),
        ),
        (
            "canary.pingPong.pingService",
            pair.map(|p| &*p.ping_service),
        ),
        (
            "canary.pingPong.pongService",
            pair.map(|p| &*p.pong_service),
        ),
        (
            "blueGreen.activeService",
            blue_green.map(|b| &*b.active_service),
        ),
        (
            "blueGreen.previewService",
            blue_green.and_then(|b| b.preview_service.as_deref()),
        ),
    ];
    let named = named.into_iter().filter_map(|(field, name)| {
        let name = name.filter(|name| !name.is_empty())?;
        let path = FieldPath::parse("spec.strategy").join(&FieldPath::parse(field));
        Some((path, BackendId::new(&id.namespace, name)))
    });
    named.collect()
}

/// The split that `canary` asks for by Sluice's own options, if it does.
fn splitting(canary: &Canary, id: &RolloutId, faults: &mut Vec<Fault>) -> Option<Splitting> {
    let routing = canary.traffic_routing.as_ref()?;
    let written = routing.plugins.get(sluice::PROXY)?;
    let slots = slots(canary, id, faults)?;
    let takes_turns = canary.ping_pong.is_some();
    let lasting = canary.stable_service.as_deref();
    let lasting = lasting.filter(|name| takes_turns && !name.is_empty());
    let before = faults.len();
    let options = match document::read_options(written) {
        Ok(options) => options,
        Err(wrong) => {
            faults.extend(wrong);
            ProxyOptions {
                hosts: sound_hosts(written),
                ..ProxyOptions::default()
            }
        }
    };
    let guard = guard_of(&options, faults).unwrap_or_default();
    let spec = SplitSpec::new(slots, None, &options, faults);
    let is_sound = faults.len() == before;
    if !is_sound {
        let stays = "cannot be acted on as a whole: no request goes to the canary";
        faults.push((options_path(), stays.to_owned()));
    }
    let hosts = options.hosts.into_iter().enumerate();
    let hosts = hosts.map(|(i, host)| (options_path().key("hosts").index(i), host));
    Some(Splitting {
        tripping: trips(&options.guard).then(|| Tripping::new(&guard, &spec)),
        spec,
        takes_turns,
        lasting: lasting.map(|name| BackendId::new(&id.namespace, name)),
        rule: guard.parameters().failure_rule,
        hosts: hosts.collect(),
        is_sound,
    })
}

/// The two Services of the versions: stable's and the canary's in this order, or those that take turns.
fn slots(canary: &Canary, id: &RolloutId, faults: &mut Vec<Fault>) -> Option<Slots> {
    let is_given = |name: &&str| !name.is_empty();
    let (first, second) = match &canary.ping_pong {
        Some(pair) => (Some(&*pair.ping_service), Some(&*pair.pong_service)),
        None => (
            canary.stable_service.as_deref(),
            canary.canary_service.as_deref(),
        ),
    };
    let refused = match (first.filter(is_given), second.filter(is_given)) {
        (Some(first), Some(second)) if first != second => {
            return Some(Slots {
                first: BackendId::new(&id.namespace, first),
                second: BackendId::new(&id.namespace, second),
            });
        }
        (Some(first), Some(_)) => format!("found {first:?} twice, allowed two Services"),
        _ if canary.ping_pong.is_some() => "needs pingPong.pingService and pingPong.pongService".to_owned(),
        _ => "needs stableService and canaryService: what is asked for at the first is split between both".to_owned(),
    };
    faults.push((FieldPath::parse("spec.strategy.canary"), refused));
    None
}

/// The hosts of options that cannot be acted on: users are not sent away because of them.
fn sound_hosts(written: &Value) -> Vec<String> {
    let hosts = written["hosts"].as_array().into_iter().flatten();
    let hosts = hosts.filter_map(Value::as_str);
    hosts
        .filter(|host| document::is_host(host))
        .map(str::to_owned)
        .collect()
}

/// A route that steps have set.
#[derive(Clone, Debug)]
enum Managed {
    Header(HeaderRoute),
    Mirror(MirrorRoute),
}

/// The routes that the steps up to and with the one at `index` have set, in the order in which they are managed.
pub(super) fn managed_routes(
    canary: &Canary,
    index: usize,
    faults: &mut Vec<Fault>,
) -> (Vec<HeaderRoute>, Vec<MirrorRoute>) {
    let routing = canary.traffic_routing.as_ref();
    let managed = routing.map_or(&[][..], |routing| &routing.managed_routes);
    let mut routes: Vec<Option<Managed>> = vec![None; managed.len()];
    let steps = canary.steps.iter().enumerate();
    for (i, step) in steps.take(index.saturating_add(1)) {
        let at = FieldPath::parse("spec.strategy.canary.steps").index(i);
        let Ok(action) = step.action() else {
            continue;
        };
        let name = match action {
            StepAction::SetHeaderRoute(written) => written.name.as_deref().unwrap_or_default(),
            StepAction::SetMirrorRoute(written) => &*written.name,
            _ => continue,
        };
        let place = managed.iter().position(|route| route.name == name);
        let Some(slot) = place.and_then(|place| routes.get_mut(place)) else {
            let allowed = "one of trafficRouting.managedRoutes";
            let at = at.key(action.name()).key("name");
            faults.push((at, format!("found {name:?}, allowed {allowed}")));
            continue;
        };
        *slot = set_by(action, &at, faults);
    }
    let (mut by_header, mut mirrored) = (Vec::new(), Vec::new());
    for route in routes.into_iter().flatten() {
        match route {
            Managed::Header(route) => by_header.push(route),
            Managed::Mirror(route) => mirrored.push(route),
        }
    }
    (by_header, mirrored)
}

/// The route that the step at `at` sets by `action`. Without conditions it ends.
fn set_by(action: StepAction<'_>, at: &FieldPath, faults: &mut Vec<Fault>) -> Option<Managed> {
    match action {
        StepAction::SetHeaderRoute(written) => header_route(written, at, faults)
            .filter(|route| !route.matches.is_empty())
            .map(Managed::Header),
        StepAction::SetMirrorRoute(written) => mirror_route(written, at, faults)
            .filter(|route| !route.matches.is_empty())
            .map(Managed::Mirror),
        _ => None,
    }
}
