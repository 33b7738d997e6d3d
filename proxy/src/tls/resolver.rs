//! Which certificate a client is shown.

use super::certificate::{Facts, now};
use rustls::{
    SignatureScheme,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use std::{collections::HashMap, sync::Arc, time::Duration};

/// A certificate with its key, and the OCSP answer that is stapled to it until it is stale.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    plain: Arc<CertifiedKey>,
    /// With the answer, and when the next is due, since 1970.
    stapled: Option<(Arc<CertifiedKey>, Duration)>,
}

impl Shown {
    /// Without an OCSP answer.
    pub(super) fn new(key: CertifiedKey) -> Self {
        Self {
            plain: Arc::new(key),
            stapled: None,
        }
    }

    /// With this OCSP answer until then, since 1970.
    pub(super) fn staple(&mut self, answer: Vec<u8>, until: Duration) {
        let mut key = CertifiedKey::clone(&self.plain);
        key.ocsp = Some(answer);
        self.stapled = Some((Arc::new(key), until));
    }

    fn at(&self, now: Duration) -> &Arc<CertifiedKey> {
        match &self.stapled {
            Some((key, until)) if now < *until => key,
            _ => &self.plain,
        }
    }
}

/// The certificates of a listener, found by name.
///
/// Several may be for one name, with keys of different kinds: a client is shown the first whose signatures it knows.
#[derive(Debug)]
pub(super) struct Resolver {
    keys: Vec<Shown>,
    names: Names,
}

/// Which certificates, by number, are for which names.
#[derive(Debug, Default)]
struct Names {
    /// How many there are.
    all: Vec<usize>,
    exact: HashMap<Box<str>, Vec<usize>>,
    /// By what follows the `*.`, which stands for one label.
    wildcard: HashMap<Box<str>, Vec<usize>>,
}

impl Resolver {
    /// `keys` with what their certificates say, in the same order.
    pub(super) fn new(keys: Vec<Shown>, facts: &[Facts]) -> Self {
        Self {
            keys,
            names: Names::new(facts.iter().map(|facts| facts.names.as_slice())),
        }
    }

    fn choose(&self, name: Option<&str>, schemes: &[SignatureScheme]) -> Option<&Shown> {
        let candidates = || {
            let found = self.names.find(name);
            found.iter().filter_map(|&i| self.keys.get(i))
        };
        // With none that the client can check, the first at least makes it say so.
        candidates()
            .find(|shown| shown.plain.key.choose_scheme(schemes).is_some())
            .or_else(|| candidates().next())
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let shown = self.choose(hello.server_name(), hello.signature_schemes())?;
        Some(Arc::clone(shown.at(now())))
    }
}

impl Names {
    fn new<'a>(certificates: impl Iterator<Item = &'a [Box<str>]>) -> Self {
        let mut found = Self::default();
        for (index, names) in certificates.enumerate() {
            found.all.push(index);
            for name in names {
                let (map, key) = match name.strip_prefix("*.") {
                    Some(parent) => (&mut found.wildcard, parent),
                    None => (&mut found.exact, &**name),
                };
                map.entry(key.into()).or_default().push(index);
            }
        }
        found
    }

    /// Those for this very name; else those whose wildcard covers it; else all.
    fn find(&self, name: Option<&str>) -> &[usize] {
        // TLS libraries pass names on in lower case without the final dot, so that no copy is needed here.
        let exact = |name| self.exact.get(name);
        let wildcard = |name: &str| self.wildcard.get(name.split_once('.')?.1);
        name.and_then(|name| exact(name).or_else(|| wildcard(name)))
            .unwrap_or(&self.all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_exactly_then_by_wildcard_then_all() {
        let certificates: [&[&str]; 5] = [
            &["default.example"],
            &["shop.example", "*.shop.example"],
            &["pay.shop.example"],
            &["shop.example"],
            &[],
        ];
        let owned = certificates.map(|names| names.iter().map(|&n| n.into()).collect::<Vec<_>>());
        let names = Names::new(owned.iter().map(Vec::as_slice));
        for (name, expected) in [
            (None, &[0, 1, 2, 3, 4][..]),
            (Some("default.example"), &[0]),
            (Some("shop.example"), &[1, 3]),
            (Some("a.shop.example"), &[1]),
            (Some("pay.shop.example"), &[2]),
            (Some("a.b.shop.example"), &[0, 1, 2, 3, 4]),
            (Some("*.shop.example"), &[1]),
            (Some("example"), &[0, 1, 2, 3, 4]),
            (Some(".shop.example"), &[1]),
            (Some(""), &[0, 1, 2, 3, 4]),
        ] {
            assert_eq!(names.find(name), expected, "{name:?}");
        }
    }
}
