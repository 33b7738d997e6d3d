//! Scenarios as text: what happens, line by line, and what the rollout makes of it.

use std::time::Duration;

use traffic::Weight;

use super::world::{Event, World};
use crate::plan::{HeaderMatch, TextMatch};
use crate::{
    Acceptance, Deadline, EvidenceStep, HeaderRoute, Judgement, OnInconclusive, Revision, Step,
    Steps, Terms, Verb,
};

/// Runs `scenario`, whose first line is the steps, and compares the transcript from when `v1` serves.
#[track_caller]
pub(crate) fn check(scenario: &'static str, expected: &str) {
    let mut lines = scenario
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty());
    let mut world = World::new(steps(lines.next().unwrap().strip_prefix("steps").unwrap()));
    world.transcript.clear();
    for line in lines {
        world.happen(event(line));
    }
    let expected: Vec<_> = expected
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    assert!(
        world.transcript == expected,
        "found:\n{}\nexpected:\n{}",
        world.transcript.join("\n"),
        expected.join("\n")
    );
}

fn event(line: &'static str) -> Event {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let words = |text: &str| text.to_owned();
    match (word, rest) {
        ("steps", rest) => Event::Steps(steps(rest)),
        ("revision", revision) => Event::Revision(revision),
        ("spec.paused", paused) => Event::SpecPaused(paused.parse().unwrap()),
        ("guard", "off") => Event::Guard(false),
        ("canary-endpoints", n) => Event::CanaryEndpoints(n.parse().unwrap()),
        ("stable-endpoints", n) => Event::StableEndpoints(n.parse().unwrap()),
        ("proxies", "lag") => Event::Proxies(false),
        ("proxies", "follow") => Event::Proxies(true),
        ("verdict", "none") => Event::Judge(Judgement::Undecided),
        ("verdict", why) => Event::Judge(Judgement::RollBack { why: words(why) }),
        ("trip", why) => Event::Judge(Judgement::Tripped { why: words(why) }),
        ("hold", why) => Event::Judge(Judgement::Hold { why: words(why) }),
        ("forward", why) => Event::Judge(Judgement::RollForward { why: words(why) }),
        ("evidence", "met") => Event::Accept(Acceptance::Met),
        ("evidence", "pending") => Event::Accept(Acceptance::Pending),
        ("wait", time) => Event::Wait(duration(time)),
        ("promote", "") => Event::Verb(Verb::Promote),
        ("promote", "--full") => Event::Verb(Verb::PromoteFull),
        ("pause", "") => Event::Verb(Verb::Pause),
        ("resume", "") => Event::Verb(Verb::Resume),
        ("abort", by) => Event::Verb(Verb::Abort { by: words(by) }),
        ("retry", "") => Event::Verb(Verb::Retry),
        ("undo", to) => Event::Verb(Verb::Undo {
            by: "alice".to_owned(),
            to: (!to.is_empty()).then(|| Revision::new(to)),
        }),
        ("watch", time) => terms(|terms| terms.watch = duration(time)),
        ("window", revisions) => terms(|terms| terms.rollback_window = revisions.parse().unwrap()),
        ("deadline", time) => terms(|terms| terms.deadline = deadline(time, false)),
        ("deadline-abort", time) => terms(|terms| terms.deadline = deadline(time, true)),
        ("restart", "") => Event::Restart,
        _ => panic!("{line} is no event"),
    }
}

fn terms(change: impl FnOnce(&mut Terms)) -> Event {
    let mut terms = Terms::default();
    change(&mut terms);
    Event::Terms(terms)
}

fn deadline(time: &str, abort: bool) -> Deadline {
    Deadline {
        after: Some(duration(time)),
        abort,
    }
}

fn steps(text: &str) -> Steps {
    let steps = text
        .split(',')
        .map(str::trim)
        .filter(|step| !step.is_empty())
        .map(step)
        .collect();
    Steps::new(steps, text).unwrap()
}

fn step(text: &str) -> Step {
    let words: Vec<_> = text.split(' ').collect();
    match words[..] {
        ["pause"] => Step::Pause(None),
        ["pause", time] => Step::Pause(Some(duration(time))),
        ["route", name] => header_route(name, true),
        ["unroute", name] => header_route(name, false),
        ["evidence", least, longest, then] => Step::Evidence(EvidenceStep {
            harm_budget: 0.005,
            beta: 0.05,
            min_duration: duration(least),
            max_duration: duration(longest),
            on_inconclusive: match then {
                "hold" => OnInconclusive::Hold,
                "promote" => OnInconclusive::Promote,
                _ => OnInconclusive::Abort,
            },
        }),
        ["scale"] => Step::NoEffect {
            name: "setCanaryScale".to_owned(),
        },
        [percent] => {
            let percent = percent.strip_suffix('%').unwrap().parse().unwrap();
            Step::SetWeight(Weight::from_percent(percent).unwrap())
        }
        _ => panic!("{text} is no step"),
    }
}

fn header_route(name: &str, set: bool) -> Step {
    let condition = HeaderMatch {
        name: "x-beta".to_owned(),
        value: TextMatch::Exact("yes".to_owned()),
    };
    Step::SetHeaderRoute(HeaderRoute {
        name: name.to_owned(),
        matches: if set { vec![condition] } else { Vec::new() },
    })
}

fn duration(text: &str) -> Duration {
    Duration::from_secs(text.strip_suffix('s').unwrap().parse().unwrap())
}
