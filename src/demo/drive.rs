//! The story's progress: ships one version after the other and tells how each rollout ended.
//!
//! Pure: it sees views of the rollout and the time, and says what is to be done.

use jiff::{SignedDuration, Timestamp};
use rollout::analysis::Judgement;

use super::scenario::{Ending, Scenario};
use crate::api::RolloutView;

/// Long enough for the guard to know stable a little, as it would of any service that runs.
const BASELINE: SignedDuration = SignedDuration::from_secs(4);
/// Long enough for a person to see how a rollout ended.
const BETWEEN: SignedDuration = SignedDuration::from_secs(3);

/// A canary that the guard has not let go on for so long is held, as far as the story goes.
const HOLD: SignedDuration = SignedDuration::from_secs(15);

/// Where the story is.
#[derive(Clone, Debug)]
pub(crate) struct Drive {
    scenario: Scenario,
    stage: Stage,
    endings: Vec<Ended>,
}

#[derive(Clone, Debug, PartialEq)]
enum Stage {
    /// The process has not begun to serve.
    Starting,
    /// Traffic flows, and the next version goes out at that time.
    Waiting { until: Timestamp },
    /// The file is changed; the rollout has not begun. What was seen before does not count.
    Shipped { at: Timestamp, known: Vec<String> },
    /// A rollout of that revision is under way.
    Judging { at: Timestamp, revision: String },
    /// All rollouts have ended, and a person looks at the last.
    Lingering { until: Timestamp },
    /// Nothing is left to do.
    Over,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// The version of that number goes out, in the slot of the Service that is not `stable`'s.
    Ship {
        /// Its number among the releases.
        release: usize,
        /// The Service that holds stable.
        stable: String,
    },
    /// The rollout of that number has ended.
    Tell {
        /// Its number among the releases.
        release: usize,
    },
    /// The story is over.
    Finish,
}

/// How one rollout ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ended {
    /// How.
    pub(crate) ending: Ending,
    /// When its version went out.
    pub(crate) shipped: Timestamp,
    /// When it ended.
    pub(crate) at: Timestamp,
    /// The reason that was given.
    pub(crate) why: String,
    /// From the decision until every worker served it, in milliseconds, when that is known.
    pub(crate) served_after_ms: Option<f64>,
    /// Requests that failed on this version, as the process counted them.
    pub(crate) failed_requests: u64,
}

impl Drive {
    /// The beginning of `scenario`.
    pub(crate) fn new(scenario: Scenario) -> Self {
        Self {
            scenario,
            stage: Stage::Starting,
            endings: Vec::new(),
        }
    }

    /// How the rollouts so far ended, in the order of the releases.
    pub(crate) fn endings(&self) -> &[Ended] {
        &self.endings
    }

    /// Looks at the rollout as it is `now`, and says what is to be done.
    pub(crate) fn see(&mut self, view: &RolloutView, now: Timestamp) -> Option<Act> {
        match &self.stage {
            Stage::Starting => {
                if view.phase == "Healthy" {
                    self.stage = Stage::Waiting {
                        until: now + BASELINE,
                    };
                }
                None
            }
            Stage::Waiting { until } if now >= *until => {
                self.stage = Stage::Shipped {
                    at: now,
                    known: revisions(view),
                };
                let stable = view.stable.service.clone();
                Some(Act::Ship {
                    release: self.endings.len(),
                    stable,
                })
            }
            Stage::Shipped { at, known } => {
                if let Some(revision) = revisions(view).into_iter().find(|one| !known.contains(one))
                {
                    self.stage = Stage::Judging { at: *at, revision };
                    return self.see(view, now);
                }
                None
            }
            Stage::Judging { at, revision } => {
                let ended = ended(view, revision, *at)?;
                self.endings.push(ended);
                let is_last = self.endings.len() == self.scenario.releases.len();
                self.stage = match is_last {
                    true => Stage::Lingering {
                        until: now + BETWEEN,
                    },
                    false => Stage::Waiting {
                        until: now + BETWEEN,
                    },
                };
                Some(Act::Tell {
                    release: self.endings.len() - 1,
                })
            }
            Stage::Lingering { until } if now >= *until => {
                self.stage = Stage::Over;
                Some(Act::Finish)
            }
            Stage::Waiting { .. } | Stage::Lingering { .. } => {
                self.learn_when_served(view);
                None
            }
            Stage::Over => None,
        }
    }

    /// How long the swap took may become known a moment after the decision.
    fn learn_when_served(&mut self, view: &RolloutView) {
        let Some(last) = self.endings.last_mut() else {
            return;
        };
        let decision = view
            .decisions
            .iter()
            .rfind(|decision| decision.at == last.at);
        if let Some(decision) = decision {
            last.served_after_ms = decision.served_after_ms;
            last.failed_requests = decision.failed_requests;
        }
    }
}

/// Every revision that `view` mentions.
fn revisions(view: &RolloutView) -> Vec<String> {
    let versions = [Some(&view.stable), view.canary.as_ref()];
    let mut revisions: Vec<String> = versions
        .into_iter()
        .flatten()
        .map(|version| version.revision.clone())
        .collect();
    revisions.extend(
        view.decisions
            .iter()
            .map(|decision| decision.revision.clone()),
    );
    revisions
}

/// How the rollout of `revision`, which went out at `shipped`, ended; nothing while it has not.
fn ended(view: &RolloutView, revision: &str, shipped: Timestamp) -> Option<Ended> {
    let decision = view
        .decisions
        .iter()
        .rfind(|decision| decision.revision == revision && decision.at >= shipped);
    let end = decision.and_then(|decision| {
        let ending = match decision.decision.as_str() {
            "promoted" => Ending::Promoted,
            "rolled-back" => Ending::RolledBack,
            "aborted" => Ending::Aborted,
            _ => return None,
        };
        Some(Ended {
            ending,
            shipped,
            at: decision.at,
            why: decision.why.clone(),
            served_after_ms: decision.served_after_ms,
            failed_requests: decision.failed_requests,
        })
    });
    let held = || {
        let canary = view.canary.as_ref()?;
        let holds = matches!(
            view.evidence.as_ref()?.judgement,
            Judgement::Hold { .. }
                | Judgement::Unattributed { .. }
                | Judgement::ClientErrors { .. }
                | Judgement::TooLittle(_)
        );
        let why = match view.phase.as_str() {
            "Paused" => &view.message,
            _ if holds && view.at.duration_since(shipped) >= HOLD => &view.waits_for,
            _ => return None,
        };
        Some(Ended {
            ending: Ending::Held,
            shipped,
            at: view.at,
            why: why.clone(),
            served_after_ms: None,
            failed_requests: canary.failures,
        })
    };
    end.or_else(held)
}

#[cfg(test)]
mod tests;
