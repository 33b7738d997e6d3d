//! What routing looks at in a request.

mod headers;

pub use headers::{Headers, fields};

pub(crate) use headers::text;
use http::{
    HeaderName, Method, Uri,
    header::{COOKIE, HOST},
};
use std::{borrow::Cow, net::IpAddr};

/// The parts of a request that decide where it goes, borrowed from it.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// The method.
    pub method: &'a Method,
    /// The request target.
    pub uri: &'a Uri,
    /// The headers.
    pub headers: Headers<'a>,
    /// The client's address: where the connection came from, or what a trusted peer says of it.
    pub client: &'a IpAddr,
    /// The name of the listener that it came in at.
    pub listener: &'a str,
}

impl<'a> Head<'a> {
    /// The host that is asked for, without its port: the request target's authority where it has one
    /// (RFC 9112 section 3.2.2), else the `Host` header. Empty when there is neither.
    pub fn host(&self) -> &'a str {
        let authority = self.uri.authority().map(http::uri::Authority::as_str);
        let header = || self.headers.text(&HOST);
        without_port(authority.or_else(header).unwrap_or_default())
    }

    /// What [`Self::host`] is read from.
    pub(crate) fn authority(&self) -> &'a [u8] {
        match self.uri.authority() {
            Some(authority) => authority.as_str().as_bytes(),
            None => self.headers.get(&HOST).unwrap_or_default(),
        }
    }

    /// The path, never empty.
    pub fn path(&self) -> &'a str {
        match self.uri.path() {
            "" => "/",
            path => path,
        }
    }

    /// The value of the first cookie named `name` (RFC 6265 section 5.4).
    pub fn cookie(&self, name: &str) -> Option<&'a str> {
        let lines = self.header(&COOKIE);
        lines.flat_map(|line| line.split(';')).find_map(|pair| {
            let (key, value) = pair.trim().split_once('=')?;
            (key == name).then_some(value.trim_matches('"'))
        })
    }

    /// The values of the headers `name` that are text.
    pub(crate) fn header(&self, name: &HeaderName) -> impl Iterator<Item = &'a str> {
        self.headers.get_all(name).filter_map(text)
    }

    /// The value of the first query parameter named `name`, percent-decoded.
    pub fn query(&self, name: &str) -> Option<Cow<'a, str>> {
        let query = self.uri.query()?;
        form_urlencoded::parse(query.as_bytes())
            .find_map(|(key, value)| (key == name).then_some(value))
    }
}

/// `authority` without user information, port and the dot of a fully qualified name (RFC 1034 section 3.1), which
/// makes it no other host. An IPv6 address keeps its brackets.
pub fn without_port(authority: &str) -> &str {
    // Most have neither.
    if !authority.bytes().any(|b| matches!(b, b':' | b'@')) {
        return authority.strip_suffix('.').unwrap_or(authority);
    }
    let host = split_at_last(authority, b'@').map_or(authority, |(_, host)| host);
    let name = match split_at_last(host, b':') {
        Some((name, port))
            if port.bytes().all(|b| b.is_ascii_digit())
                && (name.ends_with(']') || !name.contains(':')) =>
        {
            name
        }
        _ => host,
    };
    name.strip_suffix('.').unwrap_or(name)
}

/// What is before and after the last `byte`, an ASCII character, of `text`. Hosts are short: the standard library's search
/// takes longer to begin than this to end.
fn split_at_last(text: &str, byte: u8) -> Option<(&str, &str)> {
    let at = text.bytes().rposition(|b| b == byte)?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn check<T>(request: &Request<()>, look: impl FnOnce(Head<'_>) -> T) -> T {
        let head = Head {
            method: request.method(),
            uri: request.uri(),
            headers: request.headers().into(),
            client: &IpAddr::from([127, 0, 0, 1]),
            listener: "",
        };
        look(head)
    }

    #[test]
    fn the_port_is_no_part_of_the_host() {
        for (host, expected) in [
            ("shop.example", "shop.example"),
            ("shop.example:8080", "shop.example"),
            ("[::1]:8080", "[::1]"),
            ("[::1]", "[::1]"),
            ("shop.example:", "shop.example"),
            ("shop.example.", "shop.example"),
            ("shop.example.:8080", "shop.example"),
        ] {
            let request = Request::get("/").header("host", host).body(()).unwrap();
            assert_eq!(check(&request, |head| head.host().to_owned()), expected);
        }
        let absolute = Request::get("http://a.example:80/x")
            .header("host", "b.example")
            .body(())
            .unwrap();
        assert_eq!(check(&absolute, |head| head.host().to_owned()), "a.example");
    }

    #[test]
    fn cookies_are_found_among_others_and_over_several_lines() {
        let request = Request::get("/")
            .header("cookie", "a=1; b=\"2\"")
            .header("cookie", "c=3=4")
            .body(())
            .unwrap();
        for (name, expected) in [
            ("a", Some("1")),
            ("b", Some("2")),
            ("c", Some("3=4")),
            ("d", None),
        ] {
            assert_eq!(
                check(&request, |head| head.cookie(name).map(str::to_owned)),
                expected.map(str::to_owned)
            );
        }
    }

    #[test]
    fn query_parameters_are_decoded() {
        let request = Request::get("/?x=a%20b&y&x=2").body(()).unwrap();
        for (name, expected) in [("x", Some("a b")), ("y", Some("")), ("z", None)] {
            assert_eq!(
                check(&request, |head| head.query(name).map(Cow::into_owned)),
                expected.map(str::to_owned)
            );
        }
    }
}
