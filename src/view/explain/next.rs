//! What happens next, and what a person can do about it.

use super::Page;
use crate::api::RolloutView;

/// The last paragraph.
pub(super) fn next(view: &RolloutView, page: &mut Page) {
    let name = format!("{}/{}", view.namespace, view.name);
    page.heading("Next");
    page.text(&match view.phase.as_str() {
        "Degraded" => format!(
            "Stable takes every request. A change of spec.template ships another version; `sluice retry {name}` starts \
             this one again."
        ),
        "Paused" => format!(
            "It goes on with `sluice promote {name}` and goes back with `sluice abort {name}`. If the canary turns out \
             to be worse, it is rolled back as ever."
        ),
        "Healthy" => "A change of spec.template starts a rollout.".into(),
        _ => format!(
            "It goes on by itself. `sluice promote {name}` skips the step, `sluice pause {name}` holds it, `sluice \
             abort {name}` goes back."
        ),
    });
}
