use super::*;
use proptest::prelude::*;

const RULE: f64 = 1.1;

fn tally((requests, failures): (f64, f64)) -> Tally {
    Tally { requests, failures }
}

fn known(canary: (f64, f64), stable: (f64, f64)) -> PrePeriod {
    PrePeriod {
        weight: Weight::from_percent(10).unwrap(),
        canary: tally(canary),
        stable: tally(stable),
    }
}

/// Users with so many requests and failures in each sector.
fn users(met: impl Fn(usize) -> (u64, u64)) -> Users {
    let mut users = Users::unknown(7);
    let sectors = (0..SECTORS).map(met);
    let sectors = sectors.map(|(requests, failed)| SectorCounts { requests, failed });
    users.learn(0.1, sectors);
    users
}

fn at(basis_points: u16) -> Weight {
    Weight::from_basis_points(basis_points).unwrap()
}

/// The numbers were computed with another program.
#[test]
fn golden_margins() {
    let check = |canary, stable, wanted: f64| {
        let found = known(canary, stable).relative(RULE);
        assert!(
            (found - wanted).abs() < 1e-9 * wanted,
            "{canary:?} {stable:?}: {found}"
        );
    };
    // Nothing is known.
    check((0.0, 0.0), (0.0, 0.0), 4.211_269_837_220_81);
    // Little of one side.
    check((0.0, 0.0), (1e6, 1_000.0), 3.301_098_626_785_080_4);
    check((10.0, 0.0), (9_990.0, 100.0), 2.754_255_094_048_336_5);
    // Alike.
    check((1_000.0, 10.0), (9_000.0, 90.0), 1.802_204_337_109_385);
    check((64_000.0, 120.0), (936_000.0, 780.0), 2.945_224_802_384_109);
    // The canary's users are nine times as bad, or hold all that fail.
    check((1_000.0, 50.0), (9_000.0, 50.0), 13.235_467_693_002_033);
    check((1_000.0, 100.0), (9_000.0, 0.0), 5_735.618_576_621_578);
    // They are better.
    check((1_000.0, 0.0), (9_000.0, 100.0), 1.1);
    // Nearly everything fails: half of what is left, or nothing.
    check((500.0, 300.0), (500.0, 250.0), 1.545_145_171_248_436_5);
    check((1e4, 1e4), (9e4, 9e4), 1.1);
}

#[test]
fn only_what_is_shown_moves_the_harm_bound() {
    let check = |canary, stable, wanted: f64| {
        let found = known(canary, stable).shown();
        assert!(
            (found - wanted).abs() < 1e-3,
            "{canary:?} {stable:?}: {found}"
        );
    };
    check((0.0, 0.0), (0.0, 0.0), 1.0);
    check((1_000.0, 10.0), (9_000.0, 90.0), 1.0);
    // Nine times as much, by two standard deviations of 0.198 less; and a ninth by as much more.
    check((1_000.0, 50.0), (9_000.0, 50.0), 6.174);
    check((9_000.0, 50.0), (1_000.0, 50.0), 0.162);
    // Lucky, for all that is known.
    check((100.0, 0.0), (900.0, 1.0), 1.0);
}

#[test]
fn the_sectors_below_the_weight_are_the_canarys() {
    let users = users(|sector| (100, sector as u64));
    let check = |weight: Weight, left: Weight, canary: (f64, f64), stable: (f64, f64)| {
        let found = users.before(weight, left);
        let near =
            |a: (f64, f64), b: (f64, f64)| (a.0 - b.0).abs() < 1e-9 && (a.1 - b.1).abs() < 1e-9;
        assert!(
            near(found.canary(), canary) && near(found.stable(), stable),
            "{weight}: {found:?}"
        );
    };
    let all = (6_400.0, 2_016.0);
    check(at(2_500), at(2_500), (1_600.0, 120.0), (4_800.0, 1_896.0));
    check(at(5_000), at(5_000), (3_200.0, 496.0), (3_200.0, 1_520.0));
    // The weight cuts sector 6, whose six failures are the canary's.
    check(at(1_000), at(1_000), (640.0, 21.0), (5_760.0, 1_995.0));
    check(at(100), at(100), (64.0, 0.0), (6_336.0, 2_016.0));
    // All traffic, after a quarter, or at once.
    check(at(10_000), at(2_500), all, (4_800.0, 1_896.0));
    check(at(10_000), at(0), all, all);
}

#[test]
fn a_sector_that_is_cut_widens_the_margin_a_little() {
    let even = users(|_| (100_000, 1_000));
    let margin = |basis_points| {
        even.before(at(basis_points), at(basis_points))
            .relative(1.0)
    };
    assert!((1.5..1.75).contains(&margin(100)), "{}", margin(100));
    // Where either side has seven sectors or so; the fewer there are, the more one that is cut counts.
    for basis_points in (1_000..8_900).step_by(10) {
        assert!(
            margin(basis_points) < 8.0 / 7.0 * 1.05,
            "{basis_points}: {}",
            margin(basis_points)
        );
    }
}

#[test]
fn what_was_long_ago_counts_less() {
    let mut users = users(|_| (1_000, 10));
    users.learn(HALF_LIFE, (0..SECTORS).map(|_| SectorCounts::default()));
    let found = users.before(at(5_000), at(5_000));
    assert_eq!(found.canary(), (16_000.0, 160.0));
}

#[test]
fn what_is_stored_is_read_again_and_nothing_else() {
    let users = users(|sector| (1_000 + sector as u64, sector as u64));
    let json = serde_json::to_value(&users).unwrap();
    assert_eq!(
        serde_json::from_value::<Users>(json.clone()).unwrap(),
        users
    );
    let check = |at: &str, with: serde_json::Value, wanted: &str| {
        let mut json = json.clone();
        *json.pointer_mut(at).unwrap() = with;
        let error = serde_json::from_value::<Users>(json).unwrap_err();
        assert!(error.to_string().contains(wanted), "{error}");
    };
    check("/sectors/3/1", 1e9.into(), "out of their ranges");
    check("/sectors/3/0", (-1).into(), "out of their ranges");
    check(
        "/sectors",
        vec![[1, 0]].into(),
        "found 1 sectors, allowed are 64",
    );
    let known = known((1_000.5, 2.0), (3.0, 0.25));
    let json = serde_json::to_string(&known).unwrap();
    assert_eq!(
        json,
        r#"{"weight":1000,"canary_requests":1000.5,"canary_failures":2.0,"stable_requests":3.0,"stable_failures":0.25}"#
    );
    assert_eq!(serde_json::from_str::<PrePeriod>(&json).unwrap(), known);
}

fn side() -> impl Strategy<Value = (f64, f64)> {
    let requests = prop_oneof![Just(0.0), 0.0..100.0, 0.0..1e6, 0.0..MOST];
    let share = prop_oneof![Just(0.0), Just(1.0), 0.0..=1.0, 0.0..1e-6];
    (requests, share).prop_map(|(requests, share): (f64, f64)| (requests, requests * share))
}

proptest! {
    #[test]
    fn a_margin_is_a_number_that_is_never_narrower(canary in side(), stable in side(), rho in 1.0..=10.0) {
        let found = known(canary, stable).relative(rho);
        prop_assert!(found.is_finite() && found >= rho, "{found}");
        // The harm bound moves by less than what is allowed for.
        let margin = Margin { relative: rho, absolute: 0.0 };
        let shifted = known(canary, stable).shift(margin).relative;
        prop_assert!(shifted > 0.0 && shifted <= found * (1.0 + 1e-12), "{shifted}, {found}");
        // A dead canary is above the border, at the failure ratio that the others had.
        let others = known(canary, stable).others();
        let room = others * rho < 0.5;
        prop_assert!(!room || found * others <= 1.0 + 1e-9, "{found} at {others}");
    }

    /// The more of all failures were those of the canary's users, the wider.
    #[test]
    fn a_margin_grows_with_the_share_of_the_canarys_users(
        requests in (1.0..1e9, 1.0..1e9), failures in 0.0..1.0, a in 0.0..=1.0, b in 0.0..=1.0,
    ) {
        let failures = f64::min(requests.0, requests.1) * failures;
        let margin = |share: f64| {
            known((requests.0, failures * share), (requests.1, failures * (1.0 - share))).relative(RULE)
        };
        let (small, large) = (margin(f64::min(a, b)), margin(f64::max(a, b)));
        prop_assert!(small <= large * (1.0 + 1e-12), "{small} {large}");
    }

    /// Whatever was counted, no weight finds more than there was, and no number is out of its range.
    #[test]
    fn both_sides_are_of_what_was_counted(
        counts in prop::collection::vec((any::<u64>(), any::<u64>()), SECTORS), weight in 1u16..=10_000, left in 0u16..=10_000,
    ) {
        let users = users(|sector| counts[sector]);
        let stored = serde_json::to_string(&users).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Users>(&stored).unwrap(), &users);
        let left = if weight == 10_000 { left } else { weight };
        let found = users.before(at(weight), at(left));
        prop_assert!(found.is_sound() && found.relative(RULE).is_finite());
    }
}
