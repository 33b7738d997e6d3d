//! A test bed does not outlive whoever it was brought up for.
//!
//! Runs only when it is asked for, as the other tests of this package: `SLUICE_E2E_TESTS=1 cargo test -p e2e`.

use e2e::bed::{self, Outer, RunDirectory, harness};
use std::{
    path::Path,
    process::{Command, Stdio},
};

#[test]
fn a_test_bed_ends_with_its_owner() {
    if !harness::is_asked_for("cargo test -p e2e --test owner") {
        return;
    }
    let made = tempfile::tempdir().unwrap();
    let directory = RunDirectory::new(made.path()).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_e2e"));
    let mut owner = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    bed::up(program, &directory, owner.id()).unwrap();
    bed::up(program, &directory, owner.id()).expect("it is there already");
    let nodes = bed::inside(&directory, Path::new("kubectl"))
        .unwrap()
        .args(["get", "nodes", "--no-headers"])
        .output()
        .unwrap();
    let nodes = String::from_utf8(nodes.stdout).unwrap();
    assert_eq!(nodes.matches(" Ready ").count(), 3, "{nodes}");
    let outer = Outer::of(&directory).unwrap().expect("it runs");
    drop(owner.stdin.take());
    owner.wait().unwrap();
    outer.wait().unwrap();
    assert!(Outer::of(&directory).unwrap().is_none());
    bed::down(&directory).expect("it is down already");
}
