//! A real Prometheus scrapes what the exporter renders, and promtool checks it.
//!
//! Runs only when it is asked for, since it needs Debian's `prometheus` package:
//! `SLUICE_PROMETHEUS_TESTS=1 cargo test -p proxy --test prometheus`.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "what goes wrong in a test fails it; clippy knows only #[test] functions as tests"
)]

#[path = "../asked/mod.rs"]
mod asked;
mod server;
mod target;

use serde_json::Value;
use server::{Prometheus, promtool};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use target::Target;
use traffic::{Failure, Outcome, Role};

/// Whether these tests were asked for.
fn asked_for() -> bool {
    asked::is_asked_for("SLUICE_PROMETHEUS_TESTS", "prometheus")
}

fn deploy(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../deploy/prometheus")
        .join(file)
}

/// Latencies of 1 to 1,000 ms, each once; every hundredth request fails.
fn first_batch(target: &Target) {
    for i in 1..=1_000u64 {
        let status = if i % 100 == 0 { 503 } else { 200 };
        target.record(
            Role::Canary,
            Duration::from_millis(i),
            Outcome::Answered(status),
        );
    }
    for _ in 0..3_000 {
        target.record(
            Role::Stable,
            Duration::from_millis(10),
            Outcome::Answered(200),
        );
    }
}

#[test]
fn a_real_prometheus_reads_what_was_counted() {
    if !asked_for() {
        return;
    }
    let target = Target::start();
    first_batch(&target);
    let prometheus = Prometheus::start(target.address(), &deploy("alerts.yml"));
    prometheus.until("all three jobs are up", "sum(up)", |up| up == 3.0);

    for job in ["sluice", "openmetrics", "text"] {
        counters(&prometheus, job);
    }
    native_histogram(&prometheus);
    classic_buckets(&prometheus);
    one_identity_in_both_texts(&prometheus);

    // While it is being scraped, another 500 requests come; what rate() sees are these alone.
    for _ in 0..500 {
        target.record(
            Role::Canary,
            Duration::from_millis(200),
            Outcome::Answered(500),
        );
    }
    prometheus.until(
        "the median of the new requests",
        "histogram_quantile(0.5, rate(sluice_request_duration_seconds{job=\"sluice\",role=\"canary\"}[5m]))",
        |median| close(median, 0.2, 0.045),
    );
    prometheus.until(
        "the weighted share",
        "max_over_time(sluice_split_share{job=\"sluice\",role=\"canary\"}[5m])",
        |share| share == 1.0,
    );
    dashboard(&prometheus);
    prometheus.until_rules_are_healthy();
}

fn close(value: f64, truth: f64, tolerance: f64) -> bool {
    (value / truth - 1.0).abs() <= tolerance
}

fn counters(prometheus: &Prometheus, job: &str) {
    let failed = prometheus.query(&format!(
        "sluice_requests_total{{job=\"{job}\",status=\"503\"}}"
    ));
    assert_eq!(failed.len(), 1, "{failed:?}");
    let (labels, value) = &failed[0];
    let labels: Vec<(&str, &str)> = labels
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .filter(|(key, _)| *key != "instance")
        .collect();
    assert_eq!(
        labels,
        [
            ("__name__", "sluice_requests_total"),
            ("job", job),
            ("namespace", "shop"),
            ("role", "canary"),
            ("rollout", "cart"),
            ("status", "503"),
        ]
    );
    assert_eq!(*value, 10.0);
    for (query, expected) in [
        ("sum(sluice_requests_total{JOB})", 4_000.0),
        (
            "sluice_failures_total{JOB,role=\"canary\",reason=\"status\"}",
            10.0,
        ),
        // Each reason is there from the start, for either version.
        (
            "count(sluice_failures_total{JOB})",
            (2 * Failure::ALL.len()) as f64,
        ),
        ("sluice_split_requests_total{JOB,role=\"stable\"}", 3_000.0),
        ("sluice_requests_in_flight{JOB,role=\"canary\"}", 0.0),
        ("sluice_split_weight{JOB,role=\"canary\"}", 0.25),
        ("sluice_split_weight{JOB,role=\"stable\"}", 0.75),
        ("sluice_table_generation{JOB,worker=\"0\"}", 1.0),
        ("sluice_table_published_generation{JOB}", 1.0),
        ("sluice_build_info{JOB}", 1.0),
        ("process_resident_memory_bytes{JOB} > bool 100000", 1.0),
        ("time() - process_start_time_seconds{JOB} < bool 3600", 1.0),
    ] {
        let query = query.replace("JOB", &format!("job=\"{job}\""));
        assert_eq!(prometheus.value(&query), expected, "{query}");
    }
}

fn native_histogram(prometheus: &Prometheus) {
    const CANARY: &str = "sluice_request_duration_seconds{job=\"sluice\",role=\"canary\"}";
    assert_eq!(
        prometheus.value(&format!("histogram_count({CANARY})")),
        1_000.0
    );
    let sum = prometheus.value(&format!("histogram_sum({CANARY})"));
    assert!(close(sum, 500.5, 1e-9), "{sum} s");
    for quantile in [0.01, 0.1, 0.5, 0.9, 0.99, 0.999] {
        let seconds = prometheus.value(&format!("histogram_quantile({quantile}, {CANARY})"));
        // The latencies are even from 1 to 1,000 ms; a bucket is 4.4 % wide.
        assert!(
            close(seconds, quantile, 0.045),
            "quantile {quantile} is {seconds} s"
        );
    }
    let buckets = prometheus.query("sluice_request_duration_seconds_bucket{job=\"sluice\"}");
    assert!(
        buckets.is_empty(),
        "the native histogram takes the classic one's place: {buckets:?}"
    );
}

fn classic_buckets(prometheus: &Prometheus) {
    for job in ["openmetrics", "text"] {
        for (le, expected) in [
            ("0.0009765625", 0.0),
            ("0.03125", 31.0),
            ("0.25", 250.0),
            ("0.5", 500.0),
            ("1.0", 1_000.0),
            ("+Inf", 1_000.0),
        ] {
            let query = format!(
                "sluice_request_duration_seconds_bucket{{job=\"{job}\",role=\"canary\",le=\"{le}\"}}"
            );
            assert_eq!(prometheus.value(&query), expected, "{query}");
        }
        let count =
            format!("sluice_request_duration_seconds_count{{job=\"{job}\",role=\"canary\"}}");
        assert_eq!(prometheus.value(&count), 1_000.0);
    }
}

fn one_identity_in_both_texts(prometheus: &Prometheus) {
    let same = prometheus.value(
        "count(sluice_request_duration_seconds_bucket{job=\"text\"} \
         == on (role, le) sluice_request_duration_seconds_bucket{job=\"openmetrics\"})",
    );
    assert_eq!(same, 36.0, "18 buckets of two versions");
}

/// Every panel asks what Prometheus understands, and shows something where the target has something to show.
fn dashboard(prometheus: &Prometheus) {
    let text = std::fs::read_to_string(deploy("dashboard.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            let query = target["expr"]
                .as_str()
                .unwrap()
                .replace("$namespace", "shop")
                .replace("$rollout", "cart")
                .replace("$__rate_interval", "5m");
            let found = prometheus.query(&query);
            // There are no listeners in this process.
            let expects_some = panel["title"] != "Connections";
            assert!(found.is_empty() != expects_some, "{query}: {found:?}");
        }
    }
}

#[test]
fn promtool_finds_nothing_in_the_metrics() {
    if !asked_for() {
        return;
    }
    let target = Target::start();
    first_batch(&target);
    let text = target.render("text/plain");
    assert_eq!(promtool(&["check", "metrics"], &text), "");
}

#[test]
fn the_alerts_fire_when_they_should() {
    if !asked_for() {
        return;
    }
    for arguments in [
        ["check", "rules", "alerts.yml"],
        ["check", "config", "scrape.yml"],
        ["test", "rules", "alerts_test.yml"],
    ] {
        let [verb, what, file] = arguments;
        promtool(&[verb, what, deploy(file).to_str().unwrap()], &[]);
    }
}
