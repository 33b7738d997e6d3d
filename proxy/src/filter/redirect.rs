//! Where a client is sent that a route sends elsewhere.

use super::{answer::Answer, path};
use crate::request::Scheme;
use http::HeaderValue;
use traffic::{Head, action::Redirect};

/// The `Location` that `redirect` sends the request to, with the Gateway API's rules for the port: the one that is given;
/// else that of the scheme that is given; else the `(scheme, port)` that the client came by. A port that is the scheme's
/// own is left out.
pub(super) fn location(
    redirect: &Redirect,
    head: &Head<'_>,
    came_by: (Scheme, u16),
    matched_prefix: Option<&str>,
) -> Result<HeaderValue, Answer> {
    let given = redirect.scheme.as_deref();
    let given = given.and_then(|scheme| Scheme::parse(scheme.as_bytes()));
    let scheme = given.unwrap_or(came_by.0);
    let port = match (redirect.port, given) {
        (Some(port), _) => port,
        (None, Some(scheme)) => scheme.port(),
        (None, None) => came_by.1,
    };
    let host = redirect.hostname.as_deref().unwrap_or_else(|| head.host());
    if host.is_empty() {
        return Err(Answer::NoHost);
    }
    let mut location = format!("{}://{host}", scheme.as_str());
    if port != scheme.port() {
        location.push(':');
        location.push_str(&port.to_string());
    }
    match &redirect.path {
        Some(rewrite) => location.push_str(&path::path(head.path(), rewrite, matched_prefix)),
        // `*` is what OPTIONS may ask of a whole server.
        None if head.path() == "*" => location.push('/'),
        None => location.push_str(head.path()),
    }
    if let Some(query) = head.uri.query() {
        location.push('?');
        location.push_str(query);
    }
    HeaderValue::try_from(location).map_err(|_| Answer::TargetTooLong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{Request, StatusCode};
    use proptest::prelude::*;
    use std::net::IpAddr;
    use traffic::action::PathRewrite;

    const HTTP: (Scheme, u16) = (Scheme::Http, 80);
    const HTTPS: (Scheme, u16) = (Scheme::Https, 443);

    fn to(scheme: Option<&str>, hostname: Option<&str>, port: Option<u16>) -> Redirect {
        Redirect {
            scheme: scheme.map(Into::into),
            hostname: hostname.map(Into::into),
            port,
            path: None,
            status: StatusCode::FOUND,
        }
    }

    fn check(redirect: &Redirect, host: &str, target: &str, came_by: (Scheme, u16)) -> String {
        let request = Request::get(target).header("host", host).body(()).unwrap();
        let head = Head {
            method: request.method(),
            uri: request.uri(),
            headers: request.headers().into(),
            client: &IpAddr::from([127, 0, 0, 1]),
            listener: "",
        };
        match location(redirect, &head, came_by, Some("/foo")) {
            Ok(location) => location.to_str().unwrap().to_owned(),
            Err(answer) => format!("{answer:?}"),
        }
    }

    #[test]
    fn the_port_is_the_gateway_apis() {
        let http_8080 = (Scheme::Http, 8080);
        for (redirect, came_by, expected) in [
            (to(None, None, None), HTTP, "http://a.example/p?q"),
            (to(None, None, None), HTTPS, "https://a.example/p?q"),
            (to(None, None, None), http_8080, "http://a.example:8080/p?q"),
            (to(Some("https"), None, None), HTTP, "https://a.example/p?q"),
            (
                to(Some("https"), None, None),
                http_8080,
                "https://a.example/p?q",
            ),
            (
                to(Some("http"), None, None),
                http_8080,
                "http://a.example/p?q",
            ),
            (
                to(Some("https"), None, Some(8443)),
                HTTP,
                "https://a.example:8443/p?q",
            ),
            (
                to(Some("https"), None, Some(443)),
                HTTP,
                "https://a.example/p?q",
            ),
            (
                to(Some("https"), None, Some(80)),
                HTTP,
                "https://a.example:80/p?q",
            ),
            (to(None, None, Some(80)), http_8080, "http://a.example/p?q"),
            (
                to(None, Some("b.example"), None),
                HTTP,
                "http://b.example/p?q",
            ),
            (
                to(None, Some("b.example"), None),
                (Scheme::Https, 8443),
                "https://b.example:8443/p?q",
            ),
        ] {
            let found = check(&redirect, "a.example:9999", "/p?q", came_by);
            assert_eq!(found, expected, "{redirect:?} from {came_by:?}");
        }
    }

    #[test]
    fn host_and_path_cannot_lead_astray() {
        let replaced = |path: PathRewrite| Redirect {
            path: Some(path),
            ..to(None, None, None)
        };
        let prefix = |by: &str| replaced(PathRewrite::ReplacePrefixMatch(by.into()));
        let full = |by: &str| replaced(PathRewrite::ReplaceFullPath(by.into()));
        for (redirect, host, target, expected) in [
            (to(None, None, None), "", "/p", "NoHost"),
            (to(None, Some("b"), None), "", "/p", "http://b/p"),
            (to(None, None, None), "[::1]:80", "/p", "http://[::1]/p"),
            (to(None, None, None), "a", "//evil/p", "http://a//evil/p"),
            (to(None, None, None), "a", "http://c:81/p", "http://c/p"),
            (to(None, None, None), "a", "*", "http://a/"),
            (prefix("/x"), "a", "/foo/bar?q", "http://a/x/bar?q"),
            (prefix("/"), "a", "/foo", "http://a/"),
            (full("/x"), "a", "/foo/bar?q", "http://a/x?q"),
            (full(".evil"), "a", "/foo", "http://a/.evil"),
        ] {
            let found = check(&redirect, host, target, HTTP);
            assert_eq!(found, expected, "{redirect:?} {host} {target}");
        }
    }

    proptest! {
        /// Whatever is asked for, the client is sent to the host that the route or the request names.
        #[test]
        fn a_redirect_leads_to_its_host(
            target in "/[!-~]{0,20}",
            hostname in prop::option::of(Just("b.example")),
            port in prop::option::of(any::<u16>()),
            by in prop::option::of("/?[a-z/]{0,8}"),
        ) {
            prop_assume!(target.parse::<http::Uri>().is_ok_and(|uri| uri.authority().is_none()));
            let redirect = Redirect {
                path: by.map(|by| PathRewrite::ReplacePrefixMatch(by.into())),
                ..to(None, hostname, port)
            };
            let location: http::Uri = check(&redirect, "a.example", &target, HTTP).parse().unwrap();
            prop_assert_eq!(location.host(), Some(hostname.unwrap_or("a.example")));
            prop_assert_eq!(location.port_u16(), port.filter(|port| *port != 80));
            prop_assert!(location.path().starts_with('/'));
        }
    }
}
