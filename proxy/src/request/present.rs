//! Which headers a request has that the proxy would have to do something about.

use super::{forwarded::is_false, peer::Peer};
use crate::grpc;
use http::HeaderMap;

/// Whether a request from `peer` with a header of `name`, in any case, and `value` needs a map of its headers: there is
/// something to be done about it beside what all requests are sent with, or about the answer.
pub(crate) fn needs_map(name: &str, value: &[u8], peer: &Peer) -> bool {
    let is = |known: &str| name.eq_ignore_ascii_case(known);
    let begins = |known: &str| {
        name.get(..known.len())
            .is_some_and(|it| it.eq_ignore_ascii_case(known))
    };
    let is_dealt_with = match name.len() {
        2 => is("te"),
        5 => is("proxy"),
        6 => is("expect"),
        7 => is("upgrade"),
        9 => is("forwarded"),
        12 if is("content-type") => grpc::is_kind(value),
        14 => is("http2-settings"),
        15 if is("x-sluice-mirror") => true,
        _ => begins("x-forwarded-"),
    };
    // What is written with an underscore may be read as one of these.
    is_dealt_with || name.contains('_') || peer.is_request_id(name)
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
