//! Judging a record's blocks again, and comparing what follows with what was said.

use super::{
    Attribution, Parts, Tested, margins,
    outcome::{Counts, Difference, Replay, Replayed, Window},
};
use crate::analysis::{
    acceptance::AcceptanceTest,
    baseline::Health,
    block::Margin,
    ceiling::{ATTRIBUTION_ALPHA, Ceiling, Fault},
    config::{Config, Parameters},
    history,
    journal::{Event, Log, Sequential},
    reading::{Acceptance, Judgement, Reading, Test, TestReading},
    watch::{Null, Watch},
};

/// Evidence that is recomputed may differ by so much, in absolute terms below 1 and in relative ones above: logarithms
/// of another machine may be others in their last digit.
const TOLERANCE: f64 = 1e-9;

pub(super) fn agree(a: f64, b: f64) -> bool {
    (a - b).abs() <= TOLERANCE * a.abs().max(1.0)
}

/// Judges every test again. The record is sound.
pub(super) fn replay(parts: &Parts, reading: &Reading) -> Replay {
    let parameters = parts.parameters.parameters();
    let runs: Vec<(Test, Run<Watch>)> = parts
        .tests
        .iter()
        .map(|Tested { test, log }| (*test, Run::of(log, parameters)))
        .collect();
    let fault = parts
        .attribution
        .as_ref()
        .map(|found| (found, Run::of(&found.log, parameters)));
    let rate = parts.rate.as_ref().map(|log| Run::of(log, parameters));
    let is_rate_low = rate.as_ref().is_some_and(|run| run.end.convicts());
    let allowance = margins::allowance(reading.pre_period.as_ref());
    let own = convicting(
        &runs,
        fault.as_ref().map(|(found, run)| (*found, &run.end)),
        allowance,
        is_rate_low,
        &parts.parameters,
    );
    let judgement = judgement(reading, own);
    let mut tests: Vec<Replayed> = runs
        .into_iter()
        .map(|(test, run)| {
            let used = run.end.ln_threshold();
            rollback_test(test, run, used, parts, reading)
        })
        .collect();
    if let Some(run) = rate {
        let used = run.end.ln_threshold();
        tests.push(rollback_test(Test::RequestRate, run, used, parts, reading));
    }
    if let Some((found, run)) = fault {
        let expected = Expected {
            ln_e: found.ln_e,
            ln_threshold: run.end.ln_threshold(),
            counts: None,
        };
        let other = margins::of_fault(&run.nulls, parts);
        let mut whose = run.compared("whose fault".into(), -ATTRIBUTION_ALPHA.ln(), &expected);
        whose.difference = other.or(whose.difference);
        tests.push(whose);
    }
    let acceptance = parts.acceptance.as_ref();
    tests.extend(acceptance.map(|log| acceptance_test(log, parts, reading.acceptance)));
    tests.extend(parts.trip.as_ref().map(|trip| trip.replayed(parts)));
    let judgement = unrecorded(reading, &tests).or(judgement);
    Replay { tests, judgement }
}

/// A test whose blocks were judged again.
struct Run<T> {
    begin: (Counts, f64),
    windows: Vec<Window>,
    end: T,
    /// The first window that began with other evidence than was stored.
    difference: Option<Difference>,
    /// All that the blocks were judged by.
    nulls: Vec<Null>,
}

impl<T: Sequential> Run<T> {
    fn of(log: &Log<T>, parameters: &Parameters) -> Self {
        let mut test = log.checkpoint.clone();
        let mut run = Self {
            begin: (Counts::of(test.counts()), test.ln_e()),
            windows: Vec::new(),
            end: test.clone(),
            difference: None,
            nulls: log.null.into_iter().collect(),
        };
        let mut opens = true;
        let mut window_began = run.begin.0;
        for event in &log.events {
            match event {
                Event::StepStarts => test.begin_step(),
                Event::Window(stored) => {
                    run.expect_window(*stored, test.ln_e());
                    opens = true;
                }
                Event::Null(null) => run.nulls.push(*null),
                Event::Block(_) | Event::Tick(_) => {
                    if opens {
                        window_began = Counts::of(test.counts());
                    }
                    let start = run.judge(&mut test, event, parameters);
                    run.count(start, opens, window_began, &test);
                    opens = false;
                }
            }
        }
        run.end = test;
        run
    }

    /// Lets `test` judge what happened, and tells when that began.
    fn judge(&self, test: &mut T, event: &Event, parameters: &Parameters) -> f64 {
        match (event, self.nulls.last()) {
            (Event::Block(row), Some(null)) => {
                let judged = row.judged(*null);
                test.judge(&judged, parameters);
                judged.closed.start
            }
            (Event::Tick(tick), _) => {
                test.tick(*tick, parameters);
                tick.start
            }
            // A sound record holds none.
            _ => 0.0,
        }
    }

    /// A window opens, as far as is known with the evidence `stored`.
    fn expect_window(&mut self, stored: f64, ln_e: f64) {
        if self.difference.is_none() && !agree(stored, ln_e) {
            let what = match self.windows.last() {
                Some(last) => format!(
                    "ln E after window {} (from {:.1} s)",
                    self.windows.len(),
                    last.start
                ),
                None => "ln E before the first window".into(),
            };
            self.difference = Some(Difference::new(what, &stored, &ln_e));
        }
    }

    /// Takes a block that was judged into its window, which began at `window_began`.
    fn count(&mut self, start: f64, opens: bool, window_began: Counts, test: &T) {
        if opens {
            self.windows.push(Window {
                start,
                counts: Counts::default(),
                ln_e: 0.0,
            });
        }
        if let Some(window) = self.windows.last_mut() {
            window.counts = Counts::of(test.counts()).since(window_began);
            window.ln_e = test.ln_e();
        }
    }

    /// How it compares with what is `expected` of it. `ln_threshold` is as it follows from the parameters.
    fn compared(self, name: String, ln_threshold: f64, expected: &Expected) -> Replayed {
        let found = Counts::of(self.end.counts());
        let ln_e = self.end.ln_e();
        let threshold = || {
            let stored = expected.ln_threshold;
            (!agree(stored, ln_threshold))
                .then(|| Difference::new("ln threshold", &stored, &ln_threshold))
        };
        let counts = || {
            let stored = expected.counts?.named();
            let mut pairs = stored.into_iter().zip(found.named());
            pairs.find_map(|((what, stored), (_, found))| {
                (stored != found).then(|| Difference::new(what, &stored, &found))
            })
        };
        let evidence = || {
            (!agree(expected.ln_e, ln_e)).then(|| Difference::new("ln E", &expected.ln_e, &ln_e))
        };
        let difference = threshold()
            .or_else(|| self.difference.clone())
            .or_else(counts)
            .or_else(evidence);
        Replayed {
            name,
            test: None,
            before: self.begin.0,
            ln_e_before: self.begin.1,
            windows: self.windows,
            stored: expected.ln_e,
            ln_e,
            ln_threshold,
            difference,
        }
    }
}

/// What was said of a test.
struct Expected {
    ln_e: f64,
    ln_threshold: f64,
    counts: Option<Counts>,
}

impl Expected {
    /// Of a test of which nothing was said, what came out.
    fn itself<T: Sequential>(run: &Run<T>, ln_threshold: f64) -> Self {
        Self {
            ln_e: run.end.ln_e(),
            ln_threshold,
            counts: None,
        }
    }
}

/// `used` is the threshold that the test was judged with.
fn rollback_test<T: Sequential>(
    test: Test,
    run: Run<T>,
    used: f64,
    parts: &Parts,
    reading: &Reading,
) -> Replayed {
    let ln_threshold = -alpha(test, &parts.parameters).ln();
    let other_margin = |said| margins::difference(test, &run.nulls, said, reading, parts);
    let said = reading.tests.iter().find(|said| said.test == test);
    let margin = said.and_then(other_margin);
    let expected = said.map_or_else(|| Expected::itself(&run, ln_threshold), expected);
    let mut replayed = run.compared(test.to_string(), ln_threshold, &expected);
    replayed.test = Some(test);
    if said.is_none() {
        replayed.difference = Some(Difference::new("the test", &"nothing of it", &"its record"));
    } else if !agree(used, ln_threshold) {
        replayed.difference = Some(Difference::new("ln threshold", &used, &ln_threshold));
    } else if margin.is_some() {
        replayed.difference = margin;
    }
    replayed
}

fn expected(said: &TestReading) -> Expected {
    let is_compared = said.test != Test::History;
    let counts = Counts {
        canary: said.canary_requests,
        canary_bad: said.canary_events,
        stable: said.stable_requests,
        stable_bad: said.stable_events,
    };
    Expected {
        ln_e: said.ln_e,
        ln_threshold: said.ln_threshold,
        // Of the history, the reading shows what the limit was made of, which is not judged block by block.
        counts: is_compared.then_some(counts),
    }
}

/// The test's part of alpha.
fn alpha(test: Test, config: &Config) -> f64 {
    match test {
        Test::Errors => config.errors_alpha(),
        Test::History => history::alpha(config),
        Test::FailureLimit => config.limit_alpha(),
        Test::ClientErrors => config.client_errors_alpha(),
        Test::RequestRate => config.rate_alpha(),
        Test::Latency { .. } => config.latency_alpha(),
    }
}

fn acceptance_test(log: &Log<AcceptanceTest>, parts: &Parts, said: Option<Acceptance>) -> Replayed {
    let parameters = parts.parameters.parameters();
    let run = Run::of(log, parameters);
    let ln_threshold = run.end.ln_threshold();
    let margin = run.end.margin(parameters);
    let other = run.nulls.iter().find_map(|null| match null {
        Null::Within(found) if *found == margin => None,
        Null::Within(found) => Some(format!("{} and {}", found.relative, found.absolute)),
        Null::AtMost(limit) => Some(format!("a limit of {limit}")),
    });
    let expected = said.map_or_else(
        || Expected::itself(&run, ln_threshold),
        |said| Expected {
            ln_e: said.ln_e,
            ln_threshold: said.ln_threshold,
            counts: Some(Counts {
                canary: said.canary_requests,
                canary_bad: said.canary_failures,
                stable: said.stable_requests,
                stable_bad: said.stable_failures,
            }),
        },
    );
    let unknown = run
        .end
        .known()
        .and_then(|known| margins::unrecorded(known, parts));
    let mut replayed = run.compared("to go on".into(), ln_threshold, &expected);
    if unknown.is_some() {
        replayed.difference = unknown;
    } else if let Some(other) = other {
        let wanted = format!("{} and {}", margin.relative, margin.absolute);
        replayed.difference = Some(Difference::new("margin", &other, &wanted));
    } else if said.is_some_and(|said| said.met) && replayed.ln_e < ln_threshold {
        let found = Difference::new("going on", &"enough evidence", &"not enough");
        replayed.difference.get_or_insert(found);
    }
    replayed
}

/// The first test that convicts, in the order in which they are asked.
fn convicting(
    runs: &[(Test, Run<Watch>)],
    fault: Option<(&Attribution, &Watch)>,
    allowance: Margin,
    is_rate_low: bool,
    config: &Config,
) -> Option<Test> {
    let parameters = config.parameters();
    let is_own_fault = |above: &Watch| {
        let (found, worse) = fault?;
        let health = Health::of_counts(found.stable_requests, found.stable_failures);
        let limit = parameters.max_failure_ratio?;
        Ceiling::of(limit, above.clone(), worse.clone()).fault(&health, allowance, parameters)
    };
    let convicts = |test: Test, end: &Watch| match test {
        Test::FailureLimit => is_own_fault(end) == Some(Fault::Canary),
        Test::ClientErrors if !config.convicts_refusals() => false,
        Test::Errors
        | Test::History
        | Test::ClientErrors
        | Test::RequestRate
        | Test::Latency { .. } => end.convicts(parameters.min_canary_failures),
    };
    let of = |latency: bool| {
        let asked = runs
            .iter()
            .filter(move |(test, _)| matches!(test, Test::Latency { .. }) == latency);
        asked.filter(|(test, run)| convicts(*test, &run.end))
    };
    let rate = is_rate_low.then_some(Test::RequestRate);
    of(false)
        .map(|(test, _)| *test)
        .chain(rate)
        .chain(of(true).map(|(test, _)| *test))
        .next()
}

/// A test of which there is evidence and no record.
fn unrecorded(reading: &Reading, tests: &[Replayed]) -> Option<Difference> {
    let is_recorded = |test: Test| tests.iter().any(|found| found.test == Some(test));
    let missing = reading.tests.iter().find(|said| !is_recorded(said.test))?;
    let nothing = "nothing: there is no record of it";
    Some(Difference::new(
        missing.test.to_string(),
        &"its evidence",
        &nothing,
    ))
}

fn judgement(reading: &Reading, convicting: Option<Test>) -> Option<Difference> {
    let stored = match reading.judgement {
        Judgement::RollBack { test } => Some(test),
        Judgement::Undecided
        | Judgement::Hold { .. }
        | Judgement::TooLittle(_)
        | Judgement::RollForward { .. }
        | Judgement::Unattributed { .. }
        | Judgement::ClientErrors { .. } => None,
    };
    let said = |test: Option<Test>| {
        test.map_or_else(
            || "no rollback".to_owned(),
            |test| format!("rollback by {test}"),
        )
    };
    (stored != convicting).then(|| Difference::new("judgement", &said(stored), &said(convicting)))
}
