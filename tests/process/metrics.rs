//! The metrics of a process that has done all there is to do, against what is written about them.

use crate::support::{
    load::Load,
    origin::Behaviour,
    process::Process,
    site::{Documents, Site, Slot},
    until,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

/// Type and labels of a metric.
type Shape = (String, BTreeSet<String>);

/// What `docs/metrics.md` lists.
fn documented() -> BTreeMap<String, Shape> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    let text = fs::read_to_string(file).unwrap();
    let code = |cell: &str| -> Vec<String> {
        cell.split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect()
    };
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [
            _,
            name,
            kind @ ("counter" | "gauge" | "histogram"),
            labels,
            ..,
        ] = cells.as_slice()
        else {
            return None;
        };
        Some((
            code(name).concat(),
            ((*kind).to_owned(), code(labels).into_iter().collect()),
        ))
    };
    text.lines().filter_map(row).collect()
}

/// What a scrape in the Prometheus text format shows.
fn scraped(text: &str) -> BTreeMap<String, Shape> {
    let mut found = BTreeMap::<String, Shape>::new();
    for line in text.lines() {
        if let Some((name, kind)) = line
            .strip_prefix("# TYPE ")
            .and_then(|rest| rest.split_once(' '))
        {
            found.insert(name.to_owned(), (kind.to_owned(), BTreeSet::new()));
        }
    }
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let name = line.split(['{', ' ']).next().unwrap();
        let family = ["", "_bucket", "_sum", "_count"].iter().find_map(|end| {
            name.strip_suffix(end)
                .filter(|name| found.contains_key(*name))
        });
        let family = family
            .unwrap_or_else(|| panic!("no type is told for {line}"))
            .to_owned();
        let labels = line
            .split_once('{')
            .and_then(|(_, rest)| rest.rsplit_once('}'))
            .map_or("", |(labels, _)| labels);
        // No label's value holds a comma here.
        let names = labels
            .split(',')
            .filter_map(|label| label.split_once('='))
            .map(|(name, _)| name.to_owned());
        found
            .get_mut(&family)
            .unwrap()
            .1
            .extend(names.filter(|name| name != "le"));
    }
    found
}

/// A process with a canary under way, then rolled back; a scrape of each.
fn scrapes() -> (Process, [String; 2]) {
    let mut site = Site::new(Documents {
        options: "guard: {burstWindow: 100ms, latency: off}".to_owned(),
        ..Documents::default()
    });
    let process = site.start();
    let _load = Load::start(process.listener, 200);
    site.ship("v2", Slot::Green, Behaviour::Good);
    process.until_phase("Paused", 50.0);
    // The measured share is read once a second.
    let during = until("the measured share is there", || {
        let text = process.get("/metrics").text().to_owned();
        if text.contains("\nsluice_split_share{") {
            Ok(text)
        } else {
            Err(text)
        }
    });
    // No more than that, or the proxy might trip it before the guard has judged.
    site.green.behave(Behaviour::Failing(0.4));
    process.until_view("v2 is rolled back", |view| view["phase"] == "Degraded");
    let after = process.get("/metrics").text().to_owned();
    (process, [during, after])
}

#[test]
fn what_is_scraped_is_what_is_documented() {
    let (_process, [during, after]) = scrapes();
    let mut found = scraped(&during);
    for (name, (kind, labels)) in scraped(&after) {
        found
            .entry(name)
            .or_insert_with(|| (kind, BTreeSet::new()))
            .1
            .extend(labels);
    }
    let documented = documented();
    assert!(documented.len() > 20, "{documented:?}");
    for (name, shape) in &documented {
        // There is none where the system sets no limit, none where no listener has a certificate, and none where nobody
        // makes a gRPC call.
        let may_lack = [
            "process_max_fds",
            "sluice_certificate_expiry_seconds",
            "sluice_grpc_calls_total",
        ];
        if !may_lack.contains(&name.as_str()) {
            assert_eq!(found.get(name), Some(shape), "{name} is documented");
        }
    }
    found.remove("sluice_certificate_expiry_seconds");
    for (name, shape) in &found {
        assert_eq!(documented.get(name), Some(shape), "{name} is scraped");
    }
    for line in [
        "sluice_rollout_phase{namespace=\"default\",rollout=\"shop\",phase=\"Degraded\"} 1",
        "sluice_rollout_decisions_total{namespace=\"default\",rollout=\"shop\",decision=\"rolled-back\",by=\"guard\"} 1",
        "sluice_documents_valid 1",
    ] {
        assert!(
            after.lines().any(|found| found == line),
            "{line} is not in:\n{after}"
        );
    }
    let weight = "sluice_split_weight{namespace=\"default\",rollout=\"shop\",role=\"canary\"}";
    let weights = [&during, &after].map(|text| {
        text.lines()
            .find_map(|line| line.strip_prefix(weight))
            .map(str::trim)
    });
    assert_eq!(weights, [Some("0.5"), Some("0")]);
}

#[test]
fn promtool_finds_nothing_in_a_live_scrape() {
    if std::env::var_os("SLUICE_PROMETHEUS_TESTS").is_none_or(|value| value != "1") {
        let line = "SKIPPED: not asked to test with promtool; do so with \
                    SLUICE_PROMETHEUS_TESTS=1 cargo test -p sluice --test process\n";
        // Past the test harness, which would keep the line to itself.
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        return;
    }
    let (_process, scrapes) = scrapes();
    for scrape in scrapes {
        let mut command = Command::new("promtool");
        command
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .expect("promtool is there: apt-get install prometheus");
        child
            .stdin
            .take()
            .unwrap()
            .write_all(scrape.as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert_eq!(
            (output.status.code(), String::from_utf8(said).unwrap()),
            (Some(0), String::new())
        );
    }
}
