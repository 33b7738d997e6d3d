//! What is kept for hosts, found by the host that a request asks for.

use crate::{
    matches::HostMatch,
    request::{text, without_port},
};
use foldhash::HashMap;
use std::borrow::Cow;

/// Something for each host. Finding one costs a look-up for each label of the host, however many hosts there are.
#[derive(Clone, Debug)]
pub(super) struct Hosts<T> {
    /// By the whole name, in lower case.
    exact: HashMap<Box<[u8]>, T>,
    /// By the suffix with its leading dot, in lower case.
    wildcards: HashMap<Box<[u8]>, T>,
    any: Option<T>,
}

impl<T> Default for Hosts<T> {
    fn default() -> Self {
        Self {
            exact: HashMap::default(),
            wildcards: HashMap::default(),
            any: None,
        }
    }
}

impl<T> FromIterator<(HostMatch, T)> for Hosts<T> {
    fn from_iter<I: IntoIterator<Item = (HostMatch, T)>>(all: I) -> Self {
        let mut hosts = Self::default();
        for (host, kept) in all {
            match host {
                HostMatch::Exact(name) => drop(hosts.exact.insert(name.into_boxed_bytes(), kept)),
                HostMatch::Wildcard(suffix) => {
                    drop(hosts.wildcards.insert(suffix.into_boxed_bytes(), kept));
                }
                HostMatch::Any => hosts.any = Some(kept),
            }
        }
        hosts
    }
}

impl<T> Hosts<T> {
    /// The first thing that `look` finds in what is kept for the host of `authority`, the more specific first: for the host
    /// itself, then for wildcards from the longest, then for every host.
    pub(super) fn find_map<'a, R>(
        &'a self,
        authority: &[u8],
        mut look: impl FnMut(&'a T) -> Option<R>,
    ) -> Option<R> {
        let mut buffer = [0; LONGEST_NAME];
        let lower;
        let host = if is_plain(authority) {
            authority.strip_suffix(b".").unwrap_or(authority)
        } else {
            let host = text(authority).map_or("", without_port);
            lower = lower_case(host, &mut buffer);
            lower.as_bytes()
        };
        let found = self.exact.get(host).and_then(&mut look);
        if found.is_some() {
            return found;
        }
        if !self.wildcards.is_empty() {
            let found = (1..host.len())
                .filter(|at| host[*at] == b'.')
                .filter_map(|at| self.wildcards.get(&host[at..]))
                .find_map(&mut look);
            if found.is_some() {
                return found;
            }
        }
        self.any.as_ref().and_then(look)
    }
}

/// Whether `authority` is a host in lower case and nothing else, as most are: it has no byte that is not the same in a host that is
/// looked up. Eight bytes are looked at at a time; the last eight, where there are so many, may have been looked at in part.
fn is_plain(authority: &[u8]) -> bool {
    let (whole, rest) = authority.as_chunks::<8>();
    let rest_is_plain = match authority.last_chunk::<8>() {
        Some(last) => rest.is_empty() || are_plain(*last),
        None => rest.iter().all(|byte| are_plain([*byte; 8])),
    };
    rest_is_plain && whole.iter().all(|eight| are_plain(*eight))
}

/// Whether none of `bytes` is a colon, an at sign, a capital, or no ASCII. The highest bit of each byte says whether it is one of
/// these: without that bit in `bytes`, no sum of two bytes below reaches the next byte.
fn are_plain(bytes: [u8; 8]) -> bool {
    const fn each(byte: u8) -> u64 {
        u64::from_ne_bytes([byte; 8])
    }
    let bytes = u64::from_ne_bytes(bytes);
    let ascii = bytes & each(0x7f);
    let from_at_sign = ascii + each(0x80 - b'@');
    let after_capitals = ascii + each(0x80 - (b'Z' + 1));
    let is_no_colon = (ascii ^ each(b':')) + each(0x7f);
    let others = bytes | (from_at_sign & !after_capitals) | !is_no_colon;
    others & each(0x80) == 0
}

/// The length of the longest domain name, in bytes (RFC 1035 section 2.3.4).
const LONGEST_NAME: usize = 255;

/// `host` in lower case. Only a host that is too long for a name, and not in lower case, costs an allocation.
fn lower_case<'a>(host: &'a str, buffer: &'a mut [u8; LONGEST_NAME]) -> Cow<'a, str> {
    if !host.bytes().any(|b| b.is_ascii_uppercase()) {
        return Cow::Borrowed(host);
    }
    if let Some(copy) = buffer.get_mut(..host.len()) {
        copy.copy_from_slice(host.as_bytes());
        copy.make_ascii_lowercase();
        if let Ok(copy) = str::from_utf8(copy) {
            return Cow::Borrowed(copy);
        }
    }
    Cow::Owned(host.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lists_are_looked_at_from_the_most_specific_host_on() {
        let hosts: Hosts<&str> = ["*", "*.example", "*.shop.example", "a.shop.example"]
            .into_iter()
            .map(|host| (HostMatch::parse(host), host))
            .collect();
        for (host, expected) in [
            (
                "A.Shop.example",
                &["a.shop.example", "*.shop.example", "*.example", "*"][..],
            ),
            ("x.y.shop.example", &["*.shop.example", "*.example", "*"]),
            ("shop.example", &["*.example", "*"]),
            ("example", &["*"]),
            (".example", &["*"]),
            ("", &["*"]),
        ] {
            let mut seen: Vec<&str> = Vec::new();
            let none: Option<()> = hosts.find_map(host.as_bytes(), |kept| {
                seen.push(kept);
                None
            });
            assert_eq!(none, None);
            assert_eq!(seen, expected, "{host}");
        }
    }

    proptest! {
        #[test]
        fn a_list_is_found_where_its_condition_admits_the_host(
            pattern in "(\\*|\\*\\.[ab]{1,2}(\\.[ab])?|[ab]\\.[ab])",
            host in "[abAB.:@1é]{0,8}",
        ) {
            let pattern = HostMatch::parse(&pattern);
            let hosts = Hosts::from_iter([(pattern.clone(), ())]);
            let is_found = hosts.find_map(host.as_bytes(), Some).is_some();
            let host = if host.is_ascii() { without_port(&host) } else { "" };
            prop_assert_eq!(is_found, pattern.admits(host));
        }

        #[test]
        fn a_plain_host_has_only_bytes_that_stay(host in prop::collection::vec(prop_oneof![
            9 => b'a'..=b'z', 1 => any::<u8>(),
        ], 0..20)) {
            let stays = |byte: &u8| byte.is_ascii() && !matches!(byte, b':' | b'@' | b'A'..=b'Z');
            prop_assert_eq!(is_plain(&host), host.iter().all(stays));
        }

        #[test]
        fn the_case_of_a_host_does_not_count(host in "\\PC{0,300}") {
            let mut buffer = [0; LONGEST_NAME];
            prop_assert_eq!(lower_case(&host, &mut buffer), host.to_ascii_lowercase());
        }
    }
}
