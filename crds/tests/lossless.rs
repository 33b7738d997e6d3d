//! Every field survives being read and written, and whatever is no field is told.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, its own functions too"
)]

use crds::sluice::{Evidence, ProxyOptions};
use crds::{
    AnalysisRun, AnalysisTemplate, ClusterAnalysisTemplate, Experiment, FieldPath, Proxy, Rollout,
    RolloutStatus, Segment, read,
};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestCaseError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const CANARY: &str = include_str!("fields/canary.json");
const BLUE_GREEN: &str = include_str!("fields/blue-green.json");
const STATUS: &str = include_str!("fields/status.json");
const ANALYSIS_TEMPLATE: &str = include_str!("fields/analysis-template.json");
const ANALYSIS_RUN: &str = include_str!("fields/analysis-run.json");
const EXPERIMENT: &str = include_str!("fields/experiment.json");
const PROXY: &str = include_str!("fields/proxy.json");
const OPTIONS: &str = include_str!("fields/options.json");
const EVIDENCE: &str = include_str!("fields/evidence.json");

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Reading keeps every field; what was written reads as the same again.
fn check_lossless<T: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug>(text: &str) {
    let value = json(text);
    let first = read::<T>(&value);
    assert_eq!(first.faults, []);
    assert_eq!(first.unknown, []);
    let written = serde_json::to_value(first.value.as_ref().unwrap()).unwrap();
    assert_eq!(written, value);
    assert_eq!(read::<T>(&written).value, first.value);
}

#[test]
fn every_field_survives() {
    check_lossless::<Rollout>(CANARY);
    check_lossless::<Rollout>(BLUE_GREEN);
    check_lossless::<RolloutStatus>(STATUS);
    check_lossless::<AnalysisTemplate>(ANALYSIS_TEMPLATE);
    check_lossless::<ClusterAnalysisTemplate>(ANALYSIS_TEMPLATE);
    check_lossless::<AnalysisRun>(ANALYSIS_RUN);
    check_lossless::<Experiment>(EXPERIMENT);
    check_lossless::<Proxy>(PROXY);
    check_lossless::<ProxyOptions>(OPTIONS);
    check_lossless::<Evidence>(EVIDENCE);
}

/// A newer controller may have written them.
#[test]
fn words_of_a_status_that_nobody_knows_survive() {
    let mut status = json(STATUS);
    for place in [
        "/phase",
        "/pauseConditions/0/reason",
        "/conditions/0/status",
        "/canary/stablePingPong",
        "/canary/currentStepAnalysisRunStatus/status",
        "/canary/stepPluginStatuses/0/operation",
        "/canary/stepPluginStatuses/0/phase",
        "/duration/completionStatus",
    ] {
        *status.pointer_mut(place).unwrap() = json!("Unheard");
    }
    check_lossless::<RolloutStatus>(&status.to_string());
}

#[test]
fn a_field_set_to_null_counts_as_absent() {
    let mut value = json(CANARY);
    let canary = value.pointer_mut("/spec/strategy/canary").unwrap();
    for field in [
        "steps",
        "trafficRouting",
        "dynamicStableScale",
        "maxSurge",
        "canaryService",
    ] {
        canary[field] = Value::Null;
    }
    let rollout = read::<Rollout>(&value).value.unwrap();
    let canary = rollout.spec.strategy.unwrap().canary.unwrap();
    assert!(canary.steps.is_empty());
    assert_eq!(canary.traffic_routing, None);
    assert_eq!(canary.dynamic_stable_scale, None);
    assert_eq!(canary.max_surge, None);
    assert_eq!(canary.canary_service, None);
}

#[test]
fn the_words_of_yaml_1_1_are_booleans_where_a_boolean_is_wanted() {
    let mut value = json(CANARY);
    value["spec"]["paused"] = json!("yes");
    value["spec"]["progressDeadlineAbort"] = json!("Off");
    let spec = read::<Rollout>(&value).value.unwrap().spec;
    assert_eq!(spec.paused, Some(true));
    assert_eq!(spec.progress_deadline_abort, Some(false));
}

#[test]
fn every_fault_is_told_with_its_path() {
    let mut value = json(CANARY);
    value["spec"]["replicas"] = json!("three");
    value["spec"]["paused"] = json!("perhaps");
    value["spec"]["strategy"]["canary"]["steps"] = json!([
        {"setWeight": "ten"},
        7,
        {"setHeaderRoute": {"name": "r", "match": [{"headerValue": {}}, {"headerName": 1}]}},
        "x",
        {"plugin": {"config": {}}},
        {"setWeigth": 1},
        {"setWeight": 3_000_000_000_u32},
    ]);
    let read = read::<Rollout>(&value);
    let faults: Vec<_> = read
        .faults
        .iter()
        .map(|fault| format!("{}: {}", fault.path, fault.message))
        .collect();
    let whole = "a whole number from -2147483648 to 2147483647";
    assert_eq!(
        faults,
        [
            "spec.paused: found \"perhaps\", allowed true or false".to_owned(),
            format!("spec.replicas: found \"three\", allowed {whole}"),
            format!("spec.strategy.canary.steps[0].setWeight: found \"ten\", allowed {whole}"),
            "spec.strategy.canary.steps[1]: found 7, allowed a mapping".to_owned(),
            "spec.strategy.canary.steps[2].setHeaderRoute.match[0].headerName: is missing".to_owned(),
            "spec.strategy.canary.steps[2].setHeaderRoute.match[1].headerName: found 1, allowed a string"
                .to_owned(),
            "spec.strategy.canary.steps[3]: found \"x\", allowed a mapping".to_owned(),
            "spec.strategy.canary.steps[4].plugin.name: is missing".to_owned(),
            format!("spec.strategy.canary.steps[6].setWeight: found 3000000000, allowed {whole}"),
        ]
    );
    let unknown: Vec<_> = read.unknown.iter().map(ToString::to_string).collect();
    assert_eq!(unknown, ["spec.strategy.canary.steps[5].setWeigth"]);
}

#[test]
fn a_value_that_is_no_document_is_one_fault() {
    for (value, found) in [
        (json!(null), "nothing"),
        (json!([1]), "a list"),
        (json!("x"), "\"x\""),
    ] {
        let read = read::<Rollout>(&value);
        assert_eq!(read.faults.len(), 1, "{value}");
        assert_eq!(read.faults[0].path, FieldPath::root());
        assert!(
            read.faults[0]
                .message
                .starts_with(&format!("found {found}, ")),
            "{value}"
        );
    }
}

#[test]
fn a_list_never_passes_for_a_mapping() {
    let mut value = json(CANARY);
    value["spec"]["strategy"]["canary"]["trafficRouting"]["managedRoutes"] = json!([["beta"]]);
    value["spec"]["rollbackWindow"] = json!([3]);
    let faults: Vec<_> = read::<Rollout>(&value)
        .faults
        .iter()
        .map(|fault| format!("{}: {}", fault.path, fault.message))
        .collect();
    assert_eq!(
        faults,
        [
            "spec.rollbackWindow: found a list, allowed a mapping",
            "spec.strategy.canary.trafficRouting.managedRoutes[0]: found a list, allowed a mapping",
        ]
    );
}

/// Keys below which everything is free-form, or whose own keys are names.
const FREE: [&str; 11] = [
    "template",
    "plugins",
    "config",
    "status",
    "ownerReferences",
    "managedFields",
    "labels",
    "annotations",
    "matchLabels",
    "additionalIngressAnnotations",
    "canaryIngressAnnotations",
];

/// The paths of all mappings in which an unknown field must be told.
fn typed_mappings(value: &Value, path: &FieldPath, found: &mut Vec<FieldPath>) {
    match value {
        Value::Object(fields) => {
            // The keys of a mirror route's headers are names of headers.
            let names = path.segments().last() == Some(&Segment::Key("headers".to_owned()));
            if !names {
                found.push(path.clone());
            }
            for (key, field) in fields {
                if !FREE.contains(&key.as_str()) {
                    typed_mappings(field, &path.key(key), found);
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                typed_mappings(item, &path.index(index), found);
            }
        }
        _ => {}
    }
}

fn at<'v>(value: &'v mut Value, path: &FieldPath) -> &'v mut Value {
    path.segments()
        .iter()
        .fold(value, |value, segment| match segment {
            Segment::Key(key) => &mut value[key.as_str()],
            Segment::Index(index) => &mut value[*index],
        })
}

fn check_unknown<T: DeserializeOwned>(text: &str, content: &Value) {
    let whole = json(text);
    let mut places = Vec::new();
    typed_mappings(&whole, &FieldPath::root(), &mut places);
    assert!(!places.is_empty());
    for place in places {
        let mut value = whole.clone();
        at(&mut value, &place)["noSuchField"] = content.clone();
        let read = read::<T>(&value);
        assert_eq!(read.unknown, [place.key("noSuchField")]);
        assert!(
            read.value.is_some(),
            "an unknown field is no fault at {place}"
        );
    }
}

#[test]
fn an_unknown_field_is_told_wherever_it_is() {
    for content in [
        json!(1),
        json!(null),
        json!({}),
        json!([]),
        json!({"a": [1]}),
    ] {
        check_unknown::<Rollout>(CANARY, &content);
        check_unknown::<Rollout>(BLUE_GREEN, &content);
        check_unknown::<Proxy>(PROXY, &content);
        check_unknown::<ProxyOptions>(OPTIONS, &content);
        check_unknown::<Evidence>(EVIDENCE, &content);
    }
}

#[test]
fn free_form_parts_have_no_unknown_fields() {
    let mut value = json(CANARY);
    for place in [
        "/spec/template",
        "/spec/template/spec",
        "/status",
        "/metadata/labels",
        "/spec/strategy/canary/canaryMetadata/labels",
        "/spec/strategy/canary/trafficRouting/plugins/sluice~1proxy",
        "/spec/strategy/canary/steps/11/plugin/config",
    ] {
        value.pointer_mut(place).unwrap()["noSuchField"] = json!("x");
    }
    let read = read::<Rollout>(&value);
    assert_eq!((read.unknown, read.faults), (vec![], vec![]));
}

/// Takes fields out of mappings, one for each choice.
fn prune(value: &mut Value, choices: &[Index]) {
    for choice in choices {
        let mut places = Vec::new();
        typed_mappings(value, &FieldPath::root(), &mut places);
        let fields = at(value, choice.get(&places)).as_object_mut().unwrap();
        let keys: Vec<_> = fields.keys().cloned().collect();
        if !keys.is_empty() {
            fields.remove(choice.get(&keys));
        }
    }
}

/// Whatever is left of a document with all fields is read and written without loss, or is told to be missing something.
fn check_pruned<T: DeserializeOwned + Serialize + Clone + PartialEq + std::fmt::Debug>(
    text: &str,
    choices: &[Index],
) -> Result<(), TestCaseError> {
    let mut value = json(text);
    prune(&mut value, choices);
    let first = read::<T>(&value);
    prop_assert_eq!(&first.unknown, &[]);
    if let Some(document) = first.value {
        let mut written = serde_json::to_value(&document).unwrap();
        prop_assert_eq!(&read::<T>(&written).value, &Some(document));
        // These are always written.
        for place in ["/metadata", "/spec/listeners"] {
            drop_absent(&mut written, &value, place);
        }
        for index in 0..8 {
            drop_absent(
                &mut written,
                &value,
                &format!("/spec/services/{index}/endpoints"),
            );
        }
        prop_assert_eq!(written, value);
    } else {
        prop_assert!(!first.faults.is_empty());
        prop_assert!(
            first
                .faults
                .iter()
                .all(|fault| fault.message == "is missing"),
            "{:?}",
            first.faults
        );
    }
    Ok(())
}

/// Takes the field at `place` out of `written` when `value` does not have it.
fn drop_absent(written: &mut Value, value: &Value, place: &str) {
    let (parent, field) = place.rsplit_once('/').unwrap();
    let fields = written.pointer_mut(parent).and_then(Value::as_object_mut);
    if let Some(fields) = fields
        && value.pointer(place).is_none()
    {
        fields.remove(field);
    }
}

proptest! {
    #[test]
    fn any_part_of_a_rollout_survives(choices in prop::collection::vec(any::<Index>(), 0..20)) {
        check_pruned::<Rollout>(CANARY, &choices)?;
    }

    #[test]
    fn any_part_of_a_proxy_survives(choices in prop::collection::vec(any::<Index>(), 0..20)) {
        check_pruned::<Proxy>(PROXY, &choices)?;
    }
}

#[test]
fn words_and_versions_are_read_as_people_write_them() {
    let mut value = json(PROXY);
    let listener = &mut value["spec"]["listeners"][0];
    listener["tls"]["minVersion"] = json!(1.3);
    listener["http2"] = json!("yes");
    value["spec"]["services"][0]["ejection"] = json!(false);
    let spec = read::<Proxy>(&value).value.unwrap().spec;
    let tls = spec.listeners[0].tls.as_ref().unwrap();
    assert_eq!(tls.min_version, Some(crds::proxy::TlsVersion::V1_3));
    assert_eq!(spec.listeners[0].http2, Some(true));
    assert_eq!(spec.services[0].ejection, Some(crds::sluice::Switch::Off));
}

#[test]
fn faults_in_words_and_mappings_name_what_is_allowed() {
    let mut value = json(PROXY);
    let service = &mut value["spec"]["services"][0];
    service["balancing"] = json!("Random");
    service["streamDrain"] = json!("soon");
    service["protocol"] = json!("HTTP3");
    service["ejection"] = json!({"maxTime": 3});
    value["spec"]["listeners"][0]["tls"]["minVersion"] = json!("1.1");
    value["spec"]["routes"][5]["rateLimit"]["key"] = json!({"header": 7});
    value["spec"]["accessLog"]["format"] = json!(3);
    let faults: Vec<_> = read::<Proxy>(&value)
        .faults
        .iter()
        .map(|fault| format!("{}: {}", fault.path, fault.message))
        .collect();
    assert_eq!(
        faults,
        [
            "spec.accessLog.format: found 3, allowed a word or a mapping",
            "spec.listeners[0].tls.minVersion: found \"1.1\", allowed 1.2, 1.3",
            "spec.routes[5].rateLimit.key.header: found 7, allowed a string",
            "spec.services[0].balancing: found \"Random\", allowed PowerOfTwo, RoundRobin",
            "spec.services[0].ejection.maxTime: found 3, allowed a duration such as 300ms, 2s, 5m or 1h30m",
            "spec.services[0].protocol: found \"HTTP3\", allowed HTTP, HTTP2",
            "spec.services[0].streamDrain: found \"soon\", allowed keep, or a duration such as 30s",
        ]
    );
}
