//! The verbs of the command line against a running process, and how they are refused.

use crate::support::{
    origin::Behaviour,
    process::{Process, sluice, stderr, stdout},
    site::{Site, Slot},
};

const STEPS: &str = "setWeight: 10\npause: {}\nsetWeight: 40\npause: {}";

/// Carries `arguments` out, which succeeds with a headline that begins so.
fn done(process: &Process, arguments: &[&str], headline: &str) {
    let output = process.cli(arguments);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{arguments:?}: {}",
        stderr(&output)
    );
    let said = stdout(&output);
    assert!(said.starts_with(headline), "{arguments:?}: {said}");
}

/// Tries `arguments`, which are refused with exactly these words.
fn not_done(process: &Process, arguments: &[&str], code: i32, words: &str) {
    let output = process.cli(arguments);
    assert_eq!(
        (output.status.code(), stderr(&output)),
        (Some(code), format!("sluice: {words}\n").as_str())
    );
    assert_eq!(stdout(&output), "", "{arguments:?}");
}

fn status(process: &Process, code: i32) {
    let output = process.cli(&["status"]);
    assert_eq!(output.status.code(), Some(code), "{}", stdout(&output));
}

#[test]
fn every_verb_does_what_it_says() {
    let mut site = Site::with_steps(STEPS);
    let process = site.start();
    site.ship("v2", Slot::Green, Behaviour::Good);
    process.until_phase("Paused", 10.0);
    status(&process, 3);

    done(
        &process,
        &["pause"],
        "default/shop: Paused, canary weight 10%: manually paused",
    );
    done(&process, &["resume", "shop"], "default/shop: ");
    process.until_view("the step's own pause holds it again", |view| {
        view["message"] == "CanaryPauseStep"
    });
    done(&process, &["promote", "default/shop"], "default/shop: ");
    process.until_phase("Paused", 40.0);

    done(
        &process,
        &["abort", "-n", "default"],
        "default/shop: Degraded, canary weight 0%: RolloutAborted: ",
    );
    status(&process, 1);
    let answers = (0..50)
        .map(|_| process.ask().version().to_owned())
        .filter(|version| version != "v1")
        .count();
    assert_eq!(answers, 0, "an aborted version gets no traffic");
    let canary = process.view()["canary"]["revision"]
        .as_str()
        .unwrap()
        .to_owned();
    not_done(
        &process,
        &["resume"],
        1,
        &format!("cannot resume: revision {canary} is aborted; allowed: retry"),
    );

    done(&process, &["retry"], "default/shop: ");
    process.until_phase("Paused", 10.0);
    not_done(
        &process,
        &["retry"],
        1,
        &format!(
            "cannot retry: revision {canary} is not aborted; allowed: promote, promote --full, pause, resume, abort"
        ),
    );
    done(&process, &["promote", "--full"], "default/shop: ");
    let view = process.until_phase("Healthy", 0.0);
    assert_eq!(
        (&view["stable"]["revision"], &view["stable"]["service"]),
        (&canary.as_str().into(), &"green".into())
    );
    status(&process, 0);
    let stable = format!("revision {canary} is stable and there is no canary");
    for verb in ["abort", "pause", "promote", "resume", "retry"] {
        let words = format!("cannot {verb}: {stable}; a new revision starts a canary");
        not_done(&process, &[verb], 1, &words);
    }
    let decided: Vec<_> = process.view()["decisions"]
        .as_array()
        .unwrap()
        .iter()
        .map(by_whom)
        .collect();
    assert_eq!(
        decided,
        [
            "deployed by plan",
            "started by plan",
            "advanced by plan",
            "paused by operator",
            "resumed by operator",
            "advanced by operator",
            "aborted by operator",
            "retried by operator",
            "advanced by plan",
            "advanced by operator",
            "promoted by operator",
        ]
    );
}

fn by_whom(decision: &serde_json::Value) -> String {
    format!(
        "{} by {}",
        decision["decision"].as_str().unwrap(),
        decision["by"].as_str().unwrap()
    )
}

#[test]
fn what_is_not_there_is_exit_code_2() {
    let site = Site::with_steps(STEPS);
    let process = site.start();
    not_done(
        &process,
        &["status", "cart"],
        2,
        "no rollout cart; there is default/shop",
    );
    not_done(
        &process,
        &["abort", "-n", "other"],
        2,
        "no rollout is there",
    );
    let nobody = crate::support::origin::Origin::start("nobody")
        .address
        .to_string();
    let output = sluice()
        .args(["status", "--address", &nobody])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    assert!(
        said.contains(&format!("cannot reach the admin API at http://{nobody}")),
        "{said}"
    );
    assert_eq!(
        sluice()
            .args(["status", "--no-such-option"])
            .output()
            .unwrap()
            .status
            .code(),
        Some(2)
    );
}

#[test]
fn status_waits_for_the_end_when_it_is_told_to() {
    let mut site = Site::with_steps("setWeight: 10\npause: {duration: 1s}");
    let process = site.start();
    site.ship("v2", Slot::Green, Behaviour::Good);
    process.until_view("v2 has begun", |view| view["canary"].is_object());
    let late = process.cli(&["status", "--watch", "--timeout", "1ms"]);
    assert_eq!(late.status.code(), Some(3), "{}", stdout(&late));
    assert!(
        stderr(&late).contains("timed out: default/shop: "),
        "{}",
        stderr(&late)
    );
    let ended = process.cli(&["status", "--watch", "--timeout", "60s"]);
    assert_eq!(ended.status.code(), Some(0), "{}", stdout(&ended));
    assert!(stdout(&ended).contains("promoted"), "{}", stdout(&ended));
}

#[test]
fn the_first_template_again_ends_the_canary() {
    let mut site = Site::with_steps(STEPS);
    let process = site.start();
    site.ship("v2", Slot::Green, Behaviour::Good);
    process.until_phase("Paused", 10.0);
    site.ask_for("v1");
    let view = process.until_phase("Healthy", 0.0);
    assert_eq!(
        by_whom(view["decisions"].as_array().unwrap().last().unwrap()),
        "returned by operator"
    );
    assert_eq!(view["stable"]["service"], "blue");
}

#[test]
fn an_evidence_step_that_is_left_without_evidence_claims_none() {
    for (config, verb, by) in [
        ("maxDuration: 60s", Some("promote"), "operator"),
        ("maxDuration: 1s, onInconclusive: promote", None, "plan"),
    ] {
        let evidence = format!("plugin: {{name: sluice/evidence, config: {{{config}}}}}");
        let mut site = Site::with_steps(&format!(
            "setWeight: 10\n{evidence}\nsetWeight: 30\npause: {{}}"
        ));
        let process = site.start();
        site.ship("v2", Slot::Green, Behaviour::Good);
        if let Some(verb) = verb {
            process.until_view("the evidence step", |view| {
                view["steps"][1]["progress"] == "current"
            });
            done(&process, &[verb], "default/shop: ");
        }
        let view = process.until_phase("Paused", 30.0);
        let decision = view["decisions"].as_array().unwrap().last().unwrap();
        assert_eq!(by_whom(decision), format!("advanced by {by}"), "{config}");
        let why = decision["why"].as_str().unwrap();
        assert!(
            !why.contains("the evidence is there"),
            "there was no request: {why}"
        );
    }
}
