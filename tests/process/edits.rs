//! Files that change under a running process: a bad edit is refused as a whole, a good one taken.

use crate::support::{
    eventually,
    load::Load,
    origin::{Behaviour, Origin},
    process::{Process, sluice, stdout},
    site::{Documents, Site, Slot},
    until,
};
use serde_json::Value;
use std::fs;

/// What keeps the files from being acted on, as the admin API tells it.
fn problems(process: &Process) -> Vec<String> {
    serde_json::from_value(process.api("/api/v1/documents")["problems"].clone()).unwrap()
}

fn until_problems(
    process: &Process,
    what: &str,
    wanted: impl Fn(&[String]) -> bool,
) -> Vec<String> {
    until(what, || {
        Some(problems(process))
            .filter(|found| wanted(found))
            .ok_or_else(|| process.log())
    })
}

/// What must stay as it is through a bad edit.
fn standing(process: &Process) -> [Value; 6] {
    let view = process.view();
    let field = |pointer: &str| view.pointer(pointer).unwrap().clone();
    [
        "/phase",
        "/weight",
        "/steps",
        "/decisions",
        "/stable/revision",
        "/canary/revision",
    ]
    .map(field)
}

fn documents_valid(process: &Process) -> String {
    let metrics = process.get("/metrics");
    let line = metrics
        .text()
        .lines()
        .find(|line| line.starts_with("sluice_documents_valid "))
        .unwrap();
    line.rsplit(' ').next().unwrap().to_owned()
}

fn versions(process: &Process) -> [bool; 2] {
    let asked: Vec<String> = (0..20)
        .map(|_| process.ask())
        .map(|answer| {
            assert_eq!(answer.status(), 200);
            answer.version().to_owned()
        })
        .collect();
    ["v1", "v2"].map(|version| asked.iter().any(|found| found == version))
}

#[test]
fn a_bad_edit_changes_nothing_and_is_told_with_place_and_remedy() {
    let mut site = Site::with_steps("setWeight: 50\npause: {}");
    let process = site.start();
    site.ship("v2", Slot::Green, Behaviour::Good);
    process.until_phase("Paused", 50.0);
    let before = standing(&process);
    let good = site.rollout_text();
    let replaced = |from: &str, to: &str| {
        assert!(good.contains(from), "{from} is not in:\n{good}");
        good.replacen(from, to, 1)
    };
    // The same edits also ask for another version, which must not be begun.
    for (text, place, field, words) in [
        (
            replaced("strategy:", "strategy: ["),
            "8:15",
            "",
            "is not valid YAML",
        ),
        (
            replaced("setWeight: 50", "setWeight: 500"),
            "11:9",
            "steps[0].setWeight",
            "found 500, allowed 0 to 100",
        ),
        (
            replaced("setWeight: 50", "setWeight: half"),
            "11:9",
            "steps[0].setWeight",
            "found \"half\", allowed a whole",
        ),
        (
            replaced("pause: {}", "pause: {duration: soon}"),
            "12:17",
            "steps[1].pause.duration",
            "found \"soon\", allowed",
        ),
        (
            replaced("dwell: 0s", "dwell: never"),
            "9:57",
            "guard.dwell",
            "found \"never\", allowed a duration",
        ),
        (
            replaced("pongService: green", "pongService: grene"),
            "8:37",
            "pingPong.pongService",
            "found \"grene\", allowed a Service of namespace default: blue, green",
        ),
    ] {
        let edited = text.replace("shop:v2", "shop:v9");
        site.write_rollout(&edited);
        let begin = format!("{}:{place}: error: ", site.rollout_file().display());
        let told = until_problems(
            &process,
            &format!("{edited}\nis refused with {begin} {field} {words}"),
            |found| {
                found.iter().any(|line| {
                    line.starts_with(&begin) && line.contains(field) && line.contains(words)
                })
            },
        );
        assert!(
            told.iter().all(|line| line.contains(": error: ")),
            "{told:?}"
        );
        process.logs(&["the files have changed and are refused as a whole; what ran goes on"]);
        process.logs(&[&told[0]]);
        assert_eq!(standing(&process), before, "{edited}");
        assert_eq!(versions(&process), [true, true]);
        assert_eq!(documents_valid(&process), "0");
    }
    fs::remove_file(site.rollout_file()).unwrap();
    let gone = format!("{}: No such file", site.rollout_file().display());
    until_problems(&process, "a file that is gone is told", |found| {
        found[0].starts_with(&gone)
    });
    assert_eq!(standing(&process), before);

    site.ship("v3", Slot::Green, Behaviour::Good);
    until_problems(&process, "a good edit is taken", <[String]>::is_empty);
    let view = process.until_view("v3 has its share", |view| {
        view["weight"] == 50.0
            && view["phase"] == "Paused"
            && view["canary"]["revision"] != before[5]
    });
    assert_eq!(view["stable"]["revision"], before[4]);
    assert_eq!(documents_valid(&process), "1");
}

#[test]
fn a_file_that_comes_and_goes_in_pieces_is_taken_when_it_is_whole() {
    let mut site = Site::with_steps("setWeight: 50\npause: {}");
    let process = site.start();
    site.documents.version = "v2".to_owned();
    site.green.deploy("v2", Behaviour::Good);
    let whole = site.rollout_text();
    // As an editor leaves it for a moment that writes in place.
    for part in [whole.len() / 3, 2 * whole.len() / 3] {
        fs::write(site.rollout_file(), &whole[..part]).unwrap();
        until_problems(&process, "a piece is refused", |found| !found.is_empty());
        assert_eq!(process.view()["phase"], "Healthy");
    }
    fs::write(site.rollout_file(), &whole).unwrap();
    process.until_phase("Paused", 50.0);
}

#[test]
fn endpoints_change_under_traffic_without_a_failed_request() {
    let site = Site::new(Documents::default());
    let process = site.start();
    let load = Load::start(process.listener, 200);
    load.more(50);
    let moved = Origin::start("moved");
    let text = fs::read_to_string(site.proxy_file()).unwrap();
    let edited = text.replace(&site.blue.address.to_string(), &moved.address.to_string());
    fs::write(site.proxy_file(), &edited).unwrap();
    eventually("requests go to the new endpoint alone", || {
        let since = load.more(20);
        since.of("moved") == since.answered()
    });
    assert_eq!(load.totals().failed(), 0, "{:?}", load.totals());
    // Where requests come in stays as it is until the process starts anew, and that is told.
    fs::write(
        site.proxy_file(),
        edited.replacen("workers: 2", "workers: 1", 1),
    )
    .unwrap();
    process.logs(&[
        "WARN",
        "workers",
        "take effect when the process starts anew",
    ]);
    assert_eq!(load.more(50).failed(), 0);
}

#[test]
fn an_unknown_field_is_a_warning_to_run_and_an_error_to_lint() {
    let site = Site::new(Documents {
        options: "stikcy: []".to_owned(),
        ..Documents::default()
    });
    let process = site.start();
    let place = format!("{}:9:49: ", site.rollout_file().display());
    let field = "spec.strategy.canary.trafficRouting.plugins[\"sluice/proxy\"].stikcy: ";
    let parts = |severity: &str| format!("{place}{severity}: {field}");
    process.logs(&["WARN", &parts("warning")]);
    assert_eq!(
        (problems(&process), process.ask().version()),
        (Vec::new(), "v1")
    );

    let lint = sluice().arg("lint").args(site.files()).output().unwrap();
    assert_eq!(lint.status.code(), Some(1));
    assert!(
        stdout(&lint)
            .lines()
            .any(|line| line.starts_with(&parts("error"))),
        "{}",
        stdout(&lint)
    );
}

#[test]
fn lint_finds_nothing_in_good_files() {
    let site = Site::with_steps("setWeight: 50\npause: {}");
    let lint = sluice().arg("lint").args(site.files()).output().unwrap();
    assert_eq!((lint.status.code(), stdout(&lint)), (Some(0), ""));
}
