use super::{Report, RolloutReport};
use crate::fleet::Split;
use proptest::prelude::*;
use serde_json::json;
use std::{collections::BTreeMap, net::SocketAddr, time::Duration};
use traffic::{
    Bucket, Counting, Counts, EndpointCounts, FailureRule, HalfOctave, HalfOctaves, Histogram,
    RolloutId, SECTORS, SectorCounts, Snapshot, UserCounts, Weight,
};

fn latencies() -> impl Strategy<Value = Vec<(u64, u64)>> {
    prop::collection::vec((0..100_000_000_u64, 1..1_000_u64), 0..6)
}

fn histogram(latencies: &[(u64, u64)]) -> Histogram {
    let mut histogram = Histogram::default();
    for (micros, n) in latencies {
        histogram.add(Bucket::of(Duration::from_micros(*micros)), *n);
    }
    histogram
}

fn halves(latencies: &[(u64, u64)]) -> HalfOctaves {
    let mut halves = HalfOctaves::default();
    for (micros, n) in latencies {
        halves.add(HalfOctave::of(Duration::from_micros(*micros)), *n);
    }
    halves
}

fn counts() -> impl Strategy<Value = Counts> {
    let endpoints =
        prop::collection::btree_map(1..9_u8, (any::<u32>(), any::<u32>(), latencies()), 0..3);
    let numbers = (any::<u32>(), any::<u32>(), any::<u32>(), any::<u32>());
    (numbers, latencies(), latencies(), latencies(), endpoints).prop_map(
        |(
            (dispatched, failed, client_errors, cancelled),
            latency,
            abandoned,
            waiting,
            endpoints,
        )| {
            let waiting: BTreeMap<Bucket, u64> = waiting
                .iter()
                .map(|(micros, n)| (Bucket::of(Duration::from_micros(*micros)), *n))
                .collect();
            let endpoint =
                |(last, (dispatched, failed, took)): (u8, (u32, u32, Vec<_>))| EndpointCounts {
                    address: SocketAddr::from(([10, 244, 0, last], 8080)),
                    dispatched: dispatched.into(),
                    failed: failed.into(),
                    took: halves(&took),
                };
            Counts {
                dispatched: dispatched.into(),
                failed: failed.into(),
                client_errors: client_errors.into(),
                cancelled: cancelled.into(),
                latency: histogram(&latency),
                abandoned: histogram(&abandoned),
                waiting: waiting.into_iter().collect(),
                endpoints: endpoints.into_iter().map(endpoint).collect(),
            }
        },
    )
}

fn users(rule: FailureRule) -> impl Strategy<Value = Option<UserCounts>> {
    let sectors = prop::collection::vec((any::<u32>(), any::<u32>()), SECTORS);
    prop::option::of((any::<u64>(), sectors)).prop_map(move |users| {
        let (salt, sectors) = users?;
        let sector = |(requests, failed): (u32, u32)| SectorCounts {
            requests: requests.into(),
            failed: failed.into(),
        };
        let sectors: Box<[SectorCounts]> = sectors.into_iter().map(sector).collect();
        Some(UserCounts {
            counting: Counting { salt, rule },
            sectors: sectors.try_into().unwrap(),
        })
    })
}

proptest! {
    #[test]
    fn what_is_told_is_what_was_counted(
        stable in counts(), canary in counts(), users in users(FailureRule::BROKEN), seconds in 0..1_000_000_u64,
    ) {
        let at = Duration::from_secs(seconds);
        let snapshot = Snapshot { at, stable, canary, users, ..Snapshot::default() };
        let split = Split {
            stable: "5f6c".to_owned(),
            canary: "7d8e".to_owned(),
            weight: Weight::from_percent(5).unwrap(),
        };
        let report = RolloutReport::new(Some(split), 3, FailureRule::BROKEN, &snapshot);
        let rollouts = BTreeMap::from([(Report::name(&RolloutId::new("prod", "shop")), report)]);
        let report = Report { process: "a".to_owned(), at: at.as_secs_f64(), rollouts };
        let written = serde_json::to_string(&report).unwrap();
        let read: Report = serde_json::from_str(&written).unwrap();
        prop_assert_eq!(&read, &report);
        prop_assert_eq!(read.rollouts["prod/shop"].snapshot(at), Ok(snapshot));
    }
}

#[test]
fn users_counted_by_another_rule_are_not_told() {
    let counting = Counting {
        salt: 1,
        rule: FailureRule::BROKEN.with_statuses(404, 404),
    };
    let sectors = Box::new([SectorCounts::default(); SECTORS]);
    let snapshot = Snapshot {
        users: Some(UserCounts { counting, sectors }),
        ..Snapshot::default()
    };
    let told = |rule| {
        let report = RolloutReport::new(None, 0, rule, &snapshot);
        report.snapshot(Duration::ZERO).unwrap().users
    };
    assert_eq!(told(FailureRule::BROKEN), None);
    assert_eq!(told(counting.rule), snapshot.users);
}

#[test]
fn what_no_proxy_tells_is_told_by_field() {
    let side = json!({
        "dispatched": 0, "failed": 0, "clientErrors": 0, "cancelled": 0,
        "latency": [], "abandoned": [], "waiting": [], "endpoints": [],
    });
    let check = |field: &str, value: serde_json::Value, expected: &str| {
        let mut report = json!({
            "changes": 0, "failures": {"statuses": [], "grpc_codes": []}, "stable": side, "canary": side,
        });
        *report.pointer_mut(field).unwrap_or(&mut json!(null)) = value.clone();
        if field == "/users" {
            report["users"] = value;
        }
        let report: RolloutReport = serde_json::from_value(report).unwrap();
        let told = report.snapshot(Duration::ZERO).unwrap_err().to_string();
        assert_eq!(told, expected);
    };
    let those = "allowed those of this version's histograms";
    check(
        "/stable/latency",
        json!([[100_000, 1]]),
        &format!("latency: found bucket 100000, {those}"),
    );
    check(
        "/canary/waiting",
        json!([[100_000, 1]]),
        &format!("waiting: found bucket 100000, {those}"),
    );
    let endpoint =
        json!([{"address": "10.0.0.1:80", "dispatched": 1, "failed": 0, "took": [[99, 1]]}]);
    check(
        "/canary/endpoints",
        endpoint,
        &format!("endpoints.took: found bucket 99, {those}"),
    );
    check(
        "/users",
        json!({"salt": 1, "sectors": [[1, 0]]}),
        "users.sectors: found 1 of them, allowed 64",
    );
}
