//! What a rollout with pauses that only people end must do: where each verb leads.

use crate::support::{process::Process, until};
use serde_json::Value;

pub(super) const STEPS: &str =
    "setWeight: 10\npause: {}\nsetWeight: 30\npause: {}\nsetWeight: 60\npause: {}";

const WEIGHTS: [f64; 3] = [10.0, 30.0, 60.0];

/// More of what leads to another place, so that the rounds get around.
pub(super) const VERBS: [&str; 9] = [
    "promote",
    "promote",
    "promote",
    "promote full",
    "pause",
    "pause",
    "resume",
    "abort",
    "retry",
];

/// Where the rollout is when nothing moves any more.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Place {
    Healthy,
    Aborted,
    /// At one of the pauses, and whether a person paused it besides.
    Paused {
        pause: usize,
        by_hand: bool,
    },
}

impl Place {
    pub(super) const fn at(pause: usize, by_hand: bool) -> Self {
        Self::Paused { pause, by_hand }
    }

    pub(super) fn is_by_hand(&self) -> bool {
        matches!(self, Self::Paused { by_hand: true, .. })
    }

    /// The canary's weight there, in per cent.
    pub(super) fn weight(&self) -> f64 {
        match self {
            Self::Healthy | Self::Aborted => 0.0,
            Self::Paused { pause, .. } => WEIGHTS[*pause],
        }
    }
}

/// Where the rollout is, with which revisions.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Standing {
    pub(super) place: Place,
    stable: String,
    service: String,
    /// The canary's revision; nothing when it is one that was not seen yet.
    canary: Option<String>,
    /// A revision that the canary is not.
    unlike: Option<String>,
}

impl Standing {
    /// Waits until the rollout stands as `wanted` says.
    pub(super) fn settled(process: &Process, wanted: impl Fn(&Self) -> bool) -> Self {
        until("the rollout stands where it must", || {
            let view = process.view();
            Self::of(&view)
                .filter(&wanted)
                .ok_or_else(|| format!("{}\n{view:#}", process.log()))
        })
    }

    /// The standing that `view` shows, when nothing moves any more.
    fn of(view: &Value) -> Option<Self> {
        let weight = view["weight"].as_f64().unwrap();
        let at = || WEIGHTS.iter().position(|found| *found == weight);
        let place = match (
            view["phase"].as_str().unwrap(),
            view["message"].as_str().unwrap(),
        ) {
            ("Healthy", _) => Place::Healthy,
            ("Degraded", _) => Place::Aborted,
            ("Paused", message) => Place::Paused {
                pause: at()?,
                by_hand: message == "manually paused",
            },
            _ => return None,
        };
        let text = |pointer: &str| {
            view.pointer(pointer)
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        let (stable, service) = (text("/stable/revision")?, text("/stable/service")?);
        Some(Self {
            place,
            stable,
            service,
            canary: text("/canary/revision"),
            unlike: None,
        })
    }

    /// Whether `found` is what this standing says.
    pub(super) fn agrees(&self, found: &Self) -> bool {
        let canary = match (&self.canary, self.place == Place::Healthy) {
            (_, true) => found.canary.is_none(),
            (Some(canary), _) => found.canary.as_ref() == Some(canary),
            (None, _) => {
                found.canary.is_some()
                    && found.canary != self.unlike
                    && found.canary.as_ref() != Some(&self.stable)
            }
        };
        canary
            && (&self.place, &self.stable, &self.service)
                == (&found.place, &found.stable, &found.service)
    }

    /// The standing when the template is one that was never seen before.
    pub(super) fn with_new_canary(&self) -> Self {
        Self {
            place: Place::at(0, false),
            canary: None,
            unlike: self.canary.clone(),
            ..self.clone()
        }
    }

    /// The standing that `verb` leads to; nothing when it is refused.
    pub(super) fn after(&self, verb: &str) -> Option<Self> {
        let to = |place| {
            Some(Self {
                place,
                ..self.clone()
            })
        };
        match (&self.place, verb) {
            (Place::Healthy, _) => None,
            (Place::Aborted, "abort") => to(Place::Aborted),
            (Place::Aborted, "retry") => to(Place::at(0, false)),
            (Place::Aborted, _) | (Place::Paused { .. }, "retry") => None,
            (Place::Paused { .. }, "abort") => to(Place::Aborted),
            (Place::Paused { pause, .. }, "pause") => to(Place::at(*pause, true)),
            (
                Place::Paused {
                    pause,
                    by_hand: true,
                },
                "resume",
            ) => to(Place::at(*pause, false)),
            (Place::Paused { pause, .. }, "promote" | "resume") if *pause + 1 < WEIGHTS.len() => {
                to(Place::at(*pause + 1, false))
            }
            (Place::Paused { .. }, "promote" | "promote full" | "resume") => Some(self.promoted()),
            (Place::Paused { .. }, other) => panic!("{other} is no verb"),
        }
    }

    fn promoted(&self) -> Self {
        let service = if self.service == "blue" {
            "green"
        } else {
            "blue"
        };
        Self {
            place: Place::Healthy,
            stable: self.canary.clone().unwrap(),
            service: service.to_owned(),
            canary: None,
            unlike: None,
        }
    }
}
