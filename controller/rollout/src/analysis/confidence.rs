//! The interval that is shown for a failure ratio. It informs; it decides nothing.
//!
//! A Beta-binomial confidence sequence, valid at every moment for a constant ratio: all `p` for which
//!
//! ```text
//! ln B(e+½, n-e+½) - ln B(½,½) - e ln p - (n-e) ln(1-p) < ln(2/alpha)
//! ```
//!
//! The 2 is there so that the intervals of both sides hold together with a chance of `1 - alpha`.

/// The interval for `bad` out of `requests`, both ends within 0 to 1.
///
/// ```
/// use rollout::analysis::confidence::interval;
/// let (low, high) = interval(10, 1_000, 0.05);
/// assert!((low - 0.0022).abs() < 1e-4 && (high - 0.0272).abs() < 1e-4);
/// assert_eq!(interval(0, 0, 0.05), (0.0, 1.0));
/// ```
pub fn interval(bad: u64, requests: u64, alpha: f64) -> (f64, f64) {
    if requests == 0 {
        return (0.0, 1.0);
    }
    let (e, n) = (bad.min(requests) as f64, requests as f64);
    let mixed = ln_beta(e + 0.5, n - e + 0.5) - ln_beta(0.5, 0.5);
    let limit = (2.0 / alpha).ln();
    let excluded = |p: f64| mixed - times_ln(e, p) - times_ln(n - e, 1.0 - p) >= limit;
    let best = e / n;
    let low = if e == 0.0 {
        0.0
    } else {
        border(0.0, best, excluded)
    };
    let high = if e == n {
        1.0
    } else {
        border(1.0, best, excluded)
    };
    (low, high)
}

/// `x ln p`, where no event at a ratio of zero is no surprise.
fn times_ln(x: f64, p: f64) -> f64 {
    if x == 0.0 { 0.0 } else { x * p.ln() }
}

/// Where, between an `outside` that is excluded and an `inside` that is not, exclusion ends.
fn border(mut outside: f64, mut inside: f64, excluded: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..40 {
        let middle = 0.5 * (outside + inside);
        if excluded(middle) {
            outside = middle;
        } else {
            inside = middle;
        }
    }
    outside
}

fn ln_beta(a: f64, b: f64) -> f64 {
    ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b)
}

/// The logarithm of the gamma function for `x` above 0: Stirling's series (Abramowitz and Stegun 6.1.41) where it is
/// exact to twelve digits, the recurrence below.
fn ln_gamma(mut x: f64) -> f64 {
    let mut shift = 0.0;
    while x < 10.0 {
        shift += x.ln();
        x += 1.0;
    }
    let inverse = 1.0 / x;
    let square = inverse * inverse;
    let series =
        inverse * (1.0 / 12.0 - square * (1.0 / 360.0 - square * (1.0 / 1260.0 - square / 1680.0)));
    (x - 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + series - shift
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ln_gamma_knows_factorials_and_the_half() {
        let factorial: f64 = (1..=20).map(|i| f64::from(i).ln()).sum();
        assert!((ln_gamma(21.0) - factorial).abs() < 1e-10);
        assert!((ln_gamma(0.5) - std::f64::consts::PI.sqrt().ln()).abs() < 1e-11);
    }

    proptest! {
        #[test]
        fn the_interval_holds_the_measured_ratio_and_excludes_just_outside(
            requests in 1u64..100_000, share in 0.0f64..=1.0,
        ) {
            let bad = (requests as f64 * share) as u64;
            let (low, high) = interval(bad, requests, 0.05);
            let ratio = bad as f64 / requests as f64;
            prop_assert!(0.0 <= low && low <= ratio && ratio <= high && high <= 1.0);
            prop_assert!(high - low < 1.0);
        }

        #[test]
        fn more_requests_narrow_it(bad in 0u64..50) {
            let width = |n: u64| {
                let (low, high) = interval(bad * n, 100 * n, 0.05);
                high - low
            };
            prop_assert!(width(10) < width(1));
        }
    }
}
