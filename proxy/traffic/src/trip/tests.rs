use super::*;
use proptest::prelude::*;

const SHIPPED: Margins = Margins {
    relative: 1.1,
    absolute: 0.001,
};

fn weight(percent: f64) -> Weight {
    Weight::from_basis_points((percent * 100.0) as u16).unwrap()
}

fn test(percent: f64, margins: Margins) -> TripTest {
    TripTest::new(weight(percent), margins, 3, 0).unwrap()
}

/// A canary of which every request fails, and `stable` failures of stable meanwhile.
fn dead(failures: u64, stable: u64) -> TripCounts {
    TripCounts {
        canary_requests: failures,
        canary_failures: failures,
        independent: failures,
        stable_failures: stable,
    }
}

/// How many failures in a row convict a canary while stable has `stable` failures or requests under way.
fn needed(test: &TripTest, stable: u64) -> u64 {
    (1..100_000)
        .find(|failures| test.convicts(&dead(*failures, stable)))
        .unwrap()
}

#[test]
fn a_dead_canary_needs_a_handful_of_failures() {
    for (percent, stable, expected) in [
        (0.01, 0, 5),
        (1.0, 0, 5),
        (5.0, 0, 6),
        (10.0, 0, 8),
        (25.0, 0, 13),
        (50.0, 0, 27),
        (90.0, 0, 182),
        // Requests under way at stable count against conviction.
        (10.0, 2, 11),
        (10.0, 20, 19),
        (10.0, 200, 64),
        (1.0, 20, 8),
    ] {
        let found = needed(&test(percent, SHIPPED), stable);
        assert_eq!(found, expected, "{percent} %, {stable} of stable");
    }
}

#[test]
fn with_all_the_traffic_it_is_the_past_that_convicts() {
    for (absolute, expected) in [(0.001, 5), (0.02, 5), (0.1, 8), (0.5, 25)] {
        let margins = Margins {
            absolute,
            ..SHIPPED
        };
        let found = needed(&test(100.0, margins), 1_000_000);
        assert_eq!(found, expected, "{absolute}");
    }
}

#[test]
fn what_no_failure_could_convict_has_no_test() {
    for (percent, relative, absolute) in [
        (0.0, 1.1, 0.001),
        (100.0, 1.1, 1.0),
        (100.0, 1.1, 0.9995),
        (10.0, f64::NAN, 0.001),
        (10.0, 1.1, f64::NAN),
        (10.0, 0.5, 0.001),
    ] {
        let margins = Margins { relative, absolute };
        let none = TripTest::new(weight(percent), margins, 3, 0);
        assert_eq!(none, None, "{percent} %, {margins:?}");
    }
}

#[test]
fn a_canary_that_ever_worked_is_left_to_the_guard() {
    let test = test(10.0, SHIPPED);
    for (requests, failures, independent, expected) in [
        (20, 20, 20, true),
        (40, 20, 20, true),
        (41, 20, 20, false),
        // One broken client.
        (20, 20, 1, false),
        (20, 20, 4, false),
        (20, 4, 4, false),
        (1_000, 100, 100, false),
    ] {
        let counts = TripCounts {
            canary_requests: requests,
            canary_failures: failures,
            independent,
            stable_failures: 0,
        };
        assert_eq!(test.convicts(&counts), expected, "{counts:?}");
    }
    let patient = TripTest::new(weight(10.0), SHIPPED, 30, 0).unwrap();
    assert_eq!(needed(&patient, 0), 30, "as many as the guard asks for");
}

#[test]
fn the_weights_of_a_canary_share_alpha() {
    let spent: f64 = (0..100_000)
        .map(|earlier| {
            let test = TripTest::new(weight(10.0), SHIPPED, 3, earlier).unwrap();
            (-test.ln_threshold()).exp()
        })
        .sum();
    assert!(spent < ALPHA / 2.0 && spent > 0.99 * ALPHA / 2.0, "{spent}");
}

proptest! {
    /// The factor of one request has a mean of at most 1 everywhere in the null, which is what makes the product a
    /// supermartingale.
    #[test]
    fn no_request_adds_evidence_on_average_under_the_null(
        bp in 1u16..=10_000,
        relative in 1.0f64..10.0,
        absolute in 0.0f64..0.9,
        stable in 0.0f64..=1.0,
        part in 0.0f64..=1.0,
    ) {
        let weight = Weight::from_basis_points(bp).unwrap();
        let margins = Margins { relative, absolute };
        let Some(test) = TripTest::new(weight, margins, 3, 0) else { return Ok(()) };
        let border = if weight == Weight::FULL { absolute } else { relative * stable + absolute };
        let canary = part * border.min(1.0);
        for bet in test.bets {
            let sent = canary * bet.canary_failed.exp() + (1.0 - canary) * bet.canary_kept.exp();
            let kept = stable * bet.stable_failed.exp() + 1.0 - stable;
            let mean = weight.fraction() * sent + weight.complement().fraction() * kept;
            prop_assert!(mean <= 1.0 + 1e-9, "{mean}: {bet:?}");
        }
    }

    /// Counts of any size give a number, and more failures of stable never speak against the canary.
    #[test]
    fn evidence_is_a_number_and_stable_speaks_for_the_canary(
        bp in 1u16..=10_000,
        absolute in 0.0f64..0.9,
        counts in (0u64..=1_000_000_000_000, 0u64..=1_000_000_000_000, 0u64..=1_000_000_000_000),
        more in 1u64..1_000_000,
    ) {
        let weight = Weight::from_basis_points(bp).unwrap();
        let margins = Margins { relative: 1.1, absolute };
        let Some(test) = TripTest::new(weight, margins, 3, 0) else { return Ok(()) };
        let (canary_requests, canary_failures, stable_failures) = counts;
        let counts = TripCounts {
            canary_requests,
            canary_failures,
            independent: canary_failures,
            stable_failures,
        };
        let ln_e = test.ln_e(&counts);
        prop_assert!(ln_e.is_finite());
        let later = TripCounts { stable_failures: stable_failures + more, ..counts };
        prop_assert!(test.ln_e(&later) <= ln_e);
    }
}
