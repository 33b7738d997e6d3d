//! A request's head: what is refused, and what an endpoint gets to see of it.

mod asked;
mod element;
#[cfg(any(test, feature = "fuzzing"))]
mod fit;
mod forwarded;
mod http2;
mod origin;
mod peer;
mod present;

pub(crate) use asked::Asked;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use fit::check_lines;
#[cfg(any(test, feature = "fuzzing"))]
pub use fit::fuzz_head;
pub(crate) use forwarded::add_via;
pub(crate) use http2::{check_authority, check_hosts};
pub(crate) use origin::{client_address, scheme};
pub(crate) use peer::{Peer, Scheme};
use present::Present;
pub(crate) use present::needs_map;

use crate::{
    headers::{self, Upgrade},
    http1,
};
use http::{
    HeaderName, HeaderValue, Uri, Version,
    header::{EXPECT, HOST, TE},
    request::Parts,
    uri::PathAndQuery,
};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Why a request is refused before it is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// HTTP/1.1 demands a `Host` (RFC 9112 section 3.2).
    NoHost,
    /// More than one `Host`: another server on the way may have chosen the other one.
    ManyHosts,
    /// The `Host` cannot be one.
    HostInvalid,
    /// The target is neither a path, `*` nor an `http` URL without user information.
    TargetInvalid,
    /// `CONNECT` asks for a tunnel to a host of the client's choice.
    Connect,
    /// `:authority` and `Host` name different hosts (RFC 9113 section 8.3.1).
    HostsDiffer,
    /// More than one `Content-Length`.
    ManyLengths,
}

impl Fault {
    /// What the client is told.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::NoHost => "the request has no Host header, which HTTP/1.1 demands",
            Self::ManyHosts => "the request has more than one Host header",
            Self::HostInvalid => {
                "the Host header is not a host name or address with an optional port"
            }
            Self::TargetInvalid => "the request target is neither a path nor an http URL",
            Self::Connect => "CONNECT is not supported",
            Self::HostsDiffer => "the request's :authority and Host differ",
            Self::ManyLengths => "the request has more than one Content-Length header",
        }
    }
}

/// Whether `request`, which did not come through the HTTP/1 codec, is one that it would let through.
#[cfg(any(test, feature = "fuzzing"))]
fn check<B>(request: &http::Request<B>) -> Result<(), Fault> {
    if request.method() == http::Method::CONNECT {
        return Err(Fault::Connect);
    }
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() {
        return Err(Fault::ManyHosts);
    }
    match host {
        None if request.version() >= Version::HTTP_11 => return Err(Fault::NoHost),
        Some(host) if !is_host(host.as_bytes()) => return Err(Fault::HostInvalid),
        _ => {}
    }
    let uri = request.uri();
    let is_valid = match (uri.scheme_str(), uri.authority()) {
        (None, None) => true,
        (Some("http" | "https"), Some(authority)) => is_host(authority.as_str().as_bytes()),
        _ => false,
    };
    if is_valid {
        Ok(())
    } else {
        Err(Fault::TargetInvalid)
    }
}

/// Whether `host` is a host name or an address, with or without a port. Empty is allowed: a target without authority has
/// an empty `Host`.
fn is_host(host: &[u8]) -> bool {
    host.is_empty() || http1::is_host(host)
}

/// Turns the head that the client sent into the one that the endpoint gets: in origin form, without what concerns only
/// the client's connection, with what the client's connection was. `Expect` is left out, as the client has been told
/// to continue by the time that its body is read. Tells whether the client asked for a protocol that `may_upgrade`.
/// `random` is drawn only for a request's id.
fn rewrite(
    head: &mut Parts,
    peer: &Peer,
    may_upgrade: bool,
    random: impl FnMut() -> u64,
) -> Option<Upgrade> {
    let present = Present::of(&head.headers, peer);
    let upgrade = (present.upgrade && may_upgrade)
        .then(|| headers::upgrade(&head.headers))
        .flatten();
    let takes_trailers = present.te && headers::has_token(&head.headers, &TE, "trailers");
    if present.hop_by_hop {
        headers::remove_hop_by_hop(&mut head.headers);
    }
    if present.expect {
        head.headers.remove(EXPECT);
    }
    if present.is_false {
        forwarded::remove_false(&mut head.headers, peer);
    }
    origin_form(head);
    forwarded::tell(&mut head.headers, peer, present.x_forwarded);
    add_via(&mut head.headers, peer, head.version);
    forwarded::identify(&mut head.headers, peer, random);
    if takes_trailers {
        headers::set_te_trailers(&mut head.headers, upgrade.is_none());
    }
    if let Some(upgrade) = &upgrade {
        upgrade.set(&mut head.headers);
    }
    if !present.host && !head.headers.contains_key(HOST) {
        // HTTP/1.0 knows no Host, and HTTP/1.1 demands one, empty if need be (RFC 9112 section 3.2).
        let _ = head.headers.try_insert(HOST, HeaderValue::from_static(""));
    }
    head.version = Version::HTTP_11;
    head.extensions.clear();
    upgrade
}

/// RFC 9112 section 3.2.2: the target's authority is the host, whatever `Host` says.
fn origin_form(head: &mut Parts) {
    let Some(authority) = head.uri.authority() else {
        return;
    };
    if let Ok(host) = HeaderValue::from_str(authority.as_str()) {
        let _ = head.headers.try_insert(HOST, host);
    }
    let path = match head.uri.path_and_query() {
        // RFC 9112 section 3.2.1: an empty path is the root.
        Some(path) if path.as_str().starts_with('?') => {
            PathAndQuery::try_from(format!("/{}", path.as_str())).ok()
        }
        path => path.cloned(),
    };
    head.uri = Uri::from(path.unwrap_or_else(|| PathAndQuery::from_static("/")));
}

#[cfg(test)]
mod tests;
