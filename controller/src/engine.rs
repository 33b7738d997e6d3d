//! The control loop: observe, decide, publish, keep.
//!
//! Everything that is decided is decided elsewhere, in pure functions: the judge weighs the counts, the machine takes
//! the step, [`compile`] makes the table. The engine brings them together for all rollouts of the
//! process. It reads no clock: every call is told the wall clock and the offset from the process's epoch.

mod decision;
mod entry;
mod saved;

pub use decision::{By, What};
pub use saved::{Saved, SavedRollout, Unreadable};

use crate::{
    compile::{self, Shares},
    spec::Spec,
    store::{Durability, Store, Version},
    view::RolloutView,
};
use entry::{Entry, Traffic};
use jiff::Timestamp;
use rollout::{Phase, Verb};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use traffic::{RolloutId, Routes, Stats};

/// How often the engine is to be turned.
pub const TICK: Duration = Duration::from_millis(100);
/// How often it is to be turned while a table is not yet served by every worker.
pub const TICK_UNSETTLED: Duration = Duration::from_millis(2);
/// For how long after a publish; a worker that takes longer is stuck, and no reason to hurry.
const UNSETTLED_FOR: Duration = Duration::from_secs(1);
/// How often evidence is kept while a canary is under way and nothing else is to be kept.
const CHECKPOINT: Duration = Duration::from_secs(1);

/// All rollouts of a process.
#[derive(Debug)]
pub struct Engine {
    spec: Spec,
    entries: BTreeMap<RolloutId, Entry>,
    /// Kept states of rollouts that no document names at present. They go on when one does again.
    dormant: BTreeMap<RolloutId, SavedRollout>,
    stats: Arc<Stats>,
    routes: Arc<Routes>,
    /// Where states are kept; none while another process may have the rollouts in hand.
    store: Option<Store>,
    published: Published,
    /// What keeps the documents as they are now from being acted on; empty when they are what runs.
    problems: Vec<String>,
    changes: u64,
    last_tick: Duration,
    last_saved: Duration,
}

/// Numbers for the metrics.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// The phase of each rollout.
    pub phases: BTreeMap<RolloutId, Phase>,
    /// How often each decision was taken since the process began, by rollout, decision and who took it.
    pub decisions: BTreeMap<(RolloutId, What, By), u64>,
    /// Whether the documents as they are now are what runs.
    pub documents_valid: bool,
}

/// The table that was published last.
#[derive(Debug, Default)]
struct Published {
    at: Duration,
    shares: BTreeMap<RolloutId, Shares>,
    /// Whether the spec has changed since.
    stale: bool,
}

/// Why a verb was not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is no such rollout.
    Unknown,
    /// The verb means nothing in the state that the rollout is in: why, and what is allowed.
    NotNow(String),
    /// Another process is taking the rollouts over, or has.
    Released,
}

/// A decision that was carried out and is on its way to the disk.
#[derive(Clone, Debug)]
pub struct Kept {
    durability: Durability,
    version: Version,
}

impl Kept {
    /// Waits until the decision would survive the process.
    ///
    /// # Errors
    /// What the write failed with.
    pub fn wait(&self) -> Result<(), String> {
        self.durability.wait(self.version)
    }
}

impl Engine {
    /// An engine for `spec`, going on where `saved` left off. It publishes nothing until it is turned.
    pub fn new(
        spec: Spec,
        saved: Saved,
        stats: Arc<Stats>,
        routes: Arc<Routes>,
        store: Store,
    ) -> Self {
        let mut engine = Self {
            spec,
            entries: BTreeMap::new(),
            dormant: saved.into_rollouts(),
            stats,
            routes,
            store: Some(store),
            published: Published {
                stale: true,
                ..Published::default()
            },
            problems: Vec::new(),
            changes: 0,
            last_tick: Duration::ZERO,
            last_saved: Duration::ZERO,
        };
        engine.match_entries();
        engine
    }

    /// Goes over to `spec`, which takes effect at the next turn.
    pub fn reload(&mut self, mut spec: Spec) {
        let changed = self.spec.edge.changed(&spec.edge);
        if !changed.is_empty() {
            tracing::warn!(
                "{} have changed, and take effect when the process starts anew",
                changed.join(", ")
            );
        }
        spec.share(&self.spec);
        self.spec = spec;
        self.problems.clear();
        self.published.stale = true;
        self.match_entries();
    }

    /// Notes that the documents as they are now cannot be acted on. What ran goes on.
    pub fn refuse(&mut self, problems: Vec<String>) {
        self.problems = problems;
        self.changes += 1;
    }

    /// What keeps the documents as they are now from being acted on; empty when they are what runs.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// Numbers for the metrics.
    pub fn tally(&self) -> Tally {
        let mut tally = Tally {
            documents_valid: self.problems.is_empty(),
            ..Tally::default()
        };
        for (id, entry) in &self.entries {
            let Some(spec) = self.spec.rollouts.get(id) else {
                continue;
            };
            tally
                .phases
                .insert(id.clone(), entry.state().summary(&spec.plan).phase);
            for ((decision, by), n) in entry.decided() {
                tally.decisions.insert((id.clone(), decision, by), n);
            }
        }
        tally
    }

    /// Makes the entries those of the spec.
    fn match_entries(&mut self) {
        let gone: Vec<RolloutId> = self
            .entries
            .keys()
            .filter(|id| !self.spec.rollouts.contains_key(id))
            .cloned()
            .collect();
        for id in gone {
            if let Some(entry) = self.entries.remove(&id) {
                tracing::warn!(rollout = %id, "no document names the rollout any more; its state is kept");
                self.dormant.insert(id, entry.save());
            }
        }
        for (id, spec) in &self.spec.rollouts {
            match self.entries.get_mut(id) {
                Some(entry) => entry.reconfigure(spec),
                None => {
                    let entry = Entry::new(spec, self.dormant.remove(id));
                    self.entries.insert(id.clone(), entry);
                }
            }
        }
    }

    /// One turn at `now`, which is `elapsed` after the process's epoch: reads the counters, judges, takes every step
    /// that is due and publishes what follows. While the rollouts are released it does nothing: what is published stays.
    pub fn tick(&mut self, now: Timestamp, elapsed: Duration) {
        self.last_tick = elapsed;
        if self.store.is_none() {
            return;
        }
        let traffic = Traffic::at(elapsed, &self.stats, &self.routes);
        let mut changed = false;
        for (id, entry) in &mut self.entries {
            let Some(spec) = self.spec.rollouts.get(id) else {
                continue;
            };
            let endpoints =
                |slot| compile::endpoints(&self.spec.services, spec.split.slots.get(slot));
            changed |= entry.turn(spec, &traffic, &endpoints, now);
        }
        self.publish(now, elapsed);
        if changed {
            self.changes += 1;
        }
        let flying = self
            .entries
            .values()
            .any(|entry| entry.state().canary().is_some());
        if changed || (flying && elapsed.saturating_sub(self.last_saved) >= CHECKPOINT) {
            self.keep(elapsed);
        }
    }

    /// Publishes a table when the one that is served is not what is wanted.
    fn publish(&mut self, now: Timestamp, elapsed: Duration) {
        let wanted: BTreeMap<_, _> = self
            .entries
            .iter()
            .filter_map(|(id, entry)| {
                let spec = self.spec.rollouts.get(id)?;
                Some((id.clone(), entry.shares(spec)?))
            })
            .collect();
        if !self.published.stale && wanted == self.published.shares {
            return;
        }
        let table = match compile::compile(&self.spec, &wanted, &self.stats) {
            Ok(table) => table,
            Err(error) => return tracing::error!("no table was published: {error}"),
        };
        // What was sent under the old weights is read before the new ones act.
        let traffic = Traffic::at(elapsed, &self.stats, &self.routes);
        let stale = self.published.stale;
        let mut moved: Vec<_> = self
            .entries
            .iter_mut()
            .filter(|(id, _)| stale || wanted.get(id) != self.published.shares.get(id))
            .map(|(id, entry)| (wanted.get(id), entry))
            .collect();
        for (_, entry) in &mut moved {
            entry.close_block(&traffic, now);
        }
        let generation = self.routes.publish(table);
        for (shares, entry) in moved {
            entry.published(generation, shares);
        }
        if stale {
            self.forget_uncounted();
        }
        self.published = Published {
            at: elapsed,
            shares: wanted,
            stale: false,
        };
        self.changes += 1;
        tracing::debug!(%generation, "published a table");
    }

    /// Forgets what is counted and known of rollouts, Services and routes that no document names any more.
    fn forget_uncounted(&self) {
        let services: BTreeSet<_> = self
            .spec
            .services
            .keys()
            .map(|service| (&service.namespace, &service.name))
            .collect();
        self.stats.retain(|id| {
            self.spec.rollouts.contains_key(id) || services.contains(&(&id.namespace, &id.name))
        });
        let routes: BTreeSet<&str> = self.spec.routes.iter().map(|route| &*route.name).collect();
        self.stats.retain_states(
            |id| self.spec.services.contains_key(id),
            |name| routes.contains(name),
        );
    }

    /// Carries `verb` out on `rollout`, in the same turn.
    ///
    /// # Errors
    /// There is no such rollout, the verb means nothing now, or the rollouts are released.
    pub fn act(
        &mut self,
        rollout: &RolloutId,
        verb: &Verb,
        now: Timestamp,
        elapsed: Duration,
    ) -> Result<Kept, Refused> {
        let durability = self.store.as_ref().ok_or(Refused::Released)?.durability();
        let entry = self.entries.get_mut(rollout).ok_or(Refused::Unknown)?;
        let spec = self.spec.rollouts.get(rollout).ok_or(Refused::Unknown)?;
        let endpoints = |slot| compile::endpoints(&self.spec.services, spec.split.slots.get(slot));
        let free = entry.state().stable().map(|stable| stable.slot.other());
        if matches!(verb, Verb::Undo { .. })
            && entry.state().canary().is_none()
            && free.is_some_and(|slot| endpoints(slot) == 0)
        {
            let service = free.map_or("", |slot| &*spec.split.slots.get(slot).name);
            return Err(Refused::NotNow(format!(
                "cannot {verb}: Service {service} has no endpoints; start the earlier version there"
            )));
        }
        let traffic = Traffic::at(elapsed, &self.stats, &self.routes);
        entry
            .act(spec, &traffic, verb, now)
            .map_err(|refused| Refused::NotNow(refused.to_string()))?;
        self.tick(now, elapsed);
        self.changes += 1;
        let version = self.keep(elapsed);
        Ok(Kept {
            durability,
            version,
        })
    }

    /// Lets go of the rollouts, so that another process can take them in hand: no decision is taken and no verb
    /// accepted until [`Engine::resume`]. Gives the store, which has been handed the last state: when that is on the
    /// disk and the store is dropped, the other process may open it. Nothing when they are released already.
    pub fn release(&mut self, elapsed: Duration) -> Option<Store> {
        self.keep(elapsed);
        self.store.take()
    }

    /// Takes the rollouts in hand again as they were left. `store` must be of the same file.
    pub fn resume(&mut self, store: Store) {
        self.store = Some(store);
        self.changes += 1;
    }

    /// Hands all states to the store, if there is one.
    fn keep(&mut self, elapsed: Duration) -> Version {
        let Some(store) = &self.store else {
            return Version::default();
        };
        self.last_saved = elapsed;
        let live = self
            .entries
            .iter()
            .map(|(id, entry)| (id.clone(), entry.save()));
        let dormant = self
            .dormant
            .iter()
            .map(|(id, saved)| (id.clone(), saved.clone()));
        store.save(Saved::from_rollouts(live.chain(dormant)).to_bytes())
    }

    /// When the engine is to be turned next, counted from its last turn.
    pub fn pause(&self) -> Duration {
        let awaited = self.entries.values().any(Entry::awaits_workers);
        let fresh = self.last_tick.saturating_sub(self.published.at) < UNSETTLED_FOR;
        if awaited && fresh {
            TICK_UNSETTLED
        } else {
            TICK
        }
    }

    /// Grows with everything that a watcher would want to be told.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// How long ago the last turn was.
    pub fn idle(&self, elapsed: Duration) -> Duration {
        elapsed.saturating_sub(self.last_tick)
    }

    /// All rollouts as operators see them.
    pub fn views(&self, now: Timestamp, elapsed: Duration) -> Vec<RolloutView> {
        self.entries
            .keys()
            .filter_map(|id| self.view(id, now, elapsed))
            .collect()
    }

    /// One rollout as operators see it.
    pub fn view(
        &self,
        rollout: &RolloutId,
        now: Timestamp,
        elapsed: Duration,
    ) -> Option<RolloutView> {
        let entry = self.entries.get(rollout)?;
        let spec = self.spec.rollouts.get(rollout)?;
        let traffic = Traffic::at(elapsed, &self.stats, &self.routes);
        let endpoints = |slot| compile::endpoints(&self.spec.services, spec.split.slots.get(slot));
        Some(entry.view(spec, &traffic, &endpoints, now))
    }

    /// The same with what its verdicts were made of, block by block.
    pub fn view_with_records(
        &self,
        rollout: &RolloutId,
        now: Timestamp,
        elapsed: Duration,
    ) -> Option<RolloutView> {
        let mut view = self.view(rollout, now, elapsed)?;
        self.entries.get(rollout)?.put_records(&mut view);
        Some(view)
    }
}

#[cfg(test)]
mod tests;
