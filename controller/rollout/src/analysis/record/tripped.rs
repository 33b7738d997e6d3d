//! A trip of the proxy: what its test was made of, and what follows from that.

use super::{
    Parts, margins,
    outcome::{Counts, Difference, Replayed, Window},
    replay::agree,
};
use serde::{Deserialize, Serialize};
use traffic::{Margins, Trip, TripCounts, Weight, trip::TripTest};

/// A [`Trip`] as it is written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tripped {
    /// Which of several proxies did it. It knows its own counts only, and not what the canary's users met before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
    /// The canary's weight then, in basis points.
    #[serde(with = "crate::basis_points")]
    pub weight: Weight,
    pub(super) relative: f64,
    pub(super) absolute: f64,
    pub(super) least_failures: u64,
    /// How many tests there were of the canary before this one.
    earlier: u32,
    /// What the weight sent to the canary.
    pub canary_requests: u64,
    /// Failures among them.
    pub canary_failures: u64,
    /// Those of them that say something of their own.
    pub(super) independent_failures: u64,
    /// Stable's failures, and all of its requests that were under way.
    pub stable_failures: u64,
    /// The logarithm of the evidence.
    pub ln_e: f64,
    /// The logarithm of the evidence that convicts.
    pub ln_threshold: f64,
}

impl From<&Trip> for Tripped {
    fn from(trip: &Trip) -> Self {
        let TripCounts {
            canary_requests,
            canary_failures,
            independent,
            stable_failures,
        } = trip.counts;
        Self {
            proxy: None,
            weight: trip.weight,
            relative: trip.margins.relative,
            absolute: trip.margins.absolute,
            least_failures: trip.least_failures,
            earlier: trip.earlier,
            canary_requests,
            canary_failures,
            independent_failures: independent,
            stable_failures,
            ln_e: trip.ln_e,
            ln_threshold: trip.ln_threshold,
        }
    }
}

impl Tripped {
    fn counts(&self) -> TripCounts {
        TripCounts {
            canary_requests: self.canary_requests,
            canary_failures: self.canary_failures,
            independent: self.independent_failures,
            stable_failures: self.stable_failures,
        }
    }

    fn test(&self) -> Option<TripTest> {
        let margins = Margins {
            relative: self.relative,
            absolute: self.absolute,
        };
        TripTest::new(self.weight, margins, self.least_failures, self.earlier)
    }

    /// Judges it again, and by the margins that follow from `parts`.
    pub(super) fn replayed(&self, parts: &Parts) -> Replayed {
        let counts = Counts {
            canary: self.canary_requests,
            canary_bad: self.canary_failures,
            stable: 0,
            stable_bad: self.stable_failures,
        };
        let test = self.test();
        let ln_e = test.as_ref().map_or(0.0, |test| test.ln_e(&self.counts()));
        let ln_threshold = test.as_ref().map_or(f64::MAX, TripTest::ln_threshold);
        let convicts = test.is_some_and(|test| test.convicts(&self.counts()));
        let number = |what: &str, stored: f64, found: f64| {
            (!agree(stored, found)).then(|| Difference::new(what, &stored, &found))
        };
        let margins = match &self.proxy {
            Some(_) => margins::of_trip_by_one(parts),
            None => margins::of_trip(parts, self.weight),
        };
        let least = parts.parameters.parameters().min_canary_failures;
        let difference = number("relative margin", self.relative, margins.relative)
            .or_else(|| number("absolute margin", self.absolute, margins.absolute))
            .or_else(|| number("least failures", self.least_failures as f64, least as f64))
            .or_else(|| number("ln threshold", self.ln_threshold, ln_threshold))
            .or_else(|| number("ln E", self.ln_e, ln_e))
            .or_else(|| {
                (!convicts).then(|| {
                    Difference::new("the trip", &"overwhelming evidence", &"not enough of it")
                })
            });
        Replayed {
            // Names are shown in columns of twelve characters.
            name: "proxy's trip".to_owned(),
            test: None,
            before: Counts::default(),
            ln_e_before: 0.0,
            windows: vec![Window {
                start: 0.0,
                counts,
                ln_e,
            }],
            stored: self.ln_e,
            ln_e,
            ln_threshold,
            difference,
        }
    }
}
