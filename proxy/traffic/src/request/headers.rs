//! A request's headers, in either of the forms that they are kept in.

use http::{HeaderMap, HeaderName, HeaderValue, header::HOST};
use memchr::memchr;

/// The headers of a request: a map of them, or the lines that they came in, which who looks for one or two of them need not
/// turn into a map.
#[derive(Clone, Copy, Debug)]
pub enum Headers<'a> {
    /// A map.
    Map(&'a HeaderMap),
    /// Lines as HTTP/1 has them (RFC 9112 section 5): a name, a colon, a value with or without white space around it, CR
    /// and LF. What they are made of has been checked.
    Lines {
        /// All of them.
        lines: &'a [u8],
        /// The value of `Host`, which is asked for most and is there once.
        host: &'a [u8],
    },
}

impl<'a> From<&'a HeaderMap> for Headers<'a> {
    fn from(map: &'a HeaderMap) -> Self {
        Self::Map(map)
    }
}

impl<'a> Headers<'a> {
    /// The first value of `name`.
    pub fn get(self, name: &HeaderName) -> Option<&'a [u8]> {
        match self {
            Self::Map(map) => map.get(name).map(HeaderValue::as_bytes),
            Self::Lines { host, .. } if *name == HOST => Some(host),
            Self::Lines { lines, .. } => named(lines, name).next(),
        }
    }

    /// The first value of `name`, if it is text.
    pub fn text(self, name: &HeaderName) -> Option<&'a str> {
        match self {
            // What is in a map is known to be free of control characters, which makes this the cheaper way.
            Self::Map(map) => map.get(name)?.to_str().ok(),
            Self::Lines { .. } => self.get(name).and_then(text),
        }
    }

    /// All values of `name`, in their order.
    pub fn get_all(self, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
        let (map, lines) = match self {
            Self::Map(map) => (Some(map.get_all(name)), None),
            Self::Lines { lines, .. } => (None, Some(named(lines, name))),
        };
        let of_map = map.into_iter().flatten().map(HeaderValue::as_bytes);
        of_map.chain(lines.into_iter().flatten())
    }
}

/// Name and value of each of `lines`, which are as those of [`Headers::Lines`].
pub fn fields(lines: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    split(lines).filter_map(|line| {
        let (name, value) = line.split_at_checked(memchr(b':', line)?)?;
        Some((name, value.get(1..)?.trim_ascii()))
    })
}

/// A header's value as text, if it is ASCII.
pub(crate) fn text(value: &[u8]) -> Option<&str> {
    let is_text = value.is_ascii();
    is_text.then(|| str::from_utf8(value).ok()).flatten()
}

/// The values of those of `lines` that are headers of `name`.
fn named<'a>(lines: &'a [u8], name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let name = name.as_str().as_bytes();
    split(lines).filter_map(move |line| {
        let (found, rest) = line.split_at_checked(name.len())?;
        let value = rest.strip_prefix(b":")?;
        found.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
    })
}

/// Each of `lines`, without its end.
fn split(mut lines: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (line, rest) = lines.split_at_checked(memchr(b'\n', lines)? + 1)?;
        lines = rest;
        line.strip_suffix(b"\r\n")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{
        HeaderName,
        header::{ACCEPT, COOKIE},
    };
    use proptest::prelude::*;

    #[test]
    fn lines_are_found_by_their_names() {
        const LINES: &[u8] =
            b"Host: a\r\nx-host:b\r\nCookie:\t c=d \r\nho:st\r\nCOOKIE: e:f\r\naccept:\r\n";
        for (name, expected) in [
            (HOST, &["a"][..]),
            (COOKIE, &["c=d", "e:f"]),
            (ACCEPT, &[""]),
            (HeaderName::from_static("ho"), &["st"]),
            (HeaderName::from_static("x"), &[]),
        ] {
            let headers = Headers::Lines {
                lines: LINES,
                host: b"a",
            };
            let found: Vec<_> = headers.get_all(&name).map(|it| text(it).unwrap()).collect();
            assert_eq!(found, expected, "{name}");
            assert_eq!(headers.text(&name), expected.first().copied(), "{name}");
        }
    }

    proptest! {
        #[test]
        fn lines_say_what_a_map_of_them_says(
            fields in prop::collection::vec(("[abAB-]{1,3}", "([!-~\u{e9}]([ -~\t]{0,4}[!-~])?)?"), 0..6),
            asked in "[ab-]{1,3}",
        ) {
            let lines: String = fields.iter().map(|(n, v)| format!("{n}: {v}\r\n")).collect();
            let mut map = HeaderMap::new();
            for (name, value) in super::fields(lines.as_bytes()) {
                let name = HeaderName::from_bytes(name).unwrap();
                map.append(name, HeaderValue::from_bytes(value).unwrap());
            }
            prop_assert_eq!(map.len(), fields.len());
            let asked = HeaderName::from_bytes(asked.as_bytes()).unwrap();
            let of_lines = Headers::Lines {
                lines: lines.as_bytes(),
                host: b"",
            };
            let of_map = Headers::from(&map);
            prop_assert_eq!(of_lines.get(&asked), of_map.get(&asked));
            prop_assert_eq!(of_lines.text(&asked), of_map.text(&asked));
            let all = |headers: Headers<'_>| -> Vec<Vec<u8>> {
                headers.get_all(&asked).map(<[u8]>::to_vec).collect()
            };
            prop_assert_eq!(all(of_lines), all(of_map));
            if let Some(value) = map.get(&asked) {
                prop_assert_eq!(text(value.as_bytes()), value.to_str().ok());
            }
        }
    }
}
