//! Years of several processes, which hear of things late, are stopped and started, and write at the same time.

use super::{Keeper, Lives};
use crate::webhook::{
    certificate::{Certificate, Pair},
    contents::{Contents, verify},
    names::{Service, ServiceName},
};
use proptest::prelude::*;
use rustls::pki_types::{CertificateDer, UnixTime};
use std::{collections::HashSet, time::Duration};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Processes may be stopped for days.
const SOON: Duration = Duration::from_secs(6 * 24 * 3600);
const YEARS: Duration = Duration::from_secs(6 * 365 * 24 * 3600);
/// 2026-01-01.
const BEGIN: Duration = Duration::from_secs(1_767_225_600);

/// As they are, but that looks are rare, so that years take few of them.
fn lives() -> Lives {
    Lives {
        settling: 24 * HOUR,
        look: 12 * HOUR,
        ..Lives::default()
    }
}

fn service() -> Service {
    "sluice/hook".parse::<ServiceName>().unwrap().within("")
}

/// What goes wrong in a run, but for what always does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weather {
    Fair,
    /// The configuration cannot be written for days.
    Forbidden,
    /// Somebody deletes the Secret, or garbles it, every few months.
    Lost,
}

/// SplitMix64.
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % most
    }

    fn within(&mut self, most: Duration) -> Duration {
        Duration::from_secs(self.below(most.as_secs() + 1))
    }
}

/// What a process does next.
#[derive(Debug)]
enum Stage {
    ReadConfiguration,
    ReadSecret {
        bundle: Vec<Certificate>,
        version: u64,
    },
    Write {
        seen: u64,
        contents: Contents,
        version: u64,
    },
    Name {
        contents: Contents,
        version: u64,
    },
}

struct Process {
    keeper: Keeper,
    stage: Stage,
    at: Duration,
    /// What it serves, by its number.
    served: Option<usize>,
    /// When it began to serve.
    since: Option<Duration>,
}

impl Process {
    fn new(now: Duration) -> Self {
        Self {
            keeper: Keeper::new(service().hosts(), lives()),
            stage: Stage::ReadConfiguration,
            at: now,
            served: None,
            since: None,
        }
    }
}

struct World {
    chance: Chance,
    weather: Weather,
    secret: (u64, Option<Contents>),
    /// Every bundle that there was, and since when.
    bundles: Vec<(Duration, Vec<Certificate>)>,
    processes: Vec<Process>,
    /// Until when the configuration cannot be written, and then again.
    forbidden: Duration,
    /// When the Secret was last lost, and by when what is made anew is trusted. Until then, who has served nothing before
    /// serves what nobody can trust yet.
    lost: [Duration; 2],
    /// Every certificate that was served.
    served: Vec<Pair>,
    /// Which of them who has which bundle is known to trust.
    verified: HashSet<(usize, usize)>,
    issuers: HashSet<CertificateDer<'static>>,
}

impl World {
    fn new(seed: u64, weather: Weather) -> Self {
        Self {
            chance: Chance(seed),
            weather,
            secret: (0, None),
            bundles: vec![(Duration::ZERO, Vec::new())],
            processes: (0..3).map(|_| Process::new(BEGIN)).collect(),
            forbidden: Duration::ZERO,
            lost: [BEGIN, BEGIN + SOON],
            served: Vec::new(),
            verified: HashSet::new(),
            issuers: HashSet::new(),
        }
    }

    fn run(&mut self) {
        let (mut now, mut before) = (BEGIN, BEGIN);
        while now < BEGIN + YEARS {
            let next = (0..self.processes.len()).min_by_key(|&i| self.processes[i].at);
            let next = next.unwrap();
            now = now.max(self.processes[next].at);
            self.all_are_trusted(before, now);
            self.happen(next, now);
            self.step(next, now);
            before = now;
        }
    }

    /// What processes do not do themselves.
    fn happen(&mut self, next: usize, now: Duration) {
        if self.chance.below(200) == 0 {
            self.processes[next] = Process::new(now);
        }
        match self.weather {
            Weather::Forbidden if self.chance.below(500) == 0 => {
                self.forbidden = now + self.chance.within(20 * DAY);
                if now < self.lost[1] {
                    self.lost[1] = self.forbidden + SOON;
                }
            }
            Weather::Lost if self.chance.below(1500) == 0 => {
                self.secret = (self.secret.0 + 1, None);
                // Lost again before what was made anew is trusted, it is the same loss.
                let first = if now < self.lost[1] {
                    self.lost[0]
                } else {
                    now
                };
                self.lost = [first, now + SOON];
            }
            _ => {}
        }
    }

    /// One step of a process. Between two steps it may be stopped for long.
    fn step(&mut self, which: usize, now: Duration) {
        let process = &mut self.processes[which];
        let stage = std::mem::replace(&mut process.stage, Stage::ReadConfiguration);
        let version = self.bundles.len() as u64;
        let mut pause = match self.chance.below(300) {
            0 => self.chance.within(3 * DAY),
            _ => self.chance.within(Duration::from_secs(2)),
        };
        process.stage = match stage {
            Stage::ReadConfiguration => Stage::ReadSecret {
                bundle: self.bundles.last().unwrap().1.clone(),
                version,
            },
            Stage::ReadSecret { bundle, version } => {
                let (seen, secret) = self.secret.clone();
                let wanted = process.keeper.decide(&bundle, secret, now).unwrap();
                let contents = wanted.contents;
                match wanted.is_news {
                    true => Stage::Write {
                        seen,
                        contents,
                        version,
                    },
                    false => Stage::Name { contents, version },
                }
            }
            // Who comes second begins anew.
            Stage::Write { seen, .. } if seen != self.secret.0 => Stage::ReadConfiguration,
            Stage::Write {
                contents, version, ..
            } => {
                let written = contents.write();
                let read = Contents::read(&written, &service().hosts()).unwrap();
                assert_eq!(read, contents);
                self.issuers.insert(contents.issuer.certificate.der.clone());
                self.secret = (self.secret.0 + 1, Some(read));
                Stage::Name { contents, version }
            }
            Stage::Name {
                contents,
                version: seen,
            } => {
                let bundle: Vec<_> = contents.bundle().cloned().collect();
                let is_other = self.bundles.last().unwrap().1 != bundle;
                if is_other && now >= self.forbidden {
                    if seen != version {
                        process.stage = Stage::ReadConfiguration;
                        process.at = now + pause;
                        return;
                    }
                    self.bundles.push((now, bundle));
                }
                if let Some(pair) = process.keeper.take_up(&contents, now) {
                    let known = self.served.iter().position(|known| known == pair);
                    process.served = known.or(Some(self.served.len()));
                    if known.is_none() {
                        self.served.push(pair.clone());
                    }
                    process.since.get_or_insert(now);
                }
                pause = lives().look / 2 + self.chance.within(lives().look / 2);
                Stage::ReadConfiguration
            }
        };
        process.at = now + pause;
    }

    /// Whether every API server, some of which are late, trusts what every process has served from `from` to `to`.
    fn all_are_trusted(&mut self, from: Duration, to: Duration) {
        let [lost, found] = self.lost;
        let is_new = |process: &&Process| to < found && process.since.is_none_or(|at| at >= lost);
        let settled = self.processes.iter().filter(|process| !is_new(process));
        let served: Vec<usize> = settled.filter_map(|process| process.served).collect();
        for lag in [Duration::ZERO, 6 * HOUR, lives().settling] {
            let known = |at: Duration| {
                self.bundles
                    .partition_point(|(since, _)| *since + lag <= at)
            };
            for bundle in known(from) - 1..known(to) {
                for served in &served {
                    self.is_trusted(bundle, *served, to);
                }
            }
        }
    }

    fn is_trusted(&mut self, bundle: usize, served: usize, now: Duration) {
        let certificate = &self.served[served].certificate;
        assert!(!certificate.is_over(now), "it has run out");
        if self.verified.insert((bundle, served)) {
            let roots: Vec<_> = self.bundles[bundle]
                .1
                .iter()
                .map(|root| root.der.clone())
                .collect();
            for host in service().hosts() {
                let now = UnixTime::since_unix_epoch(now);
                verify(&roots, &certificate.der, &host, now).unwrap();
            }
        }
    }
}

fn check(seed: u64, weather: Weather) {
    let mut world = World::new(seed, weather);
    world.run();
    let years = usize::try_from(YEARS.as_secs() / (365 * 24 * 3600)).unwrap();
    // Each is renewed when two thirds of its life are over: authorities after 300 days, what is served after 60.
    assert!(world.issuers.len() >= years, "{}", world.issuers.len());
    assert!(world.served.len() >= 5 * years, "{}", world.served.len());
    let most = if weather == Weather::Lost { 12 } else { 3 };
    let all = world
        .secret
        .1
        .map_or(0, |contents| contents.bundle().count());
    assert!(all <= most, "{all} authorities");
}

/// What is new in the Secret, day by day, where nothing comes late.
#[test]
fn years_go_by() {
    let mut keeper = Keeper::new(service().hosts(), lives());
    let (mut bundle, mut secret) = (Vec::new(), None::<Contents>);
    let mut news = Vec::new();
    for day in 0..800 {
        let now = BEGIN + DAY * day;
        let before = secret.clone();
        let wanted = keeper.decide(&bundle, secret, now).unwrap();
        assert_eq!(wanted.is_news, before.as_ref() != Some(&wanted.contents));
        let contents = wanted.contents;
        if let Some(before) = before {
            let mut changed = |what, is_new| {
                if is_new {
                    news.push((day, what))
                }
            };
            changed(
                "next",
                before.next != contents.next && contents.next.is_some(),
            );
            changed("issuer", before.issuer != contents.issuer);
            changed("serving", before.serving != contents.serving);
            changed("forgotten", before.old.len() > contents.old.len());
        }
        bundle = contents.bundle().cloned().collect();
        let served = keeper.take_up(&contents, now).cloned();
        assert_eq!(
            served.is_some(),
            news.last() == Some(&(day, "serving")) || day == 0
        );
        secret = Some(contents);
    }
    let expected = [
        (60, "serving"),
        (120, "serving"),
        (180, "serving"),
        (240, "serving"),
        (300, "next"),
        (300, "serving"),
        // The first look at which the configuration has named it for long enough.
        (302, "issuer"),
        (302, "serving"),
        (362, "serving"),
        (422, "serving"),
        (450, "forgotten"),
        (482, "serving"),
        (542, "serving"),
        (600, "next"),
        (602, "issuer"),
        (602, "serving"),
        (662, "serving"),
        (722, "serving"),
        (750, "forgotten"),
        (782, "serving"),
    ];
    assert_eq!(news, expected);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_served_is_trusted(seed: u64) {
        check(seed, Weather::Fair);
    }

    #[test]
    fn whatever_is_served_is_trusted_when_it_cannot_be_written_whom_to_trust(seed: u64) {
        check(seed, Weather::Forbidden);
    }

    #[test]
    fn whoever_serves_is_trusted_when_the_secret_is_lost(seed: u64) {
        check(seed, Weather::Lost);
    }
}
