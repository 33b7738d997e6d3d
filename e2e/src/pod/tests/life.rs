//! Lives of Pods.

use super::*;

/// At a time, something happens (or only time has passed); then this is the summary, and these are the orders.
type Line<'a> = (i64, Option<Event>, &'a str, &'a str);

fn check(name: &str, spec: &Value, lines: &[Line<'_>]) {
    let mut machine = machine(spec);
    for (millis, event, expected, orders) in lines {
        let now = at(*millis);
        if let Some(event) = event {
            machine.take(event, now);
        }
        let turn = machine.turn(now);
        let found: Vec<_> = turn
            .orders
            .iter()
            .map(|(container, order)| format!("{container}:{}", told(*order)))
            .collect();
        let gone = if turn.is_gone { " gone" } else { "" };
        let found = (summary(&status(&machine, &[], now)), found.join(" ") + gone);
        assert_eq!(
            found,
            ((*expected).to_owned(), (*orders).to_owned()),
            "{name}, at {millis} ms"
        );
    }
}

fn told(order: Order) -> String {
    match order {
        Order::Start { .. } => "start".to_owned(),
        Order::Probe { kind, .. } => format!("{kind:?}").to_lowercase(),
        Order::PreStop { .. } => "prestop".to_owned(),
        Order::Term { .. } => "term".to_owned(),
        Order::Kill { .. } => "kill".to_owned(),
    }
}

fn started(container: usize, run: i32) -> Option<Event> {
    Some(Event::Started { container, run })
}

fn exited(container: usize, run: i32, code: i32) -> Option<Event> {
    Some(Event::Exited {
        container,
        run,
        code,
        refused: None,
    })
}

fn probed(kind: ProbeKind, passed: bool) -> Option<Event> {
    Some(Event::Probed {
        container: 0,
        run: 0,
        kind,
        passed,
    })
}

fn deleted(seconds: u64) -> Option<Event> {
    Some(Event::Deleted {
        grace: Duration::from_secs(seconds),
    })
}

#[test]
fn a_server_starts_and_is_deleted() {
    let spec = json!({"containers": [{"name": "a", "image": "sluice/demo:blue"}]});
    check(
        "deleted while it runs",
        &spec,
        &[
            (0, None, "Pending a:ContainerCreating", ""),
            (299, None, "Pending a:ContainerCreating", ""),
            (300, None, "Pending a:ContainerCreating", "0:start"),
            (400, started(0, 0), "Running Ready a:running!", ""),
            (5_000, deleted(30), "Running Ready a:running!", "0:term"),
            (6_000, None, "Running Ready a:running!", ""),
            (7_000, exited(0, 0, 0), "Succeeded a:Completed(0)", " gone"),
        ],
    );
    check(
        "deaf to TERM",
        &spec,
        &[
            (300, None, "Pending a:ContainerCreating", "0:start"),
            (400, started(0, 0), "Running Ready a:running!", ""),
            (5_000, deleted(2), "Running Ready a:running!", "0:term"),
            (6_999, None, "Running Ready a:running!", ""),
            (7_000, None, "Running Ready a:running!", "0:kill"),
            (7_100, exited(0, 0, 137), "Failed a:Error(137)", " gone"),
        ],
    );
    check(
        "deleted in less time than at first",
        &spec,
        &[
            (300, None, "Pending a:ContainerCreating", "0:start"),
            (400, started(0, 0), "Running Ready a:running!", ""),
            (5_000, deleted(30), "Running Ready a:running!", "0:term"),
            (6_000, deleted(0), "Running Ready a:running!", "0:kill"),
        ],
    );
    check(
        "deleted before it was started",
        &spec,
        &[(100, deleted(30), "Failed a:ContainerCreating", " gone")],
    );
    check(
        "deleted while it is started",
        &spec,
        &[
            (300, None, "Pending a:ContainerCreating", "0:start"),
            (310, deleted(30), "Pending a:ContainerCreating", ""),
            (400, started(0, 0), "Running Ready a:running!", "0:term"),
            (500, exited(0, 0, 143), "Failed a:Error(143)", " gone"),
        ],
    );
}

#[test]
fn what_is_to_be_done_before_the_end_is_done_first() {
    let lifecycle = json!({"preStop": {"sleep": {"seconds": 5}}});
    let spec = json!({"containers": [{"name": "a", "image": "nginx", "lifecycle": lifecycle}]});
    let done = Some(Event::PreStopDone {
        container: 0,
        run: 0,
    });
    check(
        "in time",
        &spec,
        &[
            (300, None, "Pending a:ContainerCreating", "0:start"),
            (400, started(0, 0), "Running Ready a:running!", ""),
            (1_000, deleted(30), "Running Ready a:running!", "0:prestop"),
            (6_000, done.clone(), "Running Ready a:running!", "0:term"),
        ],
    );
    check(
        "too late",
        &spec,
        &[
            (300, None, "Pending a:ContainerCreating", "0:start"),
            (400, started(0, 0), "Running Ready a:running!", ""),
            (1_000, deleted(2), "Running Ready a:running!", "0:prestop"),
            (3_000, None, "Running Ready a:running!", "0:kill"),
            (3_001, done, "Running Ready a:running!", ""),
        ],
    );
}

#[test]
fn crashes_are_waited_with_ever_longer() {
    let spec = json!({"containers": [{"name": "a", "image": "sluice/demo:blue"}]});
    check(
        "always",
        &spec,
        &[
            (300, None, "Pending a:ContainerCreating", "0:start"),
            (400, started(0, 0), "Running Ready a:running!", ""),
            (
                1_000,
                exited(0, 0, 1),
                "Running a:ContainerCreating*1",
                "0:start",
            ),
            (1_100, started(0, 1), "Running Ready a:running*1!", ""),
            (2_000, exited(0, 1, 1), "Running a:CrashLoopBackOff*1", ""),
            (11_999, None, "Running a:CrashLoopBackOff*1", ""),
            (12_000, None, "Running a:ContainerCreating*2", "0:start"),
            (12_100, started(0, 2), "Running Ready a:running*2!", ""),
            // Said of an earlier run.
            (12_200, exited(0, 1, 1), "Running Ready a:running*2!", ""),
            (13_000, exited(0, 2, 0), "Running a:CrashLoopBackOff*2", ""),
            (32_999, None, "Running a:CrashLoopBackOff*2", ""),
            (33_000, None, "Running a:ContainerCreating*3", "0:start"),
            // It ran well for ten minutes.
            (33_100, started(0, 3), "Running Ready a:running*3!", ""),
            (
                733_100,
                exited(0, 3, 1),
                "Running a:ContainerCreating*4",
                "0:start",
            ),
        ],
    );
    let refused = Event::Exited {
        container: 0,
        run: 0,
        code: 128,
        refused: Some("no such file".to_owned()),
    };
    check(
        "cannot be started",
        &json!({"restartPolicy": "Never", "containers": [{"name": "a", "command": ["x"]}]}),
        &[
            (300, None, "Pending a:ContainerCreating", "0:start"),
            (400, Some(refused), "Failed a:StartError(128)", ""),
        ],
    );
}

#[test]
fn what_cannot_be_pulled_is_tried_again() {
    let spec = json!({"containers": [{"name": "a", "image": "sluice/demo:missing"}, {"name": "b", "image": "nginx"}]});
    check(
        "a missing image",
        &spec,
        &[
            (
                300,
                None,
                "Pending a:ErrImagePull b:ContainerCreating",
                "1:start",
            ),
            (400, started(1, 0), "Pending a:ErrImagePull b:running!", ""),
            (1_300, None, "Pending a:ImagePullBackOff b:running!", ""),
            (10_300, None, "Pending a:ErrImagePull b:running!", ""),
            (11_300, None, "Pending a:ImagePullBackOff b:running!", ""),
            (30_299, None, "Pending a:ImagePullBackOff b:running!", ""),
            (30_300, None, "Pending a:ErrImagePull b:running!", ""),
        ],
    );
}

#[test]
fn jobs_run_to_an_exit_code() {
    let spec = |policy: &str| json!({"restartPolicy": policy, "containers": [{"name": "a", "command": ["true"]}]});
    let begin = [
        (300, None, "Pending a:ContainerCreating", "0:start"),
        (400, started(0, 0), "Running Ready a:running!", ""),
    ];
    let check =
        |policy: &str, lines: &[Line<'_>]| check(policy, &spec(policy), &[&begin, lines].concat());
    check(
        "Never",
        &[(500, exited(0, 0, 0), "Succeeded a:Completed(0)", "")],
    );
    check(
        "Never",
        &[
            (500, exited(0, 0, 3), "Failed a:Error(3)", ""),
            (600, deleted(30), "Failed a:Error(3)", " gone"),
        ],
    );
    check(
        "OnFailure",
        &[
            (
                500,
                exited(0, 0, 3),
                "Running a:ContainerCreating*1",
                "0:start",
            ),
            (600, started(0, 1), "Running Ready a:running*1!", ""),
            (700, exited(0, 1, 0), "Succeeded a:Completed(0)*1", ""),
        ],
    );
}

#[test]
fn containers_start_in_order() {
    let spec = json!({
        "restartPolicy": "Never",
        "initContainers": [{"name": "i", "command": ["x"]}, {"name": "s", "image": "y", "restartPolicy": "Always"}],
        "containers": [{"name": "a", "command": ["z"]}],
    });
    check(
        "all well",
        &spec,
        &[
            (
                300,
                None,
                "Pending i:ContainerCreating s:ContainerCreating a:PodInitializing",
                "0:start",
            ),
            (
                400,
                started(0, 0),
                "Pending i:running s:ContainerCreating a:PodInitializing",
                "",
            ),
            (
                500,
                exited(0, 0, 0),
                "Pending i:Completed(0)! s:ContainerCreating a:PodInitializing",
                "1:start",
            ),
            (
                600,
                started(1, 0),
                "Pending i:Completed(0)! s:running! a:ContainerCreating",
                "2:start",
            ),
            (
                700,
                started(2, 0),
                "Running Ready i:Completed(0)! s:running! a:running!",
                "",
            ),
            (
                800,
                exited(2, 0, 0),
                "Succeeded i:Completed(0)! s:running! a:Completed(0)",
                "1:term",
            ),
            (
                900,
                exited(1, 0, 0),
                "Succeeded i:Completed(0)! s:Completed(0) a:Completed(0)",
                "",
            ),
        ],
    );
    check(
        "the first fails",
        &spec,
        &[
            (
                300,
                None,
                "Pending i:ContainerCreating s:ContainerCreating a:PodInitializing",
                "0:start",
            ),
            (
                400,
                started(0, 0),
                "Pending i:running s:ContainerCreating a:PodInitializing",
                "",
            ),
            (
                500,
                exited(0, 0, 1),
                "Failed i:Error(1) s:ContainerCreating a:PodInitializing",
                "",
            ),
        ],
    );
    check(
        "sidecars end last",
        &spec,
        &[
            (
                300,
                None,
                "Pending i:ContainerCreating s:ContainerCreating a:PodInitializing",
                "0:start",
            ),
            (
                400,
                started(0, 0),
                "Pending i:running s:ContainerCreating a:PodInitializing",
                "",
            ),
            (
                500,
                exited(0, 0, 0),
                "Pending i:Completed(0)! s:ContainerCreating a:PodInitializing",
                "1:start",
            ),
            (
                600,
                started(1, 0),
                "Pending i:Completed(0)! s:running! a:ContainerCreating",
                "2:start",
            ),
            (
                700,
                started(2, 0),
                "Running Ready i:Completed(0)! s:running! a:running!",
                "",
            ),
            (
                800,
                deleted(30),
                "Running Ready i:Completed(0)! s:running! a:running!",
                "2:term",
            ),
            (
                900,
                exited(2, 0, 0),
                "Succeeded i:Completed(0)! s:running! a:Completed(0)",
                "1:term",
            ),
            (
                950,
                exited(1, 0, 0),
                "Succeeded i:Completed(0)! s:Completed(0) a:Completed(0)",
                " gone",
            ),
        ],
    );
}

#[test]
fn probes_decide() {
    use ProbeKind::{Liveness, Readiness, Startup};
    let probe = json!({"httpGet": {"port": 8080}, "periodSeconds": 1, "failureThreshold": 2});
    let with = |name: &str| json!({"containers": [{"name": "a", "image": "nginx", name: probe}]});
    let start = (300, None, "Pending a:ContainerCreating", "0:start");
    check(
        "readiness",
        &with("readinessProbe"),
        &[
            start.clone(),
            (400, started(0, 0), "Running a:running", "0:readiness"),
            (500, probed(Readiness, true), "Running Ready a:running!", ""),
            (1_500, None, "Running Ready a:running!", "0:readiness"),
            (
                1_500,
                probed(Readiness, false),
                "Running Ready a:running!",
                "",
            ),
            (2_500, None, "Running Ready a:running!", "0:readiness"),
            (2_500, probed(Readiness, false), "Running a:running", ""),
        ],
    );
    check(
        "liveness",
        &with("livenessProbe"),
        &[
            start.clone(),
            (400, started(0, 0), "Running Ready a:running!", "0:liveness"),
            (400, probed(Liveness, false), "Running Ready a:running!", ""),
            (1_400, None, "Running Ready a:running!", "0:liveness"),
            (
                1_400,
                probed(Liveness, false),
                "Running Ready a:running!",
                "0:term",
            ),
            (2_400, None, "Running Ready a:running!", ""),
            (31_400, None, "Running Ready a:running!", "0:kill"),
            (
                31_500,
                exited(0, 0, 137),
                "Running a:ContainerCreating*1",
                "0:start",
            ),
            (
                31_600,
                started(0, 1),
                "Running Ready a:running*1!",
                "0:liveness",
            ),
        ],
    );
    check(
        "startup",
        &with("startupProbe"),
        &[
            start,
            (400, started(0, 0), "Running a:running", "0:startup"),
            (500, probed(Startup, false), "Running a:running", ""),
            (1_500, None, "Running a:running", "0:startup"),
            (1_600, probed(Startup, true), "Running Ready a:running!", ""),
        ],
    );
}

#[test]
fn gates_hold_back_what_is_ready_otherwise() {
    let spec = json!({"containers": [{"name": "a"}], "readinessGates": [{"conditionType": "x/y"}]});
    let mut machine = machine(&spec);
    machine.turn(at(300));
    machine.take(
        &Event::Started {
            container: 0,
            run: 0,
        },
        at(300),
    );
    let gate = |status: &str| PodCondition {
        type_: "x/y".to_owned(),
        status: status.to_owned(),
        ..PodCondition::default()
    };
    let check = |conditions: &[PodCondition], expected: &str| {
        let found = status(&machine, conditions, at(400));
        let mut conditions = found.conditions.iter().flatten();
        let ready = conditions
            .find(|condition| condition.type_ == "Ready")
            .unwrap();
        let told = format!(
            "{} {}",
            ready.status,
            ready.message.clone().unwrap_or_default()
        );
        assert_eq!(told, expected);
        assert!(is_true(&found, "ContainersReady"));
    };
    check(
        &[],
        "False corresponding condition of pod readiness gate \"x/y\" does not exist.",
    );
    check(
        &[gate("False")],
        "False the status of pod readiness gate \"x/y\" is not \"True\", but False",
    );
    check(&[gate("True")], "True ");
}

#[test]
fn conditions_keep_the_time_of_their_change() {
    let mut machine = machine(&json!({"containers": [{"name": "a"}]}));
    machine.turn(at(300));
    machine.take(
        &Event::Started {
            container: 0,
            run: 0,
        },
        at(400),
    );
    let first = status(&machine, &[], at(400));
    let conditions = first.conditions.clone().unwrap();
    assert_eq!(status(&machine, &conditions, at(9_000)), first);
    machine.take(
        &Event::Exited {
            container: 0,
            run: 0,
            code: 1,
            refused: None,
        },
        at(9_000),
    );
    let second = status(&machine, &conditions, at(9_000));
    let time = |status: &PodStatus, kind: &str| {
        let mut conditions = status.conditions.iter().flatten();
        conditions
            .find(|condition| condition.type_ == kind)
            .and_then(|found| found.last_transition_time.clone())
            .unwrap()
            .0
    };
    assert_eq!(
        (time(&second, "Initialized"), time(&second, "Ready")),
        (at(400), at(9_000))
    );
    let patch = patch("u", &first);
    let reasons: Vec<_> = patch["status"]["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one.get("reason"))
        .collect();
    assert_eq!(
        reasons,
        vec![Some(&Value::Null); 4],
        "what is no longer so is taken away"
    );
}
