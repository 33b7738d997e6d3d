//! Suites that need what not every machine has, and run only when they are asked for.

use std::{env, io::Write as _, process::Command};

/// Whether the suite was asked for, by `variable`. Otherwise says how to, and whether `program` is there.
pub(crate) fn is_asked_for(variable: &str, command: &str, program: &str) -> bool {
    let is_asked = env::var_os(variable).is_some_and(|value| value == "1");
    if !is_asked {
        let is_there = Command::new(program).arg("--version").output().is_ok();
        let missing = if is_there {
            String::new()
        } else {
            format!(" (needs {program}, which is not installed)")
        };
        let line = format!("SKIPPED: not asked for; run it with {variable}=1 {command}{missing}\n");
        tell(&line);
    }
    is_asked
}

/// Says `line` past the test harness, which would keep it to itself.
pub(crate) fn tell(line: &str) {
    // Where nobody reads what is said, nothing is lost.
    let _ = std::io::stderr().write_all(line.as_bytes());
}
