//! Asking the proxies of the cluster what they have counted, and judging canaries by it.

mod ask;
mod proxies;
#[cfg(test)]
mod tests;

pub use proxies::{NoProxies, Proxies};

use crate::{key::Key, metrics::Counts, shared::Shared};
use ask::Asker;
use controller::{
    engine::{By, What},
    fleet::{Answers, Guard, Judging},
    reconcile::{self, Traffic},
};
use crds::Rollout;
use jiff::Timestamp;
use proxies::Live;
use rollout::{
    Judgement,
    analysis::{Reading, Record},
};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    mem,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};
use tokio::time::{MissedTickBehavior, timeout};

/// How often proxies are asked about Rollouts whose canary is on trial, or that wait for them.
const TICK: Duration = Duration::from_millis(250);
/// Every how many times they are asked about the others, to know what stable is like. Together less than what an interval
/// of the judge may be.
const SELDOM: u64 = 8;

/// Of so many Rollouts histories are asked for at a time: some megabytes from each proxy.
const RECALLED: usize = 4;

/// The longest that Rollouts wait for the list of proxies.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is known of the requests of all Rollouts that proxies split.
#[derive(Debug, Default)]
pub(crate) struct Fleet(Mutex<HashMap<Key, Watched>>);

/// One Rollout that proxies split.
#[derive(Debug)]
struct Watched {
    uid: Arc<str>,
    /// In which state it was seen.
    version: u64,
    judging: Judging,
    guard: Guard,
    /// What its turns are to know; nothing before the first look.
    traffic: Option<Traffic>,
    /// What the last canary that was convicted was convicted by.
    verdict: Option<Verdict>,
}

/// A verdict, as `sluice explain --replay` recomputes it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    at: Timestamp,
    decision: &'static str,
    by: &'static str,
    /// The canary, by its pod template hash.
    revision: String,
    why: String,
    evidence: Reading,
    record: Record,
}

/// The Rollouts that proxies are to be asked about.
#[derive(Debug, Default)]
struct Due {
    /// Those that something is known of, or where nothing has to be.
    known: Vec<Key>,
    /// Those with a canary on trial of which nothing is known yet.
    unknown: Vec<Key>,
}

/// What is known of a canary on trial, as `sluice explain --replay` recomputes it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Evidence {
    at: Timestamp,
    /// The canary, by its pod template hash.
    revision: String,
    evidence: Reading,
    record: Record,
}

impl Fleet {
    fn watched(&self) -> MutexGuard<'_, HashMap<Key, Watched>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known of the requests of a Rollout; nothing as long as its proxies have not been asked.
    pub(crate) fn traffic(&self, key: &Key, rollout: &Rollout) -> Option<Traffic> {
        let watched = self.watched();
        match watched.get(key) {
            Some(known) => known.traffic.clone(),
            None if reconcile::is_split(rollout) && reconcile::judging(rollout).is_some() => None,
            None => Some(Traffic::default()),
        }
    }

    /// The last verdict against a canary of a Rollout, since this process leads.
    pub(crate) fn verdict(&self, key: &Key) -> Option<Verdict> {
        self.watched().get(key)?.verdict.clone()
    }

    /// What is known of the canary of a Rollout that is on trial.
    pub(crate) fn evidence(&self, key: &Key) -> Option<Evidence> {
        let watched = self.watched();
        let known = watched.get(key)?;
        let finding = known.traffic.as_ref()?.finding.as_ref()?;
        let (evidence, record) = known.guard.evidence()?;
        Some(Evidence {
            at: evidence.at,
            revision: finding.canary.clone(),
            evidence,
            record,
        })
    }

    /// Notes which Rollouts there are now, and what is to be judged of them. Returns those that proxies are to be asked
    /// about at this `turn`.
    fn plan(&self, shared: &Shared, turn: u64) -> Due {
        let mut watched = self.watched();
        let view = shared.view();
        watched.retain(|key, known| {
            let seen = view.split(key);
            seen.is_some_and(|(uid, _, _)| *uid == known.uid)
        });
        let mut due = Due::default();
        for (place, key) in view.splits().enumerate() {
            let Some((uid, version, rollout)) = view.split(key) else {
                continue;
            };
            if watched
                .get(key)
                .is_none_or(|known| known.version != version)
            {
                let rollout = rollout.unpack();
                let Some(judging) = rollout.as_ref().and_then(reconcile::judging) else {
                    watched.remove(key);
                    continue;
                };
                note(&mut watched, key, Arc::clone(uid), version, judging);
            }
            if watched.get(key).is_some_and(Watched::is_unknown) {
                due.unknown.push(key.clone());
                continue;
            }
            let is_urgent = watched.get(key).is_some_and(Watched::is_urgent);
            if is_urgent || (place as u64 + turn).is_multiple_of(SELDOM) {
                due.known.push(key.clone());
            }
        }
        // The others have their turn after these.
        due.unknown.truncate(RECALLED);
        due
    }

    /// Judges one Rollout by what was told of it. Whether its turn may differ now.
    fn look(&self, key: &Key, answers: Answers, at: Duration) -> bool {
        let mut watched = self.watched();
        let Some(known) = watched.get_mut(key) else {
            return false;
        };
        let now = Timestamp::now();
        let (traffic, unread) = known.guard.look(&known.judging, answers, at, now);
        for why in unread {
            tracing::warn!(rollout = %key, "{why}");
        }
        let is_news = known
            .traffic
            .as_ref()
            .is_none_or(|before| is_news(before, &traffic));
        known.traffic = Some(traffic);
        if is_news && let Some(verdict) = known.convicted(now) {
            let Verdict {
                by, revision, why, ..
            } = &verdict;
            tracing::info!(rollout = %key, canary = revision, by, "it is convicted: {why}");
            known.verdict = Some(verdict);
        }
        is_news
    }
}

impl Watched {
    /// Whether a canary is on trial and nothing was told of it yet: another process may have led so far.
    fn is_unknown(&self) -> bool {
        self.judging.on_trial && self.traffic.is_none()
    }

    /// Whether somebody waits for what proxies tell: a canary is on trial, or they do not serve yet what they are to, as far
    /// as is known.
    fn is_urgent(&self) -> bool {
        let serving = self.traffic.as_ref().map(Traffic::serving);
        self.judging.on_trial || serving != Some(self.judging.split.as_ref())
    }

    /// The verdict against the canary, if there is one.
    fn convicted(&self, now: Timestamp) -> Option<Verdict> {
        let finding = self.traffic.as_ref()?.finding.as_ref()?;
        let (by, why) = match &finding.judgement {
            Judgement::RollBack { why } => (By::Guard, why),
            Judgement::Tripped { why } => (By::Proxy, why),
            Judgement::Undecided | Judgement::Hold { .. } | Judgement::RollForward { .. } => {
                return None;
            }
        };
        let (evidence, record) = self.guard.evidence()?;
        Some(Verdict {
            at: now,
            decision: What::RolledBack.as_str(),
            by: by.as_str(),
            revision: finding.canary.clone(),
            why: why.clone(),
            evidence,
            record,
        })
    }
}

fn note(
    watched: &mut HashMap<Key, Watched>,
    key: &Key,
    uid: Arc<str>,
    version: u64,
    judging: Judging,
) {
    if let Some(known) = watched.get_mut(key) {
        known.version = version;
        known.judging = judging;
        return;
    }
    let new = Watched {
        uid,
        version,
        guard: Guard::new(&judging),
        judging,
        traffic: None,
        verdict: None,
    };
    watched.insert(key.clone(), new);
}

/// Whether a turn may differ. Words change with every count, and are no news.
fn is_news(before: &Traffic, now: &Traffic) -> bool {
    let outline = |traffic: &Traffic| {
        let finding = traffic.finding.as_ref();
        let finding = finding.map(|finding| {
            let judgement = mem::discriminant(&finding.judgement);
            (finding.canary.clone(), judgement, finding.evidence)
        });
        (traffic.proxies, traffic.served.clone(), finding)
    };
    outline(before) != outline(now)
}

/// Asks and judges, for ever.
pub(crate) async fn watch_over(proxies: Proxies, client: kube::Client, shared: Arc<Shared>) {
    let live = Arc::new(Live::default());
    let discovery = proxies::watch(proxies, client, Arc::clone(&live), Arc::clone(&shared));
    tokio::select! {
        () = discovery => {}
        () = judge(&live, &shared) => {}
    }
}

async fn judge(live: &Live, shared: &Shared) {
    let (asker, began) = (Asker::new(), Instant::now());
    // Nobody is to be told that there is no proxy before they were listed. Rollouts do not wait for that for ever.
    if timeout(PATIENCE, live.listed()).await.is_err() {
        tracing::warn!(
            "the proxies have not been listed within {PATIENCE:?}; until they are, there is none"
        );
    }
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for turn in 0.. {
        ticks.tick().await;
        let due = shared.fleet.plan(shared, turn);
        let proxies = live.addresses();
        shared.counts.proxies(proxies.len());
        let (told, recalled) = ask(&asker, &proxies, &due, &shared.counts).await;
        let at = began.elapsed();
        let known = due.known.iter().map(|key| (key, &told));
        let unknown = due.unknown.iter().map(|key| (key, &recalled));
        let news: Vec<Key> = known
            .chain(unknown)
            .filter(|(key, told)| shared.fleet.look(key, told_of(key, told), at))
            .map(|(key, _)| key.clone())
            .collect();
        shared.wake(&news);
    }
}

type AllHeard = BTreeMap<SocketAddr, Option<ask::Heard>>;

/// What each proxy tells of those that are known, and of those that are not, with what it remembers.
async fn ask(
    asker: &Asker,
    proxies: &BTreeSet<SocketAddr>,
    due: &Due,
    counts: &Counts,
) -> (AllHeard, AllHeard) {
    let known = async {
        match due.known.is_empty() {
            true => AllHeard::new(),
            false => asker.ask(proxies, &due.known, counts).await,
        }
    };
    let unknown = async {
        match due.unknown.is_empty() {
            true => AllHeard::new(),
            false => asker.ask_for_histories(proxies, &due.unknown, counts).await,
        }
    };
    tokio::join!(known, unknown)
}

/// What each proxy told of one Rollout.
fn told_of(key: &Key, told: &AllHeard) -> Answers {
    let name = key.to_string();
    let of = |heard: &Option<ask::Heard>| heard.as_ref()?.told_of(&name);
    told.iter()
        .map(|(address, heard)| (*address, of(heard)))
        .collect()
}
