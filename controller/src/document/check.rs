//! Rules that a single document must keep beyond its types.

use super::report::Report;

mod condition;
mod evidence;
mod filter;
mod listener;
mod name;
mod options;
mod proxy;
mod range;
mod rollout;
mod route;
mod service;
mod step;

pub(crate) use name::is_host;
pub(super) use proxy::proxy;
pub(super) use range::check as range;
pub(super) use rollout::{BLUE_GREEN, CANARY, canary, own_options, rollout};

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
