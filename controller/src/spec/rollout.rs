//! A Rollout document as a plan, with what the split and the guard need.

use super::{
    Fault, conditions,
    guard::{guard, trips},
    path,
    steps::steps,
    terms::{blue_green_steps, terms},
};
use crds::{
    BlueGreen, Canary, FieldPath, Rollout,
    sluice::{self, ProxyOptions, Rescue, StickyKind, Switch},
};
use rollout::{Plan, analysis::Config, plan::Revision, state::Slot};
use std::time::Duration;
use traffic::{BackendId, RolloutId, SplitRule, StickyKey, split::Side};
use xxhash_rust::xxh3::xxh3_64;

/// A rollout, checked.
#[derive(Clone, Debug)]
pub struct RolloutSpec {
    /// The plan that the machine follows.
    pub plan: Plan,
    /// How its requests are split.
    pub split: SplitSpec,
    /// The guard's parameters. They also pace evidence steps where the guard itself is off.
    pub guard: Config,
    /// Whether the proxy trips a canary by itself that is plainly dead. Never where the guard is off.
    pub trips: bool,
}

/// How a rollout's requests are split, whatever its weights are.
#[derive(Clone, Debug)]
pub struct SplitSpec {
    /// The two Services that its versions run in.
    pub slots: Slots,
    /// The Service whose routes lead to the version that is not stable, whatever place that is in. What is asked for there
    /// is counted apart.
    pub preview: Option<BackendId>,
    /// By what users are kept on one version, in order of preference.
    pub sticky: Vec<StickyKey>,
    /// The rules that come before the weight.
    pub rules: Vec<SplitRule>,
    /// Whether an idempotent request that the canary failed is repeated on stable.
    pub rescue: bool,
}

/// The two Services of a rollout. Where no pods are run, they are fixed places, and which of them is stable alternates
/// with every promotion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slots {
    /// Where the first revision is.
    pub first: BackendId,
    /// The other.
    pub second: BackendId,
}

impl Slots {
    /// The Service in `slot`.
    pub fn get(&self, slot: Slot) -> &BackendId {
        match slot {
            Slot::First => &self.first,
            Slot::Second => &self.second,
        }
    }

    /// Whether `service` is one of the two.
    pub fn holds(&self, service: &BackendId) -> bool {
        self.first == *service || self.second == *service
    }
}

impl RolloutSpec {
    /// Reads `rollout`; adds what cannot be acted on to `faults`, and gives nothing when there is something.
    pub(super) fn read(rollout: &Rollout, faults: &mut Vec<Fault>) -> Option<Self> {
        let before = faults.len();
        let strategy = rollout.spec.strategy.as_ref();
        let canary = strategy.and_then(|strategy| strategy.canary.as_ref());
        let blue_green = strategy.and_then(|strategy| strategy.blue_green.as_ref());
        let namespace = rollout.metadata.namespace();
        let options = canary.map_or_else(ProxyOptions::default, |canary| options(canary, faults));
        let guard = guard_of(&options, faults)?;
        let terms = terms(&rollout.spec, faults);
        let (slots, preview, steps) = match (canary, blue_green) {
            (Some(canary), None) => (
                slots(canary, namespace, faults)?,
                None,
                steps(canary, options.pace.as_ref(), &guard, faults)?,
            ),
            (None, Some(blue_green)) => {
                let slots = places(blue_green, namespace, faults)?;
                let preview = Some(slots.second.clone());
                (slots, preview, blue_green_steps(blue_green, faults)?)
            }
            _ => {
                let needs = "needs exactly one of canary, blueGreen";
                faults.push((path("spec.strategy"), needs.to_owned()));
                return None;
            }
        };
        let plan = Plan {
            rollout: RolloutId::new(
                namespace,
                rollout.metadata.name.as_deref().unwrap_or_default(),
            ),
            revision: revision(rollout),
            steps,
            paused: rollout.spec.paused.unwrap_or_default(),
            guard: !matches!(options.guard, Switch::Off),
            terms,
        };
        let spec = Self {
            plan,
            split: SplitSpec::new(slots, preview, &options, faults),
            guard,
            trips: trips(&options.guard),
        };
        (faults.len() == before).then_some(spec)
    }
}

impl SplitSpec {
    /// The split between `slots` that `options` ask for; adds what cannot be acted on to `faults`.
    pub(crate) fn new(
        slots: Slots,
        preview: Option<BackendId>,
        options: &ProxyOptions,
        faults: &mut Vec<Fault>,
    ) -> Self {
        Self {
            slots,
            preview,
            sticky: sticky(options, faults),
            rules: rules(options, faults),
            rescue: options.rescue == Some(Rescue::Stable),
        }
    }
}

/// The guard's parameters; nothing, and why in `faults`, when there cannot be such.
pub(crate) fn guard_of(options: &ProxyOptions, faults: &mut Vec<Fault>) -> Option<Config> {
    let by_chance = options.sticky.is_empty() && options.rules.is_empty();
    guard(&options.guard, by_chance, faults)
}

/// Where Sluice's own options are.
pub(crate) fn options_path() -> FieldPath {
    path("spec.strategy.canary.trafficRouting.plugins").key(sluice::PROXY)
}

/// Sluice's own options. They were checked with the document, so what cannot be read here has been told already.
pub(super) fn options(canary: &Canary, faults: &mut Vec<Fault>) -> ProxyOptions {
    let written = canary
        .traffic_routing
        .as_ref()
        .and_then(|routing| routing.plugins.get(sluice::PROXY));
    let Some(written) = written else {
        return ProxyOptions::default();
    };
    let read = crds::read::<ProxyOptions>(written);
    faults.extend(
        read.faults
            .into_iter()
            .map(|fault| (options_path().join(&fault.path), fault.message)),
    );
    read.value.unwrap_or_default()
}

/// The template's hash. Objects are hashed with sorted keys: order and layout of the file mean nothing.
fn revision(rollout: &Rollout) -> Revision {
    let template = rollout.spec.template.as_ref().map(|template| &template.0);
    let canonical = serde_json::to_vec(&template).unwrap_or_default();
    Revision::new(format!("{:010x}", xxh3_64(&canonical) >> 24))
}

fn slots(canary: &Canary, namespace: &str, faults: &mut Vec<Fault>) -> Option<Slots> {
    let named = |name: &str| BackendId::new(namespace, name);
    match (
        &canary.ping_pong,
        &canary.stable_service,
        &canary.canary_service,
    ) {
        (Some(pair), _, _) => Some(Slots {
            first: named(&pair.ping_service),
            second: named(&pair.pong_service),
        }),
        (None, Some(stable), Some(canary)) => Some(Slots {
            first: named(stable),
            second: named(canary),
        }),
        _ => {
            let needs =
                "needs the Services of both versions: pingPong, or stableService and canaryService";
            faults.push((path("spec.strategy.canary"), needs.to_owned()));
            None
        }
    }
}

/// The places of a blue-green rollout, which take turns.
fn places(blue_green: &BlueGreen, namespace: &str, faults: &mut Vec<Fault>) -> Option<Slots> {
    let Some(preview) = &blue_green.preview_service else {
        let needs = "is missing: without pods, the two Services are the places of the two versions";
        faults.push((
            path("spec.strategy.blueGreen.previewService"),
            needs.to_owned(),
        ));
        return None;
    };
    Some(Slots {
        first: BackendId::new(namespace, &blue_green.active_service),
        second: BackendId::new(namespace, preview),
    })
}

pub(super) fn sticky(options: &ProxyOptions, faults: &mut Vec<Fault>) -> Vec<StickyKey> {
    let mut keys = Vec::new();
    for (i, key) in options.sticky.iter().enumerate() {
        let at = options_path().key("sticky").index(i);
        match key.kind() {
            Ok(StickyKind::Header(name)) => match name.try_into() {
                Ok(name) => keys.push(StickyKey::Header(name)),
                Err(_) => faults.push((
                    at.key("header"),
                    format!("found {name:?}, allowed the name of a header"),
                )),
            },
            Ok(StickyKind::Cookie(cookie)) => keys.push(StickyKey::Cookie {
                name: cookie.name.as_str().into(),
                max_age: cookie.max_age.map(Duration::from),
            }),
            Ok(StickyKind::ClientAddress) => keys.push(StickyKey::ClientAddress),
            Err(error) => faults.push((at, error.to_string())),
        }
    }
    keys
}

pub(super) fn rules(options: &ProxyOptions, faults: &mut Vec<Fault>) -> Vec<SplitRule> {
    let rule = |(i, rule): (usize, &sluice::Rule)| {
        let at = options_path().key("rules").index(i).key("match");
        let entries = rule.matches.iter().enumerate();
        SplitRule {
            name: rule.name.as_str().into(),
            matches: entries
                .map(|(j, entry)| conditions::of_rule(entry, &at.index(j), faults))
                .collect(),
            to: match rule.to {
                sluice::Side::Canary => Side::Canary,
                sluice::Side::Stable => Side::Stable,
            },
        }
    };
    options.rules.iter().enumerate().map(rule).collect()
}
