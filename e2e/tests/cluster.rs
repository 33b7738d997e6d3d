//! What tests rely on: that the test bed is a cluster.
//!
//! Runs only when it is asked for, since it needs programs that are built in minutes, and namespaces:
//! `SLUICE_E2E_TESTS=1 cargo test -p e2e`.

#[path = "cluster/controller.rs"]
mod controller;
#[path = "cluster/deployments.rs"]
mod deployments;
#[path = "cluster/fleet.rs"]
mod fleet;
#[path = "cluster/leaders.rs"]
mod leaders;
#[path = "cluster/pods.rs"]
mod pods;
#[path = "cluster/proxy.rs"]
mod proxy;
#[path = "cluster/webhook.rs"]
mod webhook;

use e2e::bed::harness;
use std::{path::Path, process::ExitCode};

fn main() -> ExitCode {
    let tests = controller::tests()
        .into_iter()
        .chain(deployments::tests())
        .chain(fleet::tests())
        .chain(leaders::tests())
        .chain(pods::tests())
        .chain(proxy::tests())
        .chain(webhook::tests())
        .collect();
    harness::run(
        Path::new(env!("CARGO_BIN_EXE_e2e")),
        "cargo test -p e2e --test cluster",
        tests,
    )
}
