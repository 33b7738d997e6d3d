//! What people tell a rollout to do.

use std::fmt;

use jiff::Timestamp;
use traffic::Weight;

use crate::plan::{Place, Plan, Revision};
use crate::state::{Aborted, Canary, Cause, Healthy, Pause, State};

/// What a person, or another program, tells a rollout to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Go on with the next step: ends what the present one waits for, a pause, and the watch.
    Promote,
    /// Skip all remaining steps. Only the guard can still stop the canary.
    PromoteFull,
    /// Stay at the present step until resumed.
    Pause,
    /// End the pause. A pause by a person first, else the step's own; after inconclusive evidence the step is tried
    /// again with its full time.
    Resume,
    /// Take all traffic from the canary.
    Abort {
        /// Who says so.
        by: String,
    },
    /// Start an aborted canary again at the first step.
    Retry,
    /// Give all traffic back to an earlier version: to the one that is kept warm, or to one that somebody says runs.
    Undo {
        /// Who says so.
        by: String,
        /// The version. Without a canary it must be named: whoever names it says that it runs in the other slot.
        to: Option<Revision>,
    },
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Promote => "promote",
            Self::PromoteFull => "promote --full",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Abort { .. } => "abort",
            Self::Retry => "retry",
            Self::Undo { to: None, .. } => "undo",
            Self::Undo { to: Some(to), .. } => return write!(f, "undo --to-revision {to}"),
        })
    }
}

/// A verb that means nothing in the state that the rollout is in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot {verb}: {why}; {}", Allowed(.allowed))]
pub struct Refused {
    /// The verb.
    pub verb: Verb,
    /// The state that the rollout is in.
    pub why: String,
    /// The verbs that would change something.
    pub allowed: Vec<Verb>,
}

struct Allowed<'a>(&'a [Verb]);

impl fmt::Display for Allowed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("a new revision starts a canary");
        }
        f.write_str("allowed: ")?;
        for (n, verb) in self.0.iter().enumerate() {
            write!(f, "{}{verb}", if n == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// The state after `verb`. A verb that asks for what is already so changes nothing.
///
/// The effects are those of the next [`step`](crate::step()), which is to be called at once.
///
/// # Errors
/// When the verb means nothing in this state; nothing changes then.
pub fn apply(plan: &Plan, state: State, verb: Verb, now: Timestamp) -> Result<State, Refused> {
    let kept = state.clone();
    attempt(plan, state, &verb, now).map_err(|why| {
        let all = [
            Verb::Promote,
            Verb::PromoteFull,
            Verb::Pause,
            Verb::Resume,
            Verb::Abort { by: String::new() },
            Verb::Retry,
        ];
        let changes =
            |verb: &Verb| attempt(plan, kept.clone(), verb, now).is_ok_and(|after| after != kept);
        Refused {
            allowed: all.into_iter().filter(changes).collect(),
            verb,
            why,
        }
    })
}

fn attempt(plan: &Plan, state: State, verb: &Verb, now: Timestamp) -> Result<State, String> {
    match state {
        State::Empty => Err("no revision was seen yet".to_owned()),
        State::Healthy(healthy) => match verb {
            Verb::Undo { by, to } => undo(healthy, to.as_ref(), by, now).map(State::Aborted),
            _ => Err(format!(
                "revision {} is stable and there is no canary",
                healthy.stable.revision
            )),
        },
        State::Aborted(aborted) => match verb {
            Verb::Abort { .. } => Ok(State::Aborted(aborted)),
            Verb::Undo { to, .. } if is_of(to.as_ref(), &aborted.stable.revision) => {
                Ok(State::Aborted(aborted))
            }
            Verb::Retry if plan.revision == aborted.canary => {
                Ok(State::Progressing(Canary::begin(plan, aborted.stable, now)))
            }
            Verb::Undo { .. }
            | Verb::Retry
            | Verb::Promote
            | Verb::PromoteFull
            | Verb::Pause
            | Verb::Resume => Err(format!("revision {} is aborted", aborted.canary)),
        },
        State::Progressing(canary) => to_canary(plan, canary, None, verb, now),
        State::Paused { canary, pause } => to_canary(plan, canary, Some(pause), verb, now),
    }
}

fn to_canary(
    plan: &Plan,
    canary: Canary,
    pause: Option<Pause>,
    verb: &Verb,
    now: Timestamp,
) -> Result<State, String> {
    match verb {
        Verb::Abort { by } => Ok(State::Aborted(
            canary.abort(Cause::Verb { by: by.clone() }, now),
        )),
        Verb::Undo { by, to } => {
            let known = &canary.stable.revision;
            if is_of(to.as_ref(), known) {
                let cause = Cause::Undone { by: by.clone() };
                Ok(State::Aborted(canary.abort(cause, now)))
            } else {
                Err(format!("the version beside the canary is revision {known}"))
            }
        }
        Verb::Pause => Ok(State::Paused {
            canary,
            pause: Pause::Manual,
        }),
        Verb::Retry => Err(format!("revision {} is not aborted", canary.revision)),
        Verb::Promote | Verb::PromoteFull | Verb::Resume if plan.paused => {
            Err("the spec says paused: true, and goes before verbs".to_owned())
        }
        Verb::Promote | Verb::PromoteFull if canary.place == Place::Watch => {
            if canary.reachable {
                Ok(State::Healthy(canary.promote(now)))
            } else {
                Err(format!("revision {} has no endpoints", canary.revision))
            }
        }
        Verb::Promote => promote(plan, canary, now).map(State::Progressing),
        Verb::PromoteFull => Ok(State::Progressing(promote_full(plan, canary, now))),
        Verb::Resume => Ok(State::Progressing(match pause {
            Some(Pause::Step) => {
                let next = canary.next(plan);
                canary.at(next, plan, now)
            }
            Some(Pause::Inconclusive) => Canary {
                entered_at: now,
                ..canary
            },
            Some(Pause::Manual | Pause::Spec) | None => canary,
        })),
    }
}

fn promote(plan: &Plan, canary: Canary, now: Timestamp) -> Result<Canary, String> {
    match canary.place {
        Place::Start => Err(format!(
            "the first step of revision {} has not begun",
            canary.revision
        )),
        Place::Step(_) => {
            let next = canary.next(plan);
            Ok(canary.at(next, plan, now))
        }
        Place::End | Place::Watch => Ok(canary),
    }
}

/// A canary that has not begun is promoted when it does.
fn promote_full(plan: &Plan, canary: Canary, now: Timestamp) -> Canary {
    let full = Canary {
        full: true,
        ..canary
    };
    match full.place {
        Place::Start => full,
        Place::Step(_) | Place::End => full.at(Place::End, plan, now),
        Place::Watch => full,
    }
}

/// Whether `asked`, if one was asked for, is `revision`.
fn is_of(asked: Option<&Revision>, revision: &Revision) -> bool {
    asked.is_none_or(|asked| asked == revision)
}

/// Stops a version that is stable already. Nothing here knows whether an earlier one still runs, so it must be named.
fn undo(
    healthy: Healthy,
    to: Option<&Revision>,
    by: &str,
    now: Timestamp,
) -> Result<Aborted, String> {
    let stable = healthy.stable;
    let Some(to) = to.filter(|to| stable.before.contains(to)) else {
        return Err(match stable.before.last() {
            Some(last) => format!(
                "no earlier version is kept warm; see that it runs in the other Service, then name its revision \
                 (undo --to-revision {last}), or put its template back"
            ),
            None => format!(
                "revision {} is the first that is known here; put the template back that is wanted",
                stable.revision
            ),
        });
    };
    let undone = stable.revision.clone();
    Ok(Aborted {
        stable: stable.replaced_by(to.clone()),
        canary: undone,
        cause: Cause::Undone { by: by.to_owned() },
        at: now,
        place: Place::Watch,
        weight: Weight::FULL,
    })
}
