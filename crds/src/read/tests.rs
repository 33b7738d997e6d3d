use super::*;
use proptest::prelude::*;
use serde_json::json;

/// Any JSON value, with some of the API's field names among its keys.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z0-9%]{0,4}".prop_map(Value::from),
    ];
    let key = prop_oneof![
        Just("spec"),
        Just("metadata"),
        Just("strategy"),
        Just("canary"),
        Just("steps"),
        Just("pause"),
        Just("setWeight"),
        Just("x"),
    ];
    leaf.prop_recursive(6, 64, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key.clone().prop_map(str::to_owned), inner, 0..5)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

#[test]
fn items_taken_out_of_a_list_do_not_move_the_paths_of_others() {
    let read = read::<Vec<u16>>(&json!(["a", 1, "b", "c", 2, -1]));
    let paths: Vec<_> = read
        .faults
        .iter()
        .map(|fault| fault.path.to_string())
        .collect();
    assert_eq!(paths, ["[0]", "[2]", "[3]", "[5]"]);
}

#[test]
fn the_number_of_faults_is_bounded() {
    let many = Value::from(vec!["x"; 1000]);
    assert_eq!(read::<Vec<u16>>(&many).faults.len(), MAX_FAULTS);
}

proptest! {
    #[test]
    fn any_value_is_read_or_has_a_fault(value in any_json()) {
        let read = read::<crate::Rollout>(&value);
        prop_assert_eq!(read.value.is_none(), !read.faults.is_empty());
    }
}
