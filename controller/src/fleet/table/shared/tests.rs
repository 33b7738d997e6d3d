use super::*;
use crate::fleet::table::asked::Asked;
use proptest::prelude::*;
use serde_json::{Value, json};

fn rollout(status: &Value) -> Rollout {
    let rollout = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "shop", "namespace": "prod"},
        "spec": {"strategy": {"canary": {
            "stableService": "shop", "canaryService": "shop-canary", "steps": [{"setWeight": 20}],
            "trafficRouting": {"plugins": {"sluice/proxy": {}}},
        }}},
        "status": status,
    });
    serde_json::from_value(rollout).unwrap()
}

fn shared_by(rollout: &Rollout, has_endpoints: bool) -> Shared {
    let asked = Asked::read(rollout, &mut Vec::new()).split.unwrap();
    shared(rollout, &asked, |_| has_endpoints, &mut Vec::new())
}

#[test]
fn what_is_told_of_the_split_is_what_is_served() {
    let split = |stable: &str, canary: &str, weight: u16| Split {
        stable: stable.to_owned(),
        canary: canary.to_owned(),
        weight: Weight::from_basis_points(weight).unwrap(),
    };
    let weights = |canary: i32, stable: i32| {
        json!({"weights": {
            "canary": {"weight": canary, "podTemplateHash": "v2"}, "stable": {"weight": stable, "podTemplateHash": "v1"},
        }})
    };
    for (status, has_endpoints, expected) in [
        (json!({}), true, None),
        (
            json!({"currentPodHash": "v1"}),
            true,
            Some(split("v1", "v1", 0)),
        ),
        (
            json!({"currentPodHash": "v2", "stableRS": "v1"}),
            true,
            Some(split("v1", "v2", 0)),
        ),
        (
            json!({"canary": weights(5, 95)}),
            true,
            Some(split("v1", "v2", 500)),
        ),
        (
            json!({"canary": weights(100, 0)}),
            true,
            Some(split("v1", "v2", 10_000)),
        ),
        (
            json!({"canary": weights(0, 100)}),
            true,
            Some(split("v1", "v2", 0)),
        ),
        (
            json!({"currentPodHash": "v2", "canary": weights(5, 95)}),
            false,
            Some(split("v1", "v2", 0)),
        ),
        (
            json!({"abort": true, "currentPodHash": "v2", "canary": weights(5, 95)}),
            true,
            Some(split("v1", "v2", 0)),
        ),
        (
            json!({"stableRS": "v0", "canary": weights(50, 95)}),
            true,
            Some(split("v0", "v0", 0)),
        ),
    ] {
        let found = shared_by(&rollout(&status), has_endpoints);
        assert_eq!(found.split, expected, "{status}");
    }
}

fn hash() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!(null)),
        Just(json!("")),
        Just(json!("v1")),
        Just(json!("v2"))
    ]
}

fn weight() -> impl Strategy<Value = i32> {
    prop_oneof![0..=100_i32, Just(-1), Just(i32::MAX), Just(i32::MIN)]
}

proptest! {
    #[test]
    fn no_status_gives_a_canary_more_than_there_is(
        (canary, stable) in (weight(), weight()),
        fits in any::<bool>(),
        (of_canary, of_stable, current, last) in (hash(), hash(), hash(), hash()),
        (abort, has_endpoints) in (any::<bool>(), any::<bool>()),
    ) {
        let stable = if fits { 100_i32.saturating_sub(canary) } else { stable };
        let status = json!({"abort": abort, "currentPodHash": current, "stableRS": last, "canary": {"weights": {
            "canary": {"weight": canary, "podTemplateHash": of_canary},
            "stable": {"weight": stable, "podTemplateHash": of_stable},
        }}});
        let Shared { shares, split, trial } = shared_by(&rollout(&status), has_endpoints);
        // The versions that are told are named, and the weight is the one that is served.
        if let Some(split) = &split {
            prop_assert!(!split.stable.is_empty() && !split.canary.is_empty());
            prop_assert_eq!(split.weight, shares.weight);
            prop_assert_eq!(shares.stable_revision.as_str(), &split.stable);
        }
        let Some(revision) = &shares.canary else {
            prop_assert_eq!(shares.weight, Weight::ZERO);
            prop_assert!(shares.header_routes.is_empty());
            return Ok(());
        };
        prop_assert!(has_endpoints && !abort);
        let split = split.unwrap();
        prop_assert_eq!(revision.as_str(), &split.canary);
        prop_assert_ne!(&split.canary, &split.stable);
        let tried = (split.weight > Weight::ZERO).then(|| split.canary.clone());
        prop_assert_eq!(trial.map(|trial| trial.canary), tried);
        let part = f64::from(canary) / 100.0;
        prop_assert!((split.weight.fraction() - part).abs() < 1e-4, "{} {part}", split.weight);
    }
}
