use super::*;
use proptest::prelude::*;
use serde_json::json;

/// Recorded from Argo Rollouts 1.10 on Kubernetes 1.36: what was submitted, what the API server made of it where that
/// differs, and the hash that Argo gave it.
const POD_TEMPLATES: &str = include_str!("../../tests/hashes/pod-templates.json");
const STEPS: &str = include_str!("../../tests/hashes/steps.json");

fn recorded(text: &str) -> Vec<Value> {
    serde_json::from_str(text).unwrap()
}

/// The template that Argo saw.
fn stored(case: &Value) -> &Value {
    let stored = &case["stored"];
    if stored.is_null() {
        &case["template"]
    } else {
        stored
    }
}

fn hash_of(template: &Value) -> String {
    pod_template(&PodTemplate(template.clone()), None)
}

#[test]
fn pod_templates_hash_as_argo_hashed_them() {
    for case in recorded(POD_TEMPLATES) {
        assert_eq!(
            hash_of(stored(&case)),
            case["podTemplateHash"],
            "{}",
            case["name"]
        );
    }
}

#[test]
fn steps_hash_as_argo_hashed_them() {
    for case in recorded(STEPS) {
        let written: Option<Vec<CanaryStep>> =
            serde_json::from_value(case["steps"].clone()).unwrap();
        assert_eq!(
            steps(&written.unwrap_or_default()),
            case["currentStepHash"],
            "{}",
            case["name"]
        );
    }
}

/// Computed by Argo's function for the recorded template `smallest`.
#[test]
fn a_count_of_collisions_changes_the_hash() {
    let smallest = PodTemplate(recorded(POD_TEMPLATES)[0]["template"].clone());
    for (collisions, hash) in [
        (None, "5f456fc8f9"),
        (Some(0), "5f6f4fd47f"),
        (Some(1), "7b6879b4b"),
        (Some(70_000), "86b68cfcfc"),
        (Some(-1), "7c75cb9b95"),
    ] {
        assert_eq!(pod_template(&smallest, collisions), hash, "{collisions:?}");
    }
}

/// What Go writes when it could not read all of it.
#[test]
fn what_go_cannot_read_is_left_out_as_go_leaves_it_out() {
    for (written, expected) in [
        (json!(null), r#"{"metadata":{},"spec":{"containers":null}}"#),
        (json!([]), r#"{"metadata":{},"spec":{"containers":null}}"#),
        (
            json!({"spec": {"containers": [], "noSuchField": 1}, "apiVersion": "v1"}),
            r#"{"metadata":{},"spec":{"containers":[]}}"#,
        ),
        (
            json!({"spec": {"dnsPolicy": "Default", "containers": [
                {"name": "c", "image": "i", "tty": true,
                    "resources": {"limits": {"cpu": "1", "memory": "invalid"}, "requests": {"cpu": "1"}}},
                {"name": "d"},
            ]}}),
            r#"{"metadata":{},"spec":{"containers":[{"name":"c","image":"i","resources":{"limits":{"cpu":"1"}}}]}}"#,
        ),
        (
            json!({"metadata": {"labels": {"a": "b"}}, "spec": {
                "activeDeadlineSeconds": "soon", "containers": {"name": "c"}, "dnsPolicy": 7, "hostNetwork": "yes",
                "nodeSelector": ["x"], "schedulerName": "s"}}),
            r#"{"metadata":{"labels":{"a":"b"}},"spec":{"containers":null,"activeDeadlineSeconds":0,"schedulerName":"s"}}"#,
        ),
        (
            json!({"spec": {"volumes": [{"emptyDir": {"sizeLimit": "much"}, "name": "n"}]}}),
            r#"{"metadata":{},"spec":{"volumes":[{"name":"","emptyDir":{"sizeLimit":"0"}}],"containers":null}}"#,
        ),
        (
            json!({"metadata": {"creationTimestamp": "2024-01-02T03:04:05.6+02:00"}}),
            r#"{"metadata":{"creationTimestamp":"2024-01-02T01:04:05Z"},"spec":{"containers":null}}"#,
        ),
    ] {
        assert_eq!(
            encode(&types::POD_TEMPLATE, &written),
            expected,
            "{written}"
        );
    }
}

#[test]
fn only_malformed_quantities_are_left_out() {
    let sound = json!({"spec": {"containers": [
        {"name": "c", "resources": {"limits": {"cpu": 1, "memory": " 1Gi "}, "requests": null}},
    ]}});
    assert_eq!(readable(&PodTemplate(sound)), None);
    for (written, left, left_out) in [
        (
            json!({"spec": {"containers": [{"name": "c", "resources":
                {"limits": {"cpu": "1", "memory": "invalid"}, "requests": {"cpu": "1"}}, "own": 1}], "dnsPolicy": "Default"}}),
            json!({"spec": {"containers": [{"name": "c", "resources":
                {"limits": {"cpu": "1"}, "requests": {"cpu": "1"}}, "own": 1}], "dnsPolicy": "Default"}}),
            vec![r#"spec.containers[0].resources.limits.memory (found "invalid")"#],
        ),
        (
            json!({"spec": {"overhead": {"cpu": true, "memory": "1Zi"}, "volumes": [{"name": "n"},
                {"name": "m", "emptyDir": {"sizeLimit": "much"}}]}}),
            json!({"spec": {"overhead": {}, "volumes": [{"name": "n"}, {"name": "m", "emptyDir": {}}]}}),
            vec![
                "spec.overhead.cpu (found true)",
                r#"spec.overhead.memory (found "1Zi")"#,
                r#"spec.volumes[1].emptyDir.sizeLimit (found "much")"#,
            ],
        ),
        (
            json!({"spec": {"containers": [], "ephemeralContainers": [{"name": "e"},
                {"name": "e", "resources": {"requests": {"memory": "invalid"}}}]}}),
            json!({"spec": {"containers": []}}),
            vec![r#"spec.ephemeralContainers[1].resources.requests.memory (found "invalid")"#],
        ),
    ] {
        let found = readable(&PodTemplate(written)).unwrap();
        assert_eq!(found.template, PodTemplate(left));
        let told: Vec<_> = found.left_out.iter().map(ToString::to_string).collect();
        assert_eq!(told, left_out);
    }
}

#[test]
fn texts_and_numbers_are_written_as_go_writes_them() {
    let written = json!({"b": "<&>\u{2028}\u{2029}\u{1}\u{8}\u{c}\u{7f}\n\r\t\"\\ü漢😀", "a": [
        1.0, 1.5, 1e20, 1e21, 1.5e22, 1e-6, 1e-7, -0.0, 123_456_789.125, 5e-324, 9_007_199_254_740_993_i64, u64::MAX,
        null, true, {}, [],
    ]});
    let mut out = String::new();
    json::value(&written, &mut out);
    let numbers = "1,1.5,100000000000000000000,1e+21,1.5e+22,0.000001,1e-7,-0,123456789.125,5e-324,9007199254740993,\
                   18446744073709552000,null,true,{},[]";
    let text = r#""\u003c\u0026\u003e\u2028\u2029\u0001\b\f"#.to_owned()
        + "\u{7f}"
        + r#"\n\r\t\"\\ü漢😀""#;
    assert_eq!(out, format!(r#"{{"a":[{numbers}],"b":{text}}}"#));
}

/// Every expected value is what `resource.Quantity` of Kubernetes 1.34 made of it.
#[test]
fn quantities_are_written_as_kubernetes_writes_them() {
    for (written, expected) in [
        ("0", "0"),
        ("5", "5"),
        ("1000m", "1"),
        ("0.5", "500m"),
        (".5", "500m"),
        ("0.0001", "100u"),
        ("1500M", "1500M"),
        ("1.5Gi", "1536Mi"),
        ("2.5Gi", "2560Mi"),
        ("1024Mi", "1Gi"),
        ("1025Mi", "1025Mi"),
        ("1000Ki", "1000Ki"),
        ("1023.5Ki", "1048064"),
        ("0.1Ki", "102400m"),
        ("1.1Ki", "1126400m"),
        ("1e3", "1e3"),
        ("129e6", "129e6"),
        ("12e7", "120e6"),
        ("1E3", "1E3"),
        ("1e-20", "1e-9"),
        ("0.0000000001", "1n"),
        ("0.00000000000000000001", "1n"),
        ("-0.5", "-500m"),
        ("-1024Mi", "-1Gi"),
        ("-0", "0"),
        ("+5", "+5"),
        ("1.500", "1.500"),
        ("2.5000", "2500m"),
        ("5.", "5."),
        ("100000000000000000000", "100E"),
        ("1000E", "1"),
        ("1e21", "1e21"),
        ("9223372036854775807", "9223372036854775807"),
        ("8Ei", "9223372036854775807"),
        ("99999999999Ei", "9223372036854775807"),
    ] {
        assert_eq!(
            quantity::canonical(written).as_deref(),
            Some(expected),
            "{written}"
        );
    }
    for refused in [
        "", "invalid", "1Zi", "1 Gi", "e-20", "1e", "1.2.3", "1e5.5", "12x", "1_000", "--1",
    ] {
        assert_eq!(quantity::canonical(refused), None, "{refused}");
    }
}

/// Writes `value` with other white space, and with the keys the other way round.
fn rewrite(value: &Value, space: &str) -> String {
    match value {
        Value::Object(fields) => {
            let fields = fields.iter().rev();
            let fields = fields.map(|(key, field)| {
                format!("{space}{}{space}:{}", json!(key), rewrite(field, space))
            });
            format!("{{{}{space}}}", fields.collect::<Vec<_>>().join(","))
        }
        Value::Array(items) => {
            let items = items.iter().map(|item| rewrite(item, space));
            format!("[{space}{}]", items.collect::<Vec<_>>().join(","))
        }
        _ => format!("{space}{value}"),
    }
}

const NAMES: &[&str] = &[
    "metadata",
    "labels",
    "spec",
    "containers",
    "name",
    "resources",
    "limits",
    "cpu",
    "volumes",
    "emptyDir",
    "sizeLimit",
    "livenessProbe",
    "httpGet",
    "port",
    "creationTimestamp",
    "x",
];

/// Any JSON, with [`NAMES`] as its keys and some quantities among its texts.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[0-9.+eKMi-]{0,6}".prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(8, 64, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(prop::sample::select(NAMES), inner, 0..6).prop_map(
                |fields| fields
                    .into_iter()
                    .map(|(name, field)| (name.to_owned(), field))
                    .collect()
            ),
        ]
    })
}

proptest! {
    #[test]
    fn order_of_keys_and_white_space_do_not_matter(space in "[ \n\t]{0,3}") {
        for case in recorded(POD_TEMPLATES) {
            let template = stored(&case);
            let other = serde_json::from_str(&rewrite(template, &space)).unwrap();
            prop_assert_eq!(hash_of(&other), hash_of(template));
        }
    }

    /// Argo writes its own form of a template back into the Rollout.
    #[test]
    fn the_form_that_is_hashed_hashes_the_same(written in any_json()) {
        let encoded = encode(&types::POD_TEMPLATE, &json!({"metadata": written.clone(), "spec": written}));
        let read = serde_json::from_str(&encoded).unwrap();
        prop_assert_eq!(encode(&types::POD_TEMPLATE, &read), encoded);
    }

    #[test]
    fn a_canonical_quantity_stays_as_it_is(written in "[+-]?[0-9]{0,24}(\\.[0-9]{0,24})?(|[numkMGTPE]|[KMGTPE]i|e-?[0-9]{1,3})") {
        if let Some(canonical) = quantity::canonical(&written) {
            prop_assert_eq!(quantity::canonical(&canonical), Some(canonical));
        }
    }

    #[test]
    fn any_text_is_a_quantity_or_none(text in any::<String>()) {
        let _ = quantity::canonical(&text);
    }
}
