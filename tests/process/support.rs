//! What the tests are made of.

pub(crate) mod crowd;
pub(crate) mod load;
pub(crate) mod origin;
pub(crate) mod process;
pub(crate) mod random;
pub(crate) mod site;
pub(crate) mod wire;

use std::{
    thread,
    time::{Duration, Instant},
};

/// How long anything may take that should happen. Generous, as machines are busy; nothing waits for it in vain.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Between two looks at something that should happen.
const LOOK: Duration = Duration::from_millis(5);

/// Waits until `attempt` brings something, and brings that. What it brought instead is told when time is over.
pub(crate) fn until<T>(what: &str, mut attempt: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match attempt() {
            Ok(found) => return found,
            Err(last) => assert!(
                Instant::now() < deadline,
                "never happened: {what}; at last: {last}"
            ),
        }
        thread::sleep(LOOK);
    }
}

/// Waits until `condition` holds.
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    until(what, || {
        if condition() {
            Ok(())
        } else {
            Err("not so".to_owned())
        }
    });
}
