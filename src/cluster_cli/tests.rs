use super::{Plugin, Seen, args::Verb};
use crate::cli::{Cli, Command};
use clap::{CommandFactory as _, Parser as _, error::ErrorKind};
use cluster::operator::Picture;
use serde_json::{Value, json};
use std::time::Duration;

#[test]
fn the_command_line_is_consistent() {
    Plugin::command().debug_assert();
}

/// What scripts say to `kubectl argo rollouts` is understood, under both names.
#[test]
fn verbs_are_those_that_people_know() {
    for line in [
        "get rollout shop",
        "get ro shop -w -n prod",
        "get rollouts shop --no-color",
        "list rollouts -A",
        "list ro --watch",
        "status shop",
        "status shop -w --timeout 60s",
        "status shop --watch=false -t 1m",
        "promote shop",
        "promote shop --full",
        "abort shop web",
        "retry rollout shop web",
        "pause shop",
        "restart shop --in 10s",
        "undo shop --to-revision=3",
        "undo shop",
        "set image shop app=shop:2",
        "set image shop *=shop:2 init=init:1",
        "lint -f shop.yaml",
        "create -f shop.yaml -f template.yaml",
        "create analysisrun --from rate -a host=shop -a least=2",
        "create ar --global --from-file rate.yaml --name one --instance-id blue",
        "create analysisrun --from rate --generate-name two-",
        "terminate analysisrun a b",
        "terminate ar a",
        "terminate experiment a",
        "-n prod --context blue --kubeconfig file abort shop",
    ] {
        let words = || line.split_whitespace();
        let plugin = Plugin::try_parse_from(["kubectl-sluice"].into_iter().chain(words()));
        assert!(plugin.is_ok(), "{line}: {plugin:?}");
        let cli = Cli::try_parse_from(["sluice", "cluster"].into_iter().chain(words()));
        assert!(
            matches!(cli.unwrap().command, Command::Cluster(_)),
            "{line}"
        );
    }
}

#[test]
fn status_waits_unless_it_is_told_not_to() {
    for (line, watch, timeout) in [
        ("status shop", true, 0),
        ("status -w shop", true, 0),
        ("status --watch=true shop -t 2m", true, 120),
        ("status shop --watch=false", false, 0),
    ] {
        let words = ["kubectl-sluice"]
            .into_iter()
            .chain(line.split_whitespace());
        let Verb::Status(status) = Plugin::try_parse_from(words).unwrap().args.verb else {
            panic!("{line}");
        };
        let timeout = Duration::from_secs(timeout);
        assert_eq!((status.watch, status.timeout), (watch, timeout), "{line}");
    }
}

#[test]
fn wrong_usage_is_refused() {
    for (line, expected) in [
        ("get shop", ErrorKind::InvalidSubcommand),
        ("abort", ErrorKind::MissingRequiredArgument),
        ("set image shop app", ErrorKind::ValueValidation),
        ("set image shop", ErrorKind::MissingRequiredArgument),
        ("restart shop --in soon", ErrorKind::ValueValidation),
        ("undo shop --to-revision two", ErrorKind::ValueValidation),
        ("list rollouts -A -n prod", ErrorKind::ArgumentConflict),
        ("terminate analysisrun", ErrorKind::MissingRequiredArgument),
        ("create analysisrun", ErrorKind::MissingRequiredArgument),
        (
            "create analysisrun --from a --from-file b",
            ErrorKind::ArgumentConflict,
        ),
        (
            "create ar --from a --name b --generate-name c",
            ErrorKind::ArgumentConflict,
        ),
        ("create ar --from a -a host", ErrorKind::ValueValidation),
    ] {
        let words = ["kubectl-sluice"]
            .into_iter()
            .chain(line.split_whitespace());
        let error = Plugin::try_parse_from(words).unwrap_err();
        assert_eq!(error.kind(), expected, "{line}: {error}");
    }
}

fn seen(spec: &Value, status: &Value, sets: &[(&str, i64)]) -> Seen {
    let object = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
        "metadata": {"name": "shop", "namespace": "prod", "uid": "u0"},
        "spec": spec, "status": status,
    });
    let set = |(hash, available): &(&str, i64)| {
        json!({
            "metadata": {
                "name": format!("shop-{hash}"), "uid": hash,
                "labels": {"rollouts-pod-template-hash": hash},
                "ownerReferences": [{"uid": "u0", "controller": true}],
            },
            "spec": {
                "replicas": available,
                "template": {"spec": {"containers": [{"image": format!("shop:{hash}")}, {"image": "side"}]}},
            },
            "status": {"replicas": available, "availableReplicas": available},
        })
    };
    let picture = Picture {
        replica_sets: sets.iter().map(set).collect(),
        ..Picture::default()
    };
    Seen::read(&object, &picture).unwrap()
}

#[test]
fn weights_are_those_of_the_steps_and_of_what_is_there() {
    let steps = json!([{"setWeight": 20}, {"pause": {}}, {"setWeight": 60}]);
    let pods = json!({"strategy": {"canary": {"steps": steps}}});
    let routed = json!({"strategy": {"canary": {"steps": steps, "trafficRouting": {"maxTrafficWeight": 1000}}}});
    let at = |index: i32| json!({"currentStepIndex": index, "availableReplicas": 4, "stableRS": "a", "currentPodHash": "b"});
    let with = |mut status: Value, field: &str, value: Value| {
        status[field] = value;
        status
    };
    let split = json!({"weights": {"canary": {"weight": 150}, "stable": {"weight": 850}}});
    for (spec, status, set_weight, actual) in [
        (&pods, at(0), 20, 25),
        (&pods, at(1), 20, 25),
        (&pods, at(2), 60, 25),
        (&pods, at(3), 100, 100),
        (&pods, with(at(1), "abort", json!(true)), 0, 25),
        (&pods, with(at(1), "availableReplicas", json!(0)), 20, 0),
        (&routed, with(at(1), "canary", split), 20, 150),
        (&routed, at(1), 20, 20),
        (&routed, at(3), 1000, 1000),
    ] {
        let seen = seen(spec, &status, &[("a", 3), ("b", 1)]);
        let found = (seen.set_weight(), seen.actual_weight());
        assert_eq!(found, (Some(set_weight), Some(actual)), "{status}");
    }
}

#[test]
fn images_say_what_runs_them() {
    let spec = json!({"strategy": {"canary": {}}});
    let status = json!({"stableRS": "a", "currentPodHash": "b"});
    let seen = seen(&spec, &status, &[("a", 3), ("b", 1), ("c", 0)]);
    let images: Vec<String> = seen
        .images()
        .into_iter()
        .map(|(image, roles)| {
            let roles: Vec<_> = roles.iter().map(|role| role.word()).collect();
            format!("{image} {}", roles.join("+"))
        })
        .collect();
    assert_eq!(
        images,
        ["shop:a stable", "shop:b canary", "side stable+canary"]
    );
}

#[test]
fn roles_follow_the_strategy() {
    let services = json!({"pingService": "x", "pongService": "y"});
    let canary = json!({"strategy": {"canary": {"pingPong": services}}});
    let switch = json!({"strategy": {"blueGreen": {"activeService": "x", "previewService": "y"}}});
    let hashes = json!({"stableRS": "a", "currentPodHash": "b"});
    let with = |field: &str, value: Value| {
        let mut status = hashes.clone();
        status[field] = value;
        status
    };
    for (spec, status, a, b) in [
        (
            &canary,
            with("canary", json!({"stablePingPong": "ping"})),
            "stable ping",
            "canary pong",
        ),
        (
            &canary,
            with("canary", json!({"stablePingPong": "pong"})),
            "stable pong",
            "canary ping",
        ),
        (
            &switch,
            with(
                "blueGreen",
                json!({"activeSelector": "a", "previewSelector": "b"}),
            ),
            "stable active",
            "preview",
        ),
        (
            &switch,
            with(
                "blueGreen",
                json!({"activeSelector": "b", "previewSelector": "b"}),
            ),
            "stable",
            "active",
        ),
    ] {
        let seen = seen(spec, &status, &[("a", 1), ("b", 1)]);
        let words = |place: usize| {
            let roles = seen.sets[place].roles.iter().map(|role| role.word());
            roles.collect::<Vec<_>>().join(" ")
        };
        assert_eq!((words(0).as_str(), words(1).as_str()), (a, b), "{status}");
    }
}
