//! A latency histogram in the two forms that Prometheus knows.

use prometheus_client::encoding::{
    MetricEncoder, NativeHistogram, NativeHistogramBuckets, NoLabelSet,
};
use std::{fmt, ops::RangeInclusive, time::Duration};
use traffic::{
    Bucket, Histogram,
    histogram::{BUCKETS, PER_OCTAVE, SCHEMA},
};

/// The classic buckets' bounds, as powers of two of a second: 2^-10 (about 1 ms) to 2^6 (64 s).
///
/// A classic count is exact only where its bound is also a bound of the recorded buckets, which are 2^(k/16). Of those
/// the whole powers of two have short decimal names (`le="0.25"`), and the objectives that people state most (250 ms,
/// 500 ms, 1 s, 2 s) among them. Doubling bounds keep a quantile within a factor of two, and the number of series at
/// twenty for each version: the fine resolution is the native histogram's.
const CLASSIC_OCTAVES: RangeInclusive<i32> = -10..=6;

/// What is shown of the latencies of one version.
#[derive(Debug)]
pub(super) struct Latency {
    sum: f64,
    count: u64,
    /// Upper bounds, and the requests in each bucket alone.
    classic: Vec<(f64, u64)>,
    /// Requests in the lowest bucket, which has no lower bound: a native histogram's zero bucket.
    zero_count: u64,
    /// Runs of buckets with requests: the distance to the run before, and the length.
    spans: Vec<(i32, u32)>,
    /// The requests in those buckets, as differences from one to the next.
    deltas: Vec<i64>,
}

impl Latency {
    /// The forms of `histogram`, of whose latencies `sum` is the sum.
    pub(super) fn new(histogram: &Histogram, sum: Duration) -> Self {
        let counts = histogram.buckets();
        let (spans, deltas) = sparse(counts);
        Self {
            sum: sum.as_secs_f64(),
            count: histogram.count(),
            classic: classic(counts),
            zero_count: counts.first().copied().unwrap_or(0),
            spans,
            deltas,
        }
    }

    /// Writes both forms; a format that has no native histograms takes the classic one alone.
    pub(super) fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let native = NativeHistogram {
            schema: SCHEMA,
            zero_threshold: Bucket::at(0).map_or(0.0, Bucket::upper_bound),
            zero_count: self.zero_count,
            negative: NativeHistogramBuckets {
                spans: &[],
                deltas: &[],
            },
            positive: NativeHistogramBuckets {
                spans: &self.spans,
                deltas: &self.deltas,
            },
            created: None,
        };
        encoder.encode_histogram_with_native::<NoLabelSet>(
            self.sum,
            self.count,
            &self.classic,
            None,
            native,
        )
    }
}

/// The recorded buckets with their counts, ascending.
fn recorded(counts: &[u64]) -> impl Iterator<Item = (Bucket, u64)> {
    (0..BUCKETS)
        .filter_map(Bucket::at)
        .zip(counts.iter().copied())
}

/// The counts between the bounds of [`CLASSIC_OCTAVES`] and above.
fn classic(counts: &[u64]) -> Vec<(f64, u64)> {
    let mut octaves = CLASSIC_OCTAVES.peekable();
    let mut classic = Vec::with_capacity(CLASSIC_OCTAVES.count() + 1);
    let mut requests = 0;
    for (bucket, n) in recorded(counts) {
        requests += n;
        if octaves
            .next_if(|octave| octave * PER_OCTAVE == bucket.native_index())
            .is_some()
        {
            classic.push((bucket.upper_bound(), requests));
            requests = 0;
        }
    }
    classic.push((f64::INFINITY, requests));
    classic
}

/// Spans and deltas of the buckets above the lowest. The topmost, which has no upper bound, counts as the native
/// bucket that begins where it begins: 17 minutes are beyond every timeout here.
fn sparse(counts: &[u64]) -> (Vec<(i32, u32)>, Vec<i64>) {
    let mut spans: Vec<(i32, u32)> = Vec::new();
    let mut deltas = Vec::new();
    let mut next = 0;
    let mut before = 0;
    for (bucket, n) in recorded(counts).skip(1).filter(|(_, n)| *n > 0) {
        let index = bucket.native_index();
        match spans.last_mut() {
            Some((_, length)) if index == next => *length += 1,
            _ => spans.push((index - next, 1)),
        }
        next = index + 1;
        let n = i64::try_from(n).unwrap_or(i64::MAX);
        deltas.push(n - before);
        before = n;
    }
    (spans, deltas)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    /// Undoes [`sparse`].
    fn expanded(latency: &Latency) -> Vec<(i32, u64)> {
        let mut deltas = latency.deltas.iter();
        let (mut index, mut count) = (0, 0);
        let mut buckets = Vec::new();
        for (gap, length) in &latency.spans {
            index += gap;
            for _ in 0..*length {
                count += deltas.next().unwrap();
                buckets.push((index, count as u64));
                index += 1;
            }
        }
        assert_eq!(deltas.next(), None);
        buckets
    }

    #[test]
    fn classic_bounds_are_short_decimals_from_a_millisecond_to_a_minute() {
        let bounds: Vec<f64> = classic(&[0; BUCKETS])
            .into_iter()
            .map(|(bound, _)| bound)
            .collect();
        assert_eq!(
            bounds,
            [
                0.0009765625,
                0.001953125,
                0.00390625,
                0.0078125,
                0.015625,
                0.03125,
                0.0625,
                0.125,
                0.25,
                0.5,
                1.0,
                2.0,
                4.0,
                8.0,
                16.0,
                32.0,
                64.0,
                f64::INFINITY
            ]
        );
    }

    #[test]
    fn neighbours_share_a_span() {
        let mut histogram = Histogram::default();
        let first = Bucket::of(Duration::from_millis(100));
        for (distance, n) in [(0, 5), (1, 3), (4, 7)] {
            histogram.add(Bucket::at(first.index() + distance).unwrap(), n);
        }
        histogram.add(Bucket::at(0).unwrap(), 2);
        let latency = Latency::new(&histogram, Duration::from_secs(2));
        assert_eq!(latency.spans, [(first.native_index(), 2), (2, 1)]);
        assert_eq!(latency.deltas, [5, -2, 4]);
        assert_eq!(latency.zero_count, 2);
        assert_eq!(latency.count, 17);
    }

    proptest! {
        #[test]
        fn no_request_is_lost_or_moved(nanos in vec(0u64..2_000_000_000_000, 0..200)) {
            let latencies: Vec<Duration> = nanos.into_iter().map(Duration::from_nanos).collect();
            let mut histogram = Histogram::default();
            for latency in &latencies {
                histogram.add(Bucket::of(*latency), 1);
            }
            let latency = Latency::new(&histogram, Duration::ZERO);

            let mut below = 0;
            for (bound, n) in &latency.classic {
                below += n;
                let truth = latencies.iter().filter(|latency| latency.as_secs_f64() <= *bound).count();
                prop_assert_eq!(below, truth as u64, "up to {} s", bound);
            }
            prop_assert_eq!(below, latency.count);

            let expected: Vec<(i32, u64)> = recorded(histogram.buckets())
                .skip(1)
                .filter(|(_, n)| *n > 0)
                .map(|(bucket, n)| (bucket.native_index(), n))
                .collect();
            prop_assert_eq!(expanded(&latency), expected);
        }
    }
}
