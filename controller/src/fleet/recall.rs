//! What proxies remember, put together to what a leader would have been told that asked them all the time.
//!
//! Each proxy has a clock of its own. They are lined up by age: how long before the present reading something was. A tick is
//! what happened between two ages, and a moment is of the tick in which it ended. So moments of different proxies in one
//! tick are as far apart as a moment is long, which changes no count and no split: what is told of a moment is of its own
//! proxy. Ticks are cut where a proxy changed its split, so that these times stay short.

use super::{
    Answers, Judging, Split, Target,
    growth::Growth,
    history::{LONG, REACH, Span, Tried, Under, millis},
};
use jiff::Timestamp;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::Duration,
};
use traffic::{FailureRule, Weight};

/// Within the last minute a tick is so long, in milliseconds, as moments are.
const SHORT: u64 = 1_000;
const RECENT: u64 = 60_000;
/// And before. The judge takes no more than ten seconds for one interval.
const OLD: u64 = 8_000;

/// What all proxies told about one tick.
#[derive(Debug, Default)]
pub(super) struct Tick<'a> {
    /// How long ago it ended.
    pub(super) age: Duration,
    /// By proxy. One that remembers nothing of so long ago is left out.
    pub(super) told: BTreeMap<SocketAddr, Recalled<'a>>,
}

/// What one proxy told about one tick.
#[derive(Clone, Debug)]
pub(super) struct Recalled<'a> {
    pub(super) process: &'a str,
    /// By what its requests were sent at the end.
    pub(super) under: &'a Under,
    pub(super) rule: FailureRule,
    /// What it counted.
    pub(super) counted: Vec<&'a Growth>,
    /// What it counted last, with what was under way then.
    pub(super) latest: &'a Growth,
}

/// One proxy's moments, oldest first.
struct Past<'a> {
    process: &'a str,
    rule: FailureRule,
    moments: Vec<Aged<'a>>,
}

/// A moment, by how long ago it began and ended.
struct Aged<'a> {
    from: u64,
    to: u64,
    under: &'a Under,
    /// Whether the split changed in it.
    is_seam: bool,
    counted: &'a Growth,
}

impl<'a> Past<'a> {
    fn of(process: &'a str, rule: FailureRule, now: Duration, history: &'a [Span]) -> Self {
        let age = |at: u64| millis(now).saturating_sub(at);
        let aged = |span: &'a Span| {
            let moments = span.moments.iter().enumerate();
            moments.map(move |(place, moment)| Aged {
                from: age(moment.from),
                to: age(moment.at),
                under: &span.under,
                is_seam: place == 0,
                counted: &moment.counted,
            })
        };
        let moments = history.iter().flat_map(aged);
        let mut moments: Vec<_> = moments.filter(|moment| moment.from <= REACH).collect();
        moments.sort_by_key(|moment| std::cmp::Reverse(moment.to));
        Self {
            process,
            rule,
            moments,
        }
    }
}

/// The ticks that the histories in `answers` tell of, oldest first; none without a history. Left out are proxies that
/// counted by another rule of what a failure is than `rule`.
pub(super) fn ticks(answers: &Answers, rule: FailureRule) -> Vec<Tick<'_>> {
    let told = answers.iter().filter_map(|(address, told)| {
        let told = told.as_ref()?;
        let report = &told.report;
        let past = Past::of(&told.process, report.failures, told.at, &report.history);
        (report.failures == rule).then_some((*address, past))
    });
    let pasts: BTreeMap<SocketAddr, Past<'_>> = told.collect();
    let mut known: BTreeMap<SocketAddr, (usize, Recalled<'_>)> = BTreeMap::new();
    let mut ticks = Vec::new();
    for end in ends(pasts.values()) {
        for recalled in known.values_mut() {
            recalled.1.counted.clear();
        }
        for (address, past) in &pasts {
            let passed = known.get(address).map_or(0, |(passed, _)| *passed);
            let due = past.moments[passed..].iter();
            for moment in due.take_while(|moment| moment.to >= end) {
                let known = known.entry(*address).or_insert_with(|| {
                    let recalled = Recalled {
                        process: past.process,
                        under: moment.under,
                        rule: past.rule,
                        counted: Vec::new(),
                        latest: moment.counted,
                    };
                    (0, recalled)
                });
                known.0 += 1;
                known.1.take(moment);
            }
        }
        let recalled = known
            .iter()
            .map(|(address, (_, told))| (*address, told.clone()));
        ticks.push(Tick {
            age: Duration::from_millis(end),
            told: recalled.collect(),
        });
    }
    ticks
}

impl<'a> Recalled<'a> {
    fn take(&mut self, moment: &Aged<'a>) {
        self.under = moment.under;
        self.latest = moment.counted;
        // One in which the process stood still is no interval for a judge.
        if moment.from.saturating_sub(moment.to) <= LONG {
            self.counted.push(moment.counted);
        }
    }
}

/// When ticks end, by age, the largest first.
fn ends<'p>(pasts: impl Iterator<Item = &'p Past<'p>>) -> Vec<u64> {
    let (mut oldest, mut ends) = (None, BTreeSet::new());
    for moment in pasts.flat_map(|past| &past.moments) {
        oldest = oldest.max(Some(moment.from));
        if moment.is_seam {
            ends.extend([moment.from, moment.to]);
        }
    }
    let Some(oldest) = oldest else {
        return Vec::new();
    };
    let recent = (0..=RECENT).step_by(SHORT as usize);
    let before = (RECENT..).step_by(OLD as usize).skip(1);
    let grid = recent.chain(before).take_while(|age| *age <= oldest);
    ends.extend(grid);
    ends.into_iter().rev().collect()
}

/// Which ticks are of the canary that is on trial now, by their places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scope {
    /// With the end of this one all proxies had begun the present trial, and none has ended it since.
    pub(super) begins: usize,
    /// With the end of this one the present step had begun, and the canary has had its weight since: what was sent after
    /// it is evidence for that. Nothing where no step asks for evidence, or it is not known when it began.
    pub(super) aims: Option<usize>,
}

impl Scope {
    /// What `ticks`, whose ages are from `now`, tell of the trial that `judging` is about; nothing where some proxy is on
    /// another one.
    pub(super) fn of(ticks: &[Tick<'_>], judging: &Judging, now: Timestamp) -> Option<Self> {
        let wanted = judging.split.as_ref().filter(|_| judging.on_trial)?;
        let present = ticks.last()?;
        let is_of_it = |(address, told): (&SocketAddr, &Recalled<'_>)| {
            let trial = told.under.trial.as_ref();
            trial.is_some_and(|trial| trial.canary == wanted.canary)
                && trial == present.trial(address)
                && told.under.is_of_the_versions_of(wanted)
        };
        let is_trial = |tick: &Tick<'_>| !tick.told.is_empty() && tick.told.iter().all(is_of_it);
        let begins = since(ticks, is_trial)?;
        let aims = judging.target.zip(judging.step_since);
        let aims = aims.and_then(|(target, step_since)| {
            let has_weight = |tick: &Tick<'_>| {
                let weight = tick.serving().map(|split| split.weight);
                // A canary whose pods were gone for a moment had no weight, and no requests.
                let is_its =
                    weight.is_none_or(|weight| weight == Weight::ZERO || weight == target.from);
                is_its && tick.ended(now) >= step_since
            };
            Some(since(ticks, has_weight)?.max(begins))
        });
        Some(Self { begins, aims })
    }

    /// What the step asked for while the tick at `place` passed.
    pub(super) fn target(self, place: usize, judging: &Judging) -> Option<Target> {
        let aims = self.aims?;
        judging.target.filter(|_| place > aims)
    }
}

/// The first place from which on all `ticks` hold; nothing where the last does not.
fn since(ticks: &[Tick<'_>], holds: impl Fn(&Tick<'_>) -> bool) -> Option<usize> {
    let last_other = ticks.iter().rposition(|tick| !holds(tick));
    let first = last_other.map_or(0, |place| place + 1);
    (first < ticks.len()).then_some(first)
}

impl Tick<'_> {
    /// The trial that is under way at the proxy at `address`.
    fn trial(&self, address: &SocketAddr) -> Option<&Tried> {
        self.told.get(address)?.under.trial.as_ref()
    }

    /// The split that all proxies served at its end.
    fn serving(&self) -> Option<&Split> {
        let mut splits = self.told.values().map(|told| told.under.serving.as_ref());
        let first = splits.next().flatten()?;
        splits.all(|split| split == Some(first)).then_some(first)
    }

    /// When it ended, by the clock that shows `now`.
    pub(super) fn ended(&self, now: Timestamp) -> Timestamp {
        now.checked_sub(self.age).unwrap_or(Timestamp::MIN)
    }
}

impl Under {
    /// Whether nothing else is served than `split`, at whatever weight.
    fn is_of_the_versions_of(&self, split: &Split) -> bool {
        let serving = self.serving.as_ref();
        serving.is_none_or(|own| own.stable == split.stable && own.canary == split.canary)
    }
}
