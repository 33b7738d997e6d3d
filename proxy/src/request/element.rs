//! `Forwarded` as others wrote it (RFC 7239 section 4).

use super::peer::Scheme;
use http::HeaderValue;
use std::{borrow::Cow, net::IpAddr};

/// What one proxy says of the request that it received.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    /// Where it came from, when that is an address.
    pub(super) from: Option<IpAddr>,
    /// How it came.
    pub(super) proto: Option<Scheme>,
}

/// The elements of one line, or nothing when it is no list of them. A line that is malformed anywhere is malformed as
/// a whole: a quotation mark that is never closed takes in all that follows.
pub(super) fn elements(line: &HeaderValue) -> Option<Vec<Element>> {
    let mut rest = line.to_str().ok()?;
    let mut elements = Vec::new();
    loop {
        let (element, after) = element(rest)?;
        elements.extend(element);
        match after.strip_prefix(',') {
            Some(after) => rest = after,
            None => return after.is_empty().then_some(elements),
        }
    }
}

/// The element that `text` begins with (none between two commas), and what comes after it.
fn element(text: &str) -> Option<(Option<Element>, &str)> {
    let mut rest = text.trim_start();
    if rest.is_empty() || rest.starts_with(',') {
        return Some((None, rest));
    }
    let mut element = Element::default();
    let mut seen_for = false;
    loop {
        let (name, after) = rest.split_once('=')?;
        let (value, after) = value(after)?;
        if !is_token(name) {
            return None;
        }
        if name.eq_ignore_ascii_case("for") {
            if std::mem::replace(&mut seen_for, true) {
                return None;
            }
            element.from = node(value.as_bytes());
        } else if name.eq_ignore_ascii_case("proto") {
            element.proto = Scheme::parse(value.as_bytes());
        }
        rest = after.trim_start();
        match rest.strip_prefix(';') {
            Some(after) => rest = after.trim_start(),
            None => return Some((Some(element), rest)),
        }
    }
}

/// The token or quoted string that `text` begins with, and what comes after it.
fn value(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([';', ',', ' ', '\t']).unwrap_or(text.len());
        let (token, rest) = text.split_at(end);
        return is_token(token).then_some((Cow::Borrowed(token), rest));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((Cow::Owned(value), &quoted[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

/// Whether `text` is a token (RFC 9110 section 5.6.2).
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// The address of a node: an IPv4 address, or an IPv6 address with or without brackets, with or without a port.
/// `unknown` and what begins with an underscore has none.
pub(super) fn node(text: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(text).ok()?;
    let is_port = |port: &str| {
        let digits = port.strip_prefix('_').unwrap_or(port);
        !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    let address: IpAddr = if let Some(bracketed) = text.strip_prefix('[') {
        let (address, port) = bracketed.split_once(']')?;
        if !(port.is_empty() || port.strip_prefix(':').is_some_and(is_port)) {
            return None;
        }
        IpAddr::V6(address.parse().ok()?)
    } else if let Ok(address) = text.parse() {
        address
    } else {
        let (address, port) = text.split_once(':')?;
        if !is_port(port) {
            return None;
        }
        IpAddr::V4(address.parse().ok()?)
    };
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nodes_are_read_as_proxies_write_them() {
        for (text, expected) in [
            ("192.0.2.1", Some("192.0.2.1")),
            ("192.0.2.1:443", Some("192.0.2.1")),
            ("192.0.2.1:_port", Some("192.0.2.1")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("[2001:db8::1]", Some("2001:db8::1")),
            ("[2001:db8::1]:80", Some("2001:db8::1")),
            ("::ffff:192.0.2.1", Some("192.0.2.1")),
            ("unknown", None),
            ("_hidden", None),
            ("", None),
            ("192.0.2.1:", None),
            ("192.0.2.256", None),
            ("[192.0.2.1]", None),
            ("[::1", None),
            ("[::1]x", None),
            ("192.0.2.1 192.0.2.2", None),
        ] {
            let expected = expected.map(|address| address.parse().unwrap());
            assert_eq!(node(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn lines_of_elements_are_read() {
        let from = |address: &str| Element {
            from: Some(address.parse().unwrap()),
            proto: None,
        };
        for (line, expected) in [
            ("for=192.0.2.1", Some(vec![from("192.0.2.1")])),
            (
                "For=\"[2001:db8::1]:80\" , for=192.0.2.1;by=_x",
                Some(vec![from("2001:db8::1"), from("192.0.2.1")]),
            ),
            (
                "proto=HTTPS; for=\"192.0.2\\.1\"",
                Some(vec![Element {
                    proto: Some(Scheme::Https),
                    ..from("192.0.2.1")
                }]),
            ),
            ("for=unknown", Some(vec![Element::default()])),
            ("host=\"a,b;for=192.0.2.9\"", Some(vec![Element::default()])),
            ("", Some(vec![])),
            (" , for=192.0.2.1,", Some(vec![from("192.0.2.1")])),
            ("for=192.0.2.1, for=\"192.0.2.2", None),
            ("for=192.0.2.1;for=192.0.2.2", None),
            ("for", None),
            ("for=[::1]", None),
            ("192.0.2.1", None),
            ("for=192.0.2.1 192.0.2.2", None),
        ] {
            let value = HeaderValue::from_str(line).unwrap();
            assert_eq!(elements(&value), expected, "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_line_breaks_the_reader(line in "[\\x20-\\x7e]{0,60}|[for=\";,\\[\\]:. 0-9\\\\]{0,40}") {
            let _ = elements(&HeaderValue::from_str(&line).unwrap());
            let _ = node(line.as_bytes());
        }
    }
}
