//! The deciding part of a rollout. It knows no I/O, no clock, no Kubernetes and no proxy: what is observed and the time
//! are parameters, and what is to be done is a value.
//!
//! A [`Plan`] says what is asked for, a [`State`] where the rollout is. [`step()`] takes both with an [`Observation`] to
//! a [`Transition`]: the next state, the [`Effects`] that the world is to show, when to ask again, and the [`Reason`].
//! [`apply`] is what people say to it. All that must outlive a restart is in the state.
//!
//! ```
//! use jiff::Timestamp;
//! use rollout::{Observation, Plan, Revision, State, Step, Steps, Terms, step};
//! use traffic::{RolloutId, Weight};
//!
//! let quarter = Weight::from_percent(25).unwrap();
//! let mut plan = Plan {
//!     rollout: RolloutId::new("default", "shop"),
//!     revision: Revision::new("v1"),
//!     steps: Steps::new(vec![Step::SetWeight(quarter), Step::Pause(None)], "steps-1").unwrap(),
//!     paused: false,
//!     guard: true,
//!     terms: Terms::default(),
//! };
//! let second = |n| Timestamp::from_second(n).unwrap();
//! let mut seen = Observation {
//!     serving: Some(Weight::ZERO),
//!     canary_endpoints: 1,
//!     stable_endpoints: 1,
//!     verdict: None,
//! };
//!
//! // The first revision serves at once; the next one begins as a canary without traffic.
//! let state = step(&plan, State::Empty, &seen, second(0)).state;
//! plan.revision = Revision::new("v2");
//! let begun = step(&plan, state, &seen, second(1));
//! assert_eq!(begun.effects.weight, Weight::ZERO);
//!
//! // The first step asks for a weight, and is passed when every proxy serves it.
//! let asked = step(&plan, begun.state, &seen, second(2));
//! assert_eq!(asked.effects.weight, quarter);
//! seen.serving = Some(quarter);
//! let paused = step(&plan, asked.state, &seen, second(3));
//! assert_eq!(paused.reason.to_string(), "paused by the step until promoted or resumed");
//! ```

pub mod analysis;
pub mod basis_points;
pub mod effect;
pub mod failure_rule;
pub mod observation;
pub mod plan;
pub mod pods;
pub mod reason;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
pub mod state;
pub mod step;
pub mod summary;
pub mod verb;

pub use effect::Effects;
pub use observation::{Acceptance, Judgement, Observation, Verdict};
pub use plan::{
    Deadline, EvidenceStep, Fault, HeaderMatch, HeaderRoute, MirrorMatch, MirrorRoute,
    OnInconclusive, Place, Plan, Revision, Share, Step, Steps, Strategy, Terms, TextMatch,
};
pub use reason::Reason;
pub use state::{Aborted, Canary, Cause, Healthy, Outcome, Pause, Slot, Stable, State, Trial};
pub use step::{EvidenceSays, Transition, step};
pub use summary::{AcceptanceTarget, Phase, Summary, acceptance_target};
pub use verb::{Refused, Verb, apply};
