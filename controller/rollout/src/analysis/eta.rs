//! How long a step will take, told before and while it runs.

use super::{block::Margin, config::Parameters};
use std::time::Duration;
use traffic::Weight;

/// What the canary must be shown to stay under before it may go from its weight to `to`: a failure ratio of
/// `(1 + slack/w') p_s + budget/w'`, so that at the new weight `w'` at most `harm_budget` of all traffic fails because
/// of it.
///
/// ```
/// use rollout::analysis::eta::margin;
/// use traffic::Weight;
/// let margin = margin(Weight::from_percent(25).unwrap(), 0.005, 0.1);
/// assert!((margin.absolute - 0.02).abs() < 1e-12 && (margin.relative - 1.4).abs() < 1e-12);
/// ```
pub fn margin(to: Weight, harm_budget: f64, slack: f64) -> Margin {
    let share = to.fraction().max(1e-4);
    Margin {
        relative: 1.0 + slack / share,
        absolute: (harm_budget / share).min(0.5),
    }
}

/// About how long the step from weight `from` to `to` takes at `rps` requests a second, when the canary is as good as
/// the stable, whose failure ratio is `stable_ratio`. Nothing when no traffic would ever reach the canary.
///
/// A clean canary needs about `3.9 / margin` requests, one whose ratio is of the margin's size about
/// `2 * 5 p(1-p) / margin²`. Both numbers are measured: what a mixture over [`super::mixture::BELOW`] costs at beta 5 %.
///
/// ```
/// use rollout::analysis::{Parameters, eta::step};
/// use traffic::Weight;
/// let weight = |percent| Weight::from_percent(percent).unwrap();
/// // 3.9 / (0.005 / 0.25) = 195 canary requests, of which 100 arrive in a second.
/// let took = step(&Parameters::default(), weight(10), weight(25), 1_000.0, 0.0).unwrap();
/// assert_eq!(took.as_millis(), 5_000); // But the dwell time is 5 s.
/// let took = step(&Parameters::default(), weight(10), weight(25), 10.0, 0.0).unwrap();
/// assert_eq!(took.as_millis(), 195_000);
/// ```
pub fn step(
    parameters: &Parameters,
    from: Weight,
    to: Weight,
    rps: f64,
    stable_ratio: f64,
) -> Option<Duration> {
    let margin = margin(to, parameters.harm_budget, parameters.harm_slack);
    let room = (margin.at(stable_ratio) - stable_ratio).max(1e-9);
    let requests = (3.9 / room).max(10.0 * stable_ratio * (1.0 - stable_ratio) / (room * room));
    let took = Duration::try_from_secs_f64(requests / (rps * from.fraction())).ok()?;
    Some(took.max(parameters.dwell))
}

/// The seconds until one of several sums reaches `goal`, given each sum and what it gains in a second. Nothing when
/// none ever will.
pub(super) fn until(goal: f64, sums: impl Iterator<Item = (f64, f64)>) -> Option<f64> {
    sums.filter(|(_, gain)| *gain > 0.0)
        .map(|(sum, gain)| ((goal - sum) / gain).max(0.0))
        .min_by(f64::total_cmp)
        .filter(|seconds| seconds.is_finite())
}
