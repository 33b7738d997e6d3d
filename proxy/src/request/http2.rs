//! What is refused of a request that came by HTTP/2, beside what its framing refuses.

use super::{Fault, is_host, peer::Scheme};
use http::{Method, header::HOST, request::Parts};

/// Whether the head of a request that came by HTTP/2 can be routed and forwarded without two servers understanding it
/// differently (RFC 9113 sections 8.2 and 8.3).
pub(crate) fn check_http2(head: &Parts) -> Result<(), Fault> {
    if head.method == Method::CONNECT {
        return Err(Fault::Connect);
    }
    let headers = &head.headers;
    let is_trailers = |value: &http::HeaderValue| {
        value
            .as_bytes()
            .trim_ascii()
            .eq_ignore_ascii_case(b"trailers")
    };
    // One look at all of them is cheaper than a look-up for each of those few.
    let mut lengths = 0;
    for (name, value) in headers {
        match name.as_str() {
            // They concern an HTTP/1 connection: RFC 9113 section 8.2.2 makes a message with one of them malformed.
            "connection" | "transfer-encoding" | "upgrade" | "keep-alive" | "proxy-connection" => {
                return Err(Fault::ConnectionHeader);
            }
            "te" if !is_trailers(value) => return Err(Fault::ConnectionHeader),
            "content-length" => lengths += 1,
            _ => {}
        }
    }
    if lengths > 1 {
        return Err(Fault::ManyLengths);
    }
    let scheme = Scheme::parse(head.uri.scheme_str().unwrap_or_default().as_bytes());
    let scheme = scheme.ok_or(Fault::TargetInvalid)?;
    let path = head.uri.path_and_query().map_or("", |path| path.as_str());
    let is_path = path.starts_with('/') || (path == "*" && head.method == Method::OPTIONS);
    // `http` lets bytes beyond ASCII pass, which no line of HTTP/1 may have.
    if !is_path || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Fault::TargetInvalid);
    }
    hosts_agree(head, scheme)
}

/// There is one host, and it can be one.
fn hosts_agree(head: &Parts, scheme: Scheme) -> Result<(), Fault> {
    let mut hosts = head.headers.get_all(HOST).iter();
    let host = hosts.next().map(http::HeaderValue::as_bytes);
    if hosts.next().is_some() {
        return Err(Fault::ManyHosts);
    }
    if host.is_some_and(|host| !is_host(host)) {
        return Err(Fault::HostInvalid);
    }
    let authority = head.uri.authority().map(|authority| authority.as_str());
    match (authority.map(str::as_bytes), host) {
        (Some(authority), _) if authority.is_empty() || !is_host(authority) => {
            Err(Fault::TargetInvalid)
        }
        (Some(authority), Some(host)) => {
            let same =
                without_port(authority, scheme).eq_ignore_ascii_case(without_port(host, scheme));
            if same {
                Ok(())
            } else {
                Err(Fault::HostsDiffer)
            }
        }
        (None, None | Some(b"")) => Err(Fault::NoHost),
        _ => Ok(()),
    }
}

/// `host` without the port that is `scheme`'s own.
fn without_port(host: &[u8], scheme: Scheme) -> &[u8] {
    let port: &[u8] = match scheme {
        Scheme::Http => b":80",
        Scheme::Https => b":443",
    };
    host.strip_suffix(port).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{Request, Version};

    #[test]
    fn what_is_malformed_in_http2_is_refused() {
        const URI: &str = "https://a.example/p";
        for (method, uri, headers, expected) in [
            ("GET", URI, &[][..], Ok(())),
            ("GET", URI, &[("host", "A.example")], Ok(())),
            ("GET", URI, &[("host", "a.example:443")], Ok(())),
            ("GET", URI, &[("te", "trailers")], Ok(())),
            (
                "GET",
                URI,
                &[("host", "a.example:80")],
                Err(Fault::HostsDiffer),
            ),
            (
                "GET",
                URI,
                &[("host", "b.example")],
                Err(Fault::HostsDiffer),
            ),
            ("GET", URI, &[("host", "")], Err(Fault::HostsDiffer)),
            ("GET", URI, &[("host", "a b")], Err(Fault::HostInvalid)),
            (
                "GET",
                URI,
                &[("host", "a.example"), ("host", "a.example")],
                Err(Fault::ManyHosts),
            ),
            (
                "GET",
                URI,
                &[("connection", "close")],
                Err(Fault::ConnectionHeader),
            ),
            (
                "GET",
                URI,
                &[("keep-alive", "1")],
                Err(Fault::ConnectionHeader),
            ),
            (
                "GET",
                URI,
                &[("proxy-connection", "x")],
                Err(Fault::ConnectionHeader),
            ),
            (
                "GET",
                URI,
                &[("transfer-encoding", "chunked")],
                Err(Fault::ConnectionHeader),
            ),
            (
                "GET",
                URI,
                &[("upgrade", "websocket")],
                Err(Fault::ConnectionHeader),
            ),
            ("GET", URI, &[("te", "gzip")], Err(Fault::ConnectionHeader)),
            (
                "GET",
                URI,
                &[("te", "trailers, gzip")],
                Err(Fault::ConnectionHeader),
            ),
            ("GET", "ftp://a/", &[], Err(Fault::TargetInvalid)),
            ("GET", "https://u@a/", &[], Err(Fault::TargetInvalid)),
            ("GET", "/p", &[("host", "a")], Err(Fault::TargetInvalid)),
            ("GET", "*", &[("host", "a")], Err(Fault::TargetInvalid)),
            ("CONNECT", "a:443", &[], Err(Fault::Connect)),
        ] {
            let mut request = Request::builder()
                .method(method)
                .uri(uri)
                .version(Version::HTTP_2);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let (head, ()) = request.body(()).unwrap().into_parts();
            assert_eq!(check_http2(&head), expected, "{method} {uri} {headers:?}");
        }
    }
}
