//! Which headers a request has that the proxy would have to do something about.

use super::{forwarded::is_false, peer::Peer};
use crate::grpc;
use http::HeaderMap;

/// Whether a request from `peer` with a header of `name`, in any case, and `value` needs a map of its headers: there is
/// something to be done about it beside what all requests are sent with, or about the answer. A name with an underscore may be
/// read as one of these, and needs one in any case.
pub(crate) fn needs_map(name: &[u8], value: &[u8], peer: &Peer) -> bool {
    let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
    let begins = |known: &[u8]| {
        name.get(..known.len())
            .is_some_and(|it| it.eq_ignore_ascii_case(known))
    };
    let is_dealt_with = match name.len() {
        2 => is(b"te"),
        5 => is(b"proxy"),
        6 => is(b"expect"),
        7 => is(b"upgrade"),
        9 => is(b"forwarded"),
        12 if is(b"content-type") => grpc::is_kind(value),
        14 => is(b"http2-settings"),
        15 if is(b"x-sluice-mirror") => true,
        _ => begins(b"x-forwarded-"),
    };
    is_dealt_with || peer.is_request_id(name)
}

/// What one look at the names of a request's headers tells. Most requests have none of these, and are spared a look-up for
/// each of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Present {
    /// `Connection`, or another header that concerns one connection only.
    pub(super) hop_by_hop: bool,
    /// `TE`.
    pub(super) te: bool,
    /// `Upgrade`.
    pub(super) upgrade: bool,
    /// `Expect`.
    pub(super) expect: bool,
    /// `Host`.
    pub(super) host: bool,
    /// `X-Forwarded-For`, `-Host` or `-Proto`.
    pub(super) x_forwarded: bool,
    /// One that an endpoint could take for the proxy's own word, and is not.
    pub(super) is_false: bool,
}

impl Present {
    /// What of `headers`, which came from `peer`, is to be dealt with.
    pub(super) fn of(headers: &HeaderMap, peer: &Peer) -> Self {
        let mut present = Self::default();
        for name in headers.keys() {
            match name.as_str() {
                "host" => present.host = true,
                "te" => (present.te, present.hop_by_hop) = (true, true),
                "upgrade" => (present.upgrade, present.hop_by_hop) = (true, true),
                "connection" | "keep-alive" | "proxy-connection" | "transfer-encoding" => {
                    present.hop_by_hop = true;
                }
                "expect" => present.expect = true,
                name => {
                    present.x_forwarded |= name.starts_with("x-forwarded-");
                    present.is_false |= is_false(name, peer);
                }
            }
        }
        present
    }
}
