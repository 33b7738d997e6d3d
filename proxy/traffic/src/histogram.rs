//! Latency histogram with exponential buckets.
//!
//! The buckets are those of a Prometheus native histogram of schema 4: sixteen to an octave, each 2^(1/16) (4.4 %)
//! wider than the one below, upper bound inclusive. One layout serves recording, the scrape (classic and native) and
//! the latency test, which moves bounds by whole buckets. What is counted by endpoint has eight of them in one.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Buckets to an octave.
pub const PER_OCTAVE: i32 = 16;
/// The native-histogram schema that [`PER_OCTAVE`] stands for: growth 2^(2^-schema).
pub const SCHEMA: i32 = 4;
/// The octave of the lowest bucket: everything up to 2^-20 s (about 1 µs) falls into bucket 0.
const LOWEST_OCTAVE: i32 = -20;
/// The octave above the highest bucket: everything over 2^10 s (about 17 min) falls into the last bucket.
const HIGHEST_OCTAVE: i32 = 10;
/// How many buckets there are; the last one has no upper bound.
pub const BUCKETS: usize = ((HIGHEST_OCTAVE - LOWEST_OCTAVE) * PER_OCTAVE) as usize + 2;

/// 2^(k/16) for k = 0 to 16: the bounds inside one octave, and the next octave's first.
const OCTAVE_BOUNDS: [f64; PER_OCTAVE as usize + 1] = [
    1.0,
    1.0442737824274138,
    1.0905077326652577,
    1.1387886347566916,
    1.189207115002721,
    1.241857812073484,
    1.2968395546510096,
    1.3542555469368927,
    std::f64::consts::SQRT_2,
    1.4768261459394993,
    1.5422108254079407,
    1.6104903319492543,
    1.681792830507429,
    1.7562521603732995,
    1.8340080864093424,
    1.9152065613971474,
    2.0,
];

/// The parts into which an octave is cut to find a bucket: as many as no two bounds have a part in common.
const PARTS: usize = 32;

/// A part of an octave.
#[derive(Clone, Copy)]
struct Part {
    /// How many bounds lie below it.
    below: u16,
    /// The bound after these, which may lie within.
    bound: f64,
}

/// The parts of an octave, so that no bounds have to be searched.
static OCTAVE_PARTS: [Part; PARTS] = {
    let mut parts = [Part {
        below: 0,
        bound: 0.0,
    }; PARTS];
    let mut part = 0;
    while part < PARTS {
        let begin = 1.0 + part as f64 / PARTS as f64;
        let mut below = 0;
        while OCTAVE_BOUNDS[below] < begin {
            below += 1;
        }
        parts[part] = Part {
            below: below as u16,
            bound: OCTAVE_BOUNDS[below],
        };
        part += 1;
    }
    parts
};

/// How many bounds of an octave lie below what its `mantissa` (52 bits of a number's fraction) stands for.
fn within_octave(mantissa: u64) -> u16 {
    let part = &OCTAVE_PARTS[(mantissa >> (52 - PARTS.ilog2())) as usize % PARTS];
    part.below + u16::from(part.bound < ratio(mantissa))
}

/// The number from 1 to 2 with this `mantissa`.
fn ratio(mantissa: u64) -> f64 {
    f64::from_bits(mantissa | (1023 << 52))
}

/// Where a latency lies.
enum Octave {
    /// In the lowest bucket.
    Below,
    /// So many octaves above the lowest bucket's, with this mantissa above its lower bound.
    At(u16, u64),
    /// In the highest bucket.
    Above,
}

impl Octave {
    fn of(latency: Duration) -> Self {
        // Multiplied, not divided, for the time that it takes. Bounds that are whole nanoseconds stay exactly what they are.
        let seconds = latency.as_secs() as f64 + f64::from(latency.subsec_nanos()) * 1e-9;
        if seconds <= f64::from(LOWEST_OCTAVE).exp2() {
            return Self::Below;
        }
        let bits = seconds.to_bits();
        let octave = ((bits >> 52) & 0x7ff) as i32 - 1023;
        if octave >= HIGHEST_OCTAVE {
            return Self::Above;
        }
        Self::At((octave - LOWEST_OCTAVE) as u16, bits & ((1 << 52) - 1))
    }
}

/// A bucket of the histogram, 0 to [`BUCKETS`] - 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bucket(u16);

impl Bucket {
    /// The last bucket, which has no upper bound.
    pub const LAST: Self = Self((BUCKETS - 1) as u16);

    /// The bucket that `latency` falls into.
    pub fn of(latency: Duration) -> Self {
        match Octave::of(latency) {
            Octave::Below => Self(0),
            Octave::Above => Self::LAST,
            Octave::At(octave, mantissa) => {
                Self(octave * PER_OCTAVE as u16 + within_octave(mantissa))
            }
        }
    }

    /// The bucket at `index`, or nothing when there is none.
    pub fn at(index: usize) -> Option<Self> {
        (index < BUCKETS).then_some(Self(index as u16))
    }

    /// This bucket's place, 0 to [`BUCKETS`] - 1.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The largest latency that still falls into this bucket, in seconds; infinite for the last.
    pub fn upper_bound(self) -> f64 {
        if self == Self::LAST {
            f64::INFINITY
        } else {
            (f64::from(self.native_index()) / f64::from(PER_OCTAVE)).exp2()
        }
    }

    /// This bucket's index in a Prometheus native histogram of schema [`SCHEMA`].
    pub fn native_index(self) -> i32 {
        i32::from(self.0) + LOWEST_OCTAVE * PER_OCTAVE
    }

    /// The bucket whose bound is `factor` times this one's or the next above it: the bound of "slower by so much".
    ///
    /// `factor` is at least 1; smaller values count as 1.
    pub fn times(self, factor: f64) -> Self {
        // The tolerance keeps an exact power, such as 2.0, from being rounded up by one bucket.
        let buckets = (factor.max(1.0).log2() * f64::from(PER_OCTAVE) - 1e-9)
            .ceil()
            .min(BUCKETS as f64) as u16;
        Self((self.0 + buckets).min(Self::LAST.0))
    }
}

/// How many requests fell into each bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram(Box<[u64]>);

impl Default for Histogram {
    fn default() -> Self {
        Self(vec![0; BUCKETS].into_boxed_slice())
    }
}

impl Histogram {
    /// Counts `requests` in `bucket`.
    pub fn add(&mut self, bucket: Bucket, requests: u64) {
        self.0[bucket.index()] += requests;
    }

    /// Takes out what an `earlier` reading of the same counters had already counted.
    pub fn subtract(&mut self, earlier: &Self) {
        for (now, then) in self.0.iter_mut().zip(&earlier.0) {
            *now = now.saturating_sub(*then);
        }
    }

    /// The counts, by bucket.
    pub fn buckets(&self) -> &[u64] {
        &self.0
    }

    /// How many requests there are.
    pub fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// How many requests were slower than `bucket`'s upper bound.
    pub fn above(&self, bucket: Bucket) -> u64 {
        self.0[bucket.index() + 1..].iter().sum()
    }

    /// The lowest bucket below whose upper bound at least the share `quantile` (0 to 1) of the requests lies, or
    /// nothing when there are no requests.
    pub fn quantile(&self, quantile: f64) -> Option<Bucket> {
        let count = self.count();
        let rank = (quantile.clamp(0.0, 1.0) * count as f64).ceil().max(1.0) as u64;
        let mut below = 0;
        let index = self.0.iter().position(|n| {
            below += n;
            below >= rank
        })?;
        Bucket::at(index)
    }
}

/// How many buckets of the histogram are one [`HalfOctave`].
const PER_HALF: usize = PER_OCTAVE as usize / 2;
/// How many half octaves there are; the last one has no upper bound.
pub const HALF_OCTAVES: usize = (BUCKETS - 2) / PER_HALF + 2;

/// Eight buckets in one, for what is counted too often to have all of them: each 41.4 % wider than the one below, its upper
/// bound that of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HalfOctave(u8);

impl HalfOctave {
    /// The half octave that `latency` falls into.
    pub fn of(latency: Duration) -> Self {
        match Octave::of(latency) {
            Octave::Below => Self(0),
            Octave::Above => Self((HALF_OCTAVES - 1) as u8),
            Octave::At(octave, mantissa) => {
                let within =
                    u8::from(mantissa > 0) + u8::from(ratio(mantissa) > OCTAVE_BOUNDS[PER_HALF]);
                Self(2 * octave as u8 + within)
            }
        }
    }

    /// The half octave that `bucket` is part of. Its upper bound is the least of all that are not below the bucket's.
    pub fn holding(bucket: Bucket) -> Self {
        Self(bucket.index().div_ceil(PER_HALF) as u8)
    }

    /// The one in place `index`, if there is one.
    pub fn at(index: usize) -> Option<Self> {
        (index < HALF_OCTAVES).then_some(Self(index as u8))
    }

    /// Its place, 0 to [`HALF_OCTAVES`] - 1.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// How many requests fell into each half octave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HalfOctaves([u64; HALF_OCTAVES]);

impl Default for HalfOctaves {
    fn default() -> Self {
        Self([0; HALF_OCTAVES])
    }
}

impl HalfOctaves {
    /// Counts `requests` in `half`.
    pub fn add(&mut self, half: HalfOctave, requests: u64) {
        self.0[half.index()] += requests;
    }

    /// The counts, by half octave.
    pub fn buckets(&self) -> &[u64] {
        &self.0
    }

    /// How many requests there are.
    pub fn count(&self) -> u64 {
        self.0.iter().sum()
    }

    /// How many requests were slower than `half`'s upper bound.
    pub fn above(&self, half: HalfOctave) -> u64 {
        self.0[half.index() + 1..].iter().sum()
    }
}

/// Half octaves that one thread writes and others read.
#[derive(Debug)]
pub(crate) struct HalfRecorder([AtomicU64; HALF_OCTAVES]);

impl Default for HalfRecorder {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; HALF_OCTAVES])
    }
}

impl HalfRecorder {
    pub(crate) fn record(&self, latency: Duration) {
        let cell = &self.0[HalfOctave::of(latency).index()];
        cell.store(cell.load(Relaxed).wrapping_add(1), Relaxed);
    }

    pub(crate) fn add_to(&self, total: &mut HalfOctaves) {
        for (sum, cell) in total.0.iter_mut().zip(&self.0) {
            *sum += cell.load(Relaxed);
        }
    }
}

/// A histogram that one thread writes and others read.
#[derive(Debug)]
pub(crate) struct Recorder(Box<[AtomicU64]>);

impl Default for Recorder {
    fn default() -> Self {
        Self((0..BUCKETS).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Recorder {
    pub(crate) fn record(&self, latency: Duration) {
        let cell = &self.0[Bucket::of(latency).index()];
        cell.store(cell.load(Relaxed) + 1, Relaxed);
    }

    pub(crate) fn add_to(&self, total: &mut Histogram) {
        for (sum, cell) in total.0.iter_mut().zip(&self.0) {
            *sum += cell.load(Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bounds_are_inclusive_powers_of_two() {
        for (seconds, native) in [(1.0, 0), (2.0, 16), (0.5, -16), (0.25, -32)] {
            assert_eq!(
                Bucket::of(Duration::from_secs_f64(seconds)).native_index(),
                native,
                "{seconds} s"
            );
        }
        assert_eq!(Bucket::of(Duration::ZERO), Bucket(0));
        assert_eq!(Bucket::of(Duration::from_secs(3600)), Bucket::LAST);
        assert_eq!(
            Bucket::of(Duration::from_secs(1024)),
            Bucket(Bucket::LAST.0 - 1 + 1)
        );
    }

    #[test]
    fn whole_nanoseconds_that_are_bounds_are_told_exactly() {
        for octave in -9..HIGHEST_OCTAVE {
            let bound = Duration::from_secs_f64(f64::from(octave).exp2());
            assert_eq!(Bucket::of(bound).native_index(), octave * PER_OCTAVE);
            let above = Bucket::of(bound + Duration::from_nanos(1));
            assert_eq!(above.native_index(), octave * PER_OCTAVE + 1, "{octave}");
        }
    }

    #[test]
    fn parts_of_an_octave_find_what_a_search_finds() {
        for (k, bound) in OCTAVE_BOUNDS.iter().enumerate() {
            assert!((bound - (k as f64 / f64::from(PER_OCTAVE)).exp2()).abs() < 1e-15);
            for bits in [bound.to_bits() - 1, bound.to_bits(), bound.to_bits() + 1] {
                let number = f64::from_bits(bits);
                if (1.0..2.0).contains(&number) {
                    let searched = OCTAVE_BOUNDS.partition_point(|bound| *bound < number);
                    let found = within_octave(bits & ((1 << 52) - 1));
                    assert_eq!(usize::from(found), searched, "{number}");
                }
            }
        }
    }

    #[test]
    fn forty_per_cent_slower_is_eight_buckets() {
        let bucket = Bucket::of(Duration::from_millis(100));
        assert_eq!(bucket.times(1.4).index() - bucket.index(), 8);
        assert_eq!(bucket.times(2.0).index() - bucket.index(), 16);
        assert_eq!(bucket.times(1.0), bucket);
        assert_eq!(Bucket::LAST.times(2.0), Bucket::LAST);
    }

    #[test]
    fn quantiles_count_from_below() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), None);
        histogram.add(Bucket(10), 90);
        histogram.add(Bucket(20), 10);
        assert_eq!(histogram.quantile(0.5), Some(Bucket(10)));
        assert_eq!(histogram.quantile(0.9), Some(Bucket(10)));
        assert_eq!(histogram.quantile(0.91), Some(Bucket(20)));
        assert_eq!(histogram.above(Bucket(10)), 10);
        assert_eq!(histogram.above(Bucket::LAST), 0);
    }

    #[test]
    fn every_bucket_is_in_the_half_octave_of_its_latencies() {
        for index in 0..BUCKETS {
            let bucket = Bucket::at(index).unwrap();
            let half = HalfOctave::holding(bucket);
            // A little below, as durations are whole nanoseconds.
            let within = 0.999 * bucket.upper_bound().min(1e6);
            assert_eq!(
                HalfOctave::of(Duration::from_secs_f64(within)),
                half,
                "{index}"
            );
        }
        assert_eq!(HalfOctave::holding(Bucket::LAST).index(), HALF_OCTAVES - 1);
        let mut counts = HalfOctaves::default();
        counts.add(HalfOctave(7), 3);
        counts.add(HalfOctave(8), 2);
        assert_eq!(counts.count(), 5);
        assert_eq!(counts.above(HalfOctave(7)), 2);
        assert_eq!(counts.above(HalfOctave::holding(Bucket::LAST)), 0);
    }

    proptest! {
        #[test]
        fn a_latency_is_in_the_half_octave_of_its_bucket(nanos in 0u64..4_000_000_000_000) {
            let latency = Duration::from_nanos(nanos);
            prop_assert_eq!(HalfOctave::of(latency), HalfOctave::holding(Bucket::of(latency)));
        }

        #[test]
        fn a_part_of_an_octave_finds_what_a_search_finds(mantissa in 0u64..(1 << 52)) {
            let searched = OCTAVE_BOUNDS.partition_point(|bound| *bound < ratio(mantissa));
            prop_assert_eq!(usize::from(within_octave(mantissa)), searched);
        }

        #[test]
        fn a_latency_lies_between_its_buckets_bounds(micros in 2u64..1_000_000_000) {
            let latency = Duration::from_micros(micros);
            let bucket = Bucket::of(latency);
            let below = Bucket::at(bucket.index() - 1).unwrap();
            prop_assert!(latency.as_secs_f64() <= bucket.upper_bound());
            prop_assert!(latency.as_secs_f64() > below.upper_bound());
        }
    }
}
