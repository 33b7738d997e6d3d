//! The versions that are shipped, each many times.

use crate::view;
use rollout::sim::Behaviour;
use std::fmt;

/// How a version differs from stable.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Case {
    /// Not at all.
    Same,
    /// It fails this share of the requests that stable would have answered well.
    Fails(f64),
    /// It takes so many times as long.
    Slower(f64),
}

impl Case {
    /// How the version answers where stable answers as `stable` does.
    pub(super) fn beside(self, stable: Behaviour) -> Behaviour {
        match self {
            Self::Same => stable,
            Self::Fails(share) => Behaviour {
                failure_ratio: 1.0 - (1.0 - stable.failure_ratio) * (1.0 - share),
                ..stable
            },
            Self::Slower(factor) => Behaviour {
                latency: stable.latency.mul_f64(factor),
                ..stable
            },
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Same => f.write_str("as stable"),
            Self::Fails(share) => write!(f, "+{} failures", view::percent(share * 100.0)),
            Self::Slower(factor) => write!(f, "{factor} x latency"),
        }
    }
}

/// A version like stable, then the bad ones.
pub(super) fn cases(errors: &[f64], slower: &[f64]) -> Vec<Case> {
    let errors = errors.iter().map(|share| Case::Fails(*share));
    let slower = slower.iter().map(|factor| Case::Slower(*factor));
    [Case::Same]
        .into_iter()
        .chain(errors)
        .chain(slower)
        .collect()
}
