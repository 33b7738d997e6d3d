//! The counters of all proxies of a Rollout, added up as if one proxy had counted.

#[cfg(test)]
mod tests;

use super::{RolloutReport, Split, Unreadable, growth::Growth, recall::Tick, side::Side};
use rollout::analysis::Tripped;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::Duration,
};
use traffic::{Bucket, Counts, EndpointCounts, Generation, Snapshot};

/// What a proxy told of one Rollout.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// The process: see [`Report::process`](super::Report::process).
    pub process: String,
    /// When the counters were read, since that process began.
    pub at: Duration,
    /// What it told.
    pub report: RolloutReport,
}

/// What the proxies told that are live, by their address; nothing for one that did not answer, or does not know the
/// Rollout.
pub type Answers = BTreeMap<SocketAddr, Option<Told>>;

/// The counters of all proxies of one Rollout. What a process counted before it was first asked is left out, as nobody
/// knows under which split that was, but for what the processes that there are at the beginning remember of that.
#[derive(Clone, Debug, Default)]
pub struct Sum {
    /// What each proxy told last.
    told: BTreeMap<SocketAddr, Told>,
    total: Snapshot,
    /// What each of them serves, each split once; none where one of them told of none.
    served: Vec<Split>,
    /// What all of them serve.
    agreed: Option<Agreed>,
    changes: u64,
}

/// The split that all proxies serve, and how often each of them has changed to come to it.
#[derive(Clone, Debug, PartialEq)]
struct Agreed {
    split: Split,
    changes: Vec<(String, u64)>,
}

/// What a process serves, and how often it has changed to come to it.
struct Standing<'t> {
    serving: Option<&'t Split>,
    process: &'t str,
    changes: u64,
}

impl Sum {
    /// Adds what was told when the reader's clock showed `at`. A proxy that is not among `answers` is forgotten.
    ///
    /// The result has a generation where all proxies told that they serve the same split. It is another one whenever one
    /// of them has changed its split meanwhile.
    ///
    /// Returns it with what was told and could not be read, which is as good as no answer.
    pub fn add(&mut self, at: Duration, answers: Answers) -> (&Snapshot, Vec<Unread>) {
        self.told.retain(|address, _| answers.contains_key(address));
        let live = answers.len();
        let (mut heard, mut unread) = (0, Vec::new());
        for (address, told) in answers {
            let Some(told) = told else {
                continue;
            };
            match self.take(address, told) {
                Ok(()) => heard += 1,
                Err(why) => unread.push(Unread { address, why }),
            }
        }
        let is_whole = heard == live;
        self.served = match is_whole {
            true => served(self.told.values().map(|told| &told.report)),
            false => Vec::new(),
        };
        let told = self.told.values().filter(|_| is_whole);
        self.agree(agreed(told.map(|told| Standing {
            serving: told.report.serving.as_ref(),
            process: &told.process,
            changes: told.report.changes,
        })));
        let reports = || self.told.values().map(|told| &told.report);
        let (stable, canary) = (
            reports().map(|report| &report.stable),
            reports().map(|report| &report.canary),
        );
        pass(&mut self.total.stable, stable);
        pass(&mut self.total.canary, canary);
        (self.total_at(at), unread)
    }

    /// Adds what all proxies remember of one tick, as if it had been told when the reader's clock showed `at`. What is added
    /// next by [`Sum::add`] is to be of the end of the last tick.
    pub(super) fn recall(&mut self, at: Duration, tick: &Tick<'_>) -> &Snapshot {
        for told in tick.told.values() {
            for counted in &told.counted {
                counted.add_to(&mut self.total, told.rule);
            }
        }
        self.agree(agreed(tick.told.values().map(|told| Standing {
            serving: told.under.serving.as_ref(),
            process: told.process,
            changes: told.under.changes,
        })));
        let latest = || tick.told.values().map(|told| told.latest);
        self.total.stable.waiting = waiting(latest().map(|latest| &latest.stable));
        self.total.canary.waiting = waiting(latest().map(|latest| &latest.canary));
        self.total_at(at)
    }

    fn total_at(&mut self, at: Duration) -> &Snapshot {
        self.total.at = at;
        self.total.generation = self.agreed.as_ref().map(|_| Generation::of(self.changes));
        &self.total
    }

    fn agree(&mut self, agreed: Option<Agreed>) {
        if self.agreed != agreed {
            self.changes += 1;
            self.agreed = agreed;
        }
    }

    /// What tripped `canary`, where a proxy has done that, by what they told at the last time.
    pub fn tripped(&self, canary: &str) -> Option<Tripped> {
        self.told.iter().find_map(|(address, told)| {
            let tripped = told.report.tripped.as_ref();
            let of_it = tripped.filter(|tripped| tripped.canary == canary)?;
            let mut trip = of_it.trip.clone();
            trip.proxy = Some(address.to_string());
            Some(trip)
        })
    }

    /// The split that all proxies serve, by what they told at the last time.
    pub fn serving(&self) -> Option<&Split> {
        self.agreed.as_ref().map(|agreed| &agreed.split)
    }

    /// The splits that proxies serve by what they told at the last time, each once; none where one of them told of none.
    pub fn served(&self) -> &[Split] {
        &self.served
    }

    fn take(&mut self, address: SocketAddr, told: Told) -> Result<(), Unreadable> {
        told.report.check()?;
        let before = self.told.get(&address);
        // What another process counted, or by another rule, cannot be subtracted.
        let before = before.filter(|before| {
            before.process == told.process && before.report.failures == told.report.failures
        });
        if let Some(before) = before {
            let grown = Growth::between(&before.report, &told.report);
            grown.add_to(&mut self.total, told.report.failures);
        }
        self.told.insert(address, told);
        Ok(())
    }
}

/// The splits of `reports`, each once; none where one has none.
fn served<'t>(reports: impl Iterator<Item = &'t RolloutReport>) -> Vec<Split> {
    let mut served = Vec::new();
    for report in reports {
        match &report.serving {
            Some(split) if served.contains(split) => {}
            Some(split) => served.push(split.clone()),
            None => return Vec::new(),
        }
    }
    served
}

/// What all serve, if that is the same.
fn agreed<'t>(standings: impl Iterator<Item = Standing<'t>>) -> Option<Agreed> {
    let standings: Vec<Standing<'t>> = standings.collect();
    let split = standings.first()?.serving?;
    let same = standings
        .iter()
        .all(|standing| standing.serving == Some(split));
    let changes = standings.iter();
    let changes = changes.map(|standing| (standing.process.to_owned(), standing.changes));
    same.then(|| Agreed {
        split: split.clone(),
        changes: changes.collect(),
    })
}

/// Sets what is not counted for ever: the requests under way, and the endpoints that some proxy knows.
fn pass<'t>(total: &mut Counts, told: impl Iterator<Item = &'t Side> + Clone) {
    total.waiting = waiting(told.clone());
    let endpoints = told.flat_map(|side| &side.endpoints);
    let known: BTreeSet<SocketAddr> = endpoints.map(|endpoint| endpoint.address).collect();
    let is_known = |endpoint: &EndpointCounts| known.contains(&endpoint.address);
    total.endpoints.retain(is_known);
}

fn waiting<'t>(told: impl Iterator<Item = &'t Side>) -> Vec<(Bucket, u64)> {
    let mut waiting = BTreeMap::<Bucket, u64>::new();
    for (index, n) in told.flat_map(|side| &side.waiting) {
        if let Some(bucket) = Bucket::at(*index) {
            *waiting.entry(bucket).or_default() += n;
        }
    }
    waiting.into_iter().collect()
}

/// What a proxy told and could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the report of the proxy at {address}: {why}")]
pub struct Unread {
    address: SocketAddr,
    why: Unreadable,
}
