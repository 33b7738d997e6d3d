//! Canaries whose users are kept on them, some of whom fail whatever version they get.

use crate::{
    cell::{Cell, HISTORY},
    watched::{Seen, Watched, errors_only},
};
use rollout::{
    analysis::{Judge, Judgement},
    sim::Random,
};
use std::time::Duration;
use traffic::{
    Counting, FailureRule, Generation, RouteTable, Routes, SECTORS, SectorCounts, Snapshot,
    UserCounts, Weight,
};

/// So many users there are.
const USERS: usize = 600;
/// Some send much and most send little: the standard deviation of the logarithm of their rates.
const SPREAD: f64 = 1.5;
/// The share of users who fail always.
const BROKEN: f64 = 0.01;

/// The users of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Crowd {
    /// Whether the guard is told what they met before. Without, it takes them to be alike.
    pub(crate) known: bool,
    /// How long the stable was alone.
    pub(crate) history: Duration,
}

impl Crowd {
    /// Users whose past is as long as that of the other cells.
    pub(crate) const fn new(known: bool) -> Self {
        Self {
            known,
            history: HISTORY,
        }
    }
}

/// Requests a second of those who are well, and of the broken ones.
#[derive(Clone, Copy, Debug, Default)]
struct Rates {
    well: f64,
    broken: f64,
}

/// The time between two looks: that of a burst window.
const LOOK: Duration = Duration::from_secs(1);

/// Counts alone, drawn for a second at a time.
pub(crate) struct StickyStream {
    judge: Judge,
    snapshot: Snapshot,
    generation: Generation,
    random: Random,
    cell: Cell,
    crowd: Crowd,
    /// By sector, while the stable is alone.
    sectors: [Rates; SECTORS],
    /// Of the canary's users and the stable's.
    sides: [Rates; 2],
}

impl StickyStream {
    /// The cell's canary at its begin.
    pub(crate) fn new(cell: &Cell, crowd: Crowd, seed: u64) -> Self {
        let mut stream = Self {
            judge: Judge::new(errors_only()),
            snapshot: Snapshot::default(),
            generation: Routes::default().publish(RouteTable::default()),
            random: Random::new(seed),
            cell: *cell,
            crowd,
            sectors: [Rates::default(); SECTORS],
            sides: [Rates::default(); 2],
        };
        stream.settle(cell.share());
        stream.snapshot.users = Some(UserCounts {
            counting: Counting {
                salt: 1,
                rule: FailureRule::DEFAULT,
            },
            sectors: Box::new([SectorCounts::default(); SECTORS]),
        })
        .filter(|_| crowd.known);
        while stream.snapshot.at < crowd.history {
            stream.pass();
        }
        stream.judge.begin(stream.now(), 1);
        stream.judge.start_step(cell.share());
        stream
    }

    /// Gives each user a place, a rate and a fate.
    fn settle(&mut self, weight: Weight) {
        let random = &mut self.random;
        let rates: Vec<f64> = (0..USERS)
            .map(|_| (SPREAD * random.normal()).exp())
            .collect();
        let scale = self.cell.rps() / rates.iter().sum::<f64>();
        for rate in rates {
            let point = random.bits();
            let is_broken = random.chance(BROKEN);
            let sector = (point >> (u64::BITS - SECTORS.ilog2())) as usize;
            let side = usize::from(!weight.admits(point));
            for rates in [&mut self.sectors[sector], &mut self.sides[side]] {
                match is_broken {
                    true => rates.broken += rate * scale,
                    false => rates.well += rate * scale,
                }
            }
        }
    }

    fn now(&self) -> jiff::Timestamp {
        let passed = jiff::SignedDuration::try_from(self.snapshot.at).unwrap_or_default();
        jiff::Timestamp::UNIX_EPOCH + passed
    }

    /// The stable is alone for the time between two looks.
    fn pass(&mut self) {
        let stable = self.cell.stable();
        for sector in 0..SECTORS {
            let (requests, failed) = draw(self.sectors[sector], stable, &mut self.random);
            self.snapshot.stable.dispatched += requests;
            self.snapshot.stable.failed += failed;
            if let Some(users) = &mut self.snapshot.users {
                users.sectors[sector].requests += requests;
                users.sectors[sector].failed += failed;
            }
        }
        self.look();
    }

    fn look(&mut self) {
        self.snapshot.at += LOOK;
        self.snapshot.generation = Some(self.generation);
        self.judge.observe(&self.snapshot, None, self.now());
    }
}

/// Requests and failures between two looks, where those who are well fail by `ratio`.
fn draw(rates: Rates, ratio: f64, random: &mut Random) -> (u64, u64) {
    let mut requests = |rate: f64| match rate {
        0.0 => 0,
        rate => random.poisson(rate * LOOK.as_secs_f64()),
    };
    let (well, broken) = (requests(rates.well), requests(rates.broken));
    (well + broken, random.binomial(well, ratio) + broken)
}

impl Watched for StickyStream {
    fn turn(&mut self) -> Seen {
        let [canary, stable] = self.sides;
        let (requests, failed) = draw(canary, self.cell.canary(), &mut self.random);
        self.snapshot.canary.dispatched += requests;
        self.snapshot.canary.failed += failed;
        let (requests, failed) = draw(stable, self.cell.stable(), &mut self.random);
        self.snapshot.stable.dispatched += requests;
        self.snapshot.stable.failed += failed;
        self.look();
        Seen {
            elapsed: self.snapshot.at.saturating_sub(self.crowd.history),
            requests: self.snapshot.canary.dispatched,
            failures: self.snapshot.canary.failed,
            convicted: matches!(self.judge.judgement(), Judgement::RollBack { .. }),
        }
    }
}
