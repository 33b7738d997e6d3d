use super::{Scope, Verdict, answer};
use crate::instance::Instance;
use proptest::{collection::vec, prelude::*, sample::Index};
use serde_json::{Value, json};

/// A Rollout whose only step has this weight.
fn rollout(weight: i64) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
        "metadata": {"name": "shop", "namespace": "prod"},
        "spec": {
            "selector": {"matchLabels": {"app": "shop"}},
            "template": {
                "metadata": {"labels": {"app": "shop"}},
                "spec": {"containers": [{"name": "app", "image": "shop:1"}]},
            },
            "strategy": {"canary": {"steps": [{"setWeight": weight}]}},
        },
    })
}

fn with(mut rollout: Value, pointer: &str, value: Value) -> Value {
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    rollout.pointer_mut(parent).unwrap()[field] = value;
    rollout
}

fn review(operation: &str, old: Option<&Value>, new: Option<&Value>) -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "u1", "operation": operation, "namespace": "prod", "name": "shop", "dryRun": false,
            "kind": {"group": "argoproj.io", "version": "v1alpha1", "kind": "Rollout"},
            "resource": {"group": "argoproj.io", "version": "v1alpha1", "resource": "rollouts"},
            "userInfo": {"username": "somebody"}, "options": {"kind": "CreateOptions"},
            "object": new, "oldObject": old,
        },
    })
}

const WHY: &str = "spec.strategy.canary.steps[0].setWeight: found 101, allowed 0 to 100";

fn denied() -> Verdict {
    Verdict::Denied(WHY.to_owned())
}

fn check(review: &Value, scope: &Scope, expected: &Verdict) {
    let found = answer(review.to_string().as_bytes(), scope).unwrap();
    assert_eq!(found.verdict, *expected, "{review}");
}

#[test]
fn what_would_be_held_is_denied_where_that_is_news() {
    let (good, bad) = (rollout(20), rollout(101));
    let still = Verdict::AllowedStill(WHY.to_owned());
    let annotated = with(bad.clone(), "/metadata/annotations", json!({"a": "b"}));
    let aborted = with(bad.clone(), "/status", json!({"abort": true}));
    let going = with(
        bad.clone(),
        "/metadata/deletionTimestamp",
        json!("2026-01-01T00:00:00Z"),
    );
    let scaled = with(bad.clone(), "/spec/replicas", json!(3));
    let no_template = with(good.clone(), "/spec/template", Value::Null);
    let unreadable = with(good.clone(), "/spec/replicas", json!("two"));
    for (operation, old, new, expected) in [
        ("CREATE", None, Some(&good), Verdict::Allowed),
        ("CREATE", None, Some(&bad), denied()),
        (
            "CREATE",
            None,
            Some(&no_template),
            Verdict::Denied("spec.template: required".to_owned()),
        ),
        ("UPDATE", Some(&good), Some(&bad), denied()),
        ("UPDATE", Some(&bad), Some(&good), Verdict::Allowed),
        ("UPDATE", Some(&bad), Some(&bad), Verdict::Allowed),
        ("UPDATE", Some(&bad), Some(&annotated), Verdict::Allowed),
        ("UPDATE", Some(&bad), Some(&aborted), Verdict::Allowed),
        ("UPDATE", Some(&good), Some(&going), Verdict::Allowed),
        // Step by step, and by autoscalers.
        ("UPDATE", Some(&bad), Some(&scaled), still.clone()),
        ("UPDATE", Some(&unreadable), Some(&bad), still),
        ("DELETE", Some(&bad), None, Verdict::Allowed),
        ("CONNECT", None, Some(&bad), Verdict::Allowed),
    ] {
        let review = review(operation, old, new);
        check(&review, &Scope::default(), &expected);
    }
    let review = review("CREATE", None, Some(&unreadable)).to_string();
    match answer(review.as_bytes(), &Scope::default())
        .unwrap()
        .verdict
    {
        Verdict::Denied(why) => assert!(why.starts_with("spec.replicas: "), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn others_rollouts_pass_untouched() {
    let label = "argo-rollouts.argoproj.io/controller-instance-id";
    let labels = json!({label: "blue"});
    let (bare, labelled) = (
        rollout(101),
        with(rollout(101), "/metadata/labels", labels.clone()),
    );
    let (blue, nobody) = (Instance::named("blue").unwrap(), Instance::default());
    let here = Some("prod".to_owned());
    for (namespace, instance, new, expected) in [
        (None, &nobody, &bare, denied()),
        (None, &nobody, &labelled, Verdict::Allowed),
        (None, &blue, &bare, Verdict::Allowed),
        (None, &blue, &labelled, denied()),
        (here.clone(), &nobody, &bare, denied()),
        (Some("test".to_owned()), &nobody, &bare, Verdict::Allowed),
    ] {
        let scope = Scope {
            namespace,
            instance: instance.clone(),
            ..Scope::default()
        };
        check(&review("CREATE", None, Some(new)), &scope, &expected);
    }
    // Whoever gets it judges it.
    let scope = Scope {
        namespace: here,
        instance: blue,
        ..Scope::default()
    };
    let moved = with(rollout(20), "/metadata/labels", labels);
    check(
        &review("UPDATE", Some(&moved), Some(&labelled)),
        &scope,
        &denied(),
    );
}

#[test]
fn only_rollouts_themselves_are_judged() {
    for (pointer, value) in [
        ("/request/subResource", "status"),
        ("/request/resource/resource", "experiments"),
        ("/request/resource/group", "example.com"),
    ] {
        let review = with(
            review("CREATE", None, Some(&rollout(101))),
            pointer,
            json!(value),
        );
        check(&review, &Scope::default(), &Verdict::Allowed);
    }
}

#[test]
fn answers_are_reviews_of_the_same_request() {
    let respond = |old: Option<&Value>, new: &Value| {
        let operation = if old.is_none() { "CREATE" } else { "UPDATE" };
        let review = review(operation, old, Some(new)).to_string();
        answer(review.as_bytes(), &Scope::default())
            .unwrap()
            .review()
    };
    let of = |response: Value| json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response});
    let bad = rollout(101);
    assert_eq!(
        respond(None, &rollout(1)),
        of(json!({"uid": "u1", "allowed": true}))
    );
    assert_eq!(
        respond(None, &bad),
        of(json!({"uid": "u1", "allowed": false, "status": {
            "status": "Failure", "reason": "Invalid", "code": 422, "message": WHY,
        }}))
    );
    assert_eq!(
        respond(Some(&bad), &with(bad.clone(), "/spec/replicas", json!(2))),
        of(json!({"uid": "u1", "allowed": true, "warnings": [format!("still invalid: {WHY}")]}))
    );
}

#[test]
fn what_is_no_review_is_told_why() {
    let good = review("CREATE", None, Some(&rollout(1)));
    for (body, said) in [
        (String::new(), "EOF"),
        ("[]".to_owned(), "no AdmissionReview of admission.k8s.io/v1"),
        (json!({}).to_string(), "missing field `apiVersion`"),
        (
            r#"{"request":{"object":{"spec":"#.to_owned() + &"[".repeat(10_000),
            "recursion",
        ),
        (
            with(
                good.clone(),
                "/apiVersion",
                json!("admission.k8s.io/v1beta1"),
            )
            .to_string(),
            "found AdmissionReview of admission.k8s.io/v1beta1, allowed AdmissionReview of admission.k8s.io/v1",
        ),
        (
            with(good.clone(), "/request/uid", json!("")).to_string(),
            "request.uid",
        ),
        (
            with(good.clone(), "/request", Value::Null).to_string(),
            "null",
        ),
        (
            with(good, "/request/object/metadata/labels", json!(7)).to_string(),
            "invalid type",
        ),
    ] {
        let why = answer(body.as_bytes(), &Scope::default()).unwrap_err();
        assert!(why.to_string().contains(said), "{why}: not {said}");
    }
}

/// Any JSON, not deep.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::hash_map("[a-zA-Z]{0,8}", inner, 0..4)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// The pointers of all values in it.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(key, each)| (key.clone(), each))
            .collect(),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(index, each)| (index.to_string(), each))
            .collect(),
        _ => Vec::new(),
    };
    for (key, child) in children {
        let key = key.replace('~', "~0").replace('/', "~1");
        let at = format!("{at}/{key}");
        pointers(child, &at, found);
        found.push(at);
    }
}

proptest! {
    #[test]
    fn no_bytes_do_harm(bytes in vec(any::<u8>(), 0..200)) {
        prop_assert!(answer(&bytes, &Scope::default()).is_err());
    }

    /// Whatever is put wherever in a review, there is an answer or a reason.
    #[test]
    fn no_review_does_harm(places in vec((any::<Index>(), any_json()), 1..4), is_update: bool) {
        let (old, operation) = match is_update {
            true => (Some(rollout(20)), "UPDATE"),
            false => (None, "CREATE"),
        };
        let mut review = review(operation, old.as_ref(), Some(&rollout(30)));
        for (place, value) in places {
            let mut all = Vec::new();
            pointers(&review, "", &mut all);
            if !all.is_empty() {
                let at: &String = place.get(&all);
                *review.pointer_mut(at).unwrap() = value;
            }
        }
        if let Ok(answer) = answer(review.to_string().as_bytes(), &Scope::default()) {
            prop_assert_eq!(&answer.review()["response"]["uid"], &review["request"]["uid"]);
        }
    }

    /// A spec that is not touched passes, whatever it is.
    #[test]
    fn what_is_not_touched_passes(spec in any_json(), status in any_json()) {
        let before = with(rollout(1), "/spec", spec);
        let after = with(before.clone(), "/status", status);
        check(&review("UPDATE", Some(&before), Some(&after)), &Scope::default(), &Verdict::Allowed);
    }
}
