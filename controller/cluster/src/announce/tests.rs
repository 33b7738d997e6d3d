use super::{Announcer, LANES, WAITING, object, places};
use crate::{key::Key, metrics::Counts};
use controller::reconcile::Event;
use serde_json::json;
use std::sync::Arc;

fn announce(announcer: &Announcer) {
    let event = Event {
        warns: true,
        reason: "RolloutAborted",
        message: "errors".into(),
    };
    announcer.announce(&Key::new("prod", "shop"), &"u0".into(), event);
}

#[test]
fn it_is_an_event_of_the_rollout() {
    let (announcer, lanes) = Announcer::new(Arc::new(Counts::default()));
    announce(&announcer);
    let mut lanes = lanes.into_iter();
    let mut announcement = lanes.find_map(|mut lane| lane.try_recv().ok()).unwrap();
    announcement.at = "2026-01-02T03:04:05.6Z".parse().unwrap();
    let expected = json!({
        "apiVersion": "v1", "kind": "Event",
        "metadata": {"namespace": "prod", "name": "shop.ff"},
        "involvedObject": {
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "namespace": "prod", "name": "shop", "uid": "u0",
        },
        "type": "Warning", "reason": "RolloutAborted", "message": "errors", "count": 1,
        "firstTimestamp": "2026-01-02T03:04:05Z", "lastTimestamp": "2026-01-02T03:04:05Z",
        "source": {"component": "sluice-controller"},
        "reportingComponent": "sluice-controller", "reportingInstance": "me",
    });
    assert_eq!(object(&announcement, 255, "me"), expected);
}

#[test]
fn nobody_waits_and_what_is_lost_is_counted() {
    let counts = Arc::new(Counts::default());
    let (announcer, _announcements) = Announcer::new(Arc::clone(&counts));
    for _ in 0..WAITING + 3 {
        announce(&announcer);
    }
    assert_eq!(counts.events_lost(), 3);
}

#[test]
fn those_of_one_rollout_are_in_one_lane() {
    let (announcer, lanes) = Announcer::new(Arc::new(Counts::default()));
    for _ in 0..5 {
        announce(&announcer);
    }
    let waiting: Vec<usize> = lanes.iter().map(|lane| lane.len()).collect();
    assert!(waiting.contains(&5), "{waiting:?}");
}

#[test]
fn one_is_sent_at_a_time_while_there_is_work_unless_many_wait() {
    for (is_busy, waiting, at_once) in [
        (false, 0, LANES),
        (false, WAITING, LANES),
        (true, 0, 1),
        (true, WAITING / 2 - 1, 1),
        (true, WAITING / 2, LANES),
    ] {
        let places = places(is_busy, waiting) as usize;
        assert_eq!(LANES / places, at_once, "{is_busy} {waiting}");
    }
}
