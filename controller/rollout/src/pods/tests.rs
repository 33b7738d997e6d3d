//! Against what Argo Rollouts computes for the same, and for the properties that make it right.

use std::fmt::Debug;
use std::str::FromStr;

use proptest::prelude::*;

use super::closest::closest;
use super::*;

/// What the functions of Argo Rollouts 1.10 compute for random numbers, in columns that the first line names.
mod recorded {
    pub(super) const BESIDE: &str = include_str!("../../tests/replica-counts/beside.tsv");
    pub(super) const ALONE: &str = include_str!("../../tests/replica-counts/alone.tsv");
    pub(super) const ROUTED: &str = include_str!("../../tests/replica-counts/routed.tsv");
    pub(super) const STEPPED_BACK: &str =
        include_str!("../../tests/replica-counts/stepped-back.tsv");
}

fn rows(recorded: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    recorded
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split(' ').collect())
}

fn read<T: FromStr<Err: Debug>>(column: &str) -> T {
    column.parse().unwrap()
}

fn percent(column: &str) -> Weight {
    Weight::from_percent(read(column)).unwrap()
}

fn pods(wanted: u32, available: u32) -> Pods {
    Pods { wanted, available }
}

fn budget(replicas: u32, surge: u32, unavailable: u32) -> Budget {
    Budget::new(replicas, Amount::Pods(surge), Amount::Pods(unavailable))
}

#[test]
fn versions_beside_each_other_have_the_pods_that_argo_gives_them() {
    let mut compared = 0;
    for row in rows(recorded::BESIDE) {
        let number = |column: usize| read::<u32>(row[column]);
        let budget = budget(number(0), number(1), number(2));
        let weight = percent(row[3]);
        let (canary, stable) = (pods(number(4), number(5)), pods(number(6), number(7)));
        let has = beside(budget, weight, canary, stable, number(8));
        if is_without_option(budget, weight) {
            continue;
        }
        let theirs = Counts {
            canary: number(9),
            stable: number(10),
        };
        assert_eq!(has, theirs, "{row:?}");
        compared += 1;
    }
    assert!(compared > 1_000, "{compared}");
}

/// Where Argo finds no counts that it allows, and gives the canary none.
fn is_without_option(budget: Budget, weight: Weight) -> bool {
    let twice = 2 * budget.replicas() * u32::from(weight.basis_points());
    let tied = twice % 20_000 == 10_000;
    tied && !budget.may_surge() && closest(budget, weight).stable == 1 && budget.replicas() > 1
}

#[test]
fn a_canary_between_all_pods_and_all_but_one_gets_all_but_one() {
    let weight = Weight::from_percent(75).unwrap();
    let has = beside(budget(2, 0, 1), weight, pods(0, 0), pods(1, 1), 0);
    assert_eq!((has.canary, has.stable), (1, 1));
}

#[test]
fn a_version_alone_has_the_pods_that_argo_gives_it() {
    let mut compared = 0;
    for row in rows(recorded::ALONE) {
        let number = |column: usize| read::<u32>(row[column]);
        let (replicas, wanted) = (number(0), number(3));
        let has = alone(
            budget(replicas, number(1), number(2)),
            pods(wanted, number(4)),
            number(5),
        );
        // Argo takes a version with sick pods below what is asked for when it shrinks, and lets it grow again.
        let dips = wanted > replicas && number(6) < replicas;
        assert_eq!(has, if dips { replicas } else { number(6) }, "{row:?}");
        compared += usize::from(!dips);
    }
    assert!(compared > 150, "{compared}");
}

#[test]
fn versions_behind_a_router_have_the_pods_that_argo_gives_them() {
    for row in rows(recorded::ROUTED) {
        let served = (row[3] != "-").then(|| percent(row[3]));
        let dynamic = (row[2] == "1").then(|| Dynamic {
            served,
            aborted: row[4] == "1",
        });
        let scale = match row[5].split_at(1) {
            ("w", weight) => Scale::Weight(percent(weight)),
            (_, number) => Scale::Pods(read(number)),
        };
        let routed = Routed {
            replicas: read(row[0]),
            least_each: read(row[1]),
            dynamic,
        };
        let theirs = Counts {
            canary: read(row[6]),
            stable: read(row[7]),
        };
        assert_eq!(routed.counts(scale), theirs, "{row:?}");
    }
}

#[test]
fn an_aborted_canary_goes_back_by_the_weights_that_argo_takes() {
    for row in rows(recorded::STEPPED_BACK) {
        let steps: Vec<_> = row[1]
            .split(',')
            .filter(|step| *step != "-")
            .map(percent)
            .collect();
        let number = |column: usize| read::<u32>(row[column]);
        let (canary, stable) = (pods(number(2), number(2)), pods(number(3), number(3)));
        let weight = stepped_back(number(0), &steps, canary, stable, row[4] == "1");
        assert_eq!(weight, percent(row[5]), "{row:?}");
    }
}

#[test]
fn amounts_are_rounded_in_favour_of_users() {
    let check = |replicas, surge, unavailable, most, least| {
        let budget = Budget::new(replicas, surge, unavailable);
        assert_eq!(
            (budget.most(), budget.least()),
            (most, least),
            "{replicas} {surge:?} {unavailable:?}"
        );
    };
    check(10, Amount::DEFAULT, Amount::DEFAULT, 13, 8);
    check(1, Amount::DEFAULT, Amount::DEFAULT, 2, 1);
    check(10, Amount::Pods(0), Amount::Percent(5), 10, 9);
    check(10, Amount::Pods(2), Amount::Pods(30), 12, 0);
    check(0, Amount::DEFAULT, Amount::DEFAULT, 0, 0);
    check(
        u32::MAX,
        Amount::Percent(u32::MAX),
        Amount::Pods(0),
        u32::MAX,
        u32::MAX,
    );
}

#[test]
fn a_threshold_is_met_by_what_is_available() {
    let check = |threshold, wanted_now, available, wanted, met| {
        let pods = pods(wanted_now, available);
        assert_eq!(
            is_available(threshold, pods, wanted),
            met,
            "{threshold:?} {pods:?} {wanted}"
        );
    };
    check(Threshold::All, 10, 10, 10, true);
    check(Threshold::All, 10, 9, 10, false);
    check(Threshold::All, 11, 10, 10, false);
    check(Threshold::Percent(70), 10, 7, 10, true);
    check(Threshold::Percent(70), 10, 6, 10, false);
    check(Threshold::Percent(70), 0, 0, 0, true);
    check(Threshold::Pods(3), 10, 3, 10, true);
    check(Threshold::Pods(3), 10, 2, 10, false);
}

#[test]
fn older_versions_go_by_what_may_be_missing_and_the_unhealthy_first() {
    let check = |available, older: &[Pods], left: &[u32]| {
        assert_eq!(
            retire(budget(10, 3, 2), available, older),
            left,
            "{available} {older:?}"
        );
    };
    check(10, &[pods(5, 5), pods(3, 3)], &[3, 3]);
    check(13, &[pods(5, 5), pods(3, 3)], &[0, 3]);
    check(20, &[pods(5, 5), pods(3, 3)], &[0, 0]);
    // What is not available goes also when nothing can be spared.
    check(8, &[pods(5, 1), pods(3, 3)], &[1, 3]);
    check(10, &[], &[]);
}

/// More turns than any rollout here takes to come to rest, at the worst with one pod a turn.
const ROUNDS: usize = 200;

prop_compose! {
    /// A rollout of some size, and its versions in any condition.
    fn any_budget()(replicas in 0_u32..60)(
        replicas in Just(replicas),
        surge in 0..=replicas / 2 + 1,
        unavailable in 0..=replicas / 2 + 1,
    ) -> Budget {
        budget(replicas, surge, unavailable)
    }
}

fn any_pods() -> impl Strategy<Value = Pods> {
    (0_u32..80, 0_u32..80).prop_map(|(wanted, available)| pods(wanted, available))
}

fn any_weight() -> impl Strategy<Value = Weight> {
    (0_u16..=10_000).prop_map(|bp| Weight::from_basis_points(bp).unwrap())
}

proptest! {
    /// However many pods there are, no scaling adds to what is beyond the most, and none takes an available pod of the
    /// side that stays below the least.
    #[test]
    fn the_budget_is_kept(
        budget in any_budget(),
        weight in any_weight(),
        canary in any_pods(),
        stable in any_pods(),
        older in 0_u32..20,
    ) {
        let next = beside(budget, weight, canary, stable, older);
        let before = canary.wanted + stable.wanted + older;
        prop_assert!(next.canary + next.stable + older <= before.max(budget.most()));
        let kept = |pods: Pods, next: u32| pods.kept().min(next);
        let available = canary.kept() + stable.kept();
        let still = kept(canary, next.canary) + kept(stable, next.stable);
        let rises = closest(budget, weight).canary >= canary.wanted;
        let leaving = if rises { stable } else { canary };
        // The side that leaves may be sick; its pods count as if they were available.
        let sick = leaving.wanted - leaving.kept();
        prop_assert!(still + sick >= available.min(budget.least()), "{next:?}");
    }

    /// With pods that become available, every rollout comes to rest at the counts that are closest to its weight.
    #[test]
    fn healthy_pods_come_to_rest(
        budget in any_budget(),
        weight in any_weight(),
        canary in any_pods(),
        stable in any_pods(),
    ) {
        let (mut canary, mut stable) = (canary, stable);
        for _ in 0..ROUNDS {
            let next = beside(budget, weight, canary, stable, 0);
            canary = pods(next.canary, next.canary);
            stable = pods(next.stable, next.stable);
        }
        let goal = closest(budget, weight);
        prop_assert_eq!((canary.wanted, stable.wanted), (goal.canary, goal.stable));
    }

    /// A canary that never becomes available does not keep stable from coming back.
    #[test]
    fn a_dead_canary_makes_room(budget in any_budget(), dead in 0_u32..80, alive in 0_u32..80) {
        let (mut canary, mut stable) = (pods(dead, 0), pods(alive, alive));
        for _ in 0..ROUNDS {
            let next = beside(budget, Weight::ZERO, canary, stable, 0);
            canary = pods(next.canary, 0);
            stable = pods(next.stable, next.stable);
        }
        prop_assert_eq!((canary.wanted, stable.wanted), (0, budget.replicas()));
    }

    /// A weight between none and all leaves no version without a pod where there may be two, and more weight is never
    /// fewer pods.
    #[test]
    fn counts_follow_weights(budget in any_budget(), a in any_weight(), b in any_weight()) {
        let (less, more) = (a.min(b), a.max(b));
        let (few, many) = (closest(budget, less), closest(budget, more));
        prop_assert!(few.canary <= many.canary, "{few:?} {many:?}");
        prop_assert!(few.canary + few.stable <= budget.replicas() + 1);
        if less > Weight::ZERO && less < Weight::FULL && budget.replicas() > 1 {
            prop_assert!(few.canary > 0 && few.stable > 0);
        }
    }

    /// Behind a router a version with traffic has pods for it, before and after the traffic moves.
    #[test]
    fn traffic_has_pods(
        replicas in 1_u32..60,
        least_each in 0_u32..5,
        wanted in any_weight(),
        served in any_weight(),
        aborted: bool,
    ) {
        let dynamic = Some(Dynamic { served: Some(served), aborted });
        let counts = Routed { replicas, least_each, dynamic }.counts(Scale::Weight(wanted));
        prop_assert!(counts.stable >= part(replicas, served.complement()));
        prop_assert!(counts.stable >= part(replicas, wanted.complement()));
        prop_assert!(counts.canary >= part(replicas, wanted));
        prop_assert!(!aborted || counts.canary >= part(replicas, served));
        prop_assert!(counts.canary <= replicas && counts.stable <= replicas);
    }
}
