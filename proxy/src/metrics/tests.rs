use super::*;
use crate::{
    counters::Counters,
    spool::{Capacity, Inlet, Spool},
};
use std::collections::{BTreeMap, BTreeSet};
use traffic::{
    Arming, Backend, BackendId, BackendPolicy, Failure, FailureRule, GrpcCode, Margins, Outcome,
    Role, Split, Weight, policy::BackendLimits, state::backend::Limit,
};

const OPENMETRICS: &str = "application/openmetrics-text";
const PROTOBUF: &str =
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";

/// An exporter of one rollout that had these requests, with a quarter of the traffic on the canary.
fn exporter(requests: &[(Role, Outcome)]) -> Exporter {
    let stats = Arc::new(Stats::new(2));
    let routes = Arc::new(Routes::default());
    let rollout = RolloutId::new("default", "shop");
    let weight = Weight::from_percent(25).unwrap();
    let arming = Arming {
        trial: 1,
        weight,
        margins: Margins {
            relative: 1.1,
            absolute: 0.001,
        },
        least_failures: 3,
        by_user: false,
        rule: FailureRule::DEFAULT,
    };
    let backend = |role: Role| {
        Backend::plain(
            BackendId::new("default", role.as_str()),
            Arc::new([]),
            stats.series(&rollout, role),
        )
    };
    let split = Split {
        rollout: rollout.clone(),
        stable: backend(Role::Stable),
        canary: Some(backend(Role::Canary)),
        weight,
        rules: Vec::new(),
        copies: Vec::new(),
        sticky: None,
        tickets: stats.tickets(&rollout),
        rescue: false,
        armed: stats.arm(&rollout, Some(&arming)),
        counted: None,
    };
    let table = RouteTable::new(Vec::new(), vec![split]).unwrap();
    let state = stats.backend(&BackendId::new("default", "shop-blue"));
    let endpoints = ["10.0.0.1:80", "10.0.0.2:80"].map(|address| address.parse().unwrap());
    state.endpoints(&endpoints, &BackendPolicy::default(), 1, Duration::ZERO)[0]
        .set_healthy(false, Duration::ZERO);
    assert!(
        state
            .shard(0, 2)
            .acquire(Limit::Requests, &BackendLimits::default())
    );
    stats.route("shop");
    let mut exporter = Exporter::new(Arc::clone(&stats), Arc::clone(&routes));
    exporter.add_connections(Arc::new(Counters::new(2)));
    exporter.add_tls(crate::tls::tests::store());
    exporter.observe(&table, Duration::ZERO);
    for (i, (role, outcome)) in requests.iter().enumerate() {
        let series = stats.series(&rollout, *role);
        let shard = series.shard(i % 2);
        shard.begin(Duration::ZERO, true);
        shard.end(Duration::ZERO, Duration::from_millis(100), *outcome);
    }
    exporter.observe(&table, Duration::from_secs(1));
    routes.publish(table);
    // A worker that is left behind, and one that has stopped.
    std::mem::forget(routes.reader());
    drop(routes.reader());
    routes.publish(RouteTable::default());
    exporter
}

fn rendered(exporter: &Exporter, accept: &str) -> String {
    String::from_utf8(exporter.render(accept).1).unwrap()
}

const REQUESTS: [(Role, Outcome); 5] = [
    (Role::Stable, Outcome::Answered(200)),
    (Role::Stable, Outcome::Answered(200)),
    (Role::Canary, Outcome::Answered(503)),
    (
        Role::Canary,
        Outcome::Failed {
            status: 502,
            reason: Failure::Connect,
        },
    ),
    (Role::Stable, Outcome::Cancelled),
];

#[test]
fn the_content_type_tells_the_format_of_the_body() {
    let exporter = exporter(&REQUESTS);
    let (content_type, body) = exporter.render("");
    assert!(content_type.starts_with("text/plain; version=0.0.4"));
    assert!(body.starts_with(b"# HELP "));
    let (content_type, body) = exporter.render(OPENMETRICS);
    assert!(content_type.starts_with("application/openmetrics-text; version=1.0.0"));
    assert!(body.ends_with(b"\n# EOF\n"));
    let (content_type, body) = exporter.render(PROTOBUF);
    assert!(content_type.starts_with("application/vnd.google.protobuf"));
    assert!(!body.is_empty() && std::str::from_utf8(&body).is_err());
}

#[test]
fn what_was_counted_is_shown() {
    let exporter = exporter(&REQUESTS);
    let (text, open) = (rendered(&exporter, ""), rendered(&exporter, OPENMETRICS));
    let version = |role: &str| format!("namespace=\"default\",rollout=\"shop\",role=\"{role}\"");
    let (stable, canary) = (version("stable"), version("canary"));
    let service = "namespace=\"default\",service=\"shop-blue\"";
    for line in [
        format!("sluice_requests_total{{{stable},status=\"200\"}} 2"),
        format!("sluice_requests_total{{{stable},status=\"499\"}} 1"),
        format!("sluice_requests_total{{{canary},status=\"502\"}} 1"),
        format!("sluice_failures_total{{{canary},reason=\"connect\"}} 1"),
        format!("sluice_failures_total{{{canary},reason=\"status\"}} 1"),
        format!("sluice_failures_total{{{stable},reason=\"reset\"}} 0"),
        format!("sluice_split_requests_total{{{stable}}} 3"),
        format!("sluice_request_duration_seconds_count{{{stable}}} 2"),
        format!("sluice_request_duration_seconds_sum{{{stable}}} 0.2"),
        format!("sluice_requests_in_flight{{{canary}}} 0"),
        format!("sluice_split_weight{{{stable}}} 0.75"),
        format!("sluice_split_weight{{{canary}}} 0.25"),
        format!("sluice_split_share{{{canary}}} 0.4"),
        "sluice_trips_total{namespace=\"default\",rollout=\"shop\"} 0".to_owned(),
        format!("sluice_endpoint_health{{{service},endpoint=\"10.0.0.1:80\"}} 0"),
        format!("sluice_endpoint_health{{{service},endpoint=\"10.0.0.2:80\"}} 1"),
        format!("sluice_backend_requests{{{service}}} 1"),
        format!("sluice_backend_refusals_total{{{service},limit=\"pending\"}} 0"),
        format!("sluice_fail_open_attempts_total{{{service}}} 0"),
        "sluice_table_generation{worker=\"0\"} 1".to_owned(),
        "sluice_table_published_generation 2".to_owned(),
        "sluice_worker_connections{worker=\"1\"} 0".to_owned(),
        "sluice_connections_passed_total 0".to_owned(),
        "sluice_certificate_expiry_seconds{listener=\"https\",name=\"shop.example\"} 2208988800"
            .to_owned(),
        "sluice_certificate_reloads_total{result=\"failure\"} 0".to_owned(),
    ] {
        assert!(text.lines().any(|l| l == line), "{line} in:\n{text}");
        // OpenMetrics writes a gauge of whole value with a fraction in places, and is otherwise the same.
        let fraction = format!("{line}.0");
        assert!(
            open.lines().any(|l| l == line || l == fraction),
            "{line} in:\n{open}"
        );
    }
    assert!(
        !text.contains("sluice_table_generation{worker=\"1\""),
        "a worker that has stopped serves no table"
    );
    let le = format!("sluice_request_duration_seconds_bucket{{{stable},le=\"0.125\"}} 2");
    assert!(text.contains(&le), "{le} in:\n{text}");
}

#[test]
fn grpc_calls_are_told_by_code_of_versions_that_speak_it() {
    let exporter = exporter(&[
        (Role::Canary, Outcome::Called(GrpcCode::NotFound)),
        (Role::Canary, Outcome::Called(GrpcCode::Ok)),
        (Role::Canary, Outcome::Called(GrpcCode::Ok)),
        (Role::Stable, Outcome::Answered(200)),
    ]);
    let text = rendered(&exporter, "");
    let told: BTreeMap<&str, &str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("sluice_grpc_calls_total{"))
        .filter_map(|line| line.rsplit_once(' '))
        .collect();
    assert_eq!(told.len(), GrpcCode::ALL.len(), "{told:?}");
    for (code, wanted) in [("OK", "2"), ("NOT_FOUND", "1"), ("UNAVAILABLE", "0")] {
        let labels =
            format!("namespace=\"default\",rollout=\"shop\",role=\"canary\",code=\"{code}\"}}");
        assert_eq!(told.get(&*labels), Some(&wanted), "{labels} in {told:?}");
    }
}

#[test]
fn a_rollout_without_requests_has_its_zeros() {
    let exporter = exporter(&[]);
    let text = rendered(&exporter, "");
    assert!(!text.contains("\nsluice_requests_total{"));
    assert!(!text.contains("\nsluice_split_share{"));
    assert!(text.contains("role=\"canary\",reason=\"connect\"} 0"));
    assert!(text.contains("sluice_request_duration_seconds_count"));
}

#[test]
fn a_service_that_no_rollout_splits_has_requests_and_no_split() {
    let exporter = exporter(&[(Role::Active, Outcome::Answered(200))]);
    let text = rendered(&exporter, "");
    let active: BTreeSet<&str> = text
        .lines()
        .filter(|line| line.contains("role=\"active\""))
        .filter_map(|line| line.split('{').next())
        .collect();
    assert!(active.contains("sluice_requests_total"));
    assert!(!active.iter().any(|name| name.starts_with("sluice_split")));
}

#[test]
fn others_register_metrics_of_their_own() {
    let mut exporter = exporter(&[]);
    let gauge = prometheus_client::metrics::gauge::Gauge::<i64>::default();
    gauge.set(7);
    exporter
        .registry_mut()
        .register("sluice_other", "Another", gauge);
    assert!(rendered(&exporter, "").contains("\nsluice_other 7\n"));
}

#[test]
fn a_log_and_traces_are_shown_once_they_are_there() {
    let exporter = exporter(&[]);
    let names = [
        "sluice_access_log_dropped_total",
        "sluice_trace_spans_dropped_total",
    ];
    let text = rendered(&exporter, "");
    for name in names {
        assert!(
            text.contains(&format!("\n{name} 0\n")),
            "{name} in:\n{text}"
        );
    }
    // No room for the only record.
    let capacity = Capacity {
        records: 0,
        bytes: 0,
    };
    let spool = Spool::new(1, capacity);
    Inlet::new(&spool, 0).put(|_| {});
    exporter.set_access_log(LogCounters::new(Arc::clone(&spool)));
    exporter.set_traces(TraceCounters::new(spool));
    let text = rendered(&exporter, "");
    for name in names {
        assert!(
            text.contains(&format!("\n{name} 1\n")),
            "{name} in:\n{text}"
        );
    }
}

#[test]
fn a_failing_collector_fails_the_whole_scrape() {
    #[derive(Debug)]
    struct Broken;
    impl prometheus_client::collector::Collector for Broken {
        fn encode(&self, _: encoding::DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
            Err(std::fmt::Error)
        }
    }
    let mut exporter = exporter(&[]);
    exporter.registry_mut().register_collector(Box::new(Broken));
    for accept in ["", OPENMETRICS, PROTOBUF] {
        let (content_type, body) = exporter.render(accept);
        assert!(content_type.starts_with("application/openmetrics-text"));
        assert!(body.is_empty(), "no part is taken for the whole");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_process_shows_plausible_numbers() {
    let text = rendered(&exporter(&[]), "");
    let value = |name: &str| -> f64 {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name}")).parse().unwrap()
    };
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs_f64();
    let age = now - value("process_start_time_seconds");
    assert!((-2.0..3600.0).contains(&age), "started {age} s ago");
    assert!(value("process_resident_memory_bytes") > 1e5);
    assert!(value("process_virtual_memory_bytes") >= value("process_resident_memory_bytes"));
    assert!(value("process_open_fds") >= 1.0);
    assert!(value("process_open_fds") < value("process_max_fds"));
    assert!(value("process_threads") >= 1.0);
    assert!(value("process_cpu_seconds_total") >= 0.0);
}

/// A metric's type and its labels.
type Listed = (String, BTreeSet<String>);

/// What the text format shows.
fn exposed(text: &str) -> BTreeMap<String, Listed> {
    let mut metrics = BTreeMap::<String, Listed>::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            metrics.insert(name.to_owned(), (kind.to_owned(), BTreeSet::new()));
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().unwrap();
            let family = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|suffix| {
                    name.strip_suffix(suffix)
                        .filter(|n| metrics.contains_key(*n))
                })
                .unwrap_or(name);
            let labels = line.split_once('{').map_or("", |(_, rest)| rest);
            let keys = labels.split("\",").filter_map(|pair| {
                Some(pair.trim_start_matches('"').split_once("=\"")?.0.to_owned())
            });
            let listed = &mut metrics.get_mut(family).unwrap().1;
            listed.extend(keys.filter(|key| key != "le"));
        }
    }
    metrics
}

const DOCUMENT: &str = include_str!("../../../docs/metrics.md");

/// The part of `docs/metrics.md` on the proxy.
fn proxy_section() -> &'static str {
    let mut parts = DOCUMENT.split("\n## ");
    parts
        .find(|part| part.starts_with("The proxy\n"))
        .expect("a section \"The proxy\"")
}

/// The rows of the tables in `section` that have `columns` columns.
fn rows(section: &'static str, columns: usize) -> impl Iterator<Item = Vec<&'static str>> {
    section
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|row| {
            row.trim_matches('|')
                .split('|')
                .map(str::trim)
                .collect::<Vec<_>>()
        })
        .filter(move |cells| cells.len() == columns)
}

/// What stands between backquotes.
fn code(cell: &str) -> BTreeSet<String> {
    cell.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// The metrics that `section` lists.
fn documented(section: &'static str) -> BTreeMap<String, Listed> {
    rows(section, 4)
        .map(|cells| {
            let name = cells[0].trim_matches('`').to_owned();
            (name, (cells[1].to_owned(), code(cells[2])))
        })
        .collect()
}

#[test]
fn the_documented_reasons_are_those_that_exist() {
    let documented: Vec<&str> = rows(proxy_section(), 2)
        .map(|cells| cells[0].trim_matches('`'))
        .skip(1)
        .collect();
    assert_eq!(documented, Failure::ALL.map(Failure::as_str));
}

#[cfg(target_os = "linux")]
#[test]
fn the_documented_metrics_are_those_exposed() {
    let requests = [
        &REQUESTS[..],
        &[(Role::Canary, Outcome::Called(GrpcCode::Ok))],
    ]
    .concat();
    assert_eq!(
        documented(proxy_section()),
        exposed(&rendered(&exporter(&requests), ""))
    );
}

#[test]
fn alerts_and_dashboard_use_metrics_that_exist() {
    let documented = documented(DOCUMENT);
    for (file, text) in [
        (
            "alerts.yml",
            include_str!("../../../deploy/prometheus/alerts.yml"),
        ),
        (
            "dashboard.json",
            include_str!("../../../deploy/prometheus/dashboard.json"),
        ),
    ] {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let names: BTreeSet<&str> = words
            .filter(|word| word.starts_with("sluice_") || word.starts_with("process_"))
            .collect();
        assert!(names.len() > 3, "{file}: {names:?}");
        for name in names {
            let family = name
                .trim_end_matches("_bucket")
                .trim_end_matches("_count")
                .trim_end_matches("_sum");
            assert!(
                documented.contains_key(family),
                "{file} uses {name}, which does not exist"
            );
        }
    }
}
