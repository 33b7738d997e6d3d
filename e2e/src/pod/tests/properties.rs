//! What holds for every Pod, whatever happens to it.

use super::*;

fn events() -> impl Strategy<Value = Event> {
    let of = || (0..3_usize, 0..3_i32);
    let kind = prop_oneof![
        proptest::strategy::Just(ProbeKind::Startup),
        proptest::strategy::Just(ProbeKind::Readiness),
        proptest::strategy::Just(ProbeKind::Liveness),
    ];
    prop_oneof![
        4 => of().prop_map(|(container, run)| Event::Started { container, run }),
        3 => (of(), 0..2).prop_map(|((container, run), code)| Event::Exited { container, run, code, refused: None }),
        3 => (of(), kind, any::<bool>()).prop_map(|((container, run), kind, passed)| {
            Event::Probed { container, run, kind, passed }
        }),
        1 => of().prop_map(|(container, run)| Event::PreStopDone { container, run }),
        1 => (0..40_u64).prop_map(|seconds| Event::Deleted { grace: Duration::from_secs(seconds) }),
    ]
}

fn specs() -> impl Strategy<Value = Value> {
    let policy = prop_oneof!["Always", "OnFailure", "Never"];
    (policy, any::<[bool; 4]>()).prop_map(|(policy, [is_sidecar, is_missing, is_probed, has_hook])| {
        let probe = is_probed.then(|| json!({"tcpSocket": {"port": 1}, "periodSeconds": 1}));
        let hook = has_hook.then(|| json!({"preStop": {"sleep": {"seconds": 1}}}));
        json!({
            "restartPolicy": policy,
            "initContainers": [{"name": "i", "restartPolicy": is_sidecar.then_some("Always"), "startupProbe": probe}],
            "containers": [
                {"name": "a", "livenessProbe": probe, "readinessProbe": probe, "lifecycle": hook},
                {"name": "b", "image": if is_missing { "x:missing" } else { "x" }},
            ],
        })
    })
}

proptest! {
    #[test]
    fn whatever_happens(spec in specs(), events in prop::collection::vec((0..20_000_i64, events()), 0..60)) {
        let mut machine = machine(&spec);
        let mut now = 0;
        let mut has_ended = None;
        for (later, event) in events {
            now += later;
            machine.take(&event, at(now));
            let turn = machine.turn(at(now));
            let again = machine.turn(at(now));
            prop_assert!(again.orders.is_empty(), "a second look changes nothing: {:?}", again);
            prop_assert_eq!((again.wake_at, again.is_gone), (turn.wake_at, turn.is_gone));
            prop_assert!(turn.wake_at.is_none_or(|wake_at| wake_at > at(now)), "{:?} at {now}", turn);
            let status = status(&machine, &[], at(now));
            let mut containers = status.container_statuses.iter().flatten();
            prop_assert!(!is_true(&status, "Ready") || containers.all(|container| container.ready), "{}", summary(&status));
            let phase = status.phase.unwrap();
            let is_final = phase == "Succeeded" || phase == "Failed";
            prop_assert!(has_ended.is_none_or(|ended| ended == phase), "{phase} is left");
            prop_assert!(is_final || !turn.is_gone, "{phase} when it is gone");
            has_ended = is_final.then_some(phase);
        }
    }
}
