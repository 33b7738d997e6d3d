//! The words for what a judge finds. Pure.

use rollout::analysis::{self, Judge, Limit, Reading, Test, TestReading, Tripped};
use traffic::Weight;

/// The judgement that the machine acts on. With the guard off, nothing is held against a canary.
pub(crate) fn judgement(judge: &Judge, guard: bool) -> rollout::Judgement {
    match judge.judgement() {
        analysis::Judgement::RollBack { test } if guard => rollout::Judgement::RollBack {
            why: convicted(&judge.reading(), test),
        },
        analysis::Judgement::Hold {
            stable_requests,
            stable_failures,
            allowed,
        } => rollout::Judgement::Hold {
            why: format!(
                "stable itself fails: {stable_failures} of {stable_requests} requests of the last minute, more than {}% is not healthy",
                allowed * 100.0
            ),
        },
        analysis::Judgement::Unattributed {
            canary_requests,
            canary_failures,
            stable_requests,
            stable_failures,
            limit,
        } => rollout::Judgement::Hold {
            why: format!(
                "{canary_failures} of {canary_requests} canary requests failed, more than the limit of {}%, but nothing shows that stable is well: {stable_failures} of {stable_requests} of its requests of the last minute failed",
                limit * 100.0
            ),
        },
        analysis::Judgement::ClientErrors {
            canary_requests,
            canary_errors,
            stable_requests,
            stable_errors,
        } => rollout::Judgement::Hold {
            why: format!(
                "{canary_errors} of {canary_requests} canary requests were answered with a client error (4xx), {stable_errors} of {stable_requests} stable ones"
            ),
        },
        analysis::Judgement::TooLittle(shortfall) => rollout::Judgement::Hold {
            why: shortfall.to_string(),
        },
        analysis::Judgement::RollForward {
            canary_requests,
            canary_failures,
            stable_requests,
            stable_failures,
            allowed,
        } => rollout::Judgement::RollForward {
            why: format!(
                "stable itself fails and the canary does not: {stable_failures} of {stable_requests} against {canary_failures} of {canary_requests} requests failed, and {}% is healthy",
                allowed * 100.0
            ),
        },
        analysis::Judgement::RollBack { .. } | analysis::Judgement::Undecided => {
            rollout::Judgement::Undecided
        }
    }
}

/// Why `test` convicted the canary, in one line.
fn convicted(reading: &Reading, test: Test) -> String {
    let Some(found) = reading.tests.iter().find(|found| found.test == test) else {
        return test.to_string();
    };
    let TestReading {
        canary_requests,
        canary_events,
        stable_requests,
        stable_events,
        ln_e,
        ln_threshold,
        ..
    } = found;
    if let Limit::Rate { least, now } = found.limit {
        return format!(
            "{test}: {now:.1} requests a second, fewer than {least}; evidence {} against a threshold of {:.0}",
            e_value(*ln_e),
            ln_threshold.exp()
        );
    }
    let what = match test {
        Test::Errors | Test::History | Test::FailureLimit => "failed",
        Test::ClientErrors => "were client errors",
        Test::Latency { .. } => "were slow",
        Test::RequestRate => "came",
    };
    format!(
        "{test}: {canary_events} of {canary_requests} canary requests {what}, {stable_events} of {stable_requests} \
         stable ones; evidence {} against a threshold of {:.0}",
        e_value(*ln_e),
        ln_threshold.exp()
    )
}

/// Why a proxy took a canary's traffic away by itself, in one line.
pub(crate) fn tripped(trip: &Tripped) -> String {
    let Tripped {
        proxy,
        weight,
        canary_requests,
        canary_failures,
        stable_failures,
        ln_e,
        ln_threshold,
        ..
    } = trip;
    let at = proxy.as_ref().map(|proxy| format!("at proxy {proxy}, "));
    let stable = if *weight == Weight::FULL {
        "against stable's past".to_owned()
    } else {
        format!("{stable_failures} of stable failed or were under way")
    };
    format!(
        "{}{canary_failures} of {canary_requests} canary requests failed at {weight}, {stable}; evidence {} against a \
         threshold of {:.0}",
        at.unwrap_or_default(),
        e_value(*ln_e),
        ln_threshold.exp()
    )
}

/// An e-value from its logarithm, short.
pub(crate) fn e_value(ln_e: f64) -> String {
    if ln_e < 1e6_f64.ln() {
        format!("{:.0}", ln_e.exp())
    } else {
        format!("10^{:.0}", ln_e / std::f64::consts::LN_10)
    }
}
