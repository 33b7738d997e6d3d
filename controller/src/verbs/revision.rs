//! Going back to an earlier version, which a ReplicaSet still has.

use serde_json::Value;

use crate::reconcile::names::{POD_HASH, REVISION};
use crate::template;

/// A version that a ReplicaSet has.
#[derive(Clone, Debug, PartialEq)]
pub struct Revision {
    /// Its number: later ones have larger ones.
    pub number: i64,
    /// Its pod template, as the Rollout had it.
    pub template: Value,
}

/// What going back means.
#[derive(Clone, Debug, PartialEq)]
pub enum Back {
    /// To have this version again.
    To(Revision),
    /// The Rollout has that version already, by its number.
    Already(i64),
}

impl Revision {
    /// The version of a ReplicaSet, as the API server tells of it; none where it bears no number.
    ///
    /// `current` is the Rollout's pod template: what it says is not taken for what an API server wrote.
    pub fn of(replica_set: &Value, current: &Value) -> Option<Self> {
        let annotations = &replica_set["metadata"]["annotations"];
        let number = annotations[REVISION].as_str()?.parse().ok()?;
        let template = template::of_set(replica_set);
        let hash = replica_set["metadata"]["labels"][POD_HASH].as_str();
        let candidates =
            [current, &Value::Null].map(|kept| template::without_defaults(&template, kept));
        let as_written = candidates
            .into_iter()
            .find(|written| Some(&*template::hash(written)) == hash);
        Some(Self {
            number,
            template: as_written.unwrap_or(template),
        })
    }

    /// What it means that a Rollout with the pod template `current` goes back to the version `to` of those that there are:
    /// without one, or with 0, to the one before the newest.
    ///
    /// # Errors
    /// There is no such version; says which there are.
    pub fn back(mut all: Vec<Self>, current: &Value, to: Option<i64>) -> Result<Back, String> {
        all.sort_by_key(|revision| revision.number);
        let place = match to.filter(|to| *to != 0) {
            Some(to) => all.iter().position(|revision| revision.number == to),
            None => all.len().checked_sub(2),
        };
        let Some(place) = place else {
            return Err(missing(&all, to));
        };
        let revision = all.swap_remove(place);
        if is_same(&revision.template, current) {
            return Ok(Back::Already(revision.number));
        }
        Ok(Back::To(revision))
    }
}

fn missing(all: &[Revision], to: Option<i64>) -> String {
    let numbers: Vec<_> = all
        .iter()
        .map(|revision| revision.number.to_string())
        .collect();
    let what = match to.filter(|to| *to != 0) {
        Some(to) => format!("it has no revision {to}"),
        None => "it has no revision before the newest".to_owned(),
    };
    match numbers.as_slice() {
        [] => format!("{what}; there is none"),
        [one] => format!("{what}; there is {one}"),
        several => format!("{what}; there are {}", several.join(", ")),
    }
}

/// Whether two templates are one version.
fn is_same(one: &Value, other: &Value) -> bool {
    template::hash(one) == template::hash(other)
}
