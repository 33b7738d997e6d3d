//! Conditions on a request, with the meaning and precedence that the Gateway API gives them (HTTPRouteMatch).

use crate::Head;
use http::{HeaderName, Method};
use regex::Regex;
use std::{collections::HashSet, hash::Hash};

/// A condition on a string.
#[derive(Clone, Debug)]
pub enum ValueMatch {
    /// Equal, case-sensitive.
    Exact(Box<str>),
    /// Begins with this.
    Prefix(Box<str>),
    /// The expression matches the whole value. Build it with [`whole`].
    Regex(Regex),
    /// There is a value, whatever it is.
    Present,
}

impl ValueMatch {
    pub(crate) fn admits(&self, value: &str) -> bool {
        match self {
            Self::Exact(expected) => **expected == *value,
            Self::Prefix(prefix) => value.starts_with(&**prefix),
            Self::Regex(regex) => regex.is_match(value),
            Self::Present => true,
        }
    }
}

/// The expression `pattern`, made to match whole values only.
///
/// # Errors
/// When `pattern` is no regular expression, or one that compiles to more than the library's size limit.
pub fn whole(pattern: &str) -> Result<Regex, regex::Error> {
    // By itself first: `a)|(?:b` is none, and would be one inside the group.
    Regex::new(pattern)?;
    Regex::new(&format!("^(?:{pattern})$"))
}

/// A condition on the path.
#[derive(Clone, Debug)]
pub enum PathMatch {
    /// Equal.
    Exact(Box<str>),
    /// Equal, or below it by whole path elements: `/shop` admits `/shop/cart`, not `/shopping`. `/` admits all.
    Prefix(Box<str>),
    /// The expression matches the whole path. Build it with [`whole`].
    Regex(Regex),
}

impl PathMatch {
    /// The condition that every path meets.
    pub fn any() -> Self {
        Self::Prefix("/".into())
    }

    pub(crate) fn admits(&self, path: &str) -> bool {
        match self {
            Self::Exact(expected) => **expected == *path,
            Self::Prefix(prefix) => {
                let prefix = prefix.trim_end_matches('/');
                path.strip_prefix(prefix)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
            Self::Regex(regex) => regex.is_match(path),
        }
    }

    /// Exact before regular expression before prefix; among equals the longer first. Where regular expressions come is
    /// left to implementations.
    fn rank(&self) -> (u8, usize) {
        match self {
            Self::Exact(path) => (2, path.len()),
            Self::Regex(regex) => (1, regex.as_str().len()),
            Self::Prefix(path) => (0, path.trim_end_matches('/').len()),
        }
    }
}

/// Conditions on headers, cookies and query parameters; all must hold.
#[derive(Clone, Debug, Default)]
pub struct FieldMatch {
    /// On headers. With several values of one name, one of them must meet it.
    pub headers: Vec<(HeaderName, ValueMatch)>,
    /// On cookies, by name.
    pub cookies: Vec<(Box<str>, ValueMatch)>,
    /// On query parameters, by name; the first of a name counts.
    pub query: Vec<(Box<str>, ValueMatch)>,
}

impl FieldMatch {
    /// Leaves the first condition on each name, as the Gateway API demands: further ones are ignored.
    pub(crate) fn keep_first_of_each_name(&mut self) {
        keep_first(&mut self.headers);
        keep_first(&mut self.cookies);
        keep_first(&mut self.query);
    }

    /// Whether `head` meets all conditions.
    pub fn admits(&self, head: &Head<'_>) -> bool {
        let header =
            |(name, value): &(HeaderName, ValueMatch)| head.header(name).any(|v| value.admits(v));
        self.headers.iter().all(header)
            && self
                .cookies
                .iter()
                .all(|(name, value)| head.cookie(name).is_some_and(|v| value.admits(v)))
            && self
                .query
                .iter()
                .all(|(name, value)| head.query(name).is_some_and(|v| value.admits(&v)))
    }
}

fn keep_first<N: Clone + Eq + Hash>(conditions: &mut Vec<(N, ValueMatch)>) {
    let mut seen = HashSet::new();
    conditions.retain(|(name, _)| seen.insert(name.clone()));
}

/// Conditions on a whole request; all must hold.
#[derive(Clone, Debug)]
pub struct RequestMatch {
    /// On the path.
    pub path: PathMatch,
    /// On the method; none admits every method.
    pub method: Option<Method>,
    /// On headers, cookies and query.
    pub fields: FieldMatch,
}

impl RequestMatch {
    /// The condition that every request meets.
    pub fn any() -> Self {
        Self {
            path: PathMatch::any(),
            method: None,
            fields: FieldMatch::default(),
        }
    }

    /// Whether `head` meets all conditions but that on the path.
    pub(crate) fn admits_beside_path(&self, head: &Head<'_>) -> bool {
        self.method
            .as_ref()
            .is_none_or(|method| method == head.method)
            && self.fields.admits(head)
    }

    /// What decides which of two matching conditions goes first: the larger. Path, then method, then the number of
    /// headers (cookies count with them), then of query parameters.
    pub fn rank(&self) -> impl Ord + use<> {
        let fields = &self.fields;
        (
            self.path.rank(),
            self.method.is_some(),
            fields.headers.len() + fields.cookies.len(),
            fields.query.len(),
        )
    }
}

/// Conditions by which requests are chosen to be copied; all must hold.
#[derive(Clone, Debug, Default)]
pub struct CopyMatch {
    /// On the method.
    pub method: Option<ValueMatch>,
    /// On the path, without the query, as a plain text: a prefix may end within a path element.
    pub path: Option<ValueMatch>,
    /// On headers, cookies and query.
    pub fields: FieldMatch,
}

impl CopyMatch {
    /// Whether `head` meets all conditions.
    pub(crate) fn admits(&self, head: &Head<'_>) -> bool {
        let is_met = |condition: &Option<ValueMatch>, text: &str| {
            condition
                .as_ref()
                .is_none_or(|condition| condition.admits(text))
        };
        is_met(&self.method, head.method.as_str())
            && is_met(&self.path, head.path())
            && self.fields.admits(head)
    }
}

/// A condition on the host.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostMatch {
    /// Every host.
    Any,
    /// This host, in lower case.
    Exact(Box<str>),
    /// Every host that ends with this suffix, in lower case and with its leading dot: `*.example` keeps `.example`.
    Wildcard(Box<str>),
}

impl HostMatch {
    /// Reads `shop.example`, `*.shop.example` or `*`.
    pub fn parse(host: &str) -> Self {
        let host = host.to_ascii_lowercase();
        match host.strip_prefix('*') {
            Some("") => Self::Any,
            Some(suffix) if suffix.starts_with('.') => Self::Wildcard(suffix.into()),
            _ => Self::Exact(host.into()),
        }
    }

    /// Whether `host` is meant. Hosts are compared without regard to case.
    pub fn admits(&self, host: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(expected) => host.eq_ignore_ascii_case(expected),
            Self::Wildcard(suffix) => host.len().checked_sub(suffix.len()).is_some_and(|at| {
                at > 0 && host.is_char_boundary(at) && host[at..].eq_ignore_ascii_case(suffix)
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_at_a_path_element() {
        for (prefix, path, expected) in [
            ("/shop", "/shop", true),
            ("/shop", "/shop/", true),
            ("/shop", "/shop/cart", true),
            ("/shop/", "/shop", true),
            ("/shop", "/shopping", false),
            ("/", "/anything", true),
            ("/", "*", false),
        ] {
            assert_eq!(
                PathMatch::Prefix(prefix.into()).admits(path),
                expected,
                "{prefix} admits {path}"
            );
        }
    }

    #[test]
    fn a_regular_expression_matches_the_whole_value() {
        let value = ValueMatch::Regex(whole("v[0-9]|beta").unwrap());
        assert!(whole("a)|(?:b").is_err());
        for (text, expected) in [
            ("v1", true),
            ("beta", true),
            ("v12", false),
            ("xbeta", false),
        ] {
            assert_eq!(value.admits(text), expected, "{text}");
        }
    }

    #[test]
    fn a_wildcard_needs_something_before_its_dot() {
        let host = HostMatch::parse("*.Shop.example");
        for (name, expected) in [
            ("a.shop.example", true),
            ("a.b.SHOP.example", true),
            ("shop.example", false),
            (".shop.example", false),
        ] {
            assert_eq!(host.admits(name), expected, "{name}");
        }
        assert_eq!(HostMatch::parse("*"), HostMatch::Any);
    }
}
