//! What an endpoint is told of the client: `X-Forwarded-*`, `Forwarded`, `Via` and the request's id.

use super::{
    FORWARDED_FOR, FORWARDED_HOST, FORWARDED_PROTO,
    element::{elements, is_token},
    is_host,
    origin::{scheme, sole},
    peer::{Peer, value, writes_forwarded, writes_x_forwarded},
};
use crate::headers::reads_as;
use bytes::{BufMut, BytesMut};
use http::{
    HeaderMap, HeaderName, HeaderValue, Version,
    header::{FORWARDED, HOST, VIA},
};
use std::fmt::Write;

/// The longest id that is passed on, in bytes.
const LONGEST_ID: usize = 128;

/// Removes what an endpoint could take for the proxy's own word, and is not.
///
/// - The `Forwarded` and `X-Forwarded-*` that this proxy does not write: nobody would keep them true. Of a peer that is
///   not trusted, also those that belong to neither, such as `X-Forwarded-Prefix`.
/// - Names with an underscore that are read as one of these, or as one that frames the body, by servers that make no
///   difference between `_` and `-` (all that hand headers over as environment variables).
/// - `Proxy`, which such servers hand over as `HTTP_PROXY` (CVE-2016-5385), and `HTTP2-Settings`, which belongs to an
///   upgrade that is never passed on (RFC 9113 section 3.1).
/// - What tells copies from requests, of a peer that is not trusted.
pub(super) fn remove_false(headers: &mut HeaderMap, peer: &Peer) {
    let is_false = |name: &&HeaderName| is_false(name.as_str(), peer);
    // Nothing is allocated when nothing is found.
    let names: Vec<HeaderName> = headers.keys().filter(is_false).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

/// Whether `name` is one of these.
pub(super) fn is_false(name: &str, peer: &Peer) -> bool {
    let written = peer.forwarding.headers;
    if let Some(what) = name.strip_prefix("x-forwarded-") {
        let is_set = matches!(what, "for" | "host" | "proto");
        return !writes_x_forwarded(written) || !(is_set || peer.is_trusted);
    }
    match name {
        "forwarded" => !writes_forwarded(written),
        "proxy" | "http2-settings" => true,
        "x-sluice-mirror" => !peer.is_trusted,
        name if name.contains('_') => {
            let id = peer.forwarding.request_id.as_ref();
            reads_as(name, "x-forwarded-", true)
                || ["content-length", "transfer-encoding", "x-sluice-mirror"]
                    .into_iter()
                    .chain(id.map(HeaderName::as_str))
                    .any(|other| reads_as(name, other, false))
        }
        _ => false,
    }
}

/// Tells the endpoint who asked, as `peer`'s policy says. Nothing is told twice: what was there is taken up or
/// replaced. Whether there is any `X-Forwarded-*` is known already.
pub(super) fn tell(headers: &mut HeaderMap, peer: &Peer, has_x_forwarded: bool) {
    let written = peer.forwarding.headers;
    if writes_x_forwarded(written) {
        x_forwarded(headers, peer, has_x_forwarded);
    }
    if let Some(element) = &peer.element {
        let element = forwarded(headers, peer, element);
        set(headers, FORWARDED, element);
    }
}

/// The peer's address goes to the end of the chain, where it is the only one that is certain. What a peer says of host
/// and protocol stays if it is trusted, and can be one.
fn x_forwarded(headers: &mut HeaderMap, peer: &Peer, has_some: bool) {
    let chain = match has_some {
        true => joined(headers, &FORWARDED_FOR, &peer.text),
        false => Some(peer.text.clone()),
    };
    let keeps_host = peer.is_trusted
        && sole(headers, &FORWARDED_HOST)
            .is_some_and(|host| !host.is_empty() && is_host(host.as_bytes()));
    // Values that are no protocol, or several, are replaced by the peer's own.
    let proto = HeaderValue::from_static(scheme(peer, headers).as_str());
    set(headers, FORWARDED_FOR, chain);
    if !keeps_host {
        let host = headers.get(HOST).cloned();
        set(headers, FORWARDED_HOST, host);
    }
    set(headers, FORWARDED_PROTO, Some(proto));
}

/// The elements of a trusted peer with one more, that begins with `element`. Of one that is not trusted, or that sent
/// no valid list, only that: who asks for what host by what protocol cannot be told apart in such a list.
fn forwarded(headers: &HeaderMap, peer: &Peer, element: &str) -> Option<HeaderValue> {
    let host = headers.get(HOST).map(HeaderValue::as_bytes);
    let mut text = String::new();
    write_element(&mut text, element, host.unwrap_or_default());
    let is_valid = |line: &HeaderValue| elements(line).is_some();
    let takes_up = peer.is_trusted && headers.get_all(FORWARDED).iter().all(is_valid);
    let element = HeaderValue::try_from(text).ok()?;
    if takes_up {
        joined(headers, &FORWARDED, &element)
    } else {
        Some(element)
    }
}

/// Writes header lines that tell the endpoint of `peer`, who asks for `host`, as [`tell`], [`add_via`] and [`identify`] do with
/// a map that says nothing of all that. `id` is the request's, where requests have one.
pub(super) fn write_told(out: &mut BytesMut, peer: &Peer, host: &[u8], version: Version, id: &str) {
    let forwarding = &peer.forwarding;
    if writes_x_forwarded(forwarding.headers) {
        out.put_slice(peer.told.as_bytes());
        out.put_slice(host);
        out.put_slice(b"\r\n");
    }
    if let Some(element) = &peer.element {
        out.put_slice(b"forwarded: ");
        write_element(out, element, host);
        out.put_slice(b"\r\n");
    }
    if let Some(via) = peer.via(version) {
        out.put_slice(b"via: ");
        out.put_slice(via.as_bytes());
        out.put_slice(b"\r\n");
    }
    if let Some(name) = &forwarding.request_id {
        out.put_slice(name.as_str().as_bytes());
        out.put_slice(b": ");
        out.put_slice(id.as_bytes());
        out.put_slice(b"\r\n");
    }
}

/// Writes the element that begins with `element`, of a request for `host`.
pub(super) fn write_element(out: &mut impl Write, element: &str, host: &[u8]) {
    let host = str::from_utf8(host).unwrap_or_default();
    // Memory takes all that is written to it.
    let _ = if host.is_empty() {
        out.write_str(element)
    } else if is_token(host) {
        write!(out, "{element};host={host}")
    } else {
        let quoted = host.replace('\\', "\\\\").replace('"', "\\\"");
        write!(out, "{element};host=\"{quoted}\"")
    };
}

/// All values of `name` and `last` as one, as many servers read the first line only.
fn joined(headers: &HeaderMap, name: &HeaderName, last: &HeaderValue) -> Option<HeaderValue> {
    let lines = headers.get_all(name).iter().map(HeaderValue::as_bytes);
    let mut lines = lines.filter(|line| !line.trim_ascii().is_empty());
    let Some(first) = lines.next() else {
        return Some(last.clone());
    };
    let mut list = first.to_vec();
    for line in lines.chain([last.as_bytes()]) {
        list.extend_from_slice(b", ");
        list.extend_from_slice(line);
    }
    HeaderValue::from_maybe_shared(bytes::Bytes::from(list)).ok()
}

/// Sets `name` to `value`, or removes it.
fn set(headers: &mut HeaderMap, name: HeaderName, value: Option<HeaderValue>) {
    match value {
        // A map that is full refuses the header, which is better than to refuse the request.
        Some(value) => drop(headers.try_insert(name, value)),
        None => drop(headers.remove(name)),
    }
}

/// Adds the proxy to the `Via` of a message that was received in `version` from `peer`, or is sent to it.
pub(crate) fn add_via(headers: &mut HeaderMap, peer: &Peer, version: Version) {
    if let Some(via) = peer.via(version) {
        let _ = headers.try_append(VIA, via.clone());
    }
}

/// Gives the request an id, where the policy asks for one: that of a trusted peer, if it is visible ASCII and not too
/// long, else one of 128 random bits.
pub(super) fn identify(headers: &mut HeaderMap, peer: &Peer, mut random: impl FnMut() -> u64) {
    let Some(name) = &peer.forwarding.request_id else {
        return;
    };
    let is_sane = |id: &HeaderValue| {
        (1..=LONGEST_ID).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
    };
    if !(peer.is_trusted && sole(headers, name).is_some_and(is_sane)) {
        let _ = headers.try_insert(name.clone(), value(new_id(&mut random)));
    }
}

/// An id of 128 random bits.
pub(super) fn new_id(mut random: impl FnMut() -> u64) -> String {
    format!("{:016x}{:016x}", random(), random())
}
