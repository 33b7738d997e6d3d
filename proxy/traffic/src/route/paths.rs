//! What is kept for paths, found by the path that a request asks for.

use super::Entry;
use crate::matches::PathMatch;
use foldhash::HashMap;
use std::cmp::Reverse;

/// The entries of one host. Finding one costs a look-up for each length that prefixes have, however many there are.
#[derive(Clone, Debug, Default)]
pub(super) struct Paths {
    exact: HashMap<Box<str>, Vec<Entry>>,
    regexes: Vec<Entry>,
    /// Without slashes at their end; that of all paths is not among them.
    prefixes: HashMap<Box<str>, Vec<Entry>>,
    /// The lengths of `prefixes`, the longest first.
    lengths: Vec<usize>,
    /// Those for all paths, which most hosts have and many have only.
    all: Vec<Entry>,
}

impl Paths {
    /// Takes `entries` in, each behind those of the same rank that were there before it.
    pub(super) fn new(mut entries: Vec<Entry>) -> Self {
        // A stable sort keeps the order of the routes among equals.
        entries.sort_by_cached_key(|entry| Reverse(entry.condition.rank()));
        let mut paths = Self::default();
        for entry in entries {
            match &entry.condition.path {
                PathMatch::Exact(path) => {
                    paths.exact.entry(path.clone()).or_default().push(entry);
                }
                PathMatch::Regex(_) => paths.regexes.push(entry),
                PathMatch::Prefix(prefix) => match prefix.trim_end_matches('/') {
                    "" => paths.all.push(entry),
                    prefix => {
                        let prefix = prefix.into();
                        paths.prefixes.entry(prefix).or_default().push(entry);
                    }
                },
            }
        }
        paths.lengths = paths.prefixes.keys().map(|prefix| prefix.len()).collect();
        paths
            .lengths
            .sort_unstable_by_key(|length| Reverse(*length));
        paths.lengths.dedup();
        paths
    }

    /// The first thing that `look` finds in the entries whose condition on the path `path` meets, in their order of
    /// precedence ([`crate::matches::RequestMatch::rank`]).
    pub(super) fn find_map<'a, R>(
        &'a self,
        path: &str,
        mut look: impl FnMut(&'a Entry) -> Option<R>,
    ) -> Option<R> {
        if !self.exact.is_empty()
            && let Some(entries) = self.exact.get(path)
            && let Some(found) = entries.iter().find_map(&mut look)
        {
            return Some(found);
        }
        let mut regexes = self.regexes.iter();
        let found = regexes.find_map(|entry| {
            let admits = entry.condition.path.admits(path);
            admits.then(|| look(entry)).flatten()
        });
        // Of prefixes of one length only one can be the path's.
        let found = found.or_else(|| {
            let prefixes = self.lengths.iter().filter_map(|length| {
                let prefix = element_prefix(path, *length)?;
                self.prefixes.get(prefix)
            });
            prefixes.flatten().find_map(&mut look)
        });
        found.or_else(|| {
            element_prefix(path, 0)?;
            self.all.iter().find_map(look)
        })
    }
}

/// The first `length` bytes of `path`, where a path element ends there.
fn element_prefix(path: &str, length: usize) -> Option<&str> {
    let is_end = match path.as_bytes().get(length) {
        None => path.len() == length,
        Some(byte) => *byte == b'/',
    };
    is_end.then(|| path.get(..length)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matches::{RequestMatch, whole};
    use http::Method;
    use proptest::prelude::*;

    fn condition() -> impl Strategy<Value = RequestMatch> {
        let text = "(/[ab]{0,2}){0,3}/?";
        let path = prop_oneof![
            text.prop_map(|path| PathMatch::Exact(path.into())),
            text.prop_map(|path| PathMatch::Prefix(path.into())),
            "[ab/]{0,2}".prop_map(|text| PathMatch::Regex(whole(&format!("/{text}.*")).unwrap())),
        ];
        (path, any::<bool>()).prop_map(|(path, is_get)| RequestMatch {
            path,
            method: is_get.then_some(Method::GET),
            ..RequestMatch::any()
        })
    }

    proptest! {
        #[test]
        fn entries_are_looked_at_as_if_all_were_tried_in_their_order(
            conditions in prop::collection::vec(condition(), 0..12),
            path in "(\\*|(/[ab]{0,2}){1,4}/?)",
        ) {
            let entry = |(target, condition): (usize, &RequestMatch)| Entry {
                condition: condition.clone(),
                target,
            };
            let entries: Vec<Entry> = conditions.iter().enumerate().map(entry).collect();
            let mut seen = Vec::new();
            let none: Option<()> = Paths::new(entries.clone()).find_map(&path, |entry| {
                seen.push(entry.target);
                None
            });
            prop_assert_eq!(none, None);
            let mut all = entries;
            all.sort_by_cached_key(|entry| Reverse(entry.condition.rank()));
            all.retain(|entry| entry.condition.path.admits(&path));
            let all: Vec<usize> = all.iter().map(|entry| entry.target).collect();
            prop_assert_eq!(seen, all);
        }
    }
}
