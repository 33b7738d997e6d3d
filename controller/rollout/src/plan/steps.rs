//! The steps of a canary, checked.

use std::{fmt, time::Duration};

use jiff::SignedDuration;
use traffic::Weight;

use super::{EvidenceStep, HeaderRoute, MirrorRoute, Place, Share};

/// One step of a canary.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Give the canary this weight. Reached when every live proxy serves it.
    SetWeight(Weight),
    /// Wait: so long, counted from entering the step, or until somebody goes on.
    Pause(Option<Duration>),
    /// Send requests with certain headers to the canary. Passes at once.
    SetHeaderRoute(HeaderRoute),
    /// Send copies of certain requests to the canary. Passes at once.
    SetMirrorRoute(MirrorRoute),
    /// Wait for evidence that the next weight does little harm.
    Evidence(EvidenceStep),
    /// A step that changes nothing where this rollout runs, such as `setCanaryScale` where no pods are run. Passes
    /// at once.
    NoEffect {
        /// The step's key in the spec.
        name: String,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetWeight(weight) => write!(f, "set weight {weight}"),
            Self::Pause(None) => write!(f, "pause until resumed"),
            Self::Pause(Some(time)) => write!(f, "pause {}", Seconds(*time)),
            Self::SetHeaderRoute(route) if route.matches.is_empty() => {
                write!(f, "remove header route {route}")
            }
            Self::SetHeaderRoute(route) => write!(f, "set header route {route}"),
            Self::SetMirrorRoute(route) if route.matches.is_empty() => {
                write!(f, "remove mirror route {route}")
            }
            Self::SetMirrorRoute(route) => write!(f, "set mirror route {route}"),
            Self::Evidence(evidence) => write!(
                f,
                "evidence for a harm budget of {}%, {} at most",
                evidence.harm_budget * 100.0,
                Seconds(evidence.max_duration)
            ),
            Self::NoEffect { name } => write!(f, "{name} (no effect here)"),
        }
    }
}

/// A duration for people: `1h 30m`, `500ms`.
pub(super) struct Seconds(pub(super) Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let duration = SignedDuration::try_from(self.0).unwrap_or(SignedDuration::MAX);
        write!(f, "{duration:#}")
    }
}

/// The steps of a canary, which can be done in this order.
#[derive(Clone, Debug, PartialEq)]
pub struct Steps {
    steps: Vec<Step>,
    hash: String,
}

/// What is wrong with a step.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("steps[{step}].{field}: found {found}, allowed {allowed}")]
pub struct Fault {
    /// The step's index, counted from 0.
    pub step: usize,
    /// The field, as the spec spells it.
    pub field: &'static str,
    /// What it holds.
    pub found: String,
    /// What it may hold.
    pub allowed: String,
}

impl Steps {
    /// The steps `steps`. `hash` stands for them: when it changes under way, the canary starts again at the first.
    ///
    /// # Errors
    /// Every value out of its range, and every evidence step that no request could ever satisfy because the canary
    /// has no traffic there.
    pub fn new(steps: Vec<Step>, hash: impl Into<String>) -> Result<Self, Vec<Fault>> {
        let steps = Self {
            steps,
            hash: hash.into(),
        };
        let faults: Vec<_> = (0..steps.len()).flat_map(|n| steps.faults(n)).collect();
        if faults.is_empty() {
            Ok(steps)
        } else {
            Err(faults)
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether there are none. A canary then gets all traffic at once.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The step with this index, counted from 0.
    pub fn get(&self, index: usize) -> Option<&Step> {
        self.steps.get(index)
    }

    /// The steps in their order.
    pub fn iter(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter()
    }

    /// The hash that stands for the steps.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The place of the first step, or the end when there is none.
    pub(crate) fn first(&self) -> Place {
        self.place(0)
    }

    /// The place after `place`.
    pub(crate) fn after(&self, place: Place) -> Place {
        match place {
            Place::Start => self.first(),
            Place::Step(index) => self.place(index.saturating_add(1)),
            Place::End | Place::Watch => Place::Watch,
        }
    }

    fn place(&self, index: usize) -> Place {
        if index < self.len() {
            Place::Step(index)
        } else {
            Place::End
        }
    }

    /// What the canary is to have at `place`: what the steps up to and with it have set.
    pub fn share(&self, place: Place) -> Share {
        let index = match place {
            Place::Start => return Share::default(),
            Place::Step(index) => index,
            Place::End | Place::Watch => self.len(),
        };
        let mut share = Share::default();
        for step in self.steps.iter().take(index.saturating_add(1)) {
            match step {
                Step::SetWeight(weight) => share.weight = *weight,
                // One name is one route, of whichever kind.
                Step::SetHeaderRoute(route) => {
                    set_route(&mut share.header_routes, route);
                    share.mirror_routes.retain(|known| known.name != route.name);
                }
                Step::SetMirrorRoute(route) => {
                    set_route(&mut share.mirror_routes, route);
                    share.header_routes.retain(|known| known.name != route.name);
                }
                Step::Pause(_) | Step::Evidence(_) | Step::NoEffect { .. } => {}
            }
        }
        if matches!(place, Place::End | Place::Watch) {
            share.weight = Weight::FULL;
        }
        share
    }

    /// The weight that comes after the step `index`: of the next `setWeight` that gives the canary no less than it
    /// has, or all traffic when there is none.
    pub fn next_weight(&self, index: usize) -> Weight {
        let present = self.share(Place::Step(index)).weight;
        self.steps
            .iter()
            .skip(index.saturating_add(1))
            .find_map(|step| match step {
                Step::SetWeight(weight) if *weight != Weight::ZERO => Some(present.max(*weight)),
                Step::SetWeight(_)
                | Step::Pause(_)
                | Step::SetHeaderRoute(_)
                | Step::SetMirrorRoute(_)
                | Step::Evidence(_)
                | Step::NoEffect { .. } => None,
            })
            .unwrap_or(Weight::FULL)
    }

    fn faults(&self, index: usize) -> Vec<Fault> {
        match self.get(index) {
            Some(Step::SetHeaderRoute(route)) => route.faults(index),
            Some(Step::SetMirrorRoute(route)) => route.faults(index),
            Some(Step::Evidence(evidence)) => {
                let mut faults = evidence.faults(index);
                if self.share(Place::Step(index)).is_none() {
                    faults.push(Fault {
                        step: index,
                        field: "plugin",
                        found: "an evidence step for a canary without traffic".to_owned(),
                        allowed: "after a setWeight above 0 or a setHeaderRoute".to_owned(),
                    });
                }
                faults
            }
            Some(Step::SetWeight(_) | Step::Pause(_) | Step::NoEffect { .. }) | None => Vec::new(),
        }
    }
}

/// A route that steps set by its name.
trait Named: Clone {
    fn name(&self) -> &str;

    /// Whether it removes the route of its name.
    fn ends(&self) -> bool;
}

impl Named for HeaderRoute {
    fn name(&self) -> &str {
        &self.name
    }

    fn ends(&self) -> bool {
        self.matches.is_empty()
    }
}

impl Named for MirrorRoute {
    fn name(&self) -> &str {
        &self.name
    }

    fn ends(&self) -> bool {
        self.matches.is_empty()
    }
}

/// Replaces the route of the same name where it stands; one without conditions goes.
fn set_route<R: Named>(routes: &mut Vec<R>, route: &R) {
    if route.ends() {
        routes.retain(|known| known.name() != route.name());
    } else if let Some(known) = routes.iter_mut().find(|known| known.name() == route.name()) {
        *known = route.clone();
    } else {
        routes.push(route.clone());
    }
}

#[cfg(test)]
mod tests;
