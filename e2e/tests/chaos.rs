//! Every rollout ends as it must while everything around its controller fails; a small run of `e2e chaos`.
//!
//! Runs only when it is asked for, as the other tests of this package: `SLUICE_E2E_TESTS=1 cargo test -p e2e`.

use e2e::bed::harness;
use std::process::Command;

#[test]
fn rollouts_end_as_they_must_while_everything_fails() {
    if !harness::is_asked_for("cargo test -p e2e --test chaos") {
        return;
    }
    let mut chaos = Command::new(env!("CARGO_BIN_EXE_e2e"));
    let ended = chaos
        .args(["chaos", "--rollouts=8", "--updates=2"])
        .status();
    assert!(ended.unwrap().success());
}
