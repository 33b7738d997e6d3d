mod margins;

use super::*;
use crate::{
    analysis::{Judge, Judgement, OnLowRate, Parameters, Target},
    sim::Traffic,
};
use jiff::SignedDuration;
use proptest::prelude::*;
use serde_json::Value;
use traffic::{RouteTable, Routes, UserCounts, Weight};

/// A canary at 10 % of 300 requests a second that fails so many of them, and a judge that looks on.
struct Flight {
    judge: Judge,
    traffic: Traffic,
    target: Option<Target>,
    /// What stable's users met, where they are split.
    users: Option<UserCounts>,
}

impl Flight {
    fn new(parameters: Parameters, seed: u64, failure_ratio: f64) -> Self {
        let mut flight = Self {
            judge: Judge::new(Config::new(parameters).unwrap()),
            traffic: Traffic::new(300.0, Weight::ZERO, seed),
            target: None,
            users: None,
        };
        flight.run(100);
        flight.judge.begin(flight.traffic.now(), 3);
        flight.traffic.canary.failure_ratio = failure_ratio;
        flight.traffic.set_weight(Weight::from_percent(10).unwrap());
        flight
    }

    fn tick(&mut self) {
        let snapshot = traffic::Snapshot {
            users: self.users.clone(),
            ..self.traffic.tick()
        };
        self.judge
            .observe(&snapshot, self.target, self.traffic.now());
    }

    fn run(&mut self, ticks: usize) {
        for _ in 0..ticks {
            self.tick();
        }
    }

    fn until(mut self, done: impl Fn(&Judge) -> bool) -> Self {
        for _ in 0..6_000 {
            if done(&self.judge) {
                return self;
            }
            self.tick();
        }
        panic!("not in ten minutes: {:?}", self.judge.reading());
    }

    fn restart(&mut self) {
        let stored = serde_json::to_string(&self.judge).unwrap();
        self.judge = serde_json::from_str(&stored).unwrap();
        self.traffic.restart();
        let snapshot = self.traffic.snapshot();
        self.judge
            .observe(&snapshot, self.target, self.traffic.now());
    }

    fn stored(&self) -> (Reading, Record) {
        (self.judge.reading(), self.judge.record().unwrap())
    }
}

fn is_convicted(judge: &Judge) -> bool {
    matches!(judge.judgement(), Judgement::RollBack { .. })
}

fn evidence_step() -> Target {
    Target {
        step: 1,
        from: Weight::from_percent(10).unwrap(),
        to: Weight::from_percent(50).unwrap(),
        harm_budget: 0.005,
        beta: 0.05,
    }
}

/// Replays what went through JSON, and finds no difference, to the last bit.
fn agrees((reading, record): &(Reading, Record)) -> Replay {
    let (reading, record): (Reading, Record) =
        serde_json::from_str(&serde_json::to_string(&(reading, record)).unwrap()).unwrap();
    let replay = record.replay(&reading).unwrap();
    assert_eq!(replay.first_difference(), None);
    for test in &replay.tests {
        assert_eq!(test.ln_e.to_bits(), test.stored.to_bits(), "{test:?}");
        let last = test.windows.last();
        assert!(last.is_none_or(|last| last.ln_e == test.ln_e), "{test:?}");
    }
    replay
}

#[test]
fn a_rollback_is_judged_the_same_again() {
    let limited = Parameters {
        max_failure_ratio: Some(0.05),
        ..Parameters::default()
    };
    for (seed, parameters) in [(1, Parameters::default()), (2, limited)] {
        let is_limited = parameters.max_failure_ratio.is_some();
        let flight = Flight::new(parameters, seed, 0.3).until(is_convicted);
        let replay = agrees(&flight.stored());
        let errors = &replay.tests[0];
        assert!(errors.ln_e >= errors.ln_threshold);
        // Nothing is missing: it begins with the canary.
        assert_eq!(errors.before, Counts::default());
        assert!(errors.ln_e_before.abs() < 1e-12);
        let counted: u64 = errors
            .windows
            .iter()
            .map(|window| window.counts.canary)
            .sum();
        assert_eq!(counted, flight.judge.reading().tests[0].canary_requests);
        let names: Vec<_> = replay.tests.iter().map(|test| &*test.name).collect();
        let others = ["latency p50", "latency p90", "latency p99", "4xx ratio"];
        let expected = match is_limited {
            false => [&["error ratio"], &others[..]].concat(),
            true => [
                &["error ratio", "error limit"],
                &others[..],
                &["whose fault"],
            ]
            .concat(),
        };
        assert_eq!(names, expected);
    }
}

#[test]
fn a_rate_that_is_too_low_is_judged_the_same_again() {
    let parameters = Parameters {
        min_request_rate: Some(400.0),
        on_low_request_rate: OnLowRate::RollBack,
        ..Parameters::default()
    };
    let flight = Flight::new(parameters, 10, 0.001).until(is_convicted);
    let (reading, record) = flight.stored();
    let by = Judgement::RollBack {
        test: Test::RequestRate,
    };
    assert_eq!(reading.judgement, by);
    let replay = agrees(&(reading.clone(), record.clone()));
    let rate = replay.tests.last().unwrap();
    assert!(rate.name == "request rate" && rate.ln_e >= rate.ln_threshold);
    let mut record = serde_json::to_value(record).unwrap();
    *record.pointer_mut("/rate/events/3/tick/2").unwrap() = 99.into();
    let changed = said(&reading, &record);
    assert!(changed.starts_with("request rate: "), "{changed}");
    // Evidence that nothing was recorded of is named too.
    record["rate"] = Value::Null;
    assert_eq!(
        said(&reading, &record),
        "judgement: request rate: stored its evidence, recomputed nothing: there is no record of it"
    );
}

#[test]
fn what_let_a_canary_go_on_is_judged_the_same_again() {
    let mut flight = Flight::new(Parameters::default(), 3, 0.001);
    flight.target = Some(evidence_step());
    let flight = flight.until(Judge::is_accepted);
    let replay = agrees(&flight.stored());
    let acceptance = replay.tests.last().unwrap();
    assert_eq!(acceptance.name, "to go on");
    assert!(acceptance.ln_e >= acceptance.ln_threshold && acceptance.windows.len() >= 5);
}

#[test]
fn all_traffic_is_judged_the_same_again() {
    let mut flight = Flight::new(Parameters::default(), 4, 0.001);
    flight.run(50);
    flight.traffic.set_weight(Weight::FULL);
    flight.judge.start_step(Weight::FULL);
    flight.run(50);
    flight.traffic.canary.failure_ratio = 0.2;
    let flight = flight.until(is_convicted);
    let replay = agrees(&flight.stored());
    assert_eq!(replay.tests[1].name, "past errors");
}

#[test]
fn a_conviction_keeps_its_record_whatever_happens_next() {
    let mut flight = Flight::new(Parameters::default(), 5, 0.3).until(is_convicted);
    let then = flight.stored();
    flight.judge.start_step(Weight::from_percent(10).unwrap());
    flight.judge.start_step(Weight::FULL);
    flight.run(300);
    assert_eq!(flight.stored(), then);
    agrees(&then);
}

#[test]
fn after_a_restart_the_record_begins_with_what_was_known() {
    let mut flight = Flight::new(Parameters::default(), 6, 0.001);
    flight.target = Some(evidence_step());
    flight.run(30);
    flight.restart();
    let at_start = agrees(&flight.stored());
    assert!(at_start.tests.iter().all(|test| test.windows.is_empty()));
    flight.run(1);
    flight.judge.start_step(Weight::from_percent(10).unwrap());
    flight.traffic.canary.failure_ratio = 0.3;
    let flight = flight.until(is_convicted);
    let replay = agrees(&flight.stored());
    let errors = &replay.tests[0];
    assert!(errors.before.canary > 0 && errors.ln_e_before.abs() > 1e-6);
    let counted: u64 = errors
        .windows
        .iter()
        .map(|window| window.counts.canary)
        .sum();
    let total = flight.judge.reading().tests[0].canary_requests;
    assert_eq!(errors.before.canary + counted, total);
}

#[test]
fn a_long_record_is_bounded_and_ends_the_same() {
    let mut flight = Flight::new(Parameters::default(), 7, 0.001);
    flight.target = Some(evidence_step());
    let mut largest = 0;
    for minute in 0..10 {
        flight.run(600);
        if minute % 3 == 0 {
            flight.judge.start_step(Weight::from_percent(10).unwrap());
        }
        let stored = flight.stored();
        agrees(&stored);
        largest = largest.max(serde_json::to_string(&stored.1).unwrap().len());
    }
    // Five tests.
    assert!((20_000..100_000).contains(&largest), "{largest} bytes");
}

/// What was stored once leads to the same numbers for ever: who changes the statistics without meaning to finds out here.
#[test]
fn a_verdict_of_long_ago_is_judged_the_same_again() {
    let golden = include_str!("golden.json");
    let (reading, record): (Reading, Record) = serde_json::from_str(golden).unwrap();
    let replay = record.replay(&reading).unwrap();
    assert_eq!(replay.first_difference(), None);
    let expected = [
        ("error ratio", 7.0944173304755225),
        ("error limit", -0.18555354561780707),
        ("latency p50", -0.18760603024779302),
        ("latency p90", -0.1858412173310622),
        ("latency p99", -0.1589731050472034),
        ("whose fault", 4.7492051199487),
        ("to go on", -2.9614033701661073),
    ];
    assert_eq!(replay.tests.len(), expected.len());
    for (test, (name, ln_e)) in replay.tests.iter().zip(expected) {
        assert_eq!(test.name, name);
        // Not to the last bit: logarithms are the system's.
        assert!((test.ln_e - ln_e).abs() < 1e-9, "{name}: {}", test.ln_e);
        assert!(!test.windows.is_empty(), "{name}");
    }
}

/// The record of a rollback as JSON, and its reading.
fn rolled_back() -> (Reading, Value) {
    let flight = Flight::new(Parameters::default(), 8, 0.3).until(is_convicted);
    let (reading, record) = flight.stored();
    (reading, serde_json::to_value(record).unwrap())
}

/// What replaying says of `reading` and `record`.
fn said(reading: &Reading, record: &Value) -> String {
    let record: Record = serde_json::from_value(record.clone()).unwrap();
    match record.replay(reading) {
        Ok(replay) => replay
            .first_difference()
            .map_or_else(String::new, |(test, found)| format!("{test}: {found}")),
        Err(unsound) => unsound.to_string(),
    }
}

#[test]
fn what_was_changed_is_named() {
    let (reading, record) = rolled_back();
    assert_eq!(said(&reading, &record), "");
    let check = |change: &dyn Fn(&mut Reading, &mut Value), wanted: &str| {
        let (mut reading, mut record) = (reading.clone(), record.clone());
        change(&mut reading, &mut record);
        let said = said(&reading, &record);
        assert!(said.starts_with(wanted), "{said}, not {wanted}");
    };
    let events = "/tests/0/log/events";
    let blocks = |record: &Value| {
        let events = record.pointer(events).unwrap().as_array().unwrap();
        let indices = events.iter().enumerate();
        let blocks = indices.filter(|(_, event)| event.get("block").is_some());
        blocks.map(|(index, _)| index).collect::<Vec<_>>()
    };
    let first = blocks(&record)[0];
    let last = *blocks(&record).last().unwrap();
    let field = |index: usize, field: usize| format!("{events}/{index}/block/{field}");
    let set = |pointer: String, value: Value| {
        move |_: &mut Reading, record: &mut Value| {
            *record.pointer_mut(&pointer).unwrap() = value.clone();
        }
    };
    // A bad request more in the first window; the same in the last.
    check(
        &set(field(first, 6), 2.into()),
        "error ratio: ln E after window 1 (from",
    );
    check(
        &set(field(last, 5), 77.into()),
        "error ratio: canary requests: stored ",
    );
    check(
        &set(field(last, 1), 0.0012.into()),
        "error ratio: ln E: stored ",
    );
    check(
        &|reading, _| reading.tests[0].ln_e += 1e-6,
        "error ratio: ln E: stored ",
    );
    check(
        &|reading, _| reading.tests[2].ln_threshold -= 1.0,
        "latency p90: ln threshold: stored ",
    );
    check(
        &|reading, _| reading.tests[1].stable_events += 1,
        "latency p50: bad stable requests",
    );
    check(
        &set("/parameters/alpha".into(), 0.02.into()),
        "error ratio: ln threshold: stored 5.29",
    );
    check(
        &|reading, _| reading.judgement = Judgement::Undecided,
        "judgement: judgement: stored no rollback, recomputed rollback by error ratio",
    );
    check(
        &|reading, _| {
            reading.tests.pop();
        },
        "4xx ratio: the test: stored nothing of it",
    );
    // What no guard writes.
    let at_first = format!("tests[0].log.events[{first}]");
    check(
        &set(field(first, 6), 99.into()),
        &format!("{at_first}: found 99 bad requests of "),
    );
    check(
        &set(field(first, 2), 0.5.into()),
        &format!("{at_first}: found a dispersion of 0.5"),
    );
    check(
        &set(field(first, 0), (-1).into()),
        &format!("{at_first}: found a start at -1 s"),
    );
    check(
        &set(
            "/tests/0/log/checkpoint/mixture/unspent".into(),
            (-0.5).into(),
        ),
        "tests[0].log.checkpoint: found numbers out of their ranges",
    );
    check(
        &|_, record| {
            *record.pointer_mut(events).unwrap() = vec![Value::from("step_starts"); 5000].into()
        },
        "tests[0].log.events: found 5000 events, allowed is at most 4096",
    );
}

/// Changes the number at a place of `value`, the same for the same `place`.
fn mutate(value: &mut Value, place: &mut usize, with: &Value) -> bool {
    match value {
        Value::Number(_) if *place == 0 => {
            *value = with.clone();
            true
        }
        Value::Number(_) => {
            *place -= 1;
            false
        }
        Value::Array(items) => items.iter_mut().any(|item| mutate(item, place, with)),
        Value::Object(fields) => fields.values_mut().any(|item| mutate(item, place, with)),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn whatever_a_file_holds_nothing_panics(
        place in 0usize..2_000,
        with in prop_oneof![
            any::<u64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            prop_oneof![Just(-1e-300), Just(1e300), Just(0.0), Just(1.0), Just(-1.0)].prop_map(Value::from),
        ],
    ) {
        thread_local!(static STORED: (Reading, Value) = rolled_back());
        STORED.with(|(reading, record)| {
            let mut record = record.clone();
            mutate(&mut record, &mut { place }, &with);
            if let Ok(record) = serde_json::from_value::<Record>(record) {
                let _ = record.replay(reading);
            }
        });
    }

    /// Counts of ticks, each with a chance of a step or a restart after it.
    #[test]
    fn whatever_happened_the_record_leads_to_the_same(
        ticks in proptest::collection::vec((0u64..40, 0u64..4, 0u8..20), 1..700),
    ) {
        let mut judge = Judge::new(Config::default());
        let mut snapshot = traffic::Snapshot {
            generation: Some(Routes::default().publish(RouteTable::default())),
            ..traffic::Snapshot::default()
        };
        let mut now = jiff::Timestamp::UNIX_EPOCH;
        judge.begin(now, 3);
        for (requests, failures, event) in ticks {
            now += SignedDuration::from_millis(100);
            snapshot.at += std::time::Duration::from_millis(100);
            snapshot.stable.dispatched += 9 * requests;
            snapshot.canary.dispatched += requests;
            snapshot.canary.failed += failures / 3;
            judge.observe(&snapshot, Some(evidence_step()), now);
            match event {
                0 => judge.start_step(Weight::from_percent(10).unwrap()),
                1 => {
                    let stored = serde_json::to_string(&judge).unwrap();
                    judge = serde_json::from_str(&stored).unwrap();
                }
                _ => {}
            }
        }
        agrees(&(judge.reading(), judge.record().unwrap()));
    }
}
