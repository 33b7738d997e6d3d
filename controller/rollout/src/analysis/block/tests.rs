use super::*;
use proptest::prelude::*;

fn near(got: f64, wanted: f64) {
    assert!((got - wanted).abs() < 1e-6, "{got} is not {wanted}");
}

#[test]
fn golden_vectors() {
    let margin = |relative, absolute| Margin { relative, absolute };
    let check = |guess: [f64; 2], n: [f64; 2], margin: Margin, psi: [f64; 2], gains: [f64; 4]| {
        let (psi_c, psi_s) = project(guess[0], guess[1], n[0], n[1], margin);
        near(psi_c, psi[0]);
        near(psi_s, psi[1]);
        let got = Gains::of(guess[0], guess[1], n[0], n[1], margin);
        near(got.canary_bad, gains[0]);
        near(got.canary_good, gains[1]);
        near(got.stable_bad, gains[2]);
        near(got.stable_good, gains[3]);
    };
    check(
        [0.5, 0.001],
        [10.0, 90.0],
        margin(1.0, 0.0),
        [0.0509, 0.0509],
        [2.284745, -0.640906, -3.929863, 0.051241],
    );
    check(
        [0.05, 0.001],
        [5.0, 95.0],
        margin(1.1, 0.001),
        [0.004113337, 0.002830307],
        [2.497788, -0.047171, -1.040385, 0.001834],
    );
    check(
        [0.2, 0.05],
        [50.0, 50.0],
        margin(1.1, 0.001),
        [0.131683612, 0.118803284],
        [0.417915, -0.081944, -0.865446, 0.075181],
    );
    // From below: a canary that is better than the margin asks.
    check(
        [0.001, 0.001],
        [10.0, 90.0],
        margin(1.2, 0.01),
        [0.011069008, 0.000890840],
        [-2.404149, 0.010130, 0.115590, -0.000109],
    );
}

#[test]
fn one_side_alone_is_no_evidence() {
    let margin = Margin {
        relative: 1.1,
        absolute: 0.001,
    };
    assert_eq!(Gains::of(0.5, 0.01, 0.0, 10.0, margin), Gains::default());
    assert_eq!(Gains::of(0.5, 0.01, 10.0, 0.0, margin), Gains::default());
}

#[test]
fn the_pooled_shortcut_agrees_with_the_bisection() {
    let exact = Gains::of(0.3, 0.02, 7.0, 40.0, Margin::NONE);
    let nearly_none = Margin {
        relative: 1.0,
        absolute: 1e-14,
    };
    let bisected = Gains::of(0.3, 0.02, 7.0, 40.0, nearly_none);
    near(exact.canary_bad, bisected.canary_bad);
    near(exact.stable_good, bisected.stable_good);
}

/// `E[S]` under failure ratios `p_c` and `p_s`, summed over every outcome of the block.
fn expectation(gains: Gains, n_c: u64, n_s: u64, p_c: f64, p_s: f64) -> f64 {
    let binomial = |n: u64, e: u64, p: f64| {
        let choose = (1..=e).fold(1.0, |c, i| c * (n - e + i) as f64 / i as f64);
        choose * p.powi(e as i32) * (1.0 - p).powi((n - e) as i32)
    };
    let mut sum = 0.0;
    for e_c in 0..=n_c {
        for e_s in 0..=n_s {
            let block = Block {
                canary: n_c,
                canary_bad: e_c,
                stable: n_s,
                stable_bad: e_s,
            };
            sum += binomial(n_c, e_c, p_c) * binomial(n_s, e_s, p_s) * gains.ln_s(&block).exp();
        }
    }
    sum
}

proptest! {
    #[test]
    fn a_blocks_evidence_is_the_same_with_and_without_the_gains_of_all_requests(
        (n_c, n_s) in (0u64..6, 0u64..12),
        (bad_c, bad_s) in (0u64..6, 0u64..12),
        (relative, absolute) in (1.0f64..2.0, 0.0f64..0.1),
        (theta_c, theta_s) in (0.001f64..0.999, 0.0005f64..0.4),
    ) {
        let margin = Margin { relative, absolute };
        let block = Block {
            canary: n_c,
            canary_bad: bad_c.min(n_c),
            stable: n_s,
            stable_bad: bad_s.min(n_s),
        };
        let all = Gains::of(theta_c, theta_s, n_c as f64, n_s as f64, margin);
        prop_assert_eq!(Evidence::new(block, theta_s, margin).ln_s(theta_c), all.ln_s(&block));
    }

    #[test]
    fn no_point_of_the_border_is_nearer_than_the_projection(
        (n_c, n_s) in (1.0f64..1e4, 1.0f64..1e4),
        (relative, absolute) in (1.0f64..3.0, 1e-6f64..0.1),
        (theta_s, distance) in (1e-5f64..0.3, -0.98f64..0.98),
    ) {
        let margin = Margin { relative, absolute };
        let border = margin.at(theta_s).min(0.99);
        let theta_c = if distance > 0.0 {
            border + (0.9995 - border) * distance
        } else {
            border * (1.0 + distance)
        };
        let kl = |theta: f64, psi: f64| {
            theta * (theta / psi).ln() + (1.0 - theta) * ((1.0 - theta) / (1.0 - psi)).ln()
        };
        let away = |psi_s: f64| n_c * kl(theta_c, margin.at(psi_s)) + n_s * kl(theta_s, psi_s);
        let (psi_c, psi_s) = project(theta_c, theta_s, n_c, n_s, margin);
        prop_assert!((psi_c - margin.at(psi_s)).abs() < 1e-12);
        for factor in [0.99, 0.9999, 1.0001, 1.01] {
            let other = psi_s * factor;
            if margin.at(other) < 1.0 {
                let (here, there) = (away(psi_s), away(other));
                prop_assert!(here <= there * (1.0 + 1e-9) + 1e-9, "{here} {there} {factor}");
            }
        }
    }

    #[test]
    fn no_point_of_the_null_expects_evidence_against_itself(
        (n_c, n_s) in (1u64..6, 1u64..12),
        (relative, absolute) in (1.0f64..2.0, 0.0f64..0.1),
        (theta_s, distance) in (0.0005f64..0.4, -0.98f64..0.98),
        (p_s, inside) in (0.0f64..1.0, 0.0f64..=1.0),
        (on_border, at_projection) in (any::<bool>(), any::<bool>()),
    ) {
        let margin = Margin { relative, absolute };
        let border = margin.at(theta_s);
        // Above the border for a test of "no worse", below it for a test of "worse".
        let rollback = distance > 0.0;
        let theta_c = if rollback {
            border + (0.9995 - border) * distance
        } else {
            border * (1.0 + distance)
        };
        let gains = Gains::of(theta_c, theta_s, n_c as f64, n_s as f64, margin);
        let reach = if rollback { 1.0 } else { (1.0 - absolute) / relative };
        let p_s = if at_projection {
            project(theta_c, theta_s, n_c as f64, n_s as f64, margin).1
        } else {
            p_s * reach
        };
        let edge = margin.at(p_s).min(1.0);
        let p_c = match (on_border || at_projection, rollback) {
            (true, _) => edge,
            (false, true) => edge * inside,
            (false, false) => edge + (1.0 - edge) * inside,
        };
        let expected = expectation(gains, n_c, n_s, p_c, p_s);
        prop_assert!(expected <= 1.0 + 1e-9, "E[S] = {expected}");
    }
}
