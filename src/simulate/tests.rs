use super::*;
use clap::Parser;
use serde_json::Value;
use std::fmt::Write as _;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    args: SimulateArgs,
}

const PROXY: &str = "apiVersion: sluice.dev/v1alpha1
kind: Proxy
metadata: {name: edge}
spec:
  listeners: [{name: http, address: '127.0.0.1:8080'}]
  services: [{name: blue, endpoints: ['127.0.0.1:9001']}, {name: green, endpoints: ['127.0.0.1:9002']}]
";

/// A Rollout `name` with these options and steps.
fn rollout(name: &str, options: &str, steps: &str) -> String {
    format!(
        "---
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {{name: {name}}}
spec:
  template: {{metadata: {{annotations: {{version: '1'}}}}}}
  strategy:
    canary:
      pingPong: {{pingService: blue, pongService: green}}
      trafficRouting: {{plugins: {{sluice/proxy: {options}}}}}
      steps: {steps}
"
    )
}

const PAUSES: &str = "[{setWeight: 20}, {pause: {duration: 2m}}, {pause: {}}, {setWeight: 50}, {pause: {duration: 2m}}]";

/// What `simulate` prints with these documents and a record beside them.
fn printed(documents: &str, record: &str, options: &str) -> Result<String, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shop.yaml");
    fs::write(&file, documents).unwrap();
    fs::write(folder.path().join("record.csv"), record).unwrap();
    let inside = folder.path().display().to_string();
    let options = options.replace("DIR", &inside);
    let line = ["sluice", file.to_str().unwrap()]
        .into_iter()
        .chain(options.split_whitespace());
    let args = Line::try_parse_from(line).unwrap().args;
    let mut out = Vec::new();
    match simulate(&args, &mut out) {
        Ok(()) => Ok(String::from_utf8(out).unwrap()),
        Err(error) => Err(format!("{error:#}").replace(&inside, "DIR")),
    }
}

/// The case `index` of what is printed as JSON.
fn case(printed: &str, index: usize) -> Value {
    let report: Value = serde_json::from_str(printed).unwrap();
    report["cases"][index].clone()
}

#[test]
fn a_good_version_is_promoted_and_a_dead_one_rolled_back_at_once() {
    let documents = format!("{PROXY}{}", rollout("shop", "{}", PAUSES));
    let options = "--runs 12 --errors 100% --slower 3 -o json";
    let found = printed(&documents, "", options).unwrap();
    let [same, dead, slow] = [0, 1, 2].map(|index| case(&found, index));
    assert_eq!(same["promoted"], 12, "{same}");
    // Both pauses, and a little for each step.
    let median = same["seconds"]["median"].as_f64().unwrap();
    assert!((240.0..242.0).contains(&median), "{same}");
    assert_eq!(
        (&dead["rolledBack"], &dead["version"]),
        (&12.into(), &"+100% failures".into())
    );
    assert!(dead["seconds"]["p95"].as_f64().unwrap() < 3.0, "{dead}");
    assert!(
        dead["failedRequests"]["p95"].as_f64().unwrap() < 40.0,
        "{dead}"
    );
    assert_eq!(slow["rolledBack"], 12, "{slow}");
    assert_eq!(
        printed(&documents, "", options).unwrap(),
        found,
        "the same seed draws the same"
    );
}

#[test]
fn evidence_paces_a_plan_of_pauses_and_never_slows_it_down() {
    let took = |options, rps: u32| {
        let documents = format!("{PROXY}{}", rollout("shop", options, PAUSES));
        let options = format!("--runs 10 --errors 100% --traffic rps={rps} -o json");
        let same = case(&printed(&documents, "", &options).unwrap(), 0);
        assert_eq!(same["promoted"], 10, "{same}");
        same["seconds"]["p95"].as_f64().unwrap()
    };
    let evidence = "{pace: evidence}";
    assert!(took(evidence, 300) < 60.0);
    // With a request in two seconds there is never enough, and the plan goes on as it would have.
    let (fixed, paced) = (took("{}", 1), took(evidence, 1));
    assert!((paced - fixed).abs() < 1.0, "{paced} beside {fixed}");
}

#[test]
fn recorded_traffic_is_drawn_as_it_went() {
    let mut record = String::from("time,rps,errors,p50,p99\n");
    for minute in 0..10 {
        writeln!(
            record,
            "{},{},0.2%,20ms,90ms",
            minute * 60,
            100 + 20 * minute
        )
        .unwrap();
    }
    let documents = format!("{PROXY}{}", rollout("shop", "{}", PAUSES));
    let options = "--runs 6 --errors 50% --record DIR/record.csv --plot DIR/plot.svg";
    let text = printed(&documents, &record, options).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(
        lines[0],
        "default/shop: 10 min of recorded traffic, begun at random moments"
    );
    assert!(lines[3].starts_with("VERSION"), "{text}");
    assert!(lines[4].starts_with("as stable      100%"), "{text}");
    assert!(
        lines[5].starts_with("+50% failures  0%        100%"),
        "{text}"
    );
}

#[test]
fn what_cannot_be_simulated_is_told() {
    let one = format!("{PROXY}{}", rollout("shop", "{}", PAUSES));
    let two = format!(
        "{one}{}",
        rollout("pay", "{}", PAUSES)
            .replace("blue", "green2")
            .replace("green}", "blue2}")
    );
    let services = "services: [{name: green2, endpoints: ['127.0.0.1:9003']}, {name: blue2, endpoints: ['127.0.0.1:9004']}, ";
    let two = two.replace("services: [", services);
    let routes = "  routes: [{hosts: [shop.example], rollout: shop}, {rollout: pay}]\n---";
    let two = two.replacen("---", routes, 1);
    let cases = [
        (
            &one,
            "--rollout pay",
            "found no such rollout, allowed in --rollout: default/shop",
        ),
        (
            &two,
            "",
            "found more than one rollout; say which with --rollout: default/pay, default/shop",
        ),
        (&one, "--record DIR/none.csv", "DIR/none.csv cannot be read"),
        (
            &"kind: [\n".to_owned(),
            "",
            "DIR/shop.yaml:2:1: error: is not valid YAML",
        ),
        (
            &one,
            "--record DIR/record.csv",
            "DIR/record.csv:1: found nothing",
        ),
    ];
    for (documents, options, expected) in cases {
        let error = printed(documents, "", options).unwrap_err();
        assert!(error.starts_with(expected), "{options}: {error}");
    }
}

#[test]
fn the_chart_has_a_curve_for_each_ending_and_a_name_for_each_version() {
    let flown = |ending, seconds| fly::Flown {
        ending,
        seconds,
        failed: 1,
    };
    let mixed = vec![
        flown(rollout::sim::Ending::Promoted, 50.0),
        flown(rollout::sim::Ending::RolledBack, 0.5),
    ];
    let svg = chart::svg(
        &[cases::Case::Same, cases::Case::Fails(0.1)],
        &[mixed, Vec::new()],
    );
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    assert_eq!(svg.matches("stroke-width=\"2\"").count(), 2, "{svg}");
    // From 0.1 s to 100 s: 50 s is at 2.7 of 3 powers of ten, and then half of all runs are promoted.
    assert!(svg.contains("M60.0 360.0H617.8V200.0H680.0"), "{svg}");
    assert!(svg.contains(">as stable</text>") && svg.contains(">+10% failures</text>"));
}
