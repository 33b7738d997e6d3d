//! Where a rollout is. Everything that must outlive a restart is in here.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use traffic::Weight;

use crate::plan::{Place, Plan, Revision, Share, Terms};

/// Where a rollout is.
///
/// ```text
///          first revision              another revision              pauses
///   Empty ----------------> Healthy -------------------> Progressing <------> Paused
///                          | ^ ^ ^                         |  |   ^             |
///                          | | | |  has all the traffic,   |  |   |             |
///                     undo | | | |  and the watch is over  |  |   |             |
///                          | | | +-------------------------+  |   |             |
///                          | | |     the stable revision      |   | retry, or   |
///                          | | +------------- again ----------+---|-- another --+
///                          | |                                |   | revision    |
///                          | |       the stable revision      v   |             |
///                          | +------------- again ---------- Aborted <----------+
///                          +-----------------------------------^  verdict, abort, undo,
///                                                                 inconclusive, deadline
/// ```
///
/// The places of a canary, on its way through `Progressing`:
///
/// ```text
///   Start ---> Step(0) ---> ... ---> Step(n) ---> End ---> Watch ---> promoted
///   weight 0   what the steps ask            weight 100 %  the same, the old version warm
/// ```
///
/// Blue-green is the same way with no step but a pause without weight: the switch is the end. A verdict while the
/// canary is watched returns all traffic by the table that any abort makes, as stable is the old version until then.
///
/// `Healthy` and `Aborted` are final for their revision: no observation and no time leads out of them. A revision that
/// differs from both known ones starts a canary from every state, and one that equals stable ends it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "camelCase")]
pub enum State {
    /// No revision was seen yet.
    #[default]
    Empty,
    /// The stable revision serves all requests; there is no canary.
    Healthy(Healthy),
    /// A canary is under way.
    Progressing(Canary),
    /// A canary is under way and waits at its step.
    Paused {
        /// The canary.
        #[serde(flatten)]
        canary: Canary,
        /// What it waits for.
        pause: Pause,
    },
    /// The canary lost all its traffic, and gets none until somebody retries or the revision changes.
    Aborted(Aborted),
}

/// A rollout without a canary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Healthy {
    /// The revision that serves, and where.
    pub stable: Stable,
    /// Since when it is alone.
    pub since: Timestamp,
    /// How that came about.
    pub outcome: Outcome,
}

/// How a rollout became healthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// It was the first revision, which serves without steps.
    Deployed,
    /// Its canary went through the steps.
    Promoted,
    /// Its canary went past all steps: by a person's word, or within the rollback window.
    PromotedInFull,
    /// The stable revision was asked for again, so the canary ended.
    Returned,
}

/// A canary under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Canary {
    /// The revision that users had before, and where.
    pub stable: Stable,
    /// The revision under judgement. It is in the slot that stable is not in.
    pub revision: Revision,
    /// When this canary, or its retry, began.
    pub started_at: Timestamp,
    /// Where it is.
    pub place: Place,
    /// When it came there: the clock of pauses and evidence.
    pub entered_at: Timestamp,
    /// What it is to have there.
    pub share: Share,
    /// Whether it had endpoints when it was last observed. Without any it gets no traffic and does not move, and the
    /// clock of its step starts again when it has some.
    pub reachable: bool,
    /// The hash of the steps that `place` is a place of.
    pub steps_hash: String,
    /// Whether it goes past all steps, because a person says so or because it goes back to a revision of the rollback
    /// window. Then only the guard, a person and the deadline can still stop it.
    pub full: bool,
    /// Whether it makes no progress in the time that the plan gives it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub late: bool,
}

/// What a paused canary waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Pause {
    /// The step is a pause.
    Step,
    /// Somebody paused the rollout.
    Manual,
    /// The spec says `paused: true`.
    Spec,
    /// The step's evidence stayed away until its longest duration had passed; somebody must decide.
    Inconclusive,
}

/// A canary that was stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Aborted {
    /// The revision that serves, and where.
    pub stable: Stable,
    /// The revision that was stopped.
    pub canary: Revision,
    /// Why.
    pub cause: Cause,
    /// When.
    pub at: Timestamp,
    /// Where the canary was.
    pub place: Place,
    /// The weight that it had there.
    #[serde(with = "crate::basis_points")]
    pub weight: Weight,
}

/// Why a canary was stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Cause {
    /// The guard judged it bad.
    Verdict {
        /// The evidence in words.
        why: String,
    },
    /// The proxy took its traffic away by itself, before the guard judged it.
    Tripped {
        /// The evidence in words.
        why: String,
    },
    /// Somebody aborted it.
    Verb {
        /// Who.
        by: String,
    },
    /// Somebody asked for the version before.
    Undone {
        /// Who.
        by: String,
    },
    /// It made no progress in time, and the plan says to abort then.
    Deadline {
        /// What it waited for, in words.
        waited: String,
    },
    /// The evidence stayed away, and the step says to abort then.
    Inconclusive {
        /// The step's index, counted from 0.
        step: usize,
    },
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Verdict { why } => write!(f, "rolled back: {why}"),
            Self::Tripped { why } => write!(f, "rolled back by the proxy: {why}"),
            Self::Verb { by } => write!(f, "aborted by {by}"),
            Self::Undone { by } => write!(f, "undone by {by}"),
            Self::Deadline { waited } => write!(f, "no progress in time: {waited}"),
            Self::Inconclusive { step } => {
                write!(f, "evidence of steps[{step}] stayed inconclusive")
            }
        }
    }
}

/// The stable revision and the slot that it is in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stable {
    /// The revision.
    pub revision: Revision,
    /// Its slot.
    pub slot: Slot,
    /// The revisions that were stable before it was first, oldest first, [`Stable::REMEMBERED`] at most. None that
    /// was only ever a canary, and none that is newer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<Revision>,
}

impl Stable {
    /// How many earlier revisions are remembered: the API's default of `revisionHistoryLimit`.
    pub const REMEMBERED: usize = 10;

    /// `revision` as the stable one in the other slot. One that was stable before is older than this.
    pub(crate) fn replaced_by(self, revision: Revision) -> Self {
        let mut before = self.before;
        match before.iter().position(|known| *known == revision) {
            Some(known) => before.truncate(known),
            None => before.push(self.revision),
        }
        let surplus = before.len().saturating_sub(Self::REMEMBERED);
        before.drain(..surplus);
        Self {
            revision,
            slot: self.slot.other(),
            before,
        }
    }

    /// Whether `revision` is within the window of `terms`: stable before, with fewer revisions between than that.
    pub(crate) fn goes_back_to(&self, revision: &Revision, terms: &Terms) -> bool {
        let between = self.before.iter().rev().position(|known| known == revision);
        between.is_some_and(|between| between < terms.rollback_window)
    }
}

/// One of the two places that versions run in where they alternate: a promotion makes the canary's the stable one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Slot {
    /// The place that the first revision is in.
    First,
    /// The other.
    Second,
}

impl Slot {
    /// The other slot.
    pub const fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }
}

/// One attempt at a revision. What is measured and judged belongs to one trial, and says nothing about another.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Trial {
    /// The revision under judgement.
    pub revision: Revision,
    /// When the canary, or its retry, began.
    pub started_at: Timestamp,
}

impl State {
    /// The stable revision, unless none was seen yet.
    pub fn stable(&self) -> Option<&Stable> {
        match self {
            Self::Empty => None,
            Self::Healthy(healthy) => Some(&healthy.stable),
            Self::Progressing(canary) | Self::Paused { canary, .. } => Some(&canary.stable),
            Self::Aborted(aborted) => Some(&aborted.stable),
        }
    }

    /// The canary under way, if there is one.
    pub fn canary(&self) -> Option<&Canary> {
        match self {
            Self::Progressing(canary) | Self::Paused { canary, .. } => Some(canary),
            Self::Empty | Self::Healthy(_) | Self::Aborted(_) => None,
        }
    }

    /// The weight that the canary is to have by its place in the plan; 0 without a canary.
    pub fn canary_weight(&self) -> Weight {
        self.canary()
            .map_or(Weight::ZERO, |canary| canary.share.weight)
    }

    /// The trial under way, if there is one. A change of it is when judging begins anew or ends.
    pub fn trial(&self) -> Option<Trial> {
        self.canary().map(Canary::trial)
    }
}

impl Canary {
    /// A canary for the plan's revision beside `stable`, without traffic yet.
    pub(crate) fn begin(plan: &Plan, stable: Stable, now: Timestamp) -> Self {
        Self {
            full: stable.goes_back_to(&plan.revision, &plan.terms),
            late: false,
            stable,
            revision: plan.revision.clone(),
            started_at: now,
            place: Place::Start,
            entered_at: now,
            share: Share::default(),
            reachable: false,
            steps_hash: plan.steps.hash().to_owned(),
        }
    }

    /// The same canary at `place`, with what it is to have there.
    pub(crate) fn at(self, place: Place, plan: &Plan, now: Timestamp) -> Self {
        let share = if self.full && matches!(place, Place::End | Place::Watch) {
            Share::ALL
        } else {
            plan.steps.share(place)
        };
        Self {
            place,
            entered_at: now,
            share,
            ..self
        }
    }

    /// The same canary with the plan's steps and what they give it. When the steps changed, it starts again at the
    /// first, unless it has not begun or was promoted past them all. Its trial goes on: the version is the same.
    pub(crate) fn with_steps(self, plan: &Plan, now: Timestamp) -> Self {
        let (place, entered_at) = match self.place {
            Place::Step(_) | Place::End if self.steps_hash != plan.steps.hash() && !self.full => {
                (plan.steps.first(), now)
            }
            place => (place, self.entered_at),
        };
        let steps_hash = plan.steps.hash().to_owned();
        Self { steps_hash, ..self }.at(place, plan, entered_at)
    }

    /// The place after the present one.
    pub(crate) fn next(&self, plan: &Plan) -> Place {
        match self.place {
            Place::Start | Place::Step(_) if self.full => Place::End,
            place => plan.steps.after(place),
        }
    }

    /// The same canary as it is observed at `now`. The step's time starts again when endpoints come or go, and with a
    /// clock that ran backwards, which is less than waiting for it to catch up.
    pub(crate) fn observed(self, endpoints: usize, now: Timestamp) -> Self {
        let reachable = endpoints > 0;
        let again = self.entered_at > now || reachable != self.reachable;
        Self {
            entered_at: if again { now } else { self.entered_at },
            reachable,
            late: false,
            ..self
        }
    }

    pub(crate) fn promote(self, now: Timestamp) -> Healthy {
        Healthy {
            stable: self.stable.replaced_by(self.revision),
            since: now,
            outcome: if self.full {
                Outcome::PromotedInFull
            } else {
                Outcome::Promoted
            },
        }
    }

    pub(crate) fn abort(self, cause: Cause, now: Timestamp) -> Aborted {
        Aborted {
            stable: self.stable,
            canary: self.revision,
            cause,
            at: now,
            place: self.place,
            weight: self.share.weight,
        }
    }

    /// The trial that this canary is.
    pub fn trial(&self) -> Trial {
        Trial {
            revision: self.revision.clone(),
            started_at: self.started_at,
        }
    }
}

#[cfg(test)]
mod tests;
