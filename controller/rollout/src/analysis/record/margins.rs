//! The margins that a record must have been judged by, as they follow from its parameters and from what is known of users
//! and of stable's past.

use super::{Parts, outcome::Difference, replay::agree};
use crate::analysis::{
    block::Margin,
    client_errors, errors, history,
    reading::{Limit, Reading, Test, TestReading},
    users::PrePeriod,
    watch::Null,
};
use traffic::{Margins, Weight, trip::ALPHA};

/// That `test`, of which `said` is told, was judged by another margin than follows, if so. `nulls` is what it was judged by.
pub(super) fn difference(
    test: Test,
    nulls: &[Null],
    said: &TestReading,
    reading: &Reading,
    parts: &Parts,
) -> Option<Difference> {
    match test {
        Test::Errors => of_blocks(nulls, parts).or_else(|| of_reading(said, reading, parts)),
        Test::ClientErrors => {
            let margin = client_errors::margin(parts.parameters.parameters());
            other_than(nulls, &[margin])
        }
        Test::History => of_past(nulls, parts),
        Test::FailureLimit | Test::RequestRate | Test::Latency { .. } => None,
    }
}

/// The margin for users who are alike.
fn alike(parts: &Parts) -> Margin {
    errors::margin(parts.parameters.parameters())
}

/// What the failure limit allows the canary's users to fail more than the others.
pub(super) fn allowance(known: Option<&PrePeriod>) -> Margin {
    known.map_or(Margin::NONE, |known| known.widen(Margin::NONE))
}

/// That what tells whose fault failures are was judged by another margin than follows, if so.
pub(super) fn of_fault(nulls: &[Null], parts: &Parts) -> Option<Difference> {
    let known = parts.pre_periods.iter().map(|known| allowance(Some(known)));
    let possible: Vec<Margin> = std::iter::once(Margin::NONE).chain(known).collect();
    other_than(nulls, &possible)
}

/// That nothing is recorded of what users are said to have met, if so.
pub(super) fn unrecorded(known: &PrePeriod, parts: &Parts) -> Option<Difference> {
    (!parts.pre_periods.contains(known)).then(|| {
        Difference::new(
            "pre-period",
            &pre_period_words(known),
            &"nothing: there is no record of it",
        )
    })
}

/// The margin at `weight`.
fn at(parts: &Parts, weight: Weight) -> Margin {
    let mut known = parts.pre_periods.iter().rev();
    let known = known.find(|known| known.weight() == weight);
    known.map_or_else(|| alike(parts), |known| known.widen(alike(parts)))
}

fn of_blocks(nulls: &[Null], parts: &Parts) -> Option<Difference> {
    let widened = parts
        .pre_periods
        .iter()
        .map(|known| known.widen(alike(parts)));
    let possible: Vec<Margin> = std::iter::once(alike(parts)).chain(widened).collect();
    other_than(nulls, &possible)
}

/// That one of `nulls` is none of the margins that are `possible`, if so.
fn other_than(nulls: &[Null], possible: &[Margin]) -> Option<Difference> {
    let other = nulls.iter().find(|null| match null {
        Null::Within(found) => !possible.iter().any(|margin| are_equal(*found, *margin)),
        Null::AtMost(_) => true,
    })?;
    let told: Vec<_> = possible.iter().map(|margin| words(*margin)).collect();
    Some(Difference::new(
        "margin",
        &null_words(*other),
        &told.join(", or "),
    ))
}

/// The margin that was told with the verdict, and what it was made of.
fn of_reading(said: &TestReading, reading: &Reading, parts: &Parts) -> Option<Difference> {
    let known = reading.pre_period.as_ref();
    if let Some(difference) = known.and_then(|known| unrecorded(known, parts)) {
        return Some(difference);
    }
    let margin = known.map_or_else(|| alike(parts), |known| known.widen(alike(parts)));
    match said.limit {
        Limit::Ratio(found) if are_equal(found, margin) => None,
        Limit::Ratio(found) => Some(Difference::new("margin", &words(found), &words(margin))),
        Limit::Absolute(_) | Limit::Rate { .. } | Limit::Latency { .. } => {
            Some(Difference::new("margin", &"another limit", &words(margin)))
        }
    }
}

/// The failure ratio that stable's past allows. Records of earlier versions do not tell what it was made of.
fn of_past(nulls: &[Null], parts: &Parts) -> Option<Difference> {
    let margin = at(parts, Weight::FULL);
    let alpha = history::alpha(&parts.parameters);
    let border = history::border(parts.history?, alpha, margin);
    let other = nulls.iter().find(|null| match null {
        Null::AtMost(found) => !agree(*found, border),
        Null::Within(_) => true,
    })?;
    Some(Difference::new("limit", &null_words(*other), &border))
}

/// The margins of the proxy's trip at `weight`.
pub(super) fn of_trip(parts: &Parts, weight: Weight) -> Margins {
    let Margin { relative, absolute } = at(parts, weight);
    let past = parts.history.filter(|_| weight == Weight::FULL);
    let bound = |past| history::border(past, ALPHA / 2.0, Margin { relative, absolute });
    Margins {
        relative,
        absolute: past.map_or(absolute, bound),
    }
}

/// The margins of a trip by one of several proxies.
pub(super) fn of_trip_by_one(parts: &Parts) -> Margins {
    let Margin { relative, absolute } = alike(parts);
    Margins { relative, absolute }
}

fn are_equal(a: Margin, b: Margin) -> bool {
    agree(a.relative, b.relative) && agree(a.absolute, b.absolute)
}

fn words(margin: Margin) -> String {
    format!("{} and {}", margin.relative, margin.absolute)
}

fn null_words(null: Null) -> String {
    match null {
        Null::Within(margin) => words(margin),
        Null::AtMost(limit) => format!("a limit of {limit}"),
    }
}

fn pre_period_words(known: &PrePeriod) -> String {
    let ((canary, canary_bad), (stable, stable_bad)) = (known.canary(), known.stable());
    format!("{canary_bad} of {canary} and {stable_bad} of {stable}")
}
