//! A plan of fixed pauses as one that goes on as soon as the evidence is there.

use super::steps::evidence_step;
use crds::{
    GoDuration,
    sluice::{Evidence, OnInconclusive, Pace},
};
use rollout::{analysis::Config, plan::Step};
use std::time::Duration;
use traffic::Weight;

/// The steps in the place of `steps`: each timed pause that the canary spends with a part of the traffic becomes an
/// evidence step, which lasts at most as long as the pause. All others stay as they are: a pause until somebody resumes
/// is meant for a person, and where one side has no traffic nothing can be compared.
pub(super) fn paced(steps: Vec<Step>, pace: &Pace, guard: &Config) -> Vec<Step> {
    let mut weight = Weight::ZERO;
    let pace_one = |step| match step {
        Step::SetWeight(next) => {
            weight = next;
            step
        }
        Step::Pause(Some(pause)) if is_split(weight) && !pause.is_zero() => {
            Step::Evidence(evidence_step(&evidence(pace, pause), guard))
        }
        Step::Pause(_)
        | Step::SetHeaderRoute(_)
        | Step::SetMirrorRoute(_)
        | Step::Evidence(_)
        | Step::NoEffect { .. } => step,
    };
    steps.into_iter().map(pace_one).collect()
}

/// Whether both versions have traffic.
fn is_split(weight: Weight) -> bool {
    weight > Weight::ZERO && weight < Weight::FULL
}

/// What `pause` becomes.
fn evidence(Pace(options): &Pace, pause: Duration) -> Evidence {
    Evidence {
        harm_budget: options.harm_budget,
        confidence: options.confidence,
        min_duration: options
            .min_duration
            .map(|least| GoDuration(least.0.min(pause))),
        max_duration: Some(GoDuration(pause)),
        on_inconclusive: Some(options.on_inconclusive.unwrap_or(OnInconclusive::Promote)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crds::sluice::PaceOptions;
    use rollout::plan::{self, EvidenceStep};

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn weight(percent: u8) -> Step {
        Step::SetWeight(Weight::from_percent(percent).unwrap())
    }

    fn pause(time: u64) -> Step {
        Step::Pause(Some(seconds(time)))
    }

    fn check(options: PaceOptions, steps: &[Step], expected: &[Step]) {
        let found = paced(steps.to_vec(), &Pace(options), &Config::default());
        assert_eq!(found, expected);
    }

    #[test]
    fn timed_pauses_of_a_split_become_evidence_steps_and_no_others() {
        let until_resumed = Step::Pause(None);
        let before = [
            pause(60),
            weight(10),
            pause(60),
            pause(0),
            until_resumed.clone(),
            weight(50),
            pause(3),
            weight(100),
            pause(60),
            weight(0),
            pause(60),
        ];
        let evidence = |max| EvidenceStep {
            harm_budget: 0.005,
            beta: 0.05,
            min_duration: Duration::ZERO,
            max_duration: seconds(max),
            on_inconclusive: plan::OnInconclusive::Promote,
        };
        let mut after = before.clone();
        after[2] = Step::Evidence(evidence(60));
        after[6] = Step::Evidence(evidence(3));
        check(PaceOptions::default(), &before, &after);
        let options = PaceOptions {
            harm_budget: Some(0.01),
            confidence: Some(0.1),
            min_duration: Some(GoDuration(seconds(30))),
            on_inconclusive: Some(OnInconclusive::Hold),
        };
        let evidence = |min, max| EvidenceStep {
            harm_budget: 0.01,
            beta: 0.1,
            min_duration: seconds(min),
            max_duration: seconds(max),
            on_inconclusive: plan::OnInconclusive::Hold,
        };
        after[2] = Step::Evidence(evidence(30, 60));
        after[6] = Step::Evidence(evidence(3, 3));
        check(options, &before, &after);
    }
}
