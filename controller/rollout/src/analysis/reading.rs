//! What the guard says and what it says it by: everything that `explain` shows and that is kept with a verdict.

use super::{
    block::{Dispersion, Margin},
    users::PrePeriod,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use traffic::{FailureRule, Weight};

/// The guard's judgement at one moment, with all that went into it. Every number is finite.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// When the counts were taken.
    pub at: Timestamp,
    /// What follows from them.
    pub judgement: Judgement,
    /// How far the evidence step is, when there is one.
    pub acceptance: Option<Acceptance>,
    /// Each rollback test, the error test first. Empty without a canary.
    pub tests: Vec<TestReading>,
    /// The canary since it began.
    pub canary: Side,
    /// The stable since the canary began.
    pub stable: Side,
    /// What counted as a failure.
    #[serde(default, with = "crate::failure_rule")]
    pub failure_rule: FailureRule,
    /// What the users of both versions met on the stable before, which the error test's margin is made of. Nothing where
    /// requests are split and not users.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pre_period: Option<PrePeriod>,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Judgement {
    /// Nothing speaks against going on as planned.
    Undecided,
    /// The canary is worse than allowed. Stays so until another canary begins.
    RollBack {
        /// The test that showed it.
        test: Test,
    },
    /// The stable fails by itself, so that nothing can be said for the canary: no promotion.
    Hold {
        /// The stable's requests of the last minute.
        stable_requests: u64,
        /// Those of them that failed.
        stable_failures: u64,
        /// The share that counts as healthy.
        allowed: f64,
    },
    /// There is nothing to judge by: no promotion.
    TooLittle(Shortfall),
    /// The stable fails by itself and the canary does not: the rollout is to go on without waiting.
    RollForward {
        /// The canary's requests of the last minute, at its present weight.
        canary_requests: u64,
        /// Those of them that failed.
        canary_failures: u64,
        /// The stable's requests of the same time.
        stable_requests: u64,
        /// Those of them that failed.
        stable_failures: u64,
        /// The share that counts as healthy.
        allowed: f64,
    },
    /// The canary fails more than the failure limit, and nothing shows that the stable does not: no promotion.
    Unattributed {
        /// The canary's requests since it began.
        canary_requests: u64,
        /// Those of them that failed.
        canary_failures: u64,
        /// The stable's requests of the last minute.
        stable_requests: u64,
        /// Those of them that failed.
        stable_failures: u64,
        /// The share of its requests that the canary may fail.
        limit: f64,
    },
    /// The canary answers more of its requests with client errors than it may beside the stable: no promotion. Counts
    /// are of requests that did not fail.
    ClientErrors {
        /// The canary's requests since it began.
        canary_requests: u64,
        /// Those of them that were answered with a client error.
        canary_errors: u64,
        /// The stable's requests of the same time.
        stable_requests: u64,
        /// Those of them that were answered with a client error.
        stable_errors: u64,
    },
}

/// What is missing to judge a canary by.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Shortfall {
    /// No request reached the canary in this step, though its weight gives it some.
    NoCanaryRequests {
        /// The stable's requests in this step.
        stable_requests: u64,
    },
    /// The rollout gets fewer requests than asked for.
    LowRate {
        /// Requests a second of both versions, of the last minute.
        requests_per_second: f64,
        /// The least that is asked for.
        least: f64,
    },
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCanaryRequests { stable_requests } => write!(
                f,
                "no request reached the canary in this step, while stable got {stable_requests}"
            ),
            Self::LowRate {
                requests_per_second,
                least,
            } => write!(
                f,
                "{requests_per_second:.1} requests a second in the last minute, fewer than the {least} that are asked for"
            ),
        }
    }
}

/// What a rollback test compares.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Test {
    /// The shares of requests that failed.
    Errors,
    /// The canary's share of requests that failed, and what the stable was known for. Only while the canary has all
    /// the traffic.
    History,
    /// The share of the canary's requests that failed, with a fixed limit.
    FailureLimit,
    /// The shares of requests that were answered with client errors, of those that did not fail.
    ClientErrors,
    /// The rate of the requests of both versions, with a fixed least one.
    RequestRate,
    /// The shares of slow requests.
    Latency {
        /// Slow is what is above this quantile of the stable.
        quantile: f64,
    },
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Errors => f.write_str("error ratio"),
            // Names are shown in columns of twelve characters.
            Self::History => f.write_str("past errors"),
            Self::FailureLimit => f.write_str("error limit"),
            Self::ClientErrors => f.write_str("4xx ratio"),
            Self::RequestRate => f.write_str("request rate"),
            // Rounded, as 0.55 * 100 is a little more than 55.
            Self::Latency { quantile } => {
                write!(f, "latency p{}", (quantile * 1e6).round() / 1e4)
            }
        }
    }
}

/// Where one rollback test stands.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TestReading {
    /// What it compares.
    pub test: Test,
    /// The natural logarithm of the evidence that the canary is worse.
    pub ln_e: f64,
    /// The evidence that convicts.
    pub ln_threshold: f64,
    /// The canary's requests that were judged.
    pub canary_requests: u64,
    /// Those of them that failed, were slow, or were answered with a client error.
    pub canary_events: u64,
    /// The stable's requests that were judged.
    pub stable_requests: u64,
    /// Those of them that failed, were slow, or were answered with a client error.
    pub stable_events: u64,
    /// How much worse the canary may be.
    pub limit: Limit,
    /// How many requests tell as much as one in what was judged last, as outcomes at one endpoint agree.
    #[serde(default)]
    pub dispersion: Dispersion,
}

/// How much worse than the stable a canary may be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Limit {
    /// Its failure ratio, or its share of client errors, may be `relative` times the stable's plus `absolute`.
    Ratio(Margin),
    /// Its failure ratio may be as large as this, whatever the stable's is.
    Absolute(f64),
    /// Both versions together are to get this many requests a second. Counts are of both, and none of them is bad.
    Rate {
        /// Requests a second.
        least: f64,
        /// How many there were in the last minute.
        now: f64,
    },
    /// Its share of requests above `canary` may be as large as the stable's above `stable`. The bounds move with the
    /// stable's latency; these are the latest.
    Latency {
        /// The stable's usual latency at this quantile, in seconds. Nothing while it is unknown.
        stable: Option<f64>,
        /// The bound of the canary, in seconds.
        canary: Option<f64>,
        /// The share by which the canary may be slower.
        increase: f64,
    },
}

/// One version in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Side {
    /// Requests sent.
    pub requests: u64,
    /// Requests that failed.
    pub failures: u64,
    /// The 95 % confidence interval of the failure ratio, valid at every moment; 0 to 1 without requests.
    pub failure_ratio: (f64, f64),
    /// Requests a second, of about the last ten seconds.
    pub rps: f64,
    /// The median latency in seconds; nothing while no request has ended.
    pub p50: Option<f64>,
    /// The 90th percentile of the latency in seconds.
    pub p90: Option<f64>,
    /// The 99th percentile of the latency in seconds.
    pub p99: Option<f64>,
}

/// Whether the canary may go to the next weight.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Acceptance {
    /// The step that is to be left.
    pub step: usize,
    /// The weight that the evidence is from, in basis points.
    #[serde(with = "crate::basis_points")]
    pub from: Weight,
    /// The weight to go to, in basis points.
    #[serde(with = "crate::basis_points")]
    pub to: Weight,
    /// Whether it may go.
    pub met: bool,
    /// The natural logarithm of the evidence that the canary is better than the margin.
    pub ln_e: f64,
    /// The evidence that is enough.
    pub ln_threshold: f64,
    /// What the canary's failure ratio has to be below.
    pub margin: Margin,
    /// The canary's requests of this step.
    pub canary_requests: u64,
    /// Those of them that failed.
    pub canary_failures: u64,
    /// The stable's requests of this step.
    pub stable_requests: u64,
    /// Those of them that failed.
    pub stable_failures: u64,
    /// In about how many seconds it may go, at the traffic of now and if the canary is as good as the stable. Nothing
    /// while that cannot be told.
    pub eta: Option<f64>,
    /// The difference of the failure ratios that this step's requests exclude so far, as a share of requests: the
    /// canary is not worse by more. Nothing without canary requests.
    pub excludable: Option<f64>,
    /// Why it may not go yet; nothing when it may.
    pub waits_for: Option<Reason>,
}

/// What an evidence step waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// The canary was found to be worse.
    RolledBack,
    /// The stable has to become healthy.
    BaselineUnhealthy,
    /// No request was sent to the canary in this step.
    NoCanaryRequests,
    /// The requests so far do not show enough.
    Evidence,
    /// More of the canary's requests are unanswered than of the stable's.
    RequestsUnderWay,
    /// The least time on a step has not passed.
    Dwell,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RolledBack => "the canary is worse than allowed",
            Self::BaselineUnhealthy => "the stable version is failing by itself",
            Self::NoCanaryRequests => "no request reached the canary in this step",
            Self::Evidence => "too few requests to be sure",
            Self::RequestsUnderWay => "too many requests of the canary are unanswered",
            Self::Dwell => "the least time on a step has not passed",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_have_names() {
        let check = |quantile, wanted: &str| {
            assert_eq!(Test::Latency { quantile }.to_string(), wanted);
        };
        check(0.5, "latency p50");
        check(0.99, "latency p99");
        check(0.999, "latency p99.9");
        check(0.55, "latency p55");
        assert_eq!(Test::Errors.to_string(), "error ratio");
        assert_eq!(Test::FailureLimit.to_string(), "error limit");
    }
}
