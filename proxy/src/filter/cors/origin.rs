//! Which origins are meant by `https://*.shop.example`.

/// Scheme, host and port. A port that is the scheme's own is the same as none.
#[derive(Debug, PartialEq, Eq)]
struct Origin<'a> {
    scheme: &'a str,
    host: &'a str,
    port: Option<&'a str>,
}

impl<'a> Origin<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let is_port = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if is_port(port) && (!host.contains(':') || host.ends_with(']')) => {
                (host, Some(port))
            }
            _ => (authority, None),
        };
        if host.is_empty() {
            return None;
        }
        let own = match scheme {
            _ if scheme.eq_ignore_ascii_case("http") => Some("80"),
            _ if scheme.eq_ignore_ascii_case("https") => Some("443"),
            _ => None,
        };
        Some(Self {
            scheme,
            host,
            port: port.filter(|port| Some(*port) != own),
        })
    }
}

/// Whether `origin`, as a browser sends it, is one of those that `allowed` means. A `*` stands for any number of labels
/// at the beginning of a host, or for every host; alone it means every origin.
pub(super) fn admits(allowed: &str, origin: &str) -> bool {
    if allowed == "*" || allowed == origin {
        return true;
    }
    let (Some(allowed), Some(origin)) = (Origin::parse(allowed), Origin::parse(origin)) else {
        return false;
    };
    allowed.scheme.eq_ignore_ascii_case(origin.scheme)
        && allowed.port == origin.port
        && host_admits(allowed.host, origin.host)
}

fn host_admits(allowed: &str, host: &str) -> bool {
    match allowed.strip_prefix('*') {
        None => allowed.eq_ignore_ascii_case(host),
        Some(suffix) => host.len().checked_sub(suffix.len()).is_some_and(|at| {
            at > 0 && host.is_char_boundary(at) && host[at..].eq_ignore_ascii_case(suffix)
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn origins_are_compared_by_scheme_host_and_port() {
        for (allowed, origin, expected) in [
            ("*", "https://a.example", true),
            ("*", "null", true),
            ("null", "null", true),
            ("https://a.example", "null", false),
            ("https://a.example", "https://a.example", true),
            ("https://A.example", "https://a.example", true),
            ("https://a.example:443", "https://a.example", true),
            ("http://a.example", "http://a.example:80", true),
            ("https://a.example", "http://a.example", false),
            ("https://a.example", "https://a.example:8443", false),
            ("https://a.example:8443", "https://a.example:8443", true),
            ("https://a.example", "https://a.example.evil", false),
            ("https://a.example", "https://evil.a.example", false),
            ("https://*.a.example", "https://x.a.example", true),
            ("https://*.a.example", "https://x.y.a.example", true),
            ("https://*.a.example", "https://a.example", false),
            ("https://*.a.example", "https://xa.example", false),
            ("https://*.a.example", "https://.a.example", false),
            ("https://*.a.example", "https://x.a.example:1", false),
            ("https://*", "https://x", true),
            ("https://*", "http://x", false),
            ("http://[::1]:8080", "http://[::1]:8080", true),
            ("http://[::1]", "http://[::1]:80", true),
        ] {
            assert_eq!(
                admits(allowed, origin),
                expected,
                "{allowed} admits {origin}"
            );
        }
    }

    proptest! {
        #[test]
        fn nothing_breaks_the_comparison(allowed in "(https://)?\\PC{0,12}", origin in "(https://)?\\PC{0,12}") {
            let _ = admits(&allowed, &origin);
        }
    }
}
