use serde_json::{Value, json};

use super::*;
use crate::{Read, read};

#[test]
fn the_guard_is_off_on_or_a_mapping() {
    let on = Guard::default();
    let cases = [
        (json!({"guard": "off"}), Guard::Off),
        (json!({"guard": false}), Guard::Off),
        (json!({"guard": "no"}), Guard::Off),
        (json!({"guard": "on"}), on.clone()),
        (json!({"guard": true}), on.clone()),
        (json!({"guard": {}}), on.clone()),
        (json!({"guard": null}), on.clone()),
        (json!({}), on),
        (
            json!({"guard": {"alpha": 0.02, "latency": "off"}}),
            Guard::On(GuardOptions {
                alpha: Some(0.02),
                latency: Some(Switch::Off),
                ..GuardOptions::default()
            }),
        ),
    ];
    for (value, expected) in cases {
        let options = read::<ProxyOptions>(&value).value.unwrap();
        assert_eq!(options.guard, expected, "{value}");
        let again = serde_json::to_value(&options).unwrap();
        assert_eq!(
            read::<ProxyOptions>(&again).value.unwrap(),
            options,
            "{again}"
        );
    }
}

#[test]
fn the_pace_is_a_word_or_a_mapping() {
    let evidence = Some(Pace::default());
    let stricter = Pace(PaceOptions {
        on_inconclusive: Some(OnInconclusive::Hold),
        ..PaceOptions::default()
    });
    let cases = [
        (json!({}), Ok(None)),
        (json!({"pace": "evidence"}), Ok(evidence.clone())),
        (json!({"pace": {}}), Ok(evidence)),
        (
            json!({"pace": {"onInconclusive": "hold"}}),
            Ok(Some(stricter)),
        ),
        (
            json!({"pace": "on"}),
            Err(r#"pace: found "on", allowed evidence or a mapping"#),
        ),
    ];
    for (value, expected) in cases {
        let Read { value, faults, .. } = read::<ProxyOptions>(&value);
        let fault = faults.first().map(|f| format!("{}: {}", f.path, f.message));
        let found = value.map(|options| options.pace);
        assert_eq!(
            found.ok_or_else(|| fault.unwrap_or_default()),
            expected.map_err(str::to_owned)
        );
    }
}

#[test]
fn faults_and_unknown_fields_are_found_behind_a_switch() {
    let value = json!({
        "guard": {"alhpa": 0.02, "beta": "x", "latency": {"increase": 0.4, "quantile": [0.5]}},
        "sticky": [{"header": "x-user"}, {"cookie": {"name": "b", "maxAeg": "24h"}}],
        "rules": [{"name": "a", "to": "blue", "match": [{"headers": [{"name": "x", "valeu": "1"}]}]}],
    });
    let Read {
        value,
        faults,
        unknown,
    } = read::<ProxyOptions>(&value);
    assert_eq!(value, None);
    let faults: Vec<_> = faults
        .iter()
        .map(|f| format!("{}: {}", f.path, f.message))
        .collect();
    assert_eq!(
        faults,
        [
            r#"guard.beta: found "x", allowed a number"#,
            r#"rules[0].to: found "blue", allowed canary, stable"#,
        ]
    );
    let unknown: Vec<_> = unknown.iter().map(ToString::to_string).collect();
    assert_eq!(
        unknown,
        [
            "guard.alhpa",
            "guard.latency.quantile",
            "rules[0].match[0].headers[0].valeu",
            "sticky[1].cookie.maxAeg",
        ]
    );
}

#[test]
fn a_word_that_is_no_switch_is_told() {
    for (written, found) in [
        (json!("maybe"), "\"maybe\""),
        (json!(3), "3"),
        (json!([1]), "a list"),
    ] {
        let read = read::<ProxyOptions>(&json!({ "guard": written }));
        assert_eq!(
            read.faults[0].message,
            format!("found {found}, allowed off, on or a mapping")
        );
    }
}

#[test]
fn a_sticky_entry_names_one_key() {
    let kind = |value: Value| {
        let key: StickyKey = serde_json::from_value(value).unwrap();
        key.kind()
            .map(|kind| format!("{kind:?}"))
            .map_err(|error| error.to_string())
    };
    assert_eq!(
        kind(json!({"header": "x-user"})),
        Ok(r#"Header("x-user")"#.to_owned())
    );
    assert_eq!(
        kind(json!({"clientAddress": {}})),
        Ok("ClientAddress".to_owned())
    );
    for (value, found) in [
        (json!({}), 0),
        (json!({"header": "a", "clientAddress": {}}), 2),
    ] {
        assert_eq!(
            kind(value),
            Err(format!(
                "found {found} keys, allowed exactly one of header, cookie, clientAddress"
            ))
        );
    }
}
