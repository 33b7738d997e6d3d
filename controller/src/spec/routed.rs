//! A canary of a cluster whose traffic the proxies split: what its options and steps ask of them.

use super::{
    Fault,
    guard::guard,
    rollout::{options, rules, sticky},
    steps::steps,
};
use crate::document;
use crds::{Canary, sluice::Switch};
use rollout::{Steps, analysis::Config};

/// What the options and steps of a canary ask for, checked.
#[derive(Clone, Debug)]
pub(crate) struct Routed {
    /// The guard's parameters. They also pace evidence steps where the guard itself is off.
    pub(crate) config: Config,
    /// Whether the guard's judgement acts.
    pub(crate) guard: bool,
    /// The steps, with timed pauses in the form that `pace` gives them.
    pub(crate) steps: Steps,
}

impl Routed {
    /// Reads `canary`.
    ///
    /// # Errors
    /// The first fault: the field, what was found and what is allowed.
    pub(crate) fn read(canary: &Canary) -> Result<Self, String> {
        if let Some(fault) = document::canary_fault(canary) {
            return Err(fault);
        }
        let mut faults = Vec::new();
        let read = Self::with_faults(canary, &mut faults);
        match (read, faults.first()) {
            (Some(routed), None) => Ok(routed),
            (_, Some((path, message))) => Err(format!("{path}: {message}")),
            (None, None) => Err("spec.strategy.canary: cannot be read".to_owned()),
        }
    }

    fn with_faults(canary: &Canary, faults: &mut Vec<Fault>) -> Option<Self> {
        let options = options(canary, faults);
        // The proxies read these; here is told what they could not act on.
        let by_rule = !rules(&options, faults).is_empty();
        let by_user = !sticky(&options, faults).is_empty();
        let config = guard(&options.guard, !by_rule && !by_user, faults)?;
        Some(Self {
            steps: steps(canary, options.pace.as_ref(), &config, faults)?,
            config,
            guard: !matches!(options.guard, Switch::Off),
        })
    }
}
