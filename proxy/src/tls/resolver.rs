//! Which certificate a client is shown.

use super::certificate::Facts;
use rustls::{
    SignatureScheme,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use std::{collections::HashMap, sync::Arc};

/// The certificates of a listener, found by name.
///
/// Several may be for one name, with keys of different kinds: a client is shown the first whose signatures it knows.
#[derive(Debug)]
pub(super) struct Resolver {
    keys: Vec<Arc<CertifiedKey>>,
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
    pub(super) fn new(certificates: Vec<(CertifiedKey, &Facts)>) -> Self {
        let names = Names::new(certificates.iter().map(|(_, facts)| facts.names.as_slice()));
        let keys = certificates.into_iter().map(|(key, _)| Arc::new(key));
        Self {
            keys: keys.collect(),
            names,
        }
    }

    fn choose(
        &self,
        name: Option<&str>,
        schemes: &[SignatureScheme],
    ) -> Option<&Arc<CertifiedKey>> {
        let candidates = || {
            self.names
                .find(name)
                .iter()
                .filter_map(|&i| self.keys.get(i))
        };
        // With none that the client can check, the first at least makes it say so.
        candidates()
            .find(|key| key.key.choose_scheme(schemes).is_some())
            .or_else(|| candidates().next())
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name(), hello.signature_schemes())
            .map(Arc::clone)
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
