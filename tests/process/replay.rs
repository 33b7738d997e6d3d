//! `explain --replay`: the verdicts of a file, judged again without a running process.

use crate::support::process::{sluice, stderr, stdout};
use serde_json::Value;
use std::{fs, path::Path, process::Output};

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/verdict.json");

fn replay(file: &Path) -> Output {
    sluice()
        .args(["explain", "--replay"])
        .arg(file)
        .output()
        .unwrap()
}

#[test]
fn a_stored_verdict_agrees_and_a_changed_one_does_not() {
    let agreed = replay(Path::new(EXAMPLE));
    assert_eq!(agreed.status.code(), Some(0), "{}", stderr(&agreed));
    assert!(stdout(&agreed).ends_with("All agree with what was stored.\n"));

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("changed.json");
    let mut changed: Value = serde_json::from_str(&fs::read_to_string(EXAMPLE).unwrap()).unwrap();
    let verdict = changed["decisions"]
        .as_array_mut()
        .unwrap()
        .last_mut()
        .unwrap();
    verdict["evidence"]["tests"][0]["ln_e"] = 4.5.into();
    fs::write(&file, changed.to_string()).unwrap();
    let differs = replay(&file);
    assert_eq!(differs.status.code(), Some(1), "{}", stderr(&differs));
    let found = "error ratio: ln E: stored 4.5, recomputed ";
    assert!(stdout(&differs).contains(found), "{}", stdout(&differs));

    fs::write(&file, "{\"decision\": 7}").unwrap();
    for (file, wanted) in [
        (
            file.as_path(),
            "changed.json: decision: invalid type: integer `7`",
        ),
        (Path::new("/nowhere.json"), "/nowhere.json: No such file"),
    ] {
        let unread = replay(file);
        assert_eq!(unread.status.code(), Some(2));
        assert!(stderr(&unread).contains(wanted), "{}", stderr(&unread));
    }
}
