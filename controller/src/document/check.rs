//! Rules that a single document must keep beyond its types.

use std::time::Duration;

use crds::GoDuration;

use super::report::Report;

mod condition;
mod guard;
mod name;
mod options;
mod proxy;
mod rollout;
mod route;
mod step;

pub(super) use proxy::proxy;
pub(super) use rollout::{CANARY, rollout};

/// Refuses a duration outside of a range.
fn duration(
    written: Option<GoDuration>,
    path: String,
    (least, most): (Duration, Duration),
    report: &mut Report<'_>,
) {
    let Some(written) = written else { return };
    if written.0 < least || written.0 > most {
        report.error(
            path,
            format!(
                "found {written}, allowed {} to {}",
                GoDuration(least),
                GoDuration(most)
            ),
        );
    }
}

/// Refuses a text that is given twice in a list.
fn repeated<'t>(texts: impl IntoIterator<Item = (&'t str, String)>, report: &mut Report<'_>) {
    let mut seen = std::collections::HashMap::new();
    for (text, path) in texts {
        if let Some(first) = seen.get(text) {
            report.error(path, format!("found {text:?}, which {first} has already"));
        } else {
            seen.insert(text, path);
        }
    }
}
