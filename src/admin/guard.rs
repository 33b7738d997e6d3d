//! Who may talk to the admin server.

use super::{Pages, refuse};
use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::Next,
    response::Response,
};
use std::net::IpAddr;

/// Lets a request through that may be here.
pub(super) async fn admit(State(pages): State<Pages>, request: Request, next: Next) -> Response {
    match objection(pages.token.as_deref(), request.headers()) {
        Some((status, why)) => refuse(status, why),
        None => next.run(request).await,
    }
}

/// What is to be said against a request with these headers.
fn objection(token: Option<&str>, headers: &HeaderMap) -> Option<(StatusCode, String)> {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(token) = token else {
        let host = header(header::HOST).unwrap_or_default();
        let why = || {
            format!("host {host:?} is not a name of this machine's loopback; call it by 127.0.0.1")
        };
        return (!is_loopback(host)).then(|| (StatusCode::FORBIDDEN, why()));
    };
    let shown = header(header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
    let why = "this server wants the token of its tokenFile as `Authorization: Bearer ...`";
    let known = shown.is_some_and(|shown| same(shown.trim().as_bytes(), token.as_bytes()));
    (!known).then(|| (StatusCode::UNAUTHORIZED, why.to_owned()))
}

/// Compares in a time that does not tell how much was right.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len()
        && a.iter()
            .zip(b)
            .fold(0, |difference, (x, y)| difference | (x ^ y))
            == 0
}

/// Whether `host` (with or without port) can only mean this machine. A name of any other kind may be a foreign page's,
/// made to resolve to loopback (DNS rebinding).
fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_are_loopback() {
        for (host, expected) in [
            ("127.0.0.1:9901", true),
            ("127.0.0.1", true),
            ("localhost:9901", true),
            ("[::1]:9901", true),
            ("evil.example:9901", false),
            ("127.0.0.1.evil.example", false),
            ("10.0.0.1:9901", false),
            ("", false),
        ] {
            assert_eq!(is_loopback(host), expected, "{host}");
        }
    }

    #[test]
    fn a_token_is_demanded_where_there_is_one() {
        let with = |name: header::HeaderName, value: &str| {
            HeaderMap::from_iter([(name, value.parse().unwrap())])
        };
        for (token, headers, expected) in [
            (
                Some("s3cret"),
                with(header::AUTHORIZATION, "Bearer s3cret"),
                None,
            ),
            (
                Some("s3cret"),
                with(header::AUTHORIZATION, "Bearer s3cre"),
                Some(StatusCode::UNAUTHORIZED),
            ),
            (
                Some("s3cret"),
                with(header::HOST, "127.0.0.1"),
                Some(StatusCode::UNAUTHORIZED),
            ),
            (None, with(header::HOST, "127.0.0.1"), None),
            (
                None,
                with(header::HOST, "evil.example"),
                Some(StatusCode::FORBIDDEN),
            ),
            (None, HeaderMap::new(), Some(StatusCode::FORBIDDEN)),
        ] {
            let status = objection(token, &headers).map(|(status, _)| status);
            assert_eq!(status, expected, "{token:?} {headers:?}");
        }
    }

    #[test]
    fn a_token_is_compared_whole() {
        assert!(same(b"secret", b"secret"));
        assert!(!same(b"secret", b"secreT"));
        assert!(!same(b"secret", b"secrets"));
    }
}
