//! How a test came to its evidence: what it was given, block by block, so that it can be added up again.
//!
//! A journal holds the test as it once stood, the checkpoint, and everything that was judged since. It is of two
//! halves: when the newer is full, the older is dropped, and what it led to is the checkpoint of the rest. So the
//! latest [`HALF`] events are always there, and all of them while there are at most twice as many: 13 to 26 seconds
//! of a busy rollout, minutes of a quiet one, in 20 KiB for each test.
//!
//! The journal is kept in memory only, as the state file is written every second. After a restart it begins with the
//! test as it was stored.

use super::{
    block::{Block, Dispersion},
    blocks::{Closed, Tally},
    config::Parameters,
    watch::Null,
};
use serde::{Deserialize, Serialize};
use std::mem;

/// So many events fill a half.
const HALF: usize = 128;

/// No test lasts longer, in seconds: thirty thousand years.
pub(super) const LATEST: f64 = 1e12;

/// A test that judges one block after the other.
pub(super) trait Sequential: Clone {
    /// A step begins to send traffic.
    fn begin_step(&mut self);
    /// Takes a block's evidence.
    fn judge(&mut self, judged: &Judged, parameters: &Parameters);
    /// Takes the evidence of a tick, if it is a test of ticks.
    fn tick(&mut self, _: Tick, _: &Parameters) {}
    /// The evidence so far.
    fn ln_e(&self) -> f64;
    /// The canary's counts and the stable's.
    fn counts(&self) -> (Tally, Tally);
}

/// A block with all that it is judged by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judged {
    pub(super) closed: Closed,
    pub(super) null: Null,
    pub(super) dispersion: Dispersion,
}

/// The requests of a tick, of both versions together.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "(f64, f64, u64)", into = "(f64, f64, u64)")]
pub(super) struct Tick {
    /// Seconds from the canary's begin to the tick's start.
    pub(super) start: f64,
    pub(super) seconds: f64,
    pub(super) requests: u64,
}

impl From<(f64, f64, u64)> for Tick {
    fn from((start, seconds, requests): (f64, f64, u64)) -> Self {
        Self {
            start,
            seconds,
            requests,
        }
    }
}

impl From<Tick> for (f64, f64, u64) {
    fn from(tick: Tick) -> Self {
        (tick.start, tick.seconds, tick.requests)
    }
}

/// What happened to a test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Event {
    /// A step began to send traffic.
    StepStarts,
    /// A window opened, with so much evidence (`ln E`) so far.
    Window(f64),
    /// What the blocks from here on were judged by.
    Null(Null),
    /// A block was judged.
    Block(Row),
    /// A tick was judged.
    Tick(Tick),
}

/// A block as it is written: start in seconds, the stable's guessed ratio, the dispersion of the canary and that of the
/// stable, the canary's requests under way, its requests and the bad ones of them, the stable's requests and the bad ones
/// of them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Row(f64, f64, f64, f64, u64, u64, u64, u64, u64);

impl Row {
    fn of(judged: &Judged) -> Self {
        let Closed {
            start,
            stable_ratio,
            block,
            unanswered,
        } = judged.closed;
        Self(
            start,
            stable_ratio,
            judged.dispersion.canary,
            judged.dispersion.stable,
            unanswered,
            block.canary,
            block.canary_bad,
            block.stable,
            block.stable_bad,
        )
    }

    pub(super) fn judged(&self, null: Null) -> Judged {
        let Self(
            start,
            stable_ratio,
            canary_dispersion,
            stable_dispersion,
            unanswered,
            canary,
            canary_bad,
            stable,
            stable_bad,
        ) = *self;
        let block = Block {
            canary,
            canary_bad,
            stable,
            stable_bad,
        };
        Judged {
            closed: Closed {
                start,
                stable_ratio,
                block,
                unanswered,
            },
            null,
            dispersion: Dispersion {
                canary: canary_dispersion,
                stable: stable_dispersion,
            },
        }
    }
}

/// A test at one moment and what it was given from then on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Log<T> {
    /// The test as it stood.
    pub(super) checkpoint: T,
    /// What it judged by then, if it had judged anything.
    pub(super) null: Option<Null>,
    pub(super) events: Vec<Event>,
}

impl<T: Sequential> Log<T> {
    fn at(test: &T, null: Option<Null>) -> Self {
        Self {
            checkpoint: test.clone(),
            null,
            events: Vec::new(),
        }
    }
}

/// The newest part of what a test was given.
#[derive(Clone, Debug)]
pub(super) struct Journal<T> {
    older: Option<Box<Log<T>>>,
    newer: Option<Box<Log<T>>>,
    /// What the latest block was judged by.
    null: Option<Null>,
}

// By hand, as a test need not have a default.
impl<T> Default for Journal<T> {
    fn default() -> Self {
        Self {
            older: None,
            newer: None,
            null: None,
        }
    }
}

/// How evidence came about is no part of what it is: a test that was stored and read is the same without its journal.
impl<T> PartialEq for Journal<T> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<T: Sequential> Journal<T> {
    /// Notes that a step starts. `before` is the test until then, with an empty journal in place of this one.
    pub(super) fn step_starts(&mut self, before: &T) {
        self.note(before, Event::StepStarts);
    }

    /// Notes what is about to be judged by the test `before`. `opens_window` if a window begins with it.
    pub(super) fn block(&mut self, before: &T, judged: &Judged, opens_window: bool) {
        if opens_window {
            self.note(before, Event::Window(before.ln_e()));
        }
        if self.null != Some(judged.null) {
            self.note(before, Event::Null(judged.null));
            self.null = Some(judged.null);
        }
        self.note(before, Event::Block(Row::of(judged)));
    }

    /// The same of a tick.
    pub(super) fn tick(&mut self, before: &T, tick: Tick, opens_window: bool) {
        if opens_window {
            self.note(before, Event::Window(before.ln_e()));
        }
        self.note(before, Event::Tick(tick));
    }

    fn note(&mut self, before: &T, event: Event) {
        let newer = self
            .newer
            .get_or_insert_with(|| Box::new(Log::at(before, self.null)));
        if newer.events.len() >= HALF {
            let full = mem::replace(newer, Box::new(Log::at(before, self.null)));
            self.older = Some(full);
        }
        newer.events.push(event);
    }

    /// The start of the latest block that was noted.
    pub(super) fn latest_start(&self) -> Option<f64> {
        let newest_first = [&self.newer, &self.older].into_iter().flatten();
        newest_first
            .flat_map(|log| log.events.iter().rev())
            .find_map(|event| match event {
                Event::Block(row) => Some(row.0),
                Event::StepStarts | Event::Window(_) | Event::Null(_) | Event::Tick(_) => None,
            })
    }

    /// All that is known of how the test came about. `now` is the test with an empty journal in place of this one.
    pub(super) fn log(&self, now: impl FnOnce() -> T) -> Log<T> {
        let mut halves = [&self.older, &self.newer].into_iter().flatten();
        let Some(first) = halves.next() else {
            return Log::at(&now(), self.null);
        };
        let mut log = Log::clone(first);
        for half in halves {
            log.events.extend_from_slice(&half.events);
        }
        log
    }
}
