use super::{Target, choose};
use crate::api::RolloutView;
use crate::view::fixtures::healthy;

fn views(names: &[(&str, &str)]) -> Vec<RolloutView> {
    let view = |(namespace, name): &(&str, &str)| RolloutView {
        namespace: (*namespace).into(),
        name: (*name).into(),
        ..healthy()
    };
    names.iter().map(view).collect()
}

#[test]
fn the_rollout_that_is_meant_is_found_or_the_choice_is_told() {
    let check =
        |all: &[(&str, &str)], target: &str, namespace: &str, expected: Result<&str, &str>| {
            let target: Option<Target> = (!target.is_empty()).then(|| target.parse().unwrap());
            let namespace = (!namespace.is_empty()).then_some(namespace);
            let all = views(all);
            let found = choose(&all, target.as_ref(), namespace)
                .map(|view| format!("{}/{}", view.namespace, view.name));
            assert_eq!(
                found,
                expected.map(str::to_owned).map_err(str::to_owned),
                "{target:?} {namespace:?}"
            );
        };
    let two = [("a", "shop"), ("b", "shop")];
    check(&[("a", "shop")], "", "", Ok("a/shop"));
    check(&[], "", "", Err("no rollout is there"));
    check(&[], "shop", "", Err("no rollout shop; there is none"));
    check(
        &[("a", "shop")],
        "till",
        "",
        Err("no rollout till; there is a/shop"),
    );
    check(
        &two,
        "",
        "",
        Err("say which rollout: there are a/shop, b/shop"),
    );
    check(
        &two,
        "shop",
        "",
        Err("shop is not clear: there are a/shop, b/shop; say namespace/name"),
    );
    check(&two, "b/shop", "", Ok("b/shop"));
    check(&two, "shop", "b", Ok("b/shop"));
    check(&two, "", "a", Ok("a/shop"));
    check(
        &two,
        "c/shop",
        "",
        Err("no rollout c/shop; there are a/shop, b/shop"),
    );
    check(
        &two,
        "a/shop",
        "b",
        Err("the rollout is said to be in namespace a, but --namespace is b"),
    );
    let many = ["p", "q", "r", "s", "t", "u", "v"].map(|name| ("a", name));
    check(
        &many,
        "",
        "",
        Err("say which rollout: there are a/p, a/q, a/r, a/s, a/t and 2 more"),
    );
}
