//! What else a record must lead to: the margins of sticky users, the limit of stable's past, a proxy's trip, and counts
//! that are divided.

use super::*;
use crate::{
    analysis::{Limit, Tripped},
    sim::Endpoint,
};
use traffic::{
    Counting, FailureRule, Margins, SECTORS, SectorCounts, Trip, TripCounts, trip::TripTest,
};

fn percent(percent: u8) -> Weight {
    Weight::from_percent(percent).unwrap()
}

/// A canary at 10 % whose users have failed three times as much as the others, and that fails so many requests itself.
fn sticky(seed: u64, failure_ratio: f64) -> Flight {
    let mut flight = Flight::new(Parameters::default(), seed, 0.001);
    flight.judge.end();
    let mut users = UserCounts {
        counting: Counting {
            salt: 7,
            rule: FailureRule::DEFAULT,
        },
        sectors: Box::new([SectorCounts::default(); SECTORS]),
    };
    for _ in 0..100 {
        for (sector, counts) in users.sectors.iter_mut().enumerate() {
            counts.requests += 100;
            counts.failed += if sector < 6 { 3 } else { 1 };
        }
        flight.users = Some(users.clone());
        flight.tick();
    }
    flight.judge.begin(flight.traffic.now(), 3);
    flight.judge.start_step(percent(10));
    flight.traffic.canary.failure_ratio = failure_ratio;
    flight
}

/// Checks what replaying says when the number at `pointer` of the record is another one.
fn check(stored: &(Reading, Record), pointer: &str, with: Value, wanted: &str) {
    let mut record = serde_json::to_value(&stored.1).unwrap();
    *record.pointer_mut(pointer).unwrap() = with;
    let said = said(&stored.0, &record);
    assert!(said.starts_with(wanted), "{said}, not {wanted}");
}

#[test]
fn the_margin_of_sticky_users_follows_from_their_past() {
    let mut flight = sticky(11, 0.001);
    flight.run(30);
    flight.judge.start_step(percent(50));
    flight.run(30);
    flight.traffic.canary.failure_ratio = 0.5;
    let stored = flight.until(is_convicted).stored();
    agrees(&stored);
    let known = stored.0.pre_period.unwrap();
    assert_eq!(known.weight(), percent(50));
    let Limit::Ratio(margin) = stored.0.tests[0].limit else {
        panic!("{:?}", stored.0.tests[0]);
    };
    assert_eq!(margin.relative, known.relative(1.1));
    assert!((1.5..2.0).contains(&margin.relative), "{margin:?}");
    let at_first = "/pre_periods/0/canary_failures";
    check(
        &stored,
        at_first,
        1.0.into(),
        "error ratio: margin: stored ",
    );
    check(
        &stored,
        "/pre_periods/1/stable_failures",
        1.0.into(),
        "error ratio: margin: stored ",
    );
    check(
        &stored,
        "/parameters/relative_margin",
        1.2.into(),
        "error ratio: margin: stored ",
    );
    check(
        &stored,
        at_first,
        1e9.into(),
        "pre_periods[0]: found numbers out of their ranges",
    );
    let mut reading = stored.0.clone();
    reading.pre_period = None;
    let record = serde_json::to_value(&stored.1).unwrap();
    assert!(said(&reading, &record).starts_with("error ratio: margin: stored "));
}

#[test]
fn the_limit_of_the_past_follows_from_it() {
    for is_sticky in [false, true] {
        let mut flight = match is_sticky {
            true => sticky(12, 0.001),
            false => Flight::new(Parameters::default(), 12, 0.001),
        };
        flight.run(50);
        flight.traffic.set_weight(Weight::FULL);
        flight.judge.start_step(Weight::FULL);
        flight.run(50);
        flight.traffic.canary.failure_ratio = 0.3;
        let stored = flight.until(is_convicted).stored();
        let replay = agrees(&stored);
        assert_eq!(replay.tests[1].name, "past errors");
        check(
            &stored,
            "/history/1",
            0.25.into(),
            "past errors: limit: stored a limit of 0.0",
        );
        check(&stored, "/history/1", 1e18.into(), "history: found ");
    }
}

#[test]
fn a_trip_is_judged_the_same_again() {
    let mut flight = sticky(13, 0.001);
    flight.run(20);
    let margin = flight.judge.margin();
    let margins = Margins {
        relative: margin.relative,
        absolute: margin.absolute,
    };
    let counts = TripCounts {
        canary_requests: 41,
        canary_failures: 40,
        independent: 38,
        stable_failures: 2,
    };
    let test = TripTest::new(percent(10), margins, 3, 1).unwrap();
    assert!(test.convicts(&counts));
    flight.judge.tripped(Tripped::from(&Trip {
        trial: 1,
        weight: percent(10),
        margins,
        least_failures: 3,
        earlier: 1,
        counts,
        ln_e: test.ln_e(&counts),
        ln_threshold: test.ln_threshold(),
    }));
    let stored = flight.stored();
    let replay = agrees(&stored);
    let trip = replay.tests.last().unwrap();
    assert_eq!(
        (trip.name.as_str(), trip.windows[0].counts.canary_bad),
        ("proxy's trip", 40)
    );
    assert!(trip.ln_e >= trip.ln_threshold);
    let changed = |field: &str, with: Value, wanted: &str| {
        let wanted = format!("proxy's trip: {wanted}: stored ");
        check(&stored, &format!("/trip/{field}"), with, &wanted);
    };
    changed("stable_failures", 3.into(), "ln E");
    changed("independent_failures", 4.into(), "ln E");
    changed("earlier", 0.into(), "ln threshold");
    changed("relative", 1.1.into(), "relative margin");
    changed("absolute", 0.01.into(), "absolute margin");
    changed("least_failures", 4.into(), "least failures");
    changed("canary_requests", 90.into(), "ln E");
    check(
        &stored,
        "/trip/relative",
        0.5.into(),
        "trip: found relative 0.5",
    );
}

#[test]
fn counts_that_are_divided_are_judged_the_same_again() {
    const WELL: Endpoint = Endpoint {
        failure_ratio: 0.001,
        slower: 1.0,
    };
    let fails = Endpoint {
        failure_ratio: 1.0,
        ..WELL
    };
    let is_slow = Endpoint {
        slower: 10.0,
        ..WELL
    };
    for (place, burst) in [(0, fails), (1, is_slow)] {
        let mut flight = Flight::new(Parameters::default(), 14, 0.001);
        // One endpoint of the stable has a burst of a second of five.
        for tick in 0..500 {
            let first = if tick % 50 < 10 { burst } else { WELL };
            flight.traffic.endpoints[0] = vec![first, WELL, WELL, WELL];
            flight.tick();
        }
        match burst {
            Endpoint { slower: 1.0, .. } => flight.traffic.canary.failure_ratio = 0.9,
            _ => flight.traffic.canary.latency *= 4,
        }
        let stored = flight.until(is_convicted).stored();
        let said = stored.0.tests[place];
        let dispersion = said.dispersion;
        assert!(
            dispersion.canary > 1.5 && dispersion.stable > 1.5,
            "{dispersion:?}"
        );
        agrees(&stored);
        let record = serde_json::to_value(&stored.1).unwrap();
        let log = format!("/tests/{place}/log/events");
        let events = record.pointer(&log).unwrap().as_array().unwrap();
        let last = events
            .iter()
            .rposition(|event| event.get("block").is_some())
            .unwrap();
        for field in [2, 3] {
            let pointer = format!("{log}/{last}/block/{field}");
            let wanted = format!("{}: ln E: stored ", said.test);
            check(&stored, &pointer, 1.0.into(), &wanted);
        }
    }
}
