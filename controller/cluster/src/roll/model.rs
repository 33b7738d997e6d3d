//! Processes of different numbers of shards, one among them, on one Lease, as [`crate::elect`] has them read and write it. In
//! whatever order that is, and however long any of it takes, no Rollout is led twice; and left in peace all are led.

use super::{Me, Next, Roll, Sight, decide};
use crate::{
    elect::{free, hold, record},
    lease::{self, Decision, Observed},
    shard::Shards,
};
use k8s_openapi::api::coordination::v1::Lease;
use proptest::prelude::*;
use std::{collections::BTreeMap, mem, time::Duration};

/// Some Rollouts, in their order, of each shard at least one.
const NAMES: [&str; 16] = [
    "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p",
];

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A write that is on its way.
struct Sent {
    lease: Lease,
    at: Duration,
}

struct Process {
    me: Me,
    /// For one that leads alone.
    alone: Option<Observed>,
    sight: Sight,
    sent: Option<Sent>,
    /// Until when it may write for the shards that it leads.
    leads: BTreeMap<u16, Duration>,
}

impl Process {
    fn new(number: usize, shards: u16, seconds: u32) -> Self {
        Self {
            me: Me {
                name: format!("p{number}"),
                seconds,
                shards: shards.try_into().unwrap(),
            },
            alone: None,
            sight: Sight::default(),
            sent: None,
            leads: BTreeMap::new(),
        }
    }

    fn is_alone(&self) -> bool {
        self.me.shards == Shards::ONE
    }

    fn renew_deadline(&self) -> Duration {
        s(self.me.seconds.into()) * 2 / 3
    }

    /// Reads the Lease, ends what it is to end, and sends its write.
    fn look(&mut self, found: Option<Lease>, now: Duration) {
        let lease = match self.is_alone() {
            true => self.look_alone(found, now),
            false => self.look_beside(found, now),
        };
        self.sent = lease.map(|lease| Sent { lease, at: now });
    }

    fn look_alone(&mut self, found: Option<Lease>, now: Duration) -> Option<Lease> {
        let seen = found.as_ref().map(record);
        self.alone = seen.map(|seen| Observed::after(self.alone.take(), seen, now));
        match lease::decide(self.alone.as_ref(), now, &self.me.name) {
            Decision::Renew => {}
            Decision::Wait(_) => {
                self.leads.clear();
                return None;
            }
            Decision::Create | Decision::Acquire => self.leads.clear(),
        }
        let mut lease = found.unwrap_or_default();
        // What an older build does: it leaves annotations as they are.
        hold(&mut lease, &self.me.name, s(self.me.seconds.into()));
        Some(lease)
    }

    fn look_beside(&mut self, found: Option<Lease>, now: Duration) -> Option<Lease> {
        let seen = found
            .as_ref()
            .map(|lease| (record(lease), Roll::read(lease)));
        self.sight.see(seen, now);
        match decide(&self.sight, now, &self.me) {
            Next::Wait => {
                self.leads.clear();
                None
            }
            Next::Write { keeps, roll } => {
                self.leads.retain(|shard, _| keeps.contains(shard));
                let mut lease = found.unwrap_or_default();
                hold(&mut lease, &roll.holder(), roll.duration());
                roll.write(&mut lease).unwrap();
                Some(lease)
            }
        }
    }

    /// Its write was made, and it is told so.
    fn answered(&mut self, lease: &Lease, sent: Duration) {
        let held = match self.is_alone() {
            true => [0].into(),
            false => Roll::read(lease).unwrap().led_by(&self.me.name),
        };
        let until = sent + self.renew_deadline();
        self.leads.retain(|shard, _| held.contains(shard));
        for shard in held {
            self.leads.insert(shard, until);
        }
    }

    /// The Lease as it is when this process has given up what it has, if it has anything.
    fn left(&self, mut lease: Lease) -> Option<Lease> {
        if self.is_alone() {
            if record(&lease).holder != self.me.name {
                return None;
            }
            free(&mut lease);
            return Some(lease);
        }
        let left = Roll::read(&lease)?.without(&self.me.name)?;
        match left.is_empty() {
            true => {
                free(&mut lease);
                Roll::erase(&mut lease);
            }
            false => {
                hold(&mut lease, &left.holder(), left.duration());
                left.write(&mut lease).unwrap();
            }
        }
        Some(lease)
    }

    /// Of the Rollouts [`NAMES`], those that it may write at `now`.
    fn may_write(&self, now: Duration) -> impl Iterator<Item = &'static str> {
        let leads = self.leads.iter();
        let leads = leads.filter(move |(_, until)| now < **until);
        let leads = leads.filter_map(|(shard, _)| self.me.shards.all().nth((*shard).into()));
        leads.flat_map(|shard| {
            NAMES
                .into_iter()
                .filter(move |name| shard.has("prod", name))
        })
    }
}

#[derive(Default)]
struct Cluster {
    lease: Option<Lease>,
    version: u64,
    now: Duration,
    processes: Vec<Process>,
    /// How many there were.
    born: usize,
    /// Writes of processes that are gone.
    late: Vec<Sent>,
}

impl Cluster {
    fn of(shards: &[u16]) -> Self {
        let mut cluster = Self::default();
        for shards in shards {
            cluster.join(*shards, 15);
        }
        cluster
    }

    fn join(&mut self, shards: u16, seconds: u32) {
        let process = Process::new(self.born, shards, seconds);
        self.born += 1;
        self.processes.push(process);
    }

    /// Makes a write, if the Lease is as it was read.
    fn write(&mut self, mut lease: Lease) -> Option<Lease> {
        let version = |lease: &Lease| lease.metadata.resource_version.clone();
        if version(&lease) != self.lease.as_ref().and_then(version) {
            return None;
        }
        self.version += 1;
        lease.metadata.resource_version = Some(self.version.to_string());
        self.lease = Some(lease);
        self.lease.clone()
    }

    fn look(&mut self, process: usize) {
        self.processes[process].look(self.lease.clone(), self.now);
    }

    /// The write of a process arrives; it may not be told.
    fn arrive(&mut self, process: usize, is_told: bool) {
        let Some(sent) = self.processes[process].sent.take() else {
            return;
        };
        if let Some(lease) = self.write(sent.lease)
            && is_told
        {
            self.processes[process].answered(&lease, sent.at);
        }
    }

    /// It is killed. What it has sent may still arrive.
    fn kill(&mut self, process: usize) {
        let killed = self.processes.remove(process);
        self.late.extend(killed.sent);
    }

    /// It is asked to end, and does.
    fn end(&mut self, process: usize) {
        let ended = self.processes.remove(process);
        if let Some(lease) = self.lease.clone().and_then(|lease| ended.left(lease)) {
            self.write(lease);
        }
        self.late.extend(ended.sent);
    }

    /// All go on in peace for so many seconds.
    fn rest(&mut self, seconds: u64) {
        for _ in 0..seconds / 2 {
            self.now += s(2);
            for process in 0..self.processes.len() {
                self.look(process);
                self.arrive(process, true);
                self.check();
            }
        }
    }

    /// The Rollouts that are led, as often as they are.
    fn led(&self) -> Vec<&'static str> {
        let processes = self.processes.iter();
        let led = processes.flat_map(|process| process.may_write(self.now));
        let mut led: Vec<&str> = led.collect();
        led.sort_unstable();
        led
    }

    fn check(&self) {
        let led = self.led();
        assert!(led.windows(2).all(|two| two[0] != two[1]), "{led:?}");
    }

    fn check_all_are_led(&self) {
        assert_eq!(self.led(), NAMES);
    }

    /// The shards that each process leads.
    fn shards(&self) -> Vec<Vec<u16>> {
        let led = |process: &Process| {
            let leads = process.leads.iter();
            let leads = leads.filter(|(_, until)| self.now < **until);
            leads.map(|(shard, _)| *shard).collect()
        };
        self.processes.iter().map(led).collect()
    }

    fn loads(&self) -> Vec<usize> {
        self.shards().iter().map(Vec::len).collect()
    }
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Wait(u64),
    Look,
    Arrive,
    ArriveUntold,
    ArriveLate,
    Kill(u16, u32),
    End(u16, u32),
}

fn act() -> impl Strategy<Value = Act> {
    let shards = || prop::sample::select(vec![1u16, 2, 4]);
    let seconds = || prop::sample::select(vec![6u32, 15]);
    prop_oneof![
        4 => (1u64..7).prop_map(Act::Wait),
        1 => (7u64..16).prop_map(Act::Wait),
        8 => Just(Act::Look),
        8 => Just(Act::Arrive),
        1 => Just(Act::ArriveUntold),
        1 => Just(Act::ArriveLate),
        1 => (shards(), seconds()).prop_map(|(shards, seconds)| Act::Kill(shards, seconds)),
        1 => (shards(), seconds()).prop_map(|(shards, seconds)| Act::End(shards, seconds)),
    ]
}

fn run(shards: &[u16], acts: Vec<(Act, usize)>) {
    let mut cluster = Cluster::of(shards);
    for (act, process) in acts {
        let process = process % cluster.processes.len();
        match act {
            Act::Wait(seconds) => cluster.now += s(seconds),
            Act::Look => cluster.look(process),
            Act::Arrive => cluster.arrive(process, true),
            Act::ArriveUntold => cluster.arrive(process, false),
            Act::ArriveLate => {
                for sent in mem::take(&mut cluster.late) {
                    cluster.write(sent.lease);
                }
            }
            Act::Kill(shards, seconds) => {
                cluster.kill(process);
                cluster.join(shards, seconds);
            }
            Act::End(shards, seconds) => {
                cluster.end(process);
                cluster.join(shards, seconds);
            }
        }
        cluster.check();
    }
    cluster.rest(80);
    cluster.check_all_are_led();
}

proptest! {
    #[test]
    fn two_of_different_numbers_of_shards(
        first in prop::sample::select(vec![1u16, 2]), acts in prop::collection::vec((act(), 0usize..2), 0..120),
    ) {
        run(&[first, 4], acts);
    }

    #[test]
    fn several(acts in prop::collection::vec((act(), 0usize..4), 0..200)) {
        run(&[4, 4, 1, 4], acts);
    }
}

#[test]
fn shards_go_to_all_and_only_those_of_who_goes_go_on() {
    let mut cluster = Cluster::of(&[4, 4, 4]);
    cluster.rest(10);
    assert_eq!(cluster.loads(), [4, 0, 0], "the first one begins with all");
    cluster.rest(20);
    let mut loads = cluster.loads();
    loads.sort_unstable();
    assert_eq!(loads, [1, 1, 2]);

    let before = cluster.shards();
    cluster.kill(0);
    cluster.rest(30);
    cluster.check_all_are_led();
    for (before, after) in before[1..].iter().zip(cluster.shards()) {
        assert!(before.iter().all(|shard| after.contains(shard)));
    }
    let before = cluster.shards();
    cluster.join(4, 15);
    cluster.rest(40);
    cluster.check_all_are_led();
    let after = cluster.shards();
    assert_eq!(after[2].len(), 1, "it has its part");
    for (before, after) in before.iter().zip(after) {
        assert!(after.iter().all(|shard| before.contains(shard)));
    }
}

/// What others are asked to lead at once, they lead within two looks.
#[test]
fn who_is_asked_to_end_is_not_waited_for() {
    let mut cluster = Cluster::of(&[4, 4]);
    cluster.rest(30);
    cluster.end(1);
    cluster.rest(2);
    cluster.check_all_are_led();
    // The last one gives the Lease back, for whatever number of shards.
    cluster.end(0);
    cluster.join(1, 15);
    cluster.rest(2);
    cluster.check_all_are_led();
    cluster.join(6, 15);
    cluster.rest(40);
    assert_eq!(cluster.loads(), [1, 0], "it waits");
    cluster.end(0);
    cluster.rest(2);
    assert_eq!(cluster.loads(), [6]);
}

#[test]
fn one_that_comes_and_goes_moves_nothing() {
    let mut cluster = Cluster::of(&[4, 4]);
    cluster.rest(40);
    let before = cluster.shards();
    for _ in 0..10 {
        cluster.join(4, 15);
        cluster.rest(12);
        cluster.kill(2);
        assert_eq!(cluster.shards(), before);
        cluster.rest(8);
    }
}

#[test]
fn the_rollouts_are_of_all_shards() {
    for count in [2, 4] {
        let shards: Shards = count.try_into().unwrap();
        for shard in shards.all() {
            assert!(NAMES.iter().any(|name| shard.has("prod", name)), "{shard}");
        }
    }
}
