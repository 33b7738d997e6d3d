//! A Rollout document as a plan, with what the split and the guard need.

use super::{Fault, conditions, path};
use crds::{
    Canary, FieldPath, Rollout,
    sluice::{self, Evidence, Guard, LatencyOptions, ProxyOptions, StickyKind, Switch},
    step::{SetHeaderRoute, StepAction},
};
use rollout::{
    Plan,
    analysis::{Config, LatencyConfig, Parameters},
    plan::{
        EvidenceStep, HeaderMatch, HeaderRoute, HeaderValue, OnInconclusive, Revision, Step, Steps,
    },
    state::Slot,
};
use std::time::Duration;
use traffic::{BackendId, RolloutId, SplitRule, StickyKey, Weight, split::Side};
use xxhash_rust::xxh3::xxh3_64;

/// A rollout, checked.
#[derive(Clone, Debug)]
pub struct RolloutSpec {
    /// The plan that the machine follows.
    pub plan: Plan,
    /// The two Services that its versions run in.
    pub slots: Slots,
    /// By what users are kept on one version, in order of preference.
    pub sticky: Vec<StickyKey>,
    /// The rules that come before the weight.
    pub rules: Vec<SplitRule>,
    /// The guard's parameters. They also pace evidence steps where the guard itself is off.
    pub guard: Config,
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

const EVIDENCE_MAX_DURATION: Duration = Duration::from_secs(15 * 60);

impl RolloutSpec {
    /// Reads `rollout`; adds what cannot be acted on to `faults`, and gives nothing when there is something.
    pub(super) fn read(rollout: &Rollout, faults: &mut Vec<Fault>) -> Option<Self> {
        let before = faults.len();
        let canary = rollout
            .spec
            .strategy
            .as_ref()
            .and_then(|strategy| strategy.canary.as_ref());
        let Some(canary) = canary else {
            faults.push((
                path("spec.strategy"),
                "needs canary, the one strategy that acts here".to_owned(),
            ));
            return None;
        };
        let namespace = rollout.metadata.namespace();
        let options = options(canary, faults);
        let guard = guard(&options.guard, faults)?;
        let slots = slots(canary, namespace, faults)?;
        let plan = Plan {
            rollout: RolloutId::new(
                namespace,
                rollout.metadata.name.as_deref().unwrap_or_default(),
            ),
            revision: revision(rollout),
            steps: steps(canary, &guard, faults)?,
            paused: rollout.spec.paused.unwrap_or_default(),
            guard: !matches!(options.guard, Switch::Off),
        };
        let spec = Self {
            plan,
            slots,
            sticky: sticky(&options, faults),
            rules: rules(&options, faults),
            guard,
        };
        (faults.len() == before).then_some(spec)
    }
}

fn options_path() -> FieldPath {
    path("spec.strategy.canary.trafficRouting.plugins").key(sluice::PROXY)
}

/// Sluice's own options. They were checked with the document, so what cannot be read here has been told already.
fn options(canary: &Canary, faults: &mut Vec<Fault>) -> ProxyOptions {
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

fn sticky(options: &ProxyOptions, faults: &mut Vec<Fault>) -> Vec<StickyKey> {
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

fn rules(options: &ProxyOptions, faults: &mut Vec<Fault>) -> Vec<SplitRule> {
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

fn guard(written: &Guard, faults: &mut Vec<Fault>) -> Option<Config> {
    let mut parameters = Parameters::default();
    if let Switch::On(options) = written {
        let sluice::GuardOptions {
            alpha,
            beta,
            relative_margin,
            absolute_margin,
            harm_budget,
            harm_slack,
            horizon,
            min_canary_failures,
            baseline_unhealthy_above,
            latency,
            warm_up,
            burst_window,
            fast_path,
            dwell,
            stable_half_life,
        } = options.clone();
        set(&mut parameters.alpha, alpha);
        set(&mut parameters.beta, beta);
        set(&mut parameters.relative_margin, relative_margin);
        set(&mut parameters.absolute_margin, absolute_margin);
        set(&mut parameters.harm_budget, harm_budget);
        set(&mut parameters.harm_slack, harm_slack);
        set(&mut parameters.horizon, horizon.map(Duration::from));
        set(
            &mut parameters.min_canary_failures,
            min_canary_failures.map(u64::from),
        );
        set(
            &mut parameters.baseline_unhealthy_above,
            baseline_unhealthy_above,
        );
        set(&mut parameters.warm_up, warm_up.map(Duration::from));
        set(
            &mut parameters.burst_window,
            burst_window.map(Duration::from),
        );
        set(&mut parameters.fast_path, fast_path);
        set(&mut parameters.dwell, dwell.map(Duration::from));
        set(
            &mut parameters.stable_half_life,
            stable_half_life.map(Duration::from),
        );
        if let Some(written) = latency {
            parameters.latency = latency_of(written, parameters.latency.take());
        }
    }
    match Config::new(parameters) {
        Ok(config) => Some(config),
        Err(refused) => {
            faults.push((options_path().key("guard"), refused.to_string()));
            None
        }
    }
}

fn set<T>(parameter: &mut T, written: Option<T>) {
    if let Some(written) = written {
        *parameter = written;
    }
}

fn latency_of(
    written: Switch<LatencyOptions>,
    default: Option<LatencyConfig>,
) -> Option<LatencyConfig> {
    let Switch::On(options) = written else {
        return None;
    };
    let mut latency = default?;
    set(&mut latency.increase, options.increase);
    set(
        &mut latency.negligible,
        options.negligible.map(Duration::from),
    );
    set(&mut latency.quantiles, options.quantiles);
    Some(latency)
}

fn steps(canary: &Canary, guard: &Config, faults: &mut Vec<Fault>) -> Option<Steps> {
    let mut steps = Vec::new();
    for (i, written) in canary.steps.iter().enumerate() {
        let at = path("spec.strategy.canary.steps").index(i);
        match written.action() {
            Ok(action) => steps.extend(step(&action, &at, guard, faults)),
            Err(error) => faults.push((at, error.to_string())),
        }
    }
    let hash = format!(
        "{:016x}",
        xxh3_64(&serde_json::to_vec(&canary.steps).unwrap_or_default())
    );
    if steps.len() < canary.steps.len() {
        return None;
    }
    Steps::new(steps, hash)
        .map_err(|wrong| {
            let at = |fault: &rollout::plan::Fault| {
                path("spec.strategy.canary.steps")
                    .index(fault.step)
                    .key(fault.field)
            };
            let told = |fault: rollout::plan::Fault| {
                (
                    at(&fault),
                    format!("found {}, allowed {}", fault.found, fault.allowed),
                )
            };
            faults.extend(wrong.into_iter().map(told));
        })
        .ok()
}

fn step(
    action: &StepAction<'_>,
    at: &FieldPath,
    guard: &Config,
    faults: &mut Vec<Fault>,
) -> Option<Step> {
    match action {
        StepAction::SetWeight(percent) => {
            let weight = u8::try_from(*percent).ok().and_then(Weight::from_percent);
            if weight.is_none() {
                faults.push((
                    at.key("setWeight"),
                    format!("found {percent}, allowed 0 to 100"),
                ));
            }
            weight.map(Step::SetWeight)
        }
        StepAction::Pause(pause) => match pause.duration() {
            Ok(duration) => Some(Step::Pause(duration)),
            Err(error) => {
                faults.push((at.key("pause").key("duration"), error.to_string()));
                None
            }
        },
        StepAction::SetHeaderRoute(route) => {
            header_route(route, at, faults).map(Step::SetHeaderRoute)
        }
        StepAction::Plugin(plugin) if plugin.name == sluice::EVIDENCE => {
            let config = plugin.config.as_ref();
            evidence(config, &at.key("plugin").key("config"), guard, faults).map(Step::Evidence)
        }
        StepAction::SetCanaryScale(_) => Some(Step::NoEffect {
            name: action.name().to_owned(),
        }),
        StepAction::Experiment(_)
        | StepAction::Analysis(_)
        | StepAction::SetMirrorRoute(_)
        | StepAction::Plugin(_) => {
            let why = format!(
                "{} does not act yet; a rollout that counts on it is not begun",
                action.name()
            );
            faults.push((at.key(action.name()), why));
            None
        }
    }
}

fn header_route(
    written: &SetHeaderRoute,
    at: &FieldPath,
    faults: &mut Vec<Fault>,
) -> Option<HeaderRoute> {
    let at = at.key("setHeaderRoute");
    let before = faults.len();
    let mut matches = Vec::new();
    for (i, written) in written.matches.iter().enumerate() {
        let value = written.header_value.as_ref();
        let value = value.map(|value| {
            (
                value.exact.as_deref(),
                value.prefix.as_deref(),
                value.regex.as_deref(),
            )
        });
        let value = match value {
            Some((Some(exact), None, None)) => HeaderValue::Exact(exact.to_owned()),
            Some((None, Some(prefix), None)) => HeaderValue::Prefix(prefix.to_owned()),
            Some((None, None, Some(regex))) => HeaderValue::Regex(regex.to_owned()),
            _ => {
                let needs = "needs exactly one of exact, prefix, regex";
                faults.push((
                    at.key("match").index(i).key("headerValue"),
                    needs.to_owned(),
                ));
                continue;
            }
        };
        matches.push(HeaderMatch {
            name: written.header_name.clone(),
            value,
        });
    }
    let route = HeaderRoute {
        name: written.name.clone().unwrap_or_default(),
        matches,
    };
    // Compiled again for each table; here to find now what could not be compiled then.
    conditions::of_header_route(&route, &at.key("match"), faults);
    (faults.len() == before).then_some(route)
}

fn evidence(
    config: Option<&serde_json::Value>,
    at: &FieldPath,
    guard: &Config,
    faults: &mut Vec<Fault>,
) -> Option<EvidenceStep> {
    let written = match config {
        None => Evidence::default(),
        Some(config) => {
            let read = crds::read::<Evidence>(config);
            faults.extend(
                read.faults
                    .into_iter()
                    .map(|fault| (at.join(&fault.path), fault.message)),
            );
            read.value?
        }
    };
    let Evidence {
        harm_budget,
        confidence,
        min_duration,
        max_duration,
        on_inconclusive,
    } = written;
    let defaults = guard.parameters();
    Some(EvidenceStep {
        harm_budget: harm_budget.unwrap_or(defaults.harm_budget),
        beta: confidence.unwrap_or(defaults.beta),
        min_duration: min_duration.map(Duration::from).unwrap_or_default(),
        max_duration: max_duration.map_or(EVIDENCE_MAX_DURATION, Duration::from),
        on_inconclusive: match on_inconclusive.unwrap_or_default() {
            sluice::OnInconclusive::Hold => OnInconclusive::Hold,
            sluice::OnInconclusive::Promote => OnInconclusive::Promote,
            sluice::OnInconclusive::Abort => OnInconclusive::Abort,
        },
    })
}
