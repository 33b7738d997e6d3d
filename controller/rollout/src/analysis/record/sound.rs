//! Whether a record can be judged at all. One from a file may hold anything.

use super::{Parts, Tripped};
use crate::analysis::{
    block::Margin,
    blocks::MOST,
    journal::{Event, Judged, LATEST, Log, Tick},
    watch::Null,
};

/// More events are in no record of a guard.
const MOST_EVENTS: usize = 4096;
/// More tests are in no record of a guard.
const MOST_TESTS: usize = 32;
/// A canary has no more weights than there are.
const MOST_WEIGHTS: usize = 10_000;
/// The most requests in one block, so that as many blocks as there may be can be added up.
const MOST_IN_BLOCK: u64 = 1_000_000_000_000_000;

/// A number of a record that is out of its range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: found {found}, allowed is {allowed}")]
pub struct Unsound {
    /// Where in the record it is, such as `tests[0].log.events[3]`.
    pub field: String,
    /// What is there.
    pub found: String,
    /// What may be there.
    pub allowed: &'static str,
}

/// The first number that is out of its range, if there is one.
pub(super) fn check(parts: &Parts) -> Result<(), Unsound> {
    let count = parts.tests.len();
    within(count <= MOST_TESTS, "tests", || (count, "at most 32 tests"))?;
    for (index, tested) in parts.tests.iter().enumerate() {
        let field = format!("tests[{index}].log");
        checkpoint(tested.log.checkpoint.is_sound(), &field)?;
        log(&tested.log, &field)?;
    }
    if let Some(attribution) = &parts.attribution {
        let requests = attribution.stable_requests.max(attribution.stable_failures);
        within(requests <= MOST, "attribution.stable_requests", || {
            (requests, "at most 10^17")
        })?;
        checkpoint(attribution.log.checkpoint.is_sound(), "attribution.log")?;
        log(&attribution.log, "attribution.log")?;
    }
    if let Some(found) = &parts.rate {
        checkpoint(found.checkpoint.is_sound(), "rate")?;
        log(found, "rate")?;
    }
    if let Some(found) = &parts.acceptance {
        checkpoint(found.checkpoint.is_sound(), "acceptance")?;
        log(found, "acceptance")?;
    }
    let weights = parts.pre_periods.len();
    within(weights <= MOST_WEIGHTS, "pre_periods", || {
        (weights, "at most 10000")
    })?;
    for (index, known) in parts.pre_periods.iter().enumerate() {
        within(known.is_sound(), &format!("pre_periods[{index}]"), || {
            ("numbers out of their ranges", "what a guard writes")
        })?;
    }
    if let Some((requests, failures)) = parts.history {
        let is_sound =
            (0.0..=MOST as f64).contains(&requests) && (0.0..=requests).contains(&failures);
        within(is_sound, "history", || {
            (
                format!("{failures} failures of {requests} requests"),
                "no more failures than requests, and at most 10^17 of these",
            )
        })?;
    }
    parts.trip.as_ref().map_or(Ok(()), trip)
}

fn trip(trip: &Tripped) -> Result<(), Unsound> {
    let relative = trip.relative;
    within(relative >= 1.0, "trip", || {
        (format!("relative {relative}"), "1 and more")
    })?;
    null(
        Null::Within(Margin {
            relative: trip.relative,
            absolute: trip.absolute,
        }),
        "trip",
    )?;
    for count in [
        trip.canary_requests,
        trip.canary_failures,
        trip.independent_failures,
        trip.stable_failures,
    ] {
        within(count <= MOST, "trip", || (count, "at most 10^17"))?;
    }
    Ok(())
}

fn within<T: ToString>(
    ok: bool,
    field: &str,
    wrong: impl FnOnce() -> (T, &'static str),
) -> Result<(), Unsound> {
    if ok {
        return Ok(());
    }
    let (found, allowed) = wrong();
    Err(Unsound {
        field: field.to_owned(),
        found: found.to_string(),
        allowed,
    })
}

fn checkpoint(is_sound: bool, log: &str) -> Result<(), Unsound> {
    within(is_sound, &format!("{log}.checkpoint"), || {
        ("numbers out of their ranges", "what a guard writes")
    })
}

fn log<T>(log: &Log<T>, field: &str) -> Result<(), Unsound> {
    let count = log.events.len();
    within(count <= MOST_EVENTS, &format!("{field}.events"), || {
        (format!("{count} events"), "at most 4096")
    })?;
    let mut judged_by = log.null;
    if let Some(found) = judged_by {
        null(found, &format!("{field}.null"))?;
    }
    for (index, event) in log.events.iter().enumerate() {
        let field = format!("{field}.events[{index}]");
        match event {
            Event::StepStarts | Event::Window(_) => {}
            Event::Tick(found) => tick(*found, &field)?,
            Event::Null(found) => {
                null(*found, &field)?;
                judged_by = Some(*found);
            }
            Event::Block(row) => {
                let Some(null) = judged_by else {
                    return within(false, &field, || {
                        ("a block", "a null hypothesis before the first block")
                    });
                };
                block(&row.judged(null), &field)?;
            }
        }
    }
    Ok(())
}

fn tick(tick: Tick, field: &str) -> Result<(), Unsound> {
    let Tick {
        start,
        seconds,
        requests,
    } = tick;
    for time in [start, seconds] {
        within((0.0..=LATEST).contains(&time), field, || {
            (format!("{time} s"), "0 to 10^12 s")
        })?;
    }
    within(requests <= MOST_IN_BLOCK, field, || {
        (format!("{requests} requests"), "at most 10^15 in a tick")
    })
}

fn null(null: Null, field: &str) -> Result<(), Unsound> {
    match null {
        Null::Within(Margin { relative, absolute }) => {
            within((1e-6..=1e11).contains(&relative), field, || {
                (format!("relative {relative}"), "10^-6 to 10^11")
            })?;
            within((0.0..=1.0).contains(&absolute), field, || {
                (format!("absolute {absolute}"), "0 to 1")
            })
        }
        Null::AtMost(limit) => within(limit > 0.0 && limit <= 1.0, field, || {
            (format!("a limit of {limit}"), "above 0 and at most 1")
        }),
    }
}

fn block(judged: &Judged, field: &str) -> Result<(), Unsound> {
    let closed = &judged.closed;
    within((0.0..=LATEST).contains(&closed.start), field, || {
        (format!("a start at {} s", closed.start), "0 to 10^12 s")
    })?;
    within((0.0..1.0).contains(&closed.stable_ratio), field, || {
        let found = format!("a stable ratio of {}", closed.stable_ratio);
        (found, "0 or more and below 1")
    })?;
    for dispersion in [judged.dispersion.canary, judged.dispersion.stable] {
        within((1.0..=1e9).contains(&dispersion), field, || {
            (format!("a dispersion of {dispersion}"), "1 to 10^9")
        })?;
    }
    for (requests, bad) in [
        (closed.block.canary, closed.block.canary_bad),
        (closed.block.stable, closed.block.stable_bad),
    ] {
        within(bad <= requests, field, || {
            (
                format!("{bad} bad requests of {requests}"),
                "no more bad requests than requests",
            )
        })?;
        within(requests <= MOST_IN_BLOCK, field, || {
            (format!("{requests} requests"), "at most 10^15 in a block")
        })?;
    }
    Ok(())
}
