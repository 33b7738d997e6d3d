//! Latencies as weights of the histogram's buckets, which may fade.

use serde::{Deserialize, Serialize};
use traffic::Bucket;

/// A bucket that has faded to less than this is empty.
const NEGLIGIBLE: f64 = 1e-6;

/// How many requests (not always whole) fell into each bucket. Holds the buckets that are not empty: those of one
/// service are a tenth of all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Vec<(usize, f64)>", into = "Vec<(usize, f64)>")]
pub struct Distribution {
    /// Buckets ascending, weights above 0.
    filled: Vec<(Bucket, f64)>,
}

impl From<Vec<(usize, f64)>> for Distribution {
    /// Buckets that do not exist and weights that are no weights are left out; of a bucket that is named twice, the
    /// last weight counts.
    fn from(filled: Vec<(usize, f64)>) -> Self {
        let mut distribution = Self::default();
        for (index, weight) in filled {
            if let Some(bucket) = Bucket::at(index)
                && weight.is_finite()
                && weight > 0.0
            {
                *distribution.weight(bucket) = weight;
            }
        }
        distribution
    }
}

impl From<Distribution> for Vec<(usize, f64)> {
    fn from(distribution: Distribution) -> Self {
        let filled = distribution.filled.into_iter();
        filled
            .map(|(bucket, weight)| (bucket.index(), weight))
            .collect()
    }
}

impl Distribution {
    /// Adds so many requests to the buckets that they fell into.
    pub fn learn(&mut self, ended: &[(Bucket, u64)]) {
        for (bucket, requests) in ended {
            if *requests > 0 {
                *self.weight(*bucket) += *requests as f64;
            }
        }
    }

    /// The place of `bucket`'s weight, which is not to stay at 0.
    fn weight(&mut self, bucket: Bucket) -> &mut f64 {
        let place = match self
            .filled
            .binary_search_by_key(&bucket, |(known, _)| *known)
        {
            Ok(place) => place,
            Err(place) => {
                self.filled.insert(place, (bucket, 0.0));
                place
            }
        };
        &mut self.filled[place].1
    }

    /// Keeps the share `kept` of every bucket.
    pub fn fade(&mut self, kept: f64) {
        self.filled.retain_mut(|(_, weight)| {
            *weight *= kept;
            *weight >= NEGLIGIBLE
        });
    }

    /// All requests.
    pub fn total(&self) -> f64 {
        self.filled.iter().map(|(_, weight)| weight).sum()
    }

    /// The lowest bucket at or below which the share `quantile` of the requests lies, and how many lie above it.
    /// `total` is [`Distribution::total`], passed in as several quantiles are asked for at once.
    pub fn quantile(&self, quantile: f64, total: f64) -> Option<(Bucket, f64)> {
        if total <= 0.0 {
            return None;
        }
        // Sums of faded weights differ in their last digits by the order of adding.
        let rank = quantile * total * (1.0 - 1e-12);
        let mut below = 0.0;
        let (bucket, _) = self.filled.iter().find(|(_, weight)| {
            below += weight;
            below >= rank
        })?;
        Some((*bucket, (total - below).max(0.0)))
    }

    /// The upper bound of the bucket at `quantile` in seconds; nothing without requests or when there is no bound.
    pub fn seconds(&self, quantile: f64, total: f64) -> Option<f64> {
        let (bucket, _) = self.quantile(quantile, total)?;
        Some(bucket.upper_bound()).filter(|bound| bound.is_finite())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use traffic::Histogram;

    fn ended(latencies: &[(u64, u64)]) -> Vec<(Bucket, u64)> {
        let bucket = |millis| Bucket::of(Duration::from_millis(millis));
        let buckets = latencies.iter().map(|(millis, n)| (bucket(*millis), *n));
        buckets.collect()
    }

    #[test]
    fn quantiles_agree_with_the_histogram() {
        let ended = ended(&[(10, 500), (20, 300), (100, 190), (1000, 10)]);
        let mut counted = Histogram::default();
        for (bucket, requests) in &ended {
            counted.add(*bucket, *requests);
        }
        let mut distribution = Distribution::default();
        distribution.learn(&ended);
        distribution.fade(0.3);
        let total = distribution.total();
        for quantile in [0.01, 0.5, 0.51, 0.8, 0.9, 0.99, 0.999] {
            let (bucket, above) = distribution.quantile(quantile, total).unwrap();
            assert_eq!(Some(bucket), counted.quantile(quantile), "{quantile}");
            assert!((above - 0.3 * counted.above(bucket) as f64).abs() < 1e-9);
        }
    }

    #[test]
    fn it_forgets_in_the_end_and_round_trips() {
        let mut distribution = Distribution::default();
        distribution.learn(&ended(&[(10, 5), (3, 100_000)]));
        distribution.fade(1.0 / 3.0);
        let json = serde_json::to_string(&distribution).unwrap();
        assert_eq!(
            serde_json::from_str::<Distribution>(&json).unwrap(),
            distribution
        );
        distribution.fade(1e-12);
        assert_eq!(distribution, Distribution::default());
        assert_eq!(distribution.quantile(0.5, distribution.total()), None);
    }

    #[test]
    fn a_bucket_that_does_not_exist_is_left_out() {
        let read: Distribution =
            serde_json::from_str("[[7, 2.0], [100000, 1.0], [3, -1.0], [5, 0.0]]").unwrap();
        assert_eq!(read.total(), 2.0);
    }
}
