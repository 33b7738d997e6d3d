//! What holds for a whole rollout beside its steps, and the steps of a blue-green one.

use super::{Fault, path};
use crds::{BlueGreen, RolloutSpec};
use rollout::plan::{Deadline, Step, Steps, Strategy, Terms};
use std::time::Duration;

/// `spec.progressDeadlineSeconds` when it is absent, as in the API.
const PROGRESS_DEADLINE: u64 = 600;
/// `blueGreen.scaleDownDelaySeconds` when it is absent, as in the API.
const BLUE_GREEN_WATCH: u64 = 30;

/// The terms of `spec`. Where no pods are run, nobody but the operator knows for how long the old version runs after
/// a canary's promotion, and a return to one that ended is worse than what the new one does. So it is only watched
/// when `scaleDownDelaySeconds` is written. Blue-green keeps both by its nature, and has the API's default.
pub(super) fn terms(spec: &RolloutSpec, faults: &mut Vec<Fault>) -> Terms {
    let mut seconds = |field: &str, written: Option<i32>| {
        let found = written?;
        let seconds = u64::try_from(found).ok();
        if seconds.is_none() {
            faults.push((path(field), format!("found {found}, allowed 0 and above")));
        }
        seconds
    };
    let canary = |strategy: &crds::Strategy| strategy.canary.as_ref()?.scale_down_delay_seconds;
    let blue_green = spec.strategy.as_ref().and_then(|s| s.blue_green.as_ref());
    let (strategy, watch) = match blue_green {
        Some(blue_green) => {
            let field = "spec.strategy.blueGreen.scaleDownDelaySeconds";
            let written = seconds(field, blue_green.scale_down_delay_seconds);
            (Strategy::BlueGreen, written.unwrap_or(BLUE_GREEN_WATCH))
        }
        None => {
            let field = "spec.strategy.canary.scaleDownDelaySeconds";
            let written = seconds(field, spec.strategy.as_ref().and_then(canary));
            (Strategy::Canary, written.unwrap_or_default())
        }
    };
    let window = spec.rollback_window.as_ref().and_then(|w| w.revisions);
    let rollback_window = seconds("spec.rollbackWindow.revisions", window).unwrap_or_default();
    let deadline = seconds(
        "spec.progressDeadlineSeconds",
        spec.progress_deadline_seconds,
    );
    Terms {
        strategy,
        watch: Duration::from_secs(watch),
        rollback_window: usize::try_from(rollback_window).unwrap_or(usize::MAX),
        deadline: Deadline {
            after: Some(Duration::from_secs(deadline.unwrap_or(PROGRESS_DEADLINE))),
            abort: spec.progress_deadline_abort.unwrap_or_default(),
        },
    }
}

/// The steps of a blue-green rollout: a pause without traffic, unless it is to be switched at once. What is no number
/// of seconds has been told.
pub(super) fn blue_green_steps(blue_green: &BlueGreen, faults: &mut Vec<Fault>) -> Option<Steps> {
    let seconds = blue_green.auto_promotion_seconds.unwrap_or_default();
    let Ok(seconds) = u64::try_from(seconds) else {
        let at = path("spec.strategy.blueGreen.autoPromotionSeconds");
        faults.push((at, format!("found {seconds}, allowed 0 and above")));
        return None;
    };
    let pause = match (blue_green.auto_promotion_enabled, seconds) {
        (Some(false), _) => Some(Step::Pause(None)),
        (_, 0) => None,
        (_, seconds) => Some(Step::Pause(Some(Duration::from_secs(seconds)))),
    };
    let hash = format!("{pause:?}");
    Steps::new(pause.into_iter().collect(), hash).ok()
}
