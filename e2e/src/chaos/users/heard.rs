//! What users of one Rollout got, and what is wrong with that. Pure.

use super::{GRACE, MOST};
use crate::chaos::version;
use std::collections::{BTreeMap, BTreeSet};
use tokio::time::Instant;

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// By a version, with a status.
    Of(String, u16),
    /// The proxy's own, with a status and its words.
    Proxy(u16, String),
    /// There is none, and why.
    None(String),
}

/// A request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// The number of the proxy that it came to.
    pub(super) proxy: usize,
    /// When it was sent.
    pub(super) at: Instant,
    /// Since when this proxy has been told of all changes without a break, if it is.
    pub(super) knows_since: Option<Instant>,
}

impl Asked {
    /// Whether its proxy knew all, and for longer than it may take to serve that.
    fn has_known_for_long(&self) -> bool {
        self.knows_since
            .is_some_and(|since| self.at.saturating_duration_since(since) > GRACE)
    }

    /// Whether its proxy could serve what was so since then.
    fn could_serve(&self, since: Instant) -> bool {
        self.has_known_for_long() && self.at.saturating_duration_since(since) > GRACE
    }
}

/// What a bad version did at one try.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::chaos) struct Damage {
    /// How many requests failed.
    pub(in crate::chaos) failed: u32,
    /// When the first one did.
    pub(in crate::chaos) first: Instant,
    /// And the last one.
    pub(in crate::chaos) last: Instant,
}

/// What users of one Rollout were told.
#[derive(Clone, Debug, Default)]
pub(in crate::chaos) struct Told {
    /// How many answers there were.
    pub(in crate::chaos) requests: u32,
    /// How many of a barred version's came from a proxy that could not know better, or not for long.
    pub(in crate::chaos) unaware: u32,
    /// How often a proxy that had not known all for long found no pod where it looked for one.
    pub(in crate::chaos) unreached: u32,
    /// What bad versions did, by name and try.
    pub(in crate::chaos) damage: BTreeMap<(String, u32), Damage>,
    /// Which versions nobody is to get, since when.
    barred: BTreeMap<String, Instant>,
    /// How often each version was tried again.
    tries: BTreeMap<String, u32>,
    /// The proxies that have given an answer by a version.
    admitted: BTreeSet<usize>,
    /// The version that each proxy gave last, and how often in a row.
    rows: BTreeMap<usize, (String, u32)>,
}

impl Told {
    /// From `at` on, nobody is to get `version`.
    pub(super) fn bar(&mut self, version: &str, at: Instant) {
        self.barred.entry(version.to_owned()).or_insert(at);
    }

    /// `version` is tried again.
    pub(super) fn allow(&mut self, version: &str) {
        self.barred.remove(version);
        *self.tries.entry(version.to_owned()).or_default() += 1;
    }

    pub(super) fn count_rows_anew(&mut self) {
        self.rows.clear();
    }

    /// Whether each of so many `proxies` gave `version`, so many times in a row.
    pub(super) fn has_rows_of(&self, version: &str, times: u32, proxies: usize) -> bool {
        let rows = self.rows.values();
        let of_it = rows.filter(|(last, row)| last == version && *row >= times);
        of_it.count() == proxies
    }

    /// Notes an answer, which came at `now`. What is wrong with it, if anything is.
    pub(super) fn take(&mut self, asked: Asked, answer: Answer, now: Instant) -> Option<String> {
        let is_admitted = self.admitted.contains(&asked.proxy);
        let (version, status) = match answer {
            Answer::Of(version, status) => (version, status),
            // The Rollout has not been there for long.
            _ if !is_admitted => return None,
            Answer::Proxy(502, _) if !asked.has_known_for_long() => {
                self.unreached += 1;
                return None;
            }
            Answer::Proxy(status, words) => {
                return Some(format!("no version answered, but {status}, {words:?}"));
            }
            Answer::None(why) => return Some(format!("no answer: {why}")),
        };
        self.admitted.insert(asked.proxy);
        self.requests += 1;
        self.count_row(asked.proxy, &version);
        let wrong = self.is_failure_wrong(&version, status, now);
        wrong.or_else(|| self.is_version_wrong(&version, asked))
    }

    fn count_row(&mut self, proxy: usize, version: &str) {
        let row = self.rows.entry(proxy).or_default();
        if row.0 != version {
            *row = (version.to_owned(), 0);
        }
        row.1 += 1;
    }

    fn is_failure_wrong(&mut self, version: &str, status: u16, now: Instant) -> Option<String> {
        if status == 200 {
            return None;
        }
        if !version::may_fail(version) {
            return Some(format!("{version} answered {status}"));
        }
        let times = self.tries.get(version).copied().unwrap_or(0);
        let damage = self.damage.entry((version.to_owned(), times));
        let damage = damage.or_insert(Damage {
            failed: 0,
            first: now,
            last: now,
        });
        damage.failed += 1;
        damage.last = now;
        let failed = damage.failed;
        (failed > MOST).then(|| format!("{failed} requests of {version} failed at one try"))
    }

    fn is_version_wrong(&mut self, version: &str, asked: Asked) -> Option<String> {
        let barred = *self
            .barred
            .get(version)
            .filter(|since| asked.at >= **since)?;
        if !asked.could_serve(barred) {
            self.unaware += 1;
            return None;
        }
        let barred = asked.at.duration_since(barred);
        Some(format!(
            "{version} answered, which nobody is to get for {barred:?}"
        ))
    }
}

#[cfg(test)]
mod tests;
