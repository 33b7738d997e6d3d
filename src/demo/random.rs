//! Repeatable randomness for the demo's apps and load: a hash of a counter.

/// The `index`th number of the sequence `seed`, evenly spread over 0 (included) to 1 (excluded).
///
/// Steele, Lea and Flood's SplitMix64: one multiplication-and-shift hash of a counter, so that no state is shared.
pub(crate) fn uniform(seed: u64, index: u64) -> f64 {
    let mut z = seed.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^= z >> 31;
    // The upper 53 bits are as many as a float holds exactly.
    (z >> 11) as f64 / (1u64 << 53) as f64
}

/// The `index`th number of the sequence `seed`, normally distributed with mean 0 and deviation 1 (Box and Muller).
pub(crate) fn normal(seed: u64, index: u64) -> f64 {
    let radius = (-2.0 * (1.0 - uniform(seed, index)).ln()).sqrt();
    let angle = std::f64::consts::TAU * uniform(!seed, index);
    radius * angle.cos()
}

#[cfg(test)]
mod tests {
    use super::{normal, uniform};

    #[test]
    fn draws_are_spread_as_they_say() {
        let draws: Vec<f64> = (0..100_000).map(|index| uniform(7, index)).collect();
        assert!(draws.iter().all(|draw| (0.0..1.0).contains(draw)));
        let below = draws.iter().filter(|draw| **draw < 0.2).count();
        // Five deviations of a binomial count are 632.
        assert!(
            below.abs_diff(20_000) < 700,
            "{below} of 100000 draws lie below 0.2"
        );

        let within = (0..100_000)
            .filter(|index| normal(7, *index).abs() < 1.0)
            .count();
        assert!(
            within.abs_diff(68_269) < 800,
            "{within} of 100000 draws lie within one deviation"
        );
    }
}
