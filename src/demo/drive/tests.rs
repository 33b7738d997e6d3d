use jiff::Timestamp;

use super::{Act, Drive, Ending};
use crate::api::{DecisionView, RolloutView, VersionView};
use crate::demo::scenario::Name;
use crate::view::fixtures;

fn at(seconds: f64) -> Timestamp {
    fixtures::at(seconds)
}

fn decision(seconds: f64, word: &str, revision: &str) -> DecisionView {
    DecisionView {
        revision: revision.into(),
        served_after_ms: Some(2.0),
        ..fixtures::decision(seconds, word, 5.0, 0.0)
    }
}

fn view(
    phase: &str,
    stable: &str,
    canary: Option<&str>,
    decisions: &[DecisionView],
) -> RolloutView {
    let view = fixtures::healthy();
    let version = |revision: &str, service: &str| VersionView {
        revision: revision.into(),
        service: service.into(),
        ..view.stable.clone()
    };
    RolloutView {
        phase: phase.into(),
        stable: version(stable, "checkout-blue"),
        canary: canary.map(|canary| version(canary, "checkout-green")),
        decisions: decisions.to_vec(),
        ..view
    }
}

/// What the default story does when it sees these views at these seconds.
fn acts(drive: &mut Drive, seen: &[(f64, RolloutView)]) -> Vec<(f64, Act)> {
    let act =
        |(seconds, view): &(f64, RolloutView)| Some((*seconds, drive.see(view, at(*seconds))?));
    seen.iter().filter_map(act).collect()
}

fn ship(release: usize) -> Act {
    Act::Ship {
        release,
        stable: "checkout-blue".into(),
    }
}

#[test]
fn versions_go_out_one_after_the_other() {
    let mut drive = Drive::new(Name::Default.scenario());
    let deployed = decision(0.0, "deployed", "r1");
    let promoted = [
        deployed.clone(),
        decision(5.0, "started", "r2"),
        decision(30.0, "promoted", "r2"),
    ];
    let mut rolled_back = promoted.to_vec();
    rolled_back.extend([
        decision(34.0, "started", "r3"),
        decision(37.0, "rolled-back", "r3"),
    ]);
    let seen = [
        (0.0, view("Progressing", "r1", None, &[])),
        (
            0.5,
            view("Healthy", "r1", None, std::slice::from_ref(&deployed)),
        ),
        (
            4.0,
            view("Healthy", "r1", None, std::slice::from_ref(&deployed)),
        ),
        (
            4.6,
            view("Healthy", "r1", None, std::slice::from_ref(&deployed)),
        ),
        // The edit has not been seen yet: an old Healthy is no promotion.
        (
            4.7,
            view("Healthy", "r1", None, std::slice::from_ref(&deployed)),
        ),
        (5.1, view("Progressing", "r1", Some("r2"), &promoted[..2])),
        (30.1, view("Healthy", "r2", None, &promoted)),
        (31.0, view("Healthy", "r2", None, &promoted)),
        (33.2, view("Healthy", "r2", None, &promoted)),
        (33.9, view("Healthy", "r2", None, &promoted)),
        (
            34.1,
            view("Progressing", "r2", Some("r3"), &rolled_back[..4]),
        ),
        (37.1, view("Degraded", "r2", Some("r3"), &rolled_back)),
        (40.2, view("Degraded", "r2", Some("r3"), &rolled_back)),
        (41.0, view("Degraded", "r2", Some("r3"), &rolled_back)),
    ];
    let expected = [
        (4.6, ship(0)),
        (30.1, Act::Tell { release: 0 }),
        (33.2, ship(1)),
        (37.1, Act::Tell { release: 1 }),
        (40.2, Act::Finish),
    ];
    assert_eq!(acts(&mut drive, &seen), expected);
    let endings: Vec<Ending> = drive.endings().iter().map(|ended| ended.ending).collect();
    assert_eq!(endings, [Ending::Promoted, Ending::RolledBack]);
    assert_eq!(drive.endings()[1].at, at(37.0));
    assert_eq!(drive.endings()[1].shipped, at(33.2));
}

#[test]
fn a_pause_for_want_of_evidence_is_an_ending() {
    let mut drive = Drive::new(Name::LowTraffic.scenario());
    let started = decision(4.2, "started", "r2");
    let paused = RolloutView {
        evidence: fixtures::low_traffic().evidence,
        ..view("Paused", "r1", Some("r2"), std::slice::from_ref(&started))
    };
    let seen = [
        (0.0, view("Healthy", "r1", None, &[])),
        (4.0, view("Healthy", "r1", None, &[])),
        (
            4.3,
            view(
                "Progressing",
                "r1",
                Some("r2"),
                std::slice::from_ref(&started),
            ),
        ),
        (25.0, paused),
    ];
    assert_eq!(
        acts(&mut drive, &seen),
        [(4.0, ship(0)), (25.0, Act::Tell { release: 0 })]
    );
    assert_eq!(drive.endings()[0].ending, Ending::Held);
}

#[test]
fn a_hold_of_the_guard_is_an_ending_once_it_lasts() {
    let mut drive = Drive::new(Name::FailingStable.scenario());
    let started = decision(4.2, "started", "r2");
    let held = |seconds: f64| RolloutView {
        at: at(seconds),
        evidence: fixtures::hold().evidence,
        ..view(
            "Progressing",
            "r1",
            Some("r2"),
            std::slice::from_ref(&started),
        )
    };
    let seen = [
        (0.0, view("Healthy", "r1", None, &[])),
        (4.0, view("Healthy", "r1", None, &[])),
        (4.3, held(4.3)),
        (18.9, held(18.9)),
        (19.1, held(19.1)),
    ];
    assert_eq!(
        acts(&mut drive, &seen),
        [(4.0, ship(0)), (19.1, Act::Tell { release: 0 })]
    );
    assert_eq!(drive.endings()[0].ending, Ending::Held);
}

#[test]
fn what_becomes_known_late_is_learned() {
    let mut drive = Drive::new(Name::Slow.scenario());
    let unknown = DecisionView {
        served_after_ms: None,
        ..decision(8.0, "rolled-back", "r2")
    };
    let known = DecisionView {
        served_after_ms: Some(1.5),
        ..unknown.clone()
    };
    for (seconds, decisions) in [
        (0.0, vec![]),
        (4.0, vec![]),
        (8.1, vec![unknown]),
        (8.2, vec![known]),
    ] {
        drive.see(&view("Healthy", "r1", None, &decisions), at(seconds));
    }
    assert_eq!(drive.endings()[0].served_after_ms, Some(1.5));
}
