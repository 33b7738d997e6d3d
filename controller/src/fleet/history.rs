//! What a proxy remembers of the way to its present counts.
//!
//! Who leads next knows nothing of what was counted before it asked. So a proxy keeps what it would have told: moments, each
//! with what was counted in it and the split by which that was sent. Moments of one split are put together as they get
//! older, to what a judge still takes for one interval, and the oldest are dropped: what is left is true all the same. One
//! in which the split changed is never put together with another.
//!
//! What was counted is kept as bytes, which take a tenth of the memory that the values would.

#[cfg(test)]
mod tests;

use super::{RolloutReport, Split, growth::Growth};
use serde::{Deserialize, Serialize};
use std::{collections::VecDeque, time::Duration};
use traffic::FailureRule;

/// How often the counters of a canary on trial are read, in milliseconds. What reads is woken every 100 ms, give or take.
const PERIOD: u64 = 950;
/// And those of a Rollout at rest.
const PERIOD_AT_REST: u64 = 7_950;
/// The latest moments of a trial stay as they are, as a verdict can be about them.
const RECENT: u64 = 60_000;
/// So long a recent moment may be, in milliseconds.
const SHORT: u64 = 1_000;
/// So long one may be: the judge takes no more than ten seconds for one interval.
pub(super) const LONG: u64 = 9_000;
/// How far back a trial is remembered.
pub(super) const REACH: u64 = 6 * 3_600_000;
/// How far back the stable of a Rollout at rest is remembered: half of what is known of it is of the last five minutes.
const REACH_AT_REST: u64 = 300_000;
/// And by no more moments: more than an hour of a trial.
const MOST: usize = 512;

/// By what requests are sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Under {
    /// The split that every worker serves; nothing while one still serves an earlier one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) serving: Option<Split>,
    /// See [`RolloutReport::changes`].
    pub(super) changes: u64,
    /// The trial that is under way, if one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) trial: Option<Tried>,
}

/// A canary that gets requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tried {
    /// By its pod template hash.
    pub(super) canary: String,
    /// No other trial of this process has it: one that was aborted and is tried again is on another trial.
    pub(super) number: u64,
}

/// A time by whose end requests were sent as is told, and at whose begin, too, but for the first moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Span {
    #[serde(flatten)]
    pub(super) under: Under,
    /// The first is that in which it changed, or the oldest that is remembered.
    pub(super) moments: Vec<Moment>,
}

/// What was counted between two readings. Between two moments nothing happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Moment {
    /// When it began, in milliseconds since the process did.
    pub(super) from: u64,
    /// When it ended.
    pub(super) at: u64,
    pub(super) counted: Growth,
}

/// What is remembered of one Rollout.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    latest: Option<Latest>,
    spans: VecDeque<Kept>,
}

/// The latest reading.
#[derive(Clone, Debug)]
struct Latest {
    at: u64,
    failures: FailureRule,
    /// What was told, as text.
    report: Box<str>,
}

/// A [`Span`], as it is kept.
#[derive(Clone, Debug)]
struct Kept {
    under: Under,
    moments: VecDeque<KeptMoment>,
}

#[derive(Clone, Debug)]
struct KeptMoment {
    from: u64,
    at: u64,
    counted: Packed,
}

/// A [`Growth`] as bytes.
#[derive(Clone, Debug)]
struct Packed(Box<[u8]>);

impl Packed {
    /// Nothing where it cannot be written, which it always can.
    fn of(counted: &Growth) -> Option<Self> {
        let bytes = postcard::to_allocvec(counted).ok()?;
        Some(Self(bytes.into()))
    }

    fn unpack(&self) -> Option<Growth> {
        postcard::from_bytes(&self.0).ok()
    }
}

impl History {
    /// Whether the counters are to be read again at `at`.
    pub(super) fn is_due(&self, at: Duration, is_on_trial: bool) -> bool {
        let period = match is_on_trial {
            true => PERIOD,
            false => PERIOD_AT_REST,
        };
        let latest = self.latest.as_ref();
        latest.is_none_or(|latest| millis(at).saturating_sub(latest.at) >= period)
    }

    /// Notes that the counters stood `at` that time, since the process began, as `report` says, with `trial` under way.
    pub(super) fn push(&mut self, at: Duration, trial: Option<Tried>, report: &RolloutReport) {
        let before = self.latest.take();
        let at = millis(at).max(before.as_ref().map_or(0, |before| before.at));
        let under = Under {
            serving: report.serving.clone(),
            changes: report.changes,
            trial,
        };
        // What was counted by two rules cannot be compared.
        match before.filter(|before| before.failures == report.failures) {
            None => self.spans.clear(),
            Some(before) => self.note(&before, at, &under, report),
        }
        // It always can be written.
        self.latest = serde_json::to_string(report).ok().map(|text| Latest {
            at,
            failures: report.failures,
            report: text.into(),
        });
        self.thin(at, under.trial.is_some());
    }

    fn note(&mut self, before: &Latest, at: u64, under: &Under, report: &RolloutReport) {
        let Ok(earlier) = serde_json::from_str::<RolloutReport>(&before.report) else {
            return self.spans.clear();
        };
        let is_same = self.spans.back().is_some_and(|span| span.under == *under);
        if is_same && earlier == *report {
            return;
        }
        let Some(counted) = Packed::of(&Growth::between(&earlier, report)) else {
            return self.spans.clear();
        };
        if !is_same {
            self.spans.push_back(Kept {
                under: under.clone(),
                moments: VecDeque::new(),
            });
        }
        if let Some(span) = self.spans.back_mut() {
            let from = before.at;
            span.moments.push_back(KeptMoment { from, at, counted });
        }
    }

    /// Puts together what is old, and drops what is too old.
    fn thin(&mut self, now: u64, is_on_trial: bool) {
        let reach = match is_on_trial {
            true => REACH,
            false => REACH_AT_REST,
        };
        let longest = |at: u64| match is_on_trial && now.saturating_sub(at) < RECENT {
            true => SHORT,
            false => LONG,
        };
        for span in &mut self.spans {
            span.thin(longest);
        }
        let mut kept: usize = self.spans.iter().map(|span| span.moments.len()).sum();
        while let Some(oldest) = self.spans.front_mut() {
            let is_old = |moment: &KeptMoment| now.saturating_sub(moment.at) > reach;
            if kept <= MOST && !oldest.moments.front().is_none_or(is_old) {
                break;
            }
            kept -= usize::from(oldest.moments.pop_front().is_some());
            if oldest.moments.is_empty() {
                self.spans.pop_front();
            }
        }
    }

    /// All that is remembered, oldest first.
    pub(super) fn told(&self) -> Vec<Span> {
        let moment = |kept: &KeptMoment| {
            Some(Moment {
                from: kept.from,
                at: kept.at,
                counted: kept.counted.unpack()?,
            })
        };
        let span = |kept: &Kept| Span {
            under: kept.under.clone(),
            moments: kept.moments.iter().filter_map(moment).collect(),
        };
        self.spans.iter().map(span).collect()
    }

    #[cfg(test)]
    fn bytes(&self) -> usize {
        let of_spans = self.spans.iter().map(|span| {
            let texts = span.moments.iter().map(|moment| moment.counted.0.len());
            let own = span.moments.capacity() * size_of::<KeptMoment>() + size_of::<Kept>();
            texts.sum::<usize>() + own
        });
        let latest = self.latest.as_ref();
        of_spans.sum::<usize>() + latest.map_or(0, |latest| latest.report.len())
    }
}

impl Kept {
    /// Puts neighbours together that are no longer than `longest` allows at their end. The first one stays by itself: the
    /// split changed in it.
    fn thin(&mut self, longest: impl Fn(u64) -> u64) {
        let mut place = 1;
        while let (Some(one), Some(next)) = (self.moments.get(place), self.moments.get(place + 1)) {
            if next.at - one.from > longest(next.at) {
                place += 1;
                continue;
            }
            let Some(both) = one.then(next) else {
                place += 1;
                continue;
            };
            self.moments[place] = both;
            self.moments.remove(place + 1);
        }
    }
}

impl KeptMoment {
    fn then(&self, later: &Self) -> Option<Self> {
        let counted = self.counted.unpack()?.then(&later.counted.unpack()?);
        Some(Self {
            from: self.from,
            at: later.at,
            counted: Packed::of(&counted)?,
        })
    }
}

/// Whole milliseconds.
pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
