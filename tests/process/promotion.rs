//! The product's loop: a good version is promoted by evidence, a bad one is rolled back by it.

use crate::support::{
    load::Load,
    origin::Behaviour,
    process::{Process, sluice, stdout},
    site::{Site, Slot},
};
use std::fs;

const EVIDENCE: &str = "\
setWeight: 20
plugin: {name: sluice/evidence, config: {maxDuration: 60s}}
setWeight: 50
plugin: {name: sluice/evidence, config: {maxDuration: 60s}}";

/// What `status` prints, with its exit code.
fn status(process: &Process) -> (Option<i32>, String) {
    let output = process.cli(&["status"]);
    (output.status.code(), stdout(&output).trim().to_owned())
}

#[test]
fn a_good_version_is_promoted_and_a_bad_one_rolled_back() {
    let mut site = Site::with_steps(EVIDENCE);
    let process = site.start();
    let load = Load::start(process.listener, 300);
    let first = load.more(50);
    assert_eq!(
        (first.of("v1"), first.failed()),
        (first.answered(), 0),
        "{first:?}"
    );
    assert_eq!(
        status(&process),
        (Some(0), "default/shop: Healthy".to_owned())
    );

    site.ship("v2", Slot::Green, Behaviour::Good);
    let promoted = process.until_view("v2 is promoted", |view| last_decision(view) == "promoted");
    assert_eq!(
        decisions(&promoted),
        [
            "deployed", "started", "advanced", "advanced", "advanced", "promoted"
        ]
    );
    assert_eq!(
        (&promoted["phase"], &promoted["stable"]["service"]),
        (&"Healthy".into(), &"green".into())
    );
    let evidence = |by: &str| {
        promoted["decisions"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|d| d["by"] == by)
            .count()
    };
    assert_eq!(
        evidence("guard"),
        2,
        "the evidence steps were left by evidence: {promoted:#}"
    );
    process.until_phase("Healthy", 0.0);
    let second = load.more(100);
    assert!(second.of("v2") > 0, "{second:?}");
    assert_eq!(
        load.totals().failed(),
        0,
        "no user noticed: {:?}",
        load.totals()
    );

    site.ship("v3", Slot::Blue, Behaviour::Failing(0.4));
    let degraded = process.until_view("v3 is rolled back", |view| view["phase"] == "Degraded");
    assert_eq!(last_decision(&degraded), "rolled-back");
    assert_eq!(status(&process).0, Some(1));
    let verdict = degraded["decisions"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&verdict["by"], &verdict["weight"]),
        (&"guard".into(), &serde_json::json!([20.0, 0.0]))
    );
    let why = verdict["why"].as_str().unwrap();
    assert!(
        why.starts_with("error ratio: ") && why.contains("canary requests failed"),
        "{why}"
    );
    process.until_phase("Degraded", 0.0);
    let before = site.blue.requests();
    let after = load.more(200);
    assert_eq!(
        (after.of("v3"), site.blue.requests()),
        (0, before),
        "nothing goes to it any more: {after:?}"
    );
    // A fifth of the traffic, and two fifths of that, until the guard has seen enough.
    let failed = load.totals().failed();
    assert!(
        (3..150).contains(&failed),
        "{failed} requests of users failed"
    );
    told(&process, why);
    judged_again(&site, &process);
}

/// What the command line says of a rollback.
fn told(process: &Process, why: &str) {
    let explained = process.cli(&["explain", "shop"]);
    assert_eq!(explained.status.code(), Some(0));
    let text = stdout(&explained);
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "Verdict",
        "was rolled back by the guard at",
        "weight 20% -> 0%",
        why,
        "of users failed on this revision",
    ] {
        assert!(
            words(text).contains(&words(part)),
            "{part:?} is not in:\n{text}"
        );
    }
    let listed = process.cli(&["list"]);
    assert!(
        stdout(&listed).contains("shop") && stdout(&listed).contains("Degraded"),
        "{}",
        stdout(&listed)
    );
    let shown = process.cli(&["get", "default/shop"]);
    assert!(stdout(&shown).contains("Degraded"), "{}", stdout(&shown));
    let json = process.cli(&["get", "-o", "json"]);
    let view: serde_json::Value = serde_json::from_str(stdout(&json)).unwrap();
    assert_eq!(
        (&view["name"], &view["phase"]),
        (&"shop".into(), &"Degraded".into())
    );
    assert_eq!(last_decision(&view), "rolled-back");
}

/// What was decided leads to the same evidence when it is judged again from a file.
fn judged_again(site: &Site, process: &Process) {
    let printed = process.cli(&["explain", "shop", "-o", "json"]);
    let file = site.path("verdict.json");
    fs::write(&file, stdout(&printed)).unwrap();
    let replayed = sluice()
        .args(["explain", "--replay"])
        .arg(file)
        .output()
        .unwrap();
    let text = stdout(&replayed);
    assert_eq!(replayed.status.code(), Some(0), "{text}");
    // Of a step that evidence ended, of the promotion and of the rollback.
    for part in [
        "advanced by the guard",
        "promoted by the plan",
        "rolled back by the guard",
    ] {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
}

fn decisions(view: &serde_json::Value) -> Vec<&str> {
    view["decisions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|decision| decision["decision"].as_str().unwrap())
        .collect()
}

fn last_decision(view: &serde_json::Value) -> &str {
    decisions(view).last().copied().unwrap_or_default()
}
