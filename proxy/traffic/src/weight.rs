//! Shares of traffic, in basis points.

use std::fmt;

/// A share of traffic in basis points: 0 to 10,000, where 10,000 is all of it.
///
/// ```
/// use traffic::Weight;
/// let weight = Weight::from_basis_points(2_550).unwrap();
/// assert_eq!(weight.to_string(), "25.5%");
/// assert_eq!(weight.complement().basis_points(), 7_450);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Weight(u16);

impl Weight {
    /// No traffic.
    pub const ZERO: Self = Self(0);
    /// All traffic.
    pub const FULL: Self = Self(10_000);

    /// The weight of `bp` basis points, or nothing when `bp` is above 10,000.
    pub const fn from_basis_points(bp: u16) -> Option<Self> {
        if bp <= Self::FULL.0 {
            Some(Self(bp))
        } else {
            None
        }
    }

    /// The weight of `percent` whole per cent, or nothing when it is above 100.
    pub const fn from_percent(percent: u8) -> Option<Self> {
        Self::from_basis_points(percent as u16 * 100)
    }

    /// This weight in basis points, 0 to 10,000.
    pub const fn basis_points(self) -> u16 {
        self.0
    }

    /// This weight as a fraction, 0 to 1.
    pub fn fraction(self) -> f64 {
        f64::from(self.0) / f64::from(Self::FULL.0)
    }

    /// What is left for the other side, so that both sum to 10,000.
    pub const fn complement(self) -> Self {
        Self(Self::FULL.0 - self.0)
    }

    /// Whether a point drawn evenly from all `u64` values falls into this share.
    ///
    /// The sets are nested: a point inside a weight is inside every larger weight. That is what keeps a sticky user
    /// on the canary while its weight rises.
    pub const fn admits(self, point: u64) -> bool {
        // `point < floor(weight * 2^64 / 10,000)` without the division, which is a call of its own for 128 bits.
        (point as u128 + 1) * Self::FULL.0 as u128 <= (self.0 as u128) << 64
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", f64::from(self.0) / 100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_ends_admit_nothing_and_everything() {
        assert!(!Weight::ZERO.admits(0));
        assert!(Weight::FULL.admits(u64::MAX));
        assert_eq!(Weight::from_basis_points(10_001), None);
        assert_eq!(Weight::from_percent(101), None);
    }

    proptest! {
        #[test]
        fn a_weight_admits_its_share_of_all_points(bp in 0u16..=10_000, near in -2i128..=2, point: u64) {
            let share = (i128::from(bp) << 64) / 10_000;
            for point in [i128::from(point), share + near] {
                if let Ok(admitted) = u64::try_from(point) {
                    prop_assert_eq!(Weight(bp).admits(admitted), point < share);
                }
            }
        }

        #[test]
        fn both_sides_sum_to_all_traffic(bp in 0u16..=10_000) {
            let weight = Weight::from_basis_points(bp).unwrap();
            prop_assert_eq!(weight.basis_points() + weight.complement().basis_points(), 10_000);
        }

        #[test]
        fn a_larger_weight_contains_a_smaller_one(a in 0u16..=10_000, b in 0u16..=10_000, point: u64) {
            let (small, large) = (a.min(b), a.max(b));
            let (small, large) = (Weight(small), Weight(large));
            prop_assert!(!small.admits(point) || large.admits(point));
        }
    }
}
