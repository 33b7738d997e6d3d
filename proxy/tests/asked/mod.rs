//! Suites that need what not every machine has, and run only when they are asked for.

use std::{env, io::Write, sync::Once};

/// Whether the suite `name` was asked for, by `variable`. Says so once when it was not; past the test harness, which would
/// keep the line to itself.
pub(crate) fn is_asked_for(variable: &str, name: &str) -> bool {
    static SAID: Once = Once::new();
    let asked = env::var_os(variable).is_some_and(|value| value == "1");
    if !asked {
        SAID.call_once(|| {
            let line = format!(
                "SKIPPED: not asked for; run it with {variable}=1 cargo test -p proxy --test {name}\n"
            );
            std::io::stderr().write_all(line.as_bytes()).unwrap();
        });
    }
    asked
}
