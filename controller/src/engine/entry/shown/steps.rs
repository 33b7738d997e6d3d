//! The steps of a plan in few words, each evidence step ahead with how long it will take.

use super::seconds;
use crate::{
    spec::RolloutSpec,
    view::{StepProgress, StepView},
    window::Red,
};
use rollout::{
    Place, State, Step,
    analysis::{Parameters, eta},
};

/// The steps of `spec` as far as `state` is. `stable` and `canary` are the traffic of now, which forecasts go by.
pub(super) fn shown(
    state: &State,
    spec: &RolloutSpec,
    stable: &Red,
    canary: &Red,
) -> Vec<StepView> {
    let place = state.canary().map(|canary| canary.place);
    let view = |(index, step): (usize, &Step)| {
        let progress = progress(state, place, index);
        let forecast = || forecast(spec, index, step, stable, canary);
        let eta = (progress == StepProgress::Ahead).then(forecast).flatten();
        StepView {
            title: eta.map_or_else(
                || title(step),
                |eta| format!("{}, about {eta}", title(step)),
            ),
            progress,
        }
    };
    spec.plan.steps.iter().enumerate().map(view).collect()
}

fn progress(state: &State, place: Option<Place>, index: usize) -> StepProgress {
    match (state, place) {
        (State::Healthy(_), _) | (_, Some(Place::End | Place::Watch)) => StepProgress::Done,
        (_, Some(Place::Step(current))) if index < current => StepProgress::Done,
        (_, Some(Place::Step(current))) if index == current => StepProgress::Current,
        _ => StepProgress::Ahead,
    }
}

fn title(step: &Step) -> String {
    match step {
        Step::SetWeight(weight) => format!("weight {weight}"),
        Step::Pause(None) => "pause".to_owned(),
        Step::Pause(Some(time)) => format!("pause {}", seconds(time.as_secs_f64())),
        Step::SetHeaderRoute(route) => format!("header route {}", route.name),
        Step::SetMirrorRoute(route) => format!("mirror route {}", route.name),
        Step::Evidence(_) => "evidence".to_owned(),
        Step::NoEffect { name } => format!("{name} (no effect)"),
    }
}

/// How long the evidence step at `index` will take at the traffic of now, when the canary is as good as the stable.
fn forecast(
    spec: &RolloutSpec,
    index: usize,
    step: &Step,
    stable: &Red,
    canary: &Red,
) -> Option<String> {
    let Step::Evidence(evidence) = step else {
        return None;
    };
    let steps = &spec.plan.steps;
    let parameters = Parameters {
        harm_budget: evidence.harm_budget,
        ..spec.guard.parameters().clone()
    };
    let from = steps.share(Place::Step(index)).weight;
    let rps = stable.rps + canary.rps;
    let took = eta::step(
        &parameters,
        from,
        steps.next_weight(index),
        rps,
        stable.failure_ratio.unwrap_or_default(),
    )?;
    Some(seconds(took.max(evidence.min_duration).as_secs_f64()))
}
