//! Headers that a route sets, adds and removes.

use http::HeaderMap;
use traffic::action::{HeaderEdits, is_editable};

/// Changes `headers` as `edits` say. Those that no route may change stay as they are.
pub(super) fn apply(edits: &HeaderEdits, headers: &mut HeaderMap) {
    for name in edits.remove.iter().filter(|name| is_editable(name)) {
        headers.remove(name);
    }
    // From the end, so that of several values for one name the first stays. A map that is full refuses a header.
    for (name, value) in edits.set.iter().rev().filter(|(name, _)| is_editable(name)) {
        let _ = headers.try_insert(name.clone(), value.clone());
    }
    for (name, value) in edits.add.iter().filter(|(name, _)| is_editable(name)) {
        let _ = headers.try_append(name.clone(), value.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(HeaderName, HeaderValue)> {
        let pair = |(name, value): &(&str, &str)| (name.parse().unwrap(), value.parse().unwrap());
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn headers_are_removed_then_set_then_added() {
        let framing = [("host", "a"), ("content-length", "3")];
        for (before, remove, set, add, expected) in [
            (&[("a", "1")][..], &["a"][..], &[][..], &[][..], &[][..]),
            (
                &[("a", "1"), ("a", "2")],
                &[],
                &[("a", "3")],
                &[],
                &[("a", "3")],
            ),
            (
                &[("a", "1")],
                &[],
                &[],
                &[("a", "2")],
                &[("a", "1"), ("a", "2")],
            ),
            (
                &[],
                &["a"],
                &[("a", "1")],
                &[("a", "2")],
                &[("a", "1"), ("a", "2")],
            ),
            (&[], &[], &[("a", "1"), ("a", "2")], &[], &[("a", "1")]),
            (
                &framing,
                &["host", "content-length", "transfer-encoding"],
                &[("content-length", "0"), ("transfer-encoding", "chunked")],
                &[("connection", "close"), ("host", "b")],
                &framing,
            ),
        ] {
            let edits = HeaderEdits {
                set: pairs(set),
                add: pairs(add),
                remove: remove.iter().map(|name| name.parse().unwrap()).collect(),
            };
            let mut headers = HeaderMap::new();
            for (name, value) in pairs(before) {
                headers.append(name, value);
            }
            apply(&edits, &mut headers);
            let after: Vec<_> = headers
                .iter()
                .map(|(n, v)| (n.clone(), v.clone()))
                .collect();
            assert_eq!(after, pairs(expected), "{before:?} {edits:?}");
        }
    }
}
