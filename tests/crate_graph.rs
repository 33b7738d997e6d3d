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
    ("cluster", &["controller", "crds"]),
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
        let members = list(&metadata["workspace_members"]);
        let start = members
            .iter()
            .map(text)
            .find(|id| names[id] == *name)
            .expect("a member");
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
        for id in reached {
            assert!(
                !forbidden.contains(&names[id]),
                "{name} reaches {}",
                names[id]
            );
        }
    }
}
