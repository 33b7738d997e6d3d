//! Who is at the other end of a client's connection, and what endpoints are told of it.

use crate::config::{ForwardedHeaders, Forwarding};
use bytes::Bytes;
use http::{HeaderValue, Version};
use std::{net::IpAddr, rc::Rc};

/// What secures the connection that a request comes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// Nothing: plain text.
    Http,
    /// TLS.
    Https,
}

impl Scheme {
    /// As URLs begin.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port that a URL without one means.
    pub(crate) const fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }

    /// The scheme that is called `name`, in any case.
    pub(crate) fn parse(name: &[u8]) -> Option<Self> {
        [Self::Http, Self::Https]
            .into_iter()
            .find(|scheme| name.eq_ignore_ascii_case(scheme.as_str().as_bytes()))
    }
}

/// Who connected, and where: made once for each connection.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(super) address: IpAddr,
    pub(super) scheme: Scheme,
    pub(super) port: u16,
    /// Whether it is believed what it says of the client before it.
    pub(super) is_trusted: bool,
    pub(super) forwarding: Rc<Forwarding>,
    /// The address as `X-Forwarded-For` has it.
    pub(super) text: HeaderValue,
    /// Lines that tell of it in `X-Forwarded-*`, up to the host that it asks for.
    pub(super) told: Box<str>,
    /// The beginning of the `Forwarded` element that tells of it (RFC 7239 section 4).
    pub(super) element: Option<Box<str>>,
    via: Option<Via>,
}

/// What is added to `Via` for a message of each version.
#[derive(Debug)]
struct Via {
    http_10: HeaderValue,
    http_11: HeaderValue,
    http_2: HeaderValue,
}

impl Peer {
    /// A peer at `address` that connected to `port` of the proxy, as `scheme` says. Where a PROXY header came first and
    /// was believed, `address` is what it says.
    pub(crate) fn new(
        address: IpAddr,
        port: u16,
        scheme: Scheme,
        forwarding: Rc<Forwarding>,
    ) -> Self {
        let address = address.to_canonical();
        let is_trusted = forwarding.trusted_hops > 0 || is_trusted(&forwarding, address);
        let element = writes_forwarded(forwarding.headers).then(|| {
            let node = match address {
                IpAddr::V4(v4) => v4.to_string(),
                // A colon and brackets are no part of a token (RFC 7239 section 6).
                IpAddr::V6(v6) => format!("\"[{v6}]\""),
            };
            format!("for={node};proto={}", scheme.as_str()).into()
        });
        let text = written(address);
        let told = [
            "x-forwarded-for: ",
            &text,
            "\r\nx-forwarded-proto: ",
            scheme.as_str(),
            "\r\nx-forwarded-host: ",
        ];
        Self {
            address,
            scheme,
            port,
            is_trusted,
            told: told.concat().into(),
            text: value(text),
            element,
            via: forwarding.via.as_deref().and_then(Via::new),
            forwarding,
        }
    }

    /// Whether requests have their id in a header of `name`, in any case.
    pub(super) fn is_request_id(&self, name: &[u8]) -> bool {
        let id = self.forwarding.request_id.as_ref();
        id.is_some_and(|id| name.eq_ignore_ascii_case(id.as_str().as_bytes()))
    }

    /// How it speaks to this proxy.
    pub(crate) fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The port of the proxy that it connected to.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// What is added to the `Via` of a message that was received in `version`, if anything is.
    pub(crate) fn via(&self, version: Version) -> Option<&HeaderValue> {
        let via = self.via.as_ref()?;
        Some(match version {
            Version::HTTP_2 => &via.http_2,
            Version::HTTP_10 | Version::HTTP_09 => &via.http_10,
            _ => &via.http_11,
        })
    }
}

impl Via {
    /// Nothing, when `name` cannot stand in a header.
    fn new(name: &str) -> Option<Self> {
        let of = |version: &str| HeaderValue::try_from(format!("{version} {name}")).ok();
        Some(Self {
            http_10: of("1.0")?,
            http_11: of("1.1")?,
            http_2: of("2.0")?,
        })
    }
}

/// Whether the networks of `forwarding` have `address`.
pub(super) fn is_trusted(forwarding: &Forwarding, address: IpAddr) -> bool {
    forwarding
        .trusted
        .iter()
        .any(|network| network.contains(address))
}

/// Whether endpoints are told of the client in `Forwarded`.
pub(super) const fn writes_forwarded(headers: ForwardedHeaders) -> bool {
    matches!(
        headers,
        ForwardedHeaders::Forwarded | ForwardedHeaders::Both
    )
}

/// Whether endpoints are told of the client in `X-Forwarded-For`, `-Host` and `-Proto`.
pub(super) const fn writes_x_forwarded(headers: ForwardedHeaders) -> bool {
    matches!(
        headers,
        ForwardedHeaders::XForwarded | ForwardedHeaders::Both
    )
}

/// `address` as text. The standard library takes a twentieth of what a request on a new connection takes to write four
/// numbers.
fn written(address: IpAddr) -> String {
    let IpAddr::V4(v4) = address else {
        return address.to_string();
    };
    let mut text = String::with_capacity("255.255.255.255".len());
    for (at, octet) in v4.octets().into_iter().enumerate() {
        if at > 0 {
            text.push('.');
        }
        for place in [100, 10, 1] {
            if octet >= place || place == 1 {
                text.push(char::from(b'0' + octet / place % 10));
            }
        }
    }
    text
}

/// `text`, which is visible ASCII, as a header's value. Were it not, it would only be left out.
pub(super) fn value(text: String) -> HeaderValue {
    HeaderValue::from_maybe_shared(Bytes::from(text)).unwrap_or(HeaderValue::from_static("unknown"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_as_they_are_everywhere() {
        for octet in 0..=255 {
            let address = IpAddr::from([octet, 255 - octet, 7, octet]);
            assert_eq!(written(address), address.to_string());
        }
        let address = IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 7]);
        assert_eq!(written(address), "2001:db8::7");
    }
}
