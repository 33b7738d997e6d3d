//! Turns that write nothing but the status, made as one: nothing is waited for between them, so that one write does where
//! each would cost the API server one, and everybody who watches an answer. The last of them may change sizes of ReplicaSets,
//! too. These are then written behind the status: who goes on from there, should they not be written, finds what they follow
//! from, and a person's abort that came between finds them not written.

use std::sync::Arc;

use crds::Rollout;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{Turn, World, Write};

/// More in a row than any Rollout has steps to pass at once. Those that follow come after a write.
const TURNS: usize = 32;

/// What follows from `world` by `turn`, and from the status that it writes, as long as that is all that is written.
pub(super) fn turn(
    world: &World,
    now: Timestamp,
    turn: impl Fn(&World, Timestamp) -> Turn,
) -> Turn {
    let mut joined = turn(world, now);
    let Some(mut patch) = status_alone(&joined).cloned() else {
        return joined;
    };
    let mut world = world.clone();
    for _ in 1..TURNS {
        world.rollout = Arc::new(after(&world.rollout, &patch));
        let next = turn(&world, now);
        let is_last = status_alone(&next).is_none();
        let Some(more) = status_beside(&next, |write| is_told(write) || sizes(write)).cloned()
        else {
            break;
        };
        if !joined.take_up(next, &more) || is_last {
            break;
        }
        patch = more;
    }
    joined
}

impl Turn {
    /// Adds what the turn after this one writes, `patch` of the status and what is beside it. Whether that can be one write.
    fn take_up(&mut self, next: Self, patch: &Value) -> bool {
        let own = self.writes.iter_mut().find_map(|write| match write {
            Write::PatchStatus { patch } => Some(patch),
            _ => None,
        });
        let Some((own, both)) = own.and_then(|own| {
            let both = join(own, patch)?;
            Some((own, both))
        }) else {
            return false;
        };
        *own = both;
        let beside = next.writes.into_iter();
        let beside = beside.filter(|write| !matches!(write, Write::PatchStatus { .. }));
        self.writes.extend(beside);
        self.wake_at = next.wake_at;
        true
    }
}

/// The patch of the status, where beside it there are only events, and nothing is to be looked at first.
fn status_alone(turn: &Turn) -> Option<&Value> {
    status_beside(turn, is_told)
}

/// The patch of the status, where nothing is to be looked at first, and all that is beside it is as `is_fine` says.
fn status_beside(turn: &Turn, is_fine: impl Fn(&Write) -> bool) -> Option<&Value> {
    if turn.needs_pods || turn.needs_likeness {
        return None;
    }
    let mut found = None;
    for write in &turn.writes {
        match write {
            Write::PatchStatus { patch } if found.is_none() => found = Some(patch),
            write if is_fine(write) => {}
            _ => return None,
        }
    }
    found
}

fn is_told(write: &Write) -> bool {
    matches!(write, Write::Event(_))
}

/// Whether it changes the size of a ReplicaSet, or what says when that is to change.
fn sizes(write: &Write) -> bool {
    matches!(write, Write::PatchReplicaSet { .. })
}

/// `rollout` with its status patched.
pub(super) fn after(rollout: &Rollout, patch: &Value) -> Rollout {
    let mut status = rollout.status.clone().unwrap_or_else(|| json!({}));
    apply(&mut status, &patch["status"]);
    Rollout {
        status: Some(status),
        ..rollout.clone()
    }
}

/// Applies a JSON merge patch (RFC 7386).
pub(super) fn apply(target: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(fields) = target else {
        return;
    };
    for (field, change) in changes {
        if change.is_null() {
            fields.remove(field);
        } else {
            apply(fields.entry(field.clone()).or_insert(Value::Null), change);
        }
    }
}

/// The merge patch that does what `first` and then `second` do; none where no patch can: it keeps what is in an object,
/// and `first` has taken the object away that `second` makes anew.
pub(super) fn join(first: &Value, second: &Value) -> Option<Value> {
    match (first, second) {
        (Value::Object(first), Value::Object(second)) => {
            let mut joined = first.clone();
            for (field, change) in second {
                let change = match first.get(field) {
                    Some(before) => join(before, change)?,
                    None => change.clone(),
                };
                joined.insert(field.clone(), change);
            }
            Some(Value::Object(joined))
        }
        (_, Value::Object(_)) => None,
        (_, second) => Some(second.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::{apply, join};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            (0..3).prop_map(Value::from),
            Just(json!([1, {"a": 2}])),
        ];
        leaf.prop_recursive(3, 16, 3, |inner| {
            prop::collection::btree_map("[abc]", inner, 0..3)
                .prop_map(|fields| Value::Object(fields.into_iter().collect()))
        })
    }

    proptest! {
        #[test]
        fn one_patch_does_what_two_do(target in value(), first in value(), second in value()) {
            let mut one_by_one = target.clone();
            apply(&mut one_by_one, &first);
            apply(&mut one_by_one, &second);
            if let Some(both) = join(&first, &second) {
                let mut at_once = target;
                apply(&mut at_once, &both);
                prop_assert_eq!(at_once, one_by_one);
            }
        }
    }

    #[test]
    fn what_no_patch_can_say_is_not_said() {
        let (gone, anew) = (json!({"a": null}), json!({"a": {"b": 1}}));
        assert_eq!(join(&gone, &anew), None);
        assert_eq!(join(&anew, &gone), Some(gone));
        let more = json!({"a": {"c": 2}});
        assert_eq!(join(&anew, &more), Some(json!({"a": {"b": 1, "c": 2}})));
    }
}
