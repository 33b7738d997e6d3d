//! What is told, and what not.

use super::*;
use crds::status::RolloutPhase;

fn rollout(spec: &Value, status: &Value) -> Rollout {
    let object = json!({
        "apiVersion": Rollout::API_VERSION,
        "kind": Rollout::KIND,
        "metadata": {"name": "shop"},
        "spec": spec,
        "status": status,
    });
    serde_json::from_value(object).unwrap()
}

#[test]
fn a_promotion_is_told_as_the_controller_understands_it() {
    let canary = json!({"strategy": {"canary": {"steps": [{"setWeight": 1}, {"pause": {}}]}}});
    let blue_green = json!({"strategy": {"blueGreen": {"activeService": "a"}}});
    let paused = json!({"pauseConditions": [
        {"reason": "CanaryPauseStep", "startTime": "2026-11-29T00:00:00Z"},
    ]});
    let mut inconclusive = paused.clone();
    inconclusive["controllerPause"] = json!(true);
    inconclusive["currentStepIndex"] = json!(1);
    let run = json!({"name": "run", "status": "Inconclusive"});
    inconclusive["canary"] = json!({"currentStepAnalysisRunStatus": run});
    for (spec, status, told) in [
        (
            &canary,
            paused.clone(),
            Some(json!({"pauseConditions": null})),
        ),
        (
            &canary,
            json!({"currentStepIndex": 0}),
            Some(json!({"pauseConditions": null, "currentStepIndex": 1})),
        ),
        (
            &canary,
            json!({"currentStepIndex": 2}),
            Some(json!({"pauseConditions": null, "currentStepIndex": 2})),
        ),
        (
            &canary,
            inconclusive,
            Some(json!({
                "pauseConditions": null, "controllerPause": false, "currentStepIndex": 2,
            })),
        ),
        (&blue_green, paused, Some(json!({"pauseConditions": null}))),
        (&blue_green, json!({}), None),
    ] {
        let told = told.map(|status| Patch::Status(json!({"status": status})));
        let told: Vec<_> = told.into_iter().collect();
        let patches = patches(&Verb::Promote, &rollout(spec, &status), None).unwrap();
        assert_eq!(patches, told, "{status}");
    }
}

#[test]
fn who_is_paused_by_the_spec_is_let_go() {
    let spec = json!({"paused": true, "strategy": {"canary": {}}});
    let status = json!({"currentPodHash": "b", "stableRS": "a"});
    let go = Patch::Spec(json!({"spec": {"paused": false}}));
    let full = Patch::Status(json!({"status": {"promoteFull": true}}));
    let rollout = rollout(&spec, &status);
    let told = |verb| patches(&verb, &rollout, None).unwrap();
    assert_eq!(told(Verb::PromoteFull), [full, go.clone()]);
    assert_eq!(told(Verb::Promote), [go]);
}

#[test]
fn images_are_set_where_the_template_is() {
    let template = json!({"spec": {
        "initContainers": [{"name": "init", "image": "a:1"}],
        "containers": [{"name": "app", "image": "b:1", "args": ["x"]}],
    }});
    let own = rollout(&json!({"template": template}), &json!({}));
    let referring = rollout(&json!({"workloadRef": {"name": "shop"}}), &json!({}));
    let workload = Some(&template);
    let none = "its pod template has no containers".to_owned();
    for (rollout, workload, images, expected) in [
        (&own, None, &["app=c:2"][..], Ok(("a:1", "c:2"))),
        (&own, None, &["app=c:2", "init=d"], Ok(("d", "c:2"))),
        (&referring, workload, &["*=r/c:2"], Ok(("r/c:2", "r/c:2"))),
        (
            &own,
            None,
            &["app=c:2", "db=d"],
            Err("it has no container \"db\"; there are init, app".to_owned()),
        ),
        (&referring, None, &["app=c"], Err(none)),
    ] {
        let images = images.iter().map(|text| text.parse().unwrap()).collect();
        let told = patches(&Verb::SetImages(images), rollout, workload);
        let expected = expected.map(|(init, app)| {
            let mut wanted = template.clone();
            wanted["spec"]["initContainers"][0]["image"] = json!(init);
            wanted["spec"]["containers"][0]["image"] = json!(app);
            vec![Patch::Template(wanted)]
        });
        assert_eq!(told, expected);
    }
}

#[test]
fn an_image_is_said_in_one_way() {
    for wrong in ["", "app", "app=", "=b:1", "app=b=1", "app=b 1"] {
        let error = wrong.parse::<ContainerImage>().unwrap_err().to_string();
        assert!(error.starts_with(&format!("found {wrong:?}, allowed CONTAINER=IMAGE")));
    }
}

#[test]
fn what_is_told_at_once_asks_for_nothing_else() {
    let rollout = rollout(&json!({}), &json!({"phase": "Paused"}));
    let at: Time = "2026-11-29T01:02:03Z".parse().unwrap();
    for (verb, expected) in [
        (
            Verb::Abort,
            Patch::Status(json!({"status": {"abort": true}})),
        ),
        (
            Verb::Retry,
            Patch::Status(json!({"status": {"abort": false}})),
        ),
        (Verb::Pause, Patch::Spec(json!({"spec": {"paused": true}}))),
        (
            Verb::Restart(at),
            Patch::Spec(json!({"spec": {"restartAt": "2026-11-29T01:02:03Z"}})),
        ),
        (
            Verb::Undo(json!({"spec": {}})),
            Patch::Template(json!({"spec": {}})),
        ),
    ] {
        assert_eq!(patches(&verb, &rollout, None), Ok(vec![expected]));
    }
}

#[test]
fn a_status_that_cannot_be_read_is_not_told_to_go_on() {
    let rollout = rollout(&json!({}), &json!({"currentStepIndex": "two"}));
    let error = patches(&Verb::Promote, &rollout, None).unwrap_err();
    assert!(error.starts_with("its status cannot be read: "), "{error}");
}

fn replica_set(number: &str, image: &str) -> Value {
    json!({
        "metadata": {"annotations": {"rollout.argoproj.io/revision": number}},
        "spec": {"template": template(image, &json!({"rollouts-pod-template-hash": "abc"}))},
    })
}

fn template(image: &str, more: &Value) -> Value {
    let mut template = json!({
        "metadata": {"labels": {"app": "shop"}},
        "spec": {"containers": [{"name": "app", "image": image}]},
    });
    for (key, value) in more.as_object().unwrap() {
        template["metadata"]["labels"][key] = value.clone();
    }
    template
}

#[test]
fn the_way_back_is_to_a_revision_that_is_there() {
    let sets = [
        replica_set("3", "shop:3"),
        replica_set("1", "shop:1"),
        replica_set("two", "shop:2"),
        replica_set("12", "shop:12"),
    ];
    let all: Vec<_> = sets
        .iter()
        .filter_map(|set| Revision::of(set, &Value::Null))
        .collect();
    let to = |number: i64, image: &str| {
        let template = template(image, &json!({}));
        Ok(Back::To(Revision { number, template }))
    };
    let lacks = |why: &str| Err(why.to_owned());
    let alone = &all[..1];
    for (all, wanted, expected) in [
        (&all[..], None, to(3, "shop:3")),
        (&all, Some(0), to(3, "shop:3")),
        (&all, Some(1), to(1, "shop:1")),
        (&all, Some(12), Ok(Back::Already(12))),
        (
            &all,
            Some(2),
            lacks("it has no revision 2; there are 1, 3, 12"),
        ),
        (
            alone,
            None,
            lacks("it has no revision before the newest; there is 3"),
        ),
        (&[], Some(1), lacks("it has no revision 1; there is none")),
    ] {
        let current = template("shop:12", &json!({}));
        let found = Revision::back(all.to_vec(), &current, wanted);
        assert_eq!(found, expected, "{wanted:?}");
    }
}

/// What the controller put into a version's template does not come into the Rollout's.
#[test]
fn a_revision_is_as_the_rollout_had_it() {
    let term = json!({
        "labelSelector": {"matchExpressions": [
            {"key": "rollouts-pod-template-hash", "operator": "In", "values": ["abc"]},
        ]},
        "topologyKey": "kubernetes.io/hostname",
    });
    let theirs = json!({"labelSelector": {"matchLabels": {"app": "db"}}, "topologyKey": "zone"});
    let required = "requiredDuringSchedulingIgnoredDuringExecution";
    let preferred = "preferredDuringSchedulingIgnoredDuringExecution";
    let weighted = json!({"weight": 1, "podAffinityTerm": term});
    for (before, after) in [
        (json!({"podAntiAffinity": {required: [term]}}), Value::Null),
        (
            json!({"podAntiAffinity": {preferred: [weighted]}}),
            Value::Null,
        ),
        (
            json!({"podAntiAffinity": {required: [theirs, term]}}),
            json!({"podAntiAffinity": {required: [theirs]}}),
        ),
        (
            json!({"podAntiAffinity": {}}),
            json!({"podAntiAffinity": {}}),
        ),
    ] {
        let mut set = replica_set("1", "shop:1");
        let remembered = json!({"labels": {"role": "canary"}, "annotations": {"a": "b"}});
        set["metadata"]["annotations"]["rollout.argoproj.io/ephemeral-metadata"] =
            json!(remembered.to_string());
        set["spec"]["template"]["metadata"]["labels"]["role"] = json!("canary");
        set["spec"]["template"]["metadata"]["annotations"] = json!({"a": "b"});
        set["spec"]["template"]["spec"]["affinity"] = before;
        let mut expected = template("shop:1", &json!({}));
        if !after.is_null() {
            expected["spec"]["affinity"] = after;
        }
        assert_eq!(Revision::of(&set, &Value::Null).unwrap().template, expected);
    }
}

#[test]
fn what_the_controller_has_not_seen_counts_as_under_way() {
    let healthy = |seen: &str| json!({"observedGeneration": seen, "phase": "Healthy"});
    let resumed = json!({"observedGeneration": "3", "phase": "Paused", "controllerPause": true});
    let paused =
        json!({"observedGeneration": "3", "phase": "Paused", "message": "CanaryPauseStep"});
    use RolloutPhase::{Healthy, Paused, Progressing};
    for (status, phase, message) in [
        (healthy("3"), Healthy, ""),
        (
            healthy("2"),
            Progressing,
            "waiting for rollout spec update to be observed",
        ),
        (healthy("abc"), Healthy, ""),
        (resumed, Progressing, "waiting for rollout to unpause"),
        (paused, Paused, "CanaryPauseStep"),
        (json!({}), Progressing, "waiting for a controller"),
    ] {
        let mut rollout = rollout(&json!({}), &status);
        rollout.metadata.generation = Some(3);
        let found = standing(&rollout, &status_of(&rollout).unwrap());
        let message = message.to_owned();
        assert_eq!(found, Standing { phase, message }, "{status}");
    }
}

/// What an API server wrote into the ReplicaSet is no other version; what people wrote is.
#[test]
fn a_revision_has_the_hash_that_it_had() {
    let pull = |mut template: Value| {
        template["spec"]["containers"][0]["imagePullPolicy"] = json!("IfNotPresent");
        template
    };
    let none = json!({});
    let bare = template("shop:1", &none);
    let says = pull(template("shop:1", &none));
    for (written, current) in [
        (&bare, template("shop:2", &none)),
        (&says, pull(template("shop:2", &none))),
        (&bare, pull(template("shop:2", &none))),
    ] {
        let hash = crds::hash::pod_template(&crds::PodTemplate(written.clone()), None);
        let mut set = replica_set("1", "shop:1");
        set["metadata"]["labels"] = json!({"rollouts-pod-template-hash": hash});
        let spec = &mut set["spec"]["template"]["spec"];
        spec["restartPolicy"] = json!("Always");
        spec["securityContext"] = json!({});
        spec["containers"][0]["imagePullPolicy"] = json!("IfNotPresent");
        spec["containers"][0]["terminationMessagePolicy"] = json!("File");
        let found = Revision::of(&set, &current).unwrap().template;
        assert_eq!(found, *written, "{current}");
    }
}
