//! Who may talk to the admin server.

use super::{Shared, refuse};
use axum::{
    extract::{Request, State},
    http::{StatusCode, header},
    middleware::Next,
    response::Response,
};
use std::net::IpAddr;

/// Lets a request through that may be here.
pub(super) async fn admit(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    match &shared.token {
        Some(token) => {
            let shown = header(header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
            if !shown.is_some_and(|shown| same(shown.trim().as_bytes(), token.as_bytes())) {
                let why = "this server wants the token of its tokenFile as `Authorization: Bearer ...`";
                return refuse(StatusCode::UNAUTHORIZED, why.to_owned());
            }
        }
        None => {
            let host = header(header::HOST).unwrap_or_default();
            if !is_loopback(host) {
                let why = format!("host {host:?} is not a name of this machine's loopback; call it by 127.0.0.1");
                return refuse(StatusCode::FORBIDDEN, why);
            }
        }
    }
    next.run(request).await
}

/// Compares in a time that does not tell how much was right.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |difference, (x, y)| difference | (x ^ y)) == 0
}

/// Whether `host` (with or without port) can only mean this machine. A name of any other kind may be a foreign page's,
/// made to resolve to loopback (DNS rebinding).
fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
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
    fn a_token_is_compared_whole() {
        assert!(same(b"secret", b"secret"));
        assert!(!same(b"secret", b"secreT"));
        assert!(!same(b"secret", b"secrets"));
    }
}
