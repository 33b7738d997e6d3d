//! What a proxy serves, and what it tells of that.

use super::{
    Outline, Report, RolloutReport, Split, TripReport,
    history::{History, Tried},
    table::Sharing,
};
use crate::compile::Shares;
use rollout::analysis::Tripped;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use traffic::{
    Backend, BackendId, Generation, Role, RolloutId, Route, RouteTable, Routes, Stats, Target,
    Trip,
    matches::{HostMatch, RequestMatch},
};

/// Makes tables of outlines, and reports of what was counted by them.
#[derive(Debug)]
pub struct Publisher {
    process: String,
    stats: Arc<Stats>,
    routes: Arc<Routes>,
    published: Mutex<Published>,
}

/// What was published last.
#[derive(Debug, Default)]
struct Published {
    outline: Outline,
    rollouts: BTreeMap<RolloutId, Entry>,
    /// The first table that followed from an outline.
    first: Option<Generation>,
    /// How often the split of any Rollout has changed. It numbers them, so that one that comes back has no number twice.
    changes: u64,
    trials: Trials,
}

/// Which canary each Rollout tries out. A canary that got no requests meanwhile, as somebody aborted it and tries it again,
/// is on another trial.
#[derive(Debug, Default)]
struct Trials {
    under_way: BTreeMap<RolloutId, Trial>,
    begun: u64,
}

#[derive(Debug)]
struct Trial {
    canary: String,
    /// No other one of this process has it.
    number: u64,
}

impl Trials {
    fn follow(&mut self, outline: &Outline) {
        let mut before = std::mem::take(&mut self.under_way);
        for (id, sharing) in outline.sharing() {
            let Some(tried) = sharing.trial else {
                continue;
            };
            let known = before.remove(id);
            let known = known.filter(|trial| trial.canary == tried.canary);
            let trial = known.unwrap_or_else(|| {
                self.begun += 1;
                Trial {
                    canary: tried.canary.clone(),
                    number: self.begun,
                }
            });
            self.under_way.insert(id.clone(), trial);
        }
    }

    fn number_of(&self, id: &RolloutId) -> u64 {
        self.under_way.get(id).map_or(0, |trial| trial.number)
    }

    /// The canary that `id` tries out.
    fn tried(&self, id: &RolloutId) -> Option<Tried> {
        self.under_way.get(id).map(|trial| Tried {
            canary: trial.canary.clone(),
            number: trial.number,
        })
    }

    /// That the canary which `id` tries out was tripped, if `trip` is of this trial.
    fn tripped(&self, id: &RolloutId, trip: &Trip) -> Option<TripReport> {
        let trial = self.under_way.get(id)?;
        (trial.number == trip.trial).then(|| TripReport {
            canary: trial.canary.clone(),
            trip: Tripped::from(trip),
        })
    }
}

/// What becomes of a Rollout's history when its counters are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Memory {
    /// Nothing.
    Left,
    /// What is read is added.
    Noted,
    /// And all of it is told.
    Told,
}

/// How one Rollout's requests are shared, and what was counted of them.
#[derive(Debug)]
struct Entry {
    sharing: Shared,
    /// The canary that it tries out.
    tried: Option<Tried>,
    history: History,
}

/// How one Rollout's requests are shared, and since when.
#[derive(Debug)]
struct Shared {
    shares: Shares,
    split: Option<Split>,
    /// The table with which that began.
    since: Generation,
    change: u64,
}

impl Shared {
    fn is(&self, sharing: &Sharing<'_>) -> bool {
        self.shares == *sharing.shares && self.split.as_ref() == sharing.split
    }
}

impl Publisher {
    /// One that publishes to `routes` tables that count into `stats`. `process` is a name that no other process has. Until
    /// the first outline comes, every request is answered with 503: that nobody is asked for is not known then.
    pub fn new(process: String, stats: Arc<Stats>, routes: Arc<Routes>) -> Self {
        routes.publish(nothing_known(&stats));
        Self {
            process,
            stats,
            routes,
            published: Mutex::default(),
        }
    }

    /// Whether every worker serves what followed from an outline.
    pub fn is_served(&self) -> bool {
        let first = self.lock().first;
        let served = self.routes.served();
        let is_by = |worker: &Option<Generation>| worker.is_some() && *worker >= first;
        first.is_some() && !served.is_empty() && served.iter().all(is_by)
    }

    /// Has requests follow `outline` from now on.
    pub fn publish(&self, mut outline: Outline) {
        let mut published = self.lock();
        outline.remember(&published.outline);
        outline.share(&published.outline);
        published.trials.follow(&outline);
        let table = match outline.compile(&self.stats, |id| published.trials.number_of(id)) {
            Ok(table) => table,
            Err(error) => return tracing::error!("no table was published: {error}"),
        };
        let generation = self.routes.publish(table);
        published.follow(&outline, generation);
        published.first.get_or_insert(generation);
        published.outline = outline;
        self.forget_uncounted(&published.outline);
        tracing::debug!(%generation, "published a table");
    }

    /// What is told at `at`, from the process's epoch, of the Rollouts that are `wanted`; with what is remembered of those
    /// that are to be `recalled`.
    pub fn report(
        &self,
        wanted: impl Fn(&RolloutId) -> bool,
        recalled: impl Fn(&RolloutId) -> bool,
        at: Duration,
    ) -> Report {
        let ids: Vec<RolloutId> = self.lock().rollouts.keys().cloned().collect();
        let told = |id: RolloutId| {
            let memory = match recalled(&id) {
                true => Memory::Told,
                false => Memory::Left,
            };
            Some((Report::name(&id), self.tell(&id, memory, at)?))
        };
        Report {
            process: self.process.clone(),
            at: at.as_secs_f64(),
            rollouts: ids.into_iter().filter(wanted).filter_map(told).collect(),
        }
    }

    /// Notes what is counted, for whoever asks later how that came. To be called about ten times a second, with the time
    /// from the process's epoch; each Rollout's counters are read when it is time for that.
    pub fn remember(&self, at: Duration) {
        let published = self.lock();
        let rollouts = published.rollouts.iter();
        let due = rollouts.filter(|(_, entry)| entry.history.is_due(at, entry.tried.is_some()));
        let due: Vec<RolloutId> = due.map(|(id, _)| id.clone()).collect();
        drop(published);
        for id in due {
            self.tell(&id, Memory::Noted, at);
        }
    }

    /// What is told of `id`.
    ///
    /// No table is published meanwhile, and what workers serve is looked at before what they have counted: so what was
    /// counted after a report that says what is served was sent by that.
    fn tell(&self, id: &RolloutId, memory: Memory, at: Duration) -> Option<RolloutReport> {
        let mut published = self.lock();
        let Published {
            rollouts, trials, ..
        } = &mut *published;
        let entry = rollouts.get_mut(id)?;
        let Shared { since, change, .. } = entry.sharing;
        let acknowledged = self.routes.acknowledged();
        let is_served = acknowledged.is_some_and(|served| served >= since);
        let rule = entry.sharing.shares.rule;
        let snapshot = self.stats.snapshot(id, None, at, &rule);
        let serving = entry.sharing.split.clone().filter(|_| is_served);
        let trip = snapshot.trip.as_ref();
        let mut report = RolloutReport::new(serving, change, rule, &snapshot);
        report.tripped = trip.and_then(|trip| trials.tripped(id, trip));
        if memory != Memory::Left {
            entry.history.push(at, entry.tried.clone(), &report);
        }
        if memory == Memory::Told {
            report.history = entry.history.told();
        }
        Some(report)
    }

    /// Forgets what is counted and known of Rollouts and Services that no requests are sent to any more.
    fn forget_uncounted(&self, outline: &Outline) {
        let service = |id: &RolloutId| BackendId {
            namespace: Arc::clone(&id.namespace),
            name: Arc::clone(&id.name),
        };
        self.stats
            .retain(|id| outline.splits(id) || outline.has_service(&service(id)));
        self.stats
            .retain_states(|id| outline.has_service(id), |name| outline.has_route(name));
    }

    fn lock(&self) -> MutexGuard<'_, Published> {
        // Nothing here can panic half-way and leave less than what is served.
        self.published
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The table of before anything is known of a cluster.
fn nothing_known(stats: &Stats) -> RouteTable {
    let everything = BackendId::new("cluster", "not-known-yet");
    let counted = RolloutId {
        namespace: Arc::clone(&everything.namespace),
        name: Arc::clone(&everything.name),
    };
    let series = stats.series(&counted, Role::Active);
    let backend = Backend::plain(everything, Arc::default(), series);
    let (hosts, matches) = (vec![HostMatch::Any], vec![RequestMatch::any()]);
    let route = Route::plain(hosts, matches, Target::Backend(backend));
    // Only one that leads to a split can be refused.
    RouteTable::new(vec![route], Vec::new()).unwrap_or_default()
}

impl Published {
    /// Notes which Rollouts are shared otherwise since `generation`.
    fn follow(&mut self, outline: &Outline, generation: Generation) {
        let mut before = std::mem::take(&mut self.rollouts);
        for (id, sharing) in outline.sharing() {
            let (known, history) = match before.remove(id) {
                Some(entry) => (Some(entry.sharing), entry.history),
                None => (None, History::default()),
            };
            let known = known.filter(|known| known.is(&sharing));
            let entry = Entry {
                sharing: known.unwrap_or_else(|| self.changed(id, &sharing, generation)),
                tried: self.trials.tried(id),
                history,
            };
            self.rollouts.insert(id.clone(), entry);
        }
    }

    fn changed(&mut self, id: &RolloutId, sharing: &Sharing<'_>, since: Generation) -> Shared {
        self.changes += 1;
        if let Some(Split {
            stable,
            canary,
            weight,
        }) = sharing.split
        {
            tracing::info!(rollout = %id, stable, canary, "the canary gets {weight}");
        }
        Shared {
            shares: sharing.shares.clone(),
            split: sharing.split.cloned(),
            since,
            change: self.changes,
        }
    }
}

#[cfg(test)]
mod tests;
