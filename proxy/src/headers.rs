//! Headers that concern one connection only and are not passed on (RFC 9110 section 7.6.1).

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONNECTION, TE, TRANSFER_ENCODING, UPGRADE},
};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// The protocol that a client asks to change to, or that an endpoint changed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Upgrade(HeaderValue);

impl Upgrade {
    /// Asks for, or confirms, the protocol in `headers`.
    pub(crate) fn set(&self, headers: &mut HeaderMap) {
        let _ = headers.try_insert(UPGRADE, self.0.clone());
        let _ = headers.try_insert(CONNECTION, HeaderValue::from_static("upgrade"));
    }
}

/// The protocol that `headers` change to. HTTP/2 in the clear is left out: a tunnel of it would carry requests that
/// nobody routes or counts.
pub(crate) fn upgrade(headers: &HeaderMap) -> Option<Upgrade> {
    let protocol = headers.get(UPGRADE)?;
    let is_http2 = has_token(headers, &UPGRADE, "h2c");
    let is_asked = has_token(headers, &CONNECTION, "upgrade");
    (is_asked && !is_http2).then(|| Upgrade(protocol.clone()))
}

/// Removes the headers that concern the connection that they came on only. How the body is framed on the next
/// connection is decided there, so `Transfer-Encoding` goes too.
pub(crate) fn remove_hop_by_hop(headers: &mut HeaderMap) {
    // Most answers have none of them: one look at the names is cheaper than a look-up for each.
    if !headers.keys().any(|name| is_hop_by_hop(name.as_str())) {
        return;
    }
    if headers.contains_key(CONNECTION) {
        for name in named_by_connection(headers) {
            headers.remove(name);
        }
        headers.remove(CONNECTION);
    }
    for name in [KEEP_ALIVE, PROXY_CONNECTION, TE, TRANSFER_ENCODING, UPGRADE] {
        headers.remove(name);
    }
}

fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection" | "keep-alive" | "proxy-connection" | "te" | "transfer-encoding" | "upgrade"
    )
}

/// Removes from trailers what must not come in them (RFC 9110 section 6.5.1): what frames a message, says where it goes,
/// who sends it or what it is. An endpoint that takes trailers for headers would otherwise believe a client what the proxy
/// has just set right.
pub(crate) fn remove_from_trailers(trailers: &mut HeaderMap) {
    const FORBIDDEN: [&str; 23] = [
        "authorization",
        "cache-control",
        "connection",
        "content-encoding",
        "content-length",
        "content-range",
        "content-type",
        "cookie",
        "expect",
        "forwarded",
        "host",
        "keep-alive",
        "max-forwards",
        "proxy",
        "proxy-authorization",
        "proxy-connection",
        "range",
        "set-cookie",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "via",
    ];
    let is_forbidden = |name: &&HeaderName| {
        let name = name.as_str();
        FORBIDDEN.contains(&name)
            || reads_as(name, "x-forwarded-", true)
            || FORBIDDEN.iter().any(|other| reads_as(name, other, false))
    };
    let names: Vec<HeaderName> = trailers.keys().filter(is_forbidden).cloned().collect();
    for name in names {
        trailers.remove(name);
    }
}

/// Whether `name`, with hyphens for its underscores, is `other`, or begins with it. A name that is `other` as it stands
/// does not count.
pub(crate) fn reads_as(name: &str, other: &str, begins: bool) -> bool {
    let is_long_enough = if begins {
        name.len() >= other.len()
    } else {
        name.len() == other.len()
    };
    let hyphenated = name.bytes().map(|b| if b == b'_' { b'-' } else { b });
    is_long_enough && name != other && hyphenated.zip(other.bytes()).all(|(a, b)| a == b)
}

/// The headers that `Connection` names, apart from those that a message cannot do without: a client may not make the
/// proxy take away the host or the credentials that an endpoint relies on.
fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    let is_kept = |name: &HeaderName| {
        matches!(
            name.as_str(),
            "host" | "content-length" | "authorization" | "cookie" | "set-cookie" | "date"
        )
    };
    tokens(headers, &CONNECTION)
        .filter(|token| {
            // Options that are no headers, and those that are removed anyway.
            !["close", "keep-alive", "upgrade", "te"]
                .iter()
                .any(|known| token.eq_ignore_ascii_case(known))
        })
        .filter_map(|token| HeaderName::try_from(token).ok())
        .filter(|name| !is_kept(name))
        .collect()
}

/// Says that the sender takes trailers. RFC 9110 section 10.1.4 demands that `Connection` names it.
pub(crate) fn set_te_trailers(headers: &mut HeaderMap, names_it: bool) {
    let _ = headers.try_insert(TE, HeaderValue::from_static("trailers"));
    if names_it {
        let _ = headers.try_insert(CONNECTION, HeaderValue::from_static("te"));
    }
}

/// Whether the comma-separated list `name` has `token`, in any case. Parameters after a semicolon do not count.
pub(crate) fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    tokens(headers, name).any(|found| {
        let bare = found.split(';').next().unwrap_or_default().trim();
        bare.eq_ignore_ascii_case(token)
    })
}

fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailers_say_nothing_that_headers_decide() {
        for (name, stays) in [
            ("grpc-status", true),
            ("grpc-message", true),
            ("content-digest", true),
            ("server-timing", true),
            ("shop_cart-bin", true),
            ("content_length", false),
            ("content-length", false),
            ("transfer-encoding", false),
            ("host", false),
            ("authorization", false),
            ("x-forwarded-for", false),
            ("x_forwarded_for", false),
        ] {
            let mut trailers = HeaderMap::new();
            trailers.insert(HeaderName::from_static(name), HeaderValue::from_static("1"));
            remove_from_trailers(&mut trailers);
            assert_eq!(trailers.contains_key(name), stays, "{name}");
        }
    }
}
