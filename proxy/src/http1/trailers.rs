//! Which fields may stand behind a body.

use http::{HeaderMap, HeaderName};

/// Whether `name` may not be a trailer (RFC 9110 section 6.5.1): what frames a message, routes it, says who sends it or
/// how to read it must be known before its body. A server that merges trailers into the headers would be told otherwise.
pub(super) fn is_forbidden(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        // Framing and the connection.
        "connection" | "content-length" | "keep-alive" | "proxy-connection" | "te" | "trailer"
            | "transfer-encoding" | "upgrade"
        // Routing and request modifiers.
            | "cache-control" | "expect" | "forwarded" | "host" | "if-match" | "if-modified-since"
            | "if-none-match" | "if-range" | "if-unmodified-since" | "max-forwards" | "pragma" | "range"
            | "x-forwarded-for" | "x-forwarded-host" | "x-forwarded-proto"
        // Who it is.
            | "authorization" | "cookie" | "proxy-authenticate" | "proxy-authorization" | "set-cookie"
            | "www-authenticate"
        // Response controls.
            | "age" | "date" | "expires" | "location" | "retry-after" | "vary" | "warning"
        // How to read the body.
            | "content-encoding" | "content-range" | "content-type"
    )
}

/// Takes out of `trailers` what may not be there.
pub(super) fn remove_forbidden(trailers: &mut HeaderMap) {
    let forbidden: Vec<HeaderName> = trailers
        .keys()
        .filter(|name| is_forbidden(name))
        .cloned()
        .collect();
    for name in forbidden {
        trailers.remove(name);
    }
}
