//! The crate graph is the architecture: which crate may use which, and what the pure ones never reach.

#![allow(clippy::expect_used, reason = "a test that is surprised ends")]

use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

/// Every crate of the workspace and the crates of the workspace that it may use.
const ALLOWED: &[(&str, &[&str])] = &[
    (
        "sluice",
        &[
            "bench",
            "cluster",
            "controller",
            "crds",
            "proxy",
            "rollout",
            "traffic",
        ],
    ),
    ("bench", &["proxy", "rollout", "traffic"]),
    ("cluster", &["controller", "crds", "rollout", "traffic"]),
    ("controller", &["crds", "rollout", "traffic"]),
    ("crds", &[]),
    ("e2e", &["crds"]),
    ("proxy", &["traffic"]),
    ("rollout", &["traffic"]),
    ("traffic", &[]),
];

/// What a crate must not reach, not even through others.
const UNREACHABLE: &[(&str, &[&str])] = &[
    ("traffic", &["tokio", "hyper", "kube", "jiff"]),
    ("rollout", &["tokio", "hyper", "kube"]),
    ("crds", &["tokio", "hyper"]),
    ("cluster", &["proxy"]),
    ("controller", &["tokio", "hyper", "kube", "proxy"]),
    ("proxy", &["kube", "controller", "rollout", "crds"]),
];

fn metadata() -> Value {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let version = Command::new(rustc).arg("-vV").output().expect("rustc runs");
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .expect("rustc names its host");
    // Only what this platform needs has surely been fetched, so that the test passes without a network.
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version=1",
            "--locked",
            "--offline",
            "--filter-platform",
            host,
        ])
        .args([
            "--manifest-path",
            concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
        ])
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a string")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

/// Every crate's name, by package id.
fn names(metadata: &Value) -> BTreeMap<&str, &str> {
    list(&metadata["packages"])
        .iter()
        .map(|package| (text(&package["id"]), text(&package["name"])))
        .collect()
}

/// The crates that every crate of the resolved graph uses, by package id; crates used by tests alone left out.
fn edges(metadata: &Value) -> BTreeMap<&str, Vec<&str>> {
    let normal = |dep: &&Value| {
        list(&dep["dep_kinds"])
            .iter()
            .any(|kind| kind["kind"].is_null())
    };
    list(&metadata["resolve"]["nodes"])
        .iter()
        .map(|node| {
            (
                text(&node["id"]),
                list(&node["deps"])
                    .iter()
                    .filter(normal)
                    .map(|dep| text(&dep["pkg"]))
                    .collect(),
            )
        })
        .collect()
}

/// A crate of the workspace and all that it uses, directly or through others, by package id.
fn reached<'a>(
    metadata: &'a Value,
    names: &BTreeMap<&str, &str>,
    edges: &BTreeMap<&'a str, Vec<&'a str>>,
    name: &str,
) -> BTreeSet<&'a str> {
    let mut members = list(&metadata["workspace_members"]).iter().map(text);
    let start = members.find(|id| names[id] == name).expect("a member");
    let mut reached = BTreeSet::from([start]);
    let mut ahead = vec![start];
    while let Some(id) = ahead.pop() {
        ahead.extend(
            edges[id]
                .iter()
                .copied()
                .filter(|used| reached.insert(used)),
        );
    }
    reached
}

#[test]
fn each_crate_uses_only_what_it_may() {
    let metadata = metadata();
    let names = names(&metadata);
    let edges = edges(&metadata);
    let members: BTreeSet<&str> = list(&metadata["workspace_members"])
        .iter()
        .map(text)
        .collect();
    let known: BTreeSet<&str> = ALLOWED.iter().map(|(name, _)| *name).collect();
    let found: BTreeSet<&str> = members.iter().map(|id| names[id]).collect();
    assert_eq!(found, known, "every crate of the workspace has a line here");
    for id in &members {
        let (_, allowed) = ALLOWED
            .iter()
            .find(|(name, _)| *name == names[id])
            .expect("checked above");
        for used in edges[id].iter().filter(|used| members.contains(*used)) {
            assert!(
                allowed.contains(&names[used]),
                "{} must not use {}",
                names[id],
                names[used]
            );
        }
    }
}

#[test]
fn pure_crates_reach_no_io() {
    let metadata = metadata();
    let names = names(&metadata);
    let edges = edges(&metadata);
    for (name, forbidden) in UNREACHABLE {
        let reached = reached(&metadata, &names, &edges, name);
        for id in reached {
            assert!(
                !forbidden.contains(&names[id]),
                "{name} reaches {}",
                names[id]
            );
        }
    }
}

/// hyper's pooled client takes a lock and boxes a future for every request. The client of the API server may have it, and
/// as features add up, it is then in the binary; nothing on a request's way may ask for it.
#[test]
fn the_proxy_asks_for_no_pooled_client() {
    let metadata = metadata();
    let reached = reached(&metadata, &names(&metadata), &edges(&metadata), "proxy");
    let asks = |package: &Value| {
        list(&package["dependencies"]).iter().any(|used| {
            used["name"] == "hyper-util"
                && used["kind"].is_null()
                && list(&used["features"])
                    .iter()
                    .any(|feature| feature == "client-legacy")
        })
    };
    let asking: BTreeSet<&str> = list(&metadata["packages"])
        .iter()
        .filter(|package| asks(package))
        .map(|package| text(&package["id"]))
        .collect();
    assert!(!asking.is_empty(), "kube-client is known to ask for it");
    let found: Vec<&&str> = reached.intersection(&asking).collect();
    assert!(found.is_empty(), "the proxy reaches {found:?}");
}
