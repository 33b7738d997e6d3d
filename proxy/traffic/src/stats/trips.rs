//! The fuses and tripwires of all rollouts.

use super::{
    Series,
    tripwire::{Armed, Arming, Fuse, Trip, Tripwire},
};
use crate::{RolloutId, trip::TripTest};
use std::{collections::BTreeMap, num::NonZeroU64, sync::Arc};

/// The fuses and tripwires of all rollouts. Not on a request's way.
#[derive(Debug, Default)]
pub(super) struct Trips {
    /// How many tripwires there have been.
    wires: u64,
    rollouts: BTreeMap<RolloutId, Canary>,
}

/// A rollout's canary, from its first weight on.
#[derive(Debug)]
struct Canary {
    trial: u64,
    fuse: Arc<Fuse>,
    /// The tripwires that it has had.
    wires: u32,
    armed: Option<(Arming, Armed)>,
    /// Trips of the rollout's earlier canaries.
    before: u64,
}

impl Canary {
    fn new(trial: u64, before: u64) -> Self {
        Self {
            trial,
            fuse: Arc::default(),
            wires: 0,
            armed: None,
            before,
        }
    }

    fn trips(&self) -> u64 {
        self.before + u64::from(self.fuse.blown().is_some())
    }
}

impl Trips {
    /// Arms the canary as `arming` says, once: another weight begins to count anew, and another canary gets a fuse of its
    /// own. With a weight at which no failure could convict it, it only stays tripped where it is.
    pub(super) fn arm(
        &mut self,
        rollout: &RolloutId,
        arming: &Arming,
        (stable, canary): (&Arc<Series>, &Series),
    ) -> Armed {
        let held = self
            .rollouts
            .entry(rollout.clone())
            .or_insert_with(|| Canary::new(arming.trial, 0));
        if held.trial != arming.trial {
            *held = Canary::new(arming.trial, held.trips());
        }
        if let Some((_, armed)) = held.armed.as_ref().filter(|(known, _)| known == arming) {
            return armed.clone();
        }
        let earlier = held.wires;
        let test = TripTest::new(
            arming.weight,
            arming.margins,
            arming.least_failures,
            earlier,
        );
        held.wires += 1;
        self.wires += 1;
        let number = NonZeroU64::MIN.saturating_add(self.wires);
        let armed = Armed::new(number, Arc::clone(&held.fuse));
        held.armed = Some((arming.clone(), armed.clone()));
        canary.watch(test.map(|test| {
            let (arming, fuse) = ((arming.clone(), earlier), Arc::clone(&held.fuse));
            Tripwire::new(number, arming, test, fuse, (Arc::clone(stable), canary))
        }));
        armed
    }

    /// Whether failures of the rollout's canary are counted.
    pub(super) fn is_armed(&self, rollout: &RolloutId) -> bool {
        let held = self.rollouts.get(rollout);
        held.is_some_and(|held| held.armed.is_some())
    }

    /// Stops counting failures of `canary`. Its fuse stays as it is, should the same canary be armed again.
    pub(super) fn disarm(&mut self, rollout: &RolloutId, canary: &Series) {
        canary.watch(None);
        if let Some(held) = self.rollouts.get_mut(rollout) {
            held.armed = None;
        }
    }

    /// That the rollout's last canary was tripped.
    pub(super) fn tripped(&self, rollout: &RolloutId) -> Option<Trip> {
        self.rollouts.get(rollout)?.fuse.blown().cloned()
    }

    /// How many canaries of each rollout were tripped.
    pub(super) fn counts(&self) -> Vec<(RolloutId, u64)> {
        let count = |(rollout, held): (&RolloutId, &Canary)| (rollout.clone(), held.trips());
        self.rollouts.iter().map(count).collect()
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&RolloutId) -> bool) {
        self.rollouts.retain(|rollout, _| keep(rollout));
    }
}
