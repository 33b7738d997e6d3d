use super::{Me, Member, Next, Roll, Sight, decide, place};
use crate::{
    elect::{hold, record},
    shard::Shards,
};
use k8s_openapi::api::coordination::v1::Lease;
use proptest::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn me() -> Me {
    Me {
        name: "me".to_owned(),
        seconds: 15,
        shards: 4.try_into().unwrap(),
    }
}

/// A roll of four shards: who is there, and what each leads.
fn roll(members: &[(&str, &[u16])]) -> Roll {
    let member = |leads: &[u16]| Member {
        beat: 1,
        seconds: 15,
        leads: leads.iter().copied().collect(),
    };
    let members = members.iter();
    Roll {
        shards: 4.try_into().unwrap(),
        members: members
            .map(|(name, leads)| ((*name).to_owned(), member(leads)))
            .collect(),
    }
}

fn written(roll: &Roll) -> Lease {
    let mut lease = Lease::default();
    hold(&mut lease, &roll.holder(), roll.duration());
    roll.write(&mut lease).unwrap();
    lease
}

/// The roll was seen at 100 s, and at `later` with a new beat of all but those in `silent`.
fn seen(mut roll: Roll, silent: &[&str], later: u64) -> Sight {
    let mut sight = Sight::default();
    see(&mut sight, &written(&roll), 100);
    for (name, member) in &mut roll.members {
        member.beat += u64::from(!silent.contains(&name.as_str()));
    }
    see(&mut sight, &written(&roll), later);
    sight
}

fn see(sight: &mut Sight, lease: &Lease, now: u64) {
    sight.see(Some((record(lease), Roll::read(lease))), s(now));
}

/// What `me` leads after its write at `now`, and what of that it keeps without a break.
fn check(what: &str, sight: &Sight, now: Duration, expected: Option<(&[u16], &[u16])>) {
    let found = match decide(sight, now, &me()) {
        Next::Wait => None,
        Next::Write { keeps, roll } => Some((roll.led_by("me"), keeps)),
    };
    let set = |shards: &[u16]| shards.iter().copied().collect::<BTreeSet<u16>>();
    let expected = expected.map(|(leads, keeps)| (set(leads), set(keeps)));
    assert_eq!(found, expected, "{what}");
}

#[test]
fn who_is_alone_leads_all() {
    let all: &[u16] = &[0, 1, 2, 3];
    check("no Lease", &Sight::default(), s(0), Some((all, &[])));
    let own = seen(roll(&[("me", all)]), &[], 110);
    check("its own", &own, s(111), Some((all, all)));
    let gone = roll(&[("me", &[0, 1]), ("gone", &[2, 3])]);
    let gone = seen(gone, &["gone"], 110);
    check("not yet", &gone, s(114), Some((&[0, 1], &[0, 1])));
    check("run out", &gone, s(115), Some((all, &[0, 1])));
    let unknown = seen(roll(&[("gone", all)]), &["gone"], 110);
    check("all run out", &unknown, s(115), Some((all, &[])));
}

#[test]
fn what_others_lead_is_theirs() {
    let all: &[u16] = &[0, 1, 2, 3];
    let new = seen(roll(&[("other", all)]), &[], 115);
    check("it is new", &new, s(115), Some((&[], &[])));
    let both = roll(&[("me", &[0, 1]), ("other", &[2, 3])]);
    let both = seen(both, &[], 115);
    check("half", &both, s(115), Some((&[0, 1], &[0, 1])));
}

#[test]
fn another_gets_a_part_when_it_is_there_for_long() {
    let all: &[u16] = &[0, 1, 2, 3];
    let there = roll(&[("me", all), ("other", &[])]);
    let sight = seen(there.clone(), &[], 114);
    check("for 14 s", &sight, s(114), Some((all, all)));
    let gone = seen(there.clone(), &["other"], 114);
    check("it may be gone", &gone, s(114), Some((all, all)));
    let sight = seen(there, &[], 115);
    let Next::Write { keeps, .. } = decide(&sight, s(115), &me()) else {
        panic!("it may write");
    };
    assert_eq!(keeps.len(), 2, "{keeps:?}");
    // By its first leader's write the shards are free, and the other one takes both.
    let free = seen(roll(&[("me", &[]), ("other", &[2, 3])]), &[], 110);
    check("given back", &free, s(110), Some((&[0, 1], &[])));
}

#[test]
fn who_has_another_number_of_shards_waits() {
    let mut alone = Lease::default();
    hold(&mut alone, "older-build_1", s(15));
    let mut six = roll(&[("other", &[5])]);
    six.shards = 6.try_into().unwrap();
    // A process that leads alone took the Lease, and left the annotation as it was.
    let mut taken = written(&roll(&[("me", &[0])]));
    hold(&mut taken, "older-build_1", s(15));
    for lease in [alone, written(&six), taken] {
        let mut sight = Sight::default();
        see(&mut sight, &lease, 100);
        let what = format!("{lease:?}");
        check(&what, &sight, s(114), None);
        check(&what, &sight, s(115), Some((&[0, 1, 2, 3], &[])));
    }
}

#[test]
fn it_is_read_as_it_was_written() {
    let there = roll(&[("one", &[0, 2]), ("two", &[])]);
    assert_eq!(Roll::read(&written(&there)), Some(there.clone()));
    assert_eq!(there.holder(), "4 shards");
    assert_eq!(there.duration(), s(15));
    let left = there.without("one").unwrap();
    assert_eq!(left, roll(&[("two", &[])]));
    assert_eq!(left.clone().without("one"), None);
    assert!(left.without("two").unwrap().is_empty());
}

/// Others, also those with another number of shards, wait for the most patient one.
#[test]
fn it_is_held_for_as_long_as_any_entry_is() {
    let mut there = roll(&[("one", &[0]), ("two", &[1]), ("three", &[2])]);
    there.members.get_mut("two").unwrap().seconds = 60;
    assert_eq!(there.duration(), s(60));
}

/// Who saw an entry before it was taken away, and sees it when its process is back, must not take it for the same.
#[test]
fn no_beat_comes_again() {
    let mut sight = Sight::default();
    let mut beats = BTreeSet::new();
    let others = [roll(&[("other", &[])]), roll(&[]), roll(&[("me", &[0])])];
    for (now, other) in (1..).zip(others) {
        see(&mut sight, &written(&other), now);
        let Next::Write { roll, .. } = decide(&sight, s(now), &me()) else {
            panic!("it may write");
        };
        assert!(beats.insert(roll.members["me"].beat), "{beats:?}");
    }
}

#[test]
fn what_is_not_understood_is_no_roll() {
    let mut newer = written(&roll(&[("one", &[0])]));
    let annotations = newer.metadata.annotations.as_mut().unwrap();
    for written in annotations.values_mut() {
        *written = written.replace("\"beat\"", "\"region\":1,\"beat\"");
    }
    let twice = written(&roll(&[("one", &[0]), ("two", &[0])]));
    let beyond = written(&roll(&[("one", &[4])]));
    for lease in [Lease::default(), newer, twice, beyond] {
        assert_eq!(Roll::read(&lease), None, "{lease:?}");
    }
}

/// Who leads each of `shards`, when `members` are there and this is known of before.
fn placed(shards: Shards, before: &[usize], members: &[String]) -> Vec<String> {
    let known: BTreeSet<&str> = members.iter().map(String::as_str).collect();
    let before = before.iter().cycle().take(shards.count().into());
    let mut leaders: Vec<Option<&str>> = before
        .map(|place| members.get(*place).map(String::as_str))
        .collect();
    place::fill(&mut leaders, &known);
    place::even_out(&mut leaders, &known);
    let leaders = leaders.into_iter().map(|leader| leader.unwrap().to_owned());
    leaders.collect()
}

fn loads(leaders: &[String], members: &[String]) -> Vec<usize> {
    let load = |member| leaders.iter().filter(|leader| *leader == member).count();
    members.iter().map(load).collect()
}

/// Of two lists of leaders, how many shards are led by another one, of those that `such` led.
fn moved(before: &[String], after: &[String], such: impl Fn(&String) -> bool) -> usize {
    let pairs = before.iter().zip(after);
    pairs
        .filter(|(before, after)| such(before) && before != after)
        .count()
}

fn members(least: usize) -> impl Strategy<Value = Vec<String>> {
    prop::collection::btree_set("[a-z]{1,8}", least..8)
        .prop_map(|names| names.into_iter().collect())
}

proptest! {
    /// Whatever was before: each shard has one leader, of those that are there, and no two lead more than one apart.
    #[test]
    fn all_lead_as_much(
        count in 1..=Shards::MAX, before in prop::collection::vec(0usize..12, 1..32), members in members(1),
    ) {
        let shards = count.try_into().unwrap();
        let leaders = placed(shards, &before, &members);
        let loads = loads(&leaders, &members);
        prop_assert!(loads.iter().max().unwrap() - loads.iter().min().unwrap() <= 1, "{loads:?}");
        let known: BTreeMap<&String, usize> = members.iter().zip(0..).collect();
        let same: Vec<usize> = leaders.iter().map(|leader| known[leader]).collect();
        prop_assert_eq!(&placed(shards, &same, &members), &leaders, "it was even");
    }

    /// Whoever goes moves its own shards only, and whoever comes gets its part and moves nothing else.
    #[test]
    fn others_keep_what_they_lead(count in 1..=Shards::MAX, members in members(2), gone in any::<prop::sample::Index>()) {
        let shards: Shards = count.try_into().unwrap();
        let before = placed(shards, &[12], &members);
        let gone = gone.get(&members).clone();
        let left: Vec<String> = members.iter().filter(|member| **member != gone).cloned().collect();
        let nobody = left.len();
        let places: Vec<usize> = before
            .iter()
            .map(|leader| left.iter().position(|member| member == leader).unwrap_or(nobody))
            .collect();
        let after = placed(shards, &places, &left);
        prop_assert_eq!(moved(&before, &after, |leader| *leader != gone), 0);
        let places: Vec<usize> = after
            .iter()
            .map(|leader| members.iter().position(|member| member == leader).unwrap())
            .collect();
        let again = placed(shards, &places, &members);
        prop_assert_eq!(moved(&after, &again, |_| true), loads(&again, std::slice::from_ref(&gone))[0]);
    }
}
