//! Who is there, and who leads which shard, where several processes lead at once: the roll. Pure.
//!
//! The roll is written into one Lease, the one by which a single process leads where there is one shard. Each process that
//! takes part has an entry with a beat, which grows with each of its writes, and with the shards that it leads. All of them
//! renew that Lease, each by writing its own entry anew; every write is made only if the Lease is still as it was read.
//!
//! # Why no Rollout is led twice
//!
//! A process leads a shard from when a write of its was answered that has the shard in its entry, and until the renew
//! deadline has passed since it *sent* its last such write. So all that others have to know is in the Lease:
//!
//! - **The same number of shards.** A shard is in one entry at most, as each write replaces the whole roll as it was read.
//!   It leaves an entry in two ways. Its process takes it out, after it has ended all work for it. Or another process takes
//!   the entry away, which has seen no other beat for as long as the entry says (more than its process's renew deadline), by
//!   its own clock. What that process has sent by then, and comes later, is refused, as the Lease is not as it was read.
//! - **Another number of shards**, also 1, also of an older build that knows no shards. For all of them there is one
//!   Lease, and one holder: a process that leads alone by its name, all that have so many shards together by the words
//!   that [`Roll::holder`] makes. Who is no part of the holder waits until it is given back, or has run out: not been
//!   written for as long as it says, which is the longest that any entry says. It is given back by the last process that
//!   takes itself out of the roll, and no process that still leads can be missing there.
//!
//! A Lease for each shard could not tell that to a process that leads alone: it looks at no other Lease, and has no right to.

#[cfg(test)]
mod model;
mod place;
#[cfg(test)]
mod tests;

use crate::{
    lease::{self, Decision, Observed, Record},
    shard::Shards,
};
use k8s_openapi::api::coordination::v1::Lease;
use place::{even_out, fill};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// The annotation of the Lease that the roll is in, as JSON.
const ANNOTATION: &str = "sluice.dev/shards";

/// Who is there, and who leads which shard. What a later build has beside that is not understood, and so not overwritten.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Roll {
    shards: Shards,
    members: BTreeMap<String, Member>,
}

/// The entry of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Member {
    /// Grows with each of its writes, and is none that it had before, also when its entry was taken away meanwhile: who did
    /// not see that would take it for one that is gone.
    beat: u64,
    /// Others take it away when they have seen no other beat for so many seconds.
    seconds: u32,
    /// The shards that it leads.
    leads: BTreeSet<u16>,
}

impl Roll {
    fn new(shards: Shards) -> Self {
        Self {
            shards,
            members: BTreeMap::new(),
        }
    }

    /// What a Lease says, if it is held by those who are in a roll.
    pub(crate) fn read(lease: &Lease) -> Option<Self> {
        let written = lease.metadata.annotations.as_ref()?.get(ANNOTATION)?;
        let roll: Self = serde_json::from_str(written).ok()?;
        // A process that leads alone may have taken the Lease since, and leaves annotations as they are.
        let holder = lease.spec.as_ref()?.holder_identity.as_ref()?;
        (*holder == roll.holder() && roll.is_sound()).then_some(roll)
    }

    /// Writes it into a Lease; the Lease's holder and duration are to be written, too.
    pub(crate) fn write(&self, lease: &mut Lease) -> Result<(), serde_json::Error> {
        let written = serde_json::to_string(self)?;
        let annotations = lease.metadata.annotations.get_or_insert_default();
        annotations.insert(ANNOTATION.to_owned(), written);
        Ok(())
    }

    /// Takes what is written of it out of a Lease.
    pub(crate) fn erase(lease: &mut Lease) {
        if let Some(annotations) = &mut lease.metadata.annotations {
            annotations.remove(ANNOTATION);
        }
    }

    /// All who are in it, as the holder of the Lease. No process has such a name.
    pub(crate) fn holder(&self) -> String {
        format!("{} shards", self.shards)
    }

    /// For how long the Lease is held without being written: the longest of all who are in it.
    pub(crate) fn duration(&self) -> Duration {
        let longest = self.members.values().map(|member| member.seconds).max();
        Duration::from_secs(longest.unwrap_or_default().into())
    }

    /// The shards that a process leads.
    pub(crate) fn led_by(&self, name: &str) -> BTreeSet<u16> {
        let member = self.members.get(name);
        member.map_or_else(BTreeSet::new, |member| member.leads.clone())
    }

    /// Who is left when a process is gone that has ended all its work; none when it is not there.
    pub(crate) fn without(mut self, name: &str) -> Option<Self> {
        self.members.remove(name).map(|_| self)
    }

    /// Whether nobody is there.
    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    fn is_sound(&self) -> bool {
        let mut led = BTreeSet::new();
        let mut all = self.members.values().flat_map(|member| &member.leads);
        all.all(|shard| *shard < self.shards.count() && led.insert(shard))
    }

    /// Who leads each shard.
    fn leaders(&self) -> Vec<Option<&str>> {
        let mut leaders = vec![None; usize::from(self.shards.count())];
        for (name, member) in &self.members {
            for shard in &member.leads {
                if let Some(leader) = leaders.get_mut(usize::from(*shard)) {
                    *leader = Some(name.as_str());
                }
            }
        }
        leaders
    }
}

/// What one process has seen of the Lease, by its own clock.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sight {
    /// How often the Lease was read.
    looks: u64,
    lease: Option<Observed>,
    roll: Option<Roll>,
    members: BTreeMap<String, Seen>,
}

/// What was seen of an entry.
#[derive(Clone, Copy, Debug)]
struct Seen {
    beat: u64,
    /// When this beat was seen first.
    at: Duration,
    /// Since when it is there without a break.
    since: Duration,
}

impl Sight {
    /// The Lease was read at `now`: its record, and its roll where it has one.
    pub(crate) fn see(&mut self, found: Option<(Record, Option<Roll>)>, now: Duration) {
        self.looks = self.looks.saturating_add(1);
        let (record, roll) = found.unzip();
        self.lease = record.map(|record| Observed::after(self.lease.take(), record, now));
        self.roll = roll.flatten();
        let members = self.roll.iter().flat_map(|roll| &roll.members);
        let seen = members.map(|(name, member)| {
            let seen = match self.members.get(name) {
                Some(before) if before.beat == member.beat => *before,
                before => Seen {
                    beat: member.beat,
                    at: now,
                    since: before.map_or(now, |before| before.since),
                },
            };
            (name.clone(), seen)
        });
        self.members = seen.collect();
    }

    /// The roll that was read last.
    pub(crate) fn roll(&self) -> Option<&Roll> {
        self.roll.as_ref()
    }

    fn has_run_out(&self, name: &str, member: &Member, now: Duration) -> bool {
        let patience = Duration::from_secs(member.seconds.into());
        let seen = self.members.get(name);
        seen.is_some_and(|seen| seen.at.saturating_add(patience) <= now)
    }

    /// Whether a process has gone on for at least `long`. One that is gone is in the roll for a while, too.
    fn is_steady(&self, name: &str, long: Duration) -> bool {
        let seen = self.members.get(name);
        seen.is_some_and(|seen| seen.since.saturating_add(long) <= seen.at)
    }
}

/// A process that takes part.
#[derive(Clone, Debug)]
pub(crate) struct Me {
    /// Its name, which no other process has.
    pub(crate) name: String,
    /// For how many seconds others are to wait for its next beat.
    pub(crate) seconds: u32,
    /// Into how many shards it has Rollouts divided.
    pub(crate) shards: Shards,
}

/// What is to be done about the Lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Others hold it, with whom this process has no part.
    Wait,
    /// All work is to be ended but that for some shards, and then a roll is to be written.
    Write {
        /// The shards that this process has led without a break, and goes on to lead.
        keeps: BTreeSet<u16>,
        /// The new roll.
        roll: Roll,
    },
}

/// What `me` is to do at `now`. It renews its entry, takes away those that have run out, takes its part of the shards that
/// nobody leads, and gives back what others are to lead.
///
/// A shard moves from who leads it to another one only when that has been there for a lease's duration: one that comes and
/// goes moves nothing.
pub(crate) fn decide(sight: &Sight, now: Duration, me: &Me) -> Next {
    let mut roll = match &sight.roll {
        Some(roll) if roll.shards == me.shards => roll.clone(),
        _ => match lease::decide(sight.lease.as_ref(), now, &me.name) {
            Decision::Wait(_) => return Next::Wait,
            Decision::Create | Decision::Acquire | Decision::Renew => Roll::new(me.shards),
        },
    };
    roll.members
        .retain(|name, member| *name == me.name || !sight.has_run_out(name, member, now));
    roll.members.entry(me.name.clone()).or_default();
    let mut keeps = roll.led_by(&me.name);
    for shard in given_back(&roll, sight, me) {
        keeps.remove(&shard);
    }
    let entry = Member {
        beat: sight.looks,
        seconds: me.seconds,
        leads: keeps.union(&taken(&roll, me)).copied().collect(),
    };
    roll.members.insert(me.name.clone(), entry);
    Next::Write { keeps, roll }
}

/// Of the shards that nobody leads, those that `me` is to lead.
fn taken(roll: &Roll, me: &Me) -> BTreeSet<u16> {
    let before = roll.leaders();
    let mut after = before.clone();
    let members = roll.members.keys().map(String::as_str).collect();
    fill(&mut after, &members);
    differing(&before, &after, |before, after| {
        before.is_none() && after == Some(&me.name)
    })
}

/// Of the shards that `me` leads, those that others are to lead.
fn given_back(roll: &Roll, sight: &Sight, me: &Me) -> BTreeSet<u16> {
    let before = roll.leaders();
    let mut after = before.clone();
    let long = Duration::from_secs(me.seconds.into());
    let counts = |(name, member): &(&String, &Member)| {
        **name == me.name || !member.leads.is_empty() || sight.is_steady(name, long)
    };
    let members = roll.members.iter().filter(counts);
    let members = members.map(|(name, _)| name.as_str()).collect();
    fill(&mut after, &members);
    even_out(&mut after, &members);
    differing(&before, &after, |before, after| {
        before == Some(&me.name) && after != Some(&me.name)
    })
}

/// The shards whose leaders before and after are such.
fn differing(
    before: &[Option<&str>],
    after: &[Option<&str>],
    such: impl Fn(Option<&str>, Option<&str>) -> bool,
) -> BTreeSet<u16> {
    let pairs = (0..).zip(before.iter().zip(after));
    let those = pairs.filter(|(_, (before, after))| such(**before, **after));
    those.map(|(shard, _)| shard).collect()
}
