//! The steps of a canary as the machine takes them.

use super::{Fault, conditions, pace::paced, path};
use crds::{
    Canary, FieldPath, StringMatch,
    sluice::{self, Evidence, Pace},
    step::{self, SetHeaderRoute, SetMirrorRoute, StepAction},
};
use rollout::{
    analysis::Config,
    plan::{
        EvidenceStep, HeaderMatch, HeaderRoute, MirrorMatch, MirrorRoute, OnInconclusive, Step,
        Steps, TextMatch,
    },
};
use std::time::Duration;
use traffic::Weight;
use xxhash_rust::xxh3::xxh3_64;

/// How long an evidence step waits when the document does not say.
const EVIDENCE_MAX_DURATION: Duration = Duration::from_secs(15 * 60);

/// The steps of `canary`, paced as `pace` says; nothing, and why in `faults`, when one of them cannot be taken.
pub(super) fn steps(
    canary: &Canary,
    pace: Option<&Pace>,
    guard: &Config,
    faults: &mut Vec<Fault>,
) -> Option<Steps> {
    let mut steps = Vec::new();
    for (i, written) in canary.steps.iter().enumerate() {
        let at = path("spec.strategy.canary.steps").index(i);
        match written.action() {
            Ok(action) => steps.extend(step(&action, &at, guard, faults)),
            Err(error) => faults.push((at, error.to_string())),
        }
    }
    if steps.len() < canary.steps.len() {
        return None;
    }
    if let Some(pace) = pace {
        steps = paced(steps, pace, guard);
    }
    Steps::new(steps, hash(canary, pace))
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

/// What changes when the plan does: another pace is another plan.
fn hash(canary: &Canary, pace: Option<&Pace>) -> String {
    let mut written = serde_json::to_vec(&canary.steps).unwrap_or_default();
    if let Some(pace) = pace {
        written.extend(serde_json::to_vec(pace).unwrap_or_default());
    }
    format!("{:016x}", xxh3_64(&written))
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
        StepAction::SetMirrorRoute(route) => {
            mirror_route(route, at, faults).map(Step::SetMirrorRoute)
        }
        StepAction::Experiment(_) | StepAction::Analysis(_) | StepAction::Plugin(_) => {
            let why = format!(
                "{} does not act yet; a rollout that counts on it is not begun",
                action.name()
            );
            faults.push((at.key(action.name()), why));
            None
        }
    }
}

/// The route that the step at `at` sets; nothing, and why in `faults`, when there cannot be such.
pub(crate) fn header_route(
    written: &SetHeaderRoute,
    at: &FieldPath,
    faults: &mut Vec<Fault>,
) -> Option<HeaderRoute> {
    let at = at.key("setHeaderRoute").key("match");
    let before = faults.len();
    let mut matches = Vec::new();
    for (i, written) in written.matches.iter().enumerate() {
        let at = at.index(i).key("headerValue");
        if let Some(value) = text(written.header_value.as_ref(), &at, faults) {
            let name = written.header_name.clone();
            matches.push(HeaderMatch { name, value });
        }
    }
    let route = HeaderRoute {
        name: written.name.clone().unwrap_or_default(),
        matches,
    };
    // Compiled again for each table; here to find now what could not be compiled then.
    conditions::of_header_route(&route, &at, faults);
    (faults.len() == before).then_some(route)
}

/// As [`header_route`], by which requests are copied.
pub(crate) fn mirror_route(
    written: &SetMirrorRoute,
    at: &FieldPath,
    faults: &mut Vec<Fault>,
) -> Option<MirrorRoute> {
    let at = at.key("setMirrorRoute");
    let before = faults.len();
    let percent = written.percentage.unwrap_or(100);
    let share = u8::try_from(percent).ok().and_then(Weight::from_percent);
    if share.is_none() {
        let wrong = format!("found {percent}, allowed 0 to 100");
        faults.push((at.key("percentage"), wrong));
    }
    let at = at.key("match");
    let matches = written.matches.iter().enumerate();
    let matches = matches.map(|(i, written)| mirror_match(written, &at.index(i), faults));
    let route = MirrorRoute {
        name: written.name.clone(),
        matches: matches.collect(),
        share: share.unwrap_or_default(),
    };
    // As above.
    conditions::of_mirror_route(&route, &at, faults);
    (faults.len() == before).then_some(route)
}

fn mirror_match(
    written: &step::MirrorMatch,
    at: &FieldPath,
    faults: &mut Vec<Fault>,
) -> MirrorMatch {
    let mut of = |field, written: &Option<StringMatch>| {
        let written = written.as_ref()?;
        text(Some(written), &at.key(field), faults)
    };
    let (method, path) = (of("method", &written.method), of("path", &written.path));
    let at = at.key("headers");
    let header = |(name, value): (&String, &StringMatch)| {
        let value = text(Some(value), &at.key(name), faults)?;
        let name = name.clone();
        Some(HeaderMatch { name, value })
    };
    MirrorMatch {
        method,
        path,
        headers: written.headers.iter().filter_map(header).collect(),
    }
}

/// The condition that is `written` at `at`; nothing, and why in `faults`, where that is not exactly one.
fn text(
    written: Option<&StringMatch>,
    at: &FieldPath,
    faults: &mut Vec<Fault>,
) -> Option<TextMatch> {
    let absent = StringMatch::default();
    let StringMatch {
        exact,
        prefix,
        regex,
    } = written.unwrap_or(&absent);
    match (exact.clone(), prefix.clone(), regex.clone()) {
        (Some(exact), None, None) => Some(TextMatch::Exact(exact)),
        (None, Some(prefix), None) => Some(TextMatch::Prefix(prefix)),
        (None, None, Some(regex)) => Some(TextMatch::Regex(regex)),
        _ => {
            let needs = "needs exactly one of exact, prefix, regex";
            faults.push((at.clone(), needs.to_owned()));
            None
        }
    }
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
    Some(evidence_step(&written, guard))
}

/// The step that `written` describes, with `guard`'s parameters where it says nothing.
pub(super) fn evidence_step(written: &Evidence, guard: &Config) -> EvidenceStep {
    let Evidence {
        harm_budget,
        confidence,
        min_duration,
        max_duration,
        on_inconclusive,
    } = *written;
    let defaults = guard.parameters();
    EvidenceStep {
        harm_budget: harm_budget.unwrap_or(defaults.harm_budget),
        beta: confidence.unwrap_or(defaults.beta),
        min_duration: min_duration.map(Duration::from).unwrap_or_default(),
        max_duration: max_duration.map_or(EVIDENCE_MAX_DURATION, Duration::from),
        on_inconclusive: match on_inconclusive.unwrap_or_default() {
            sluice::OnInconclusive::Hold => OnInconclusive::Hold,
            sluice::OnInconclusive::Promote => OnInconclusive::Promote,
            sluice::OnInconclusive::Abort => OnInconclusive::Abort,
        },
    }
}
