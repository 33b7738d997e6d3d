//! What must hold of a head that goes to an endpoint, whatever came: what tests and the fuzz target judge by.

use super::{
    Asked, FORWARDED_FOR, check, client_address,
    element::elements,
    needs_map,
    origin::sole,
    peer::{Peer, Scheme, writes_x_forwarded},
    rewrite,
};
use crate::{
    config::{ForwardedHeaders, Forwarding, Network},
    http1::{HeadLimits, HeadReader, RequestHead, given},
    spares::Spares,
};
use bytes::BytesMut;
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Uri, Version,
    header::{CONNECTION, FORWARDED, HOST, TE},
    request::Parts,
};
use std::{net::IpAddr, rc::Rc};

/// Headers that no endpoint may get.
const NEVER: [&str; 8] = [
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "expect",
    "proxy",
    "http2-settings",
    "x_forwarded_for",
    "content_length",
];

/// What is wrong with `head`, which [`rewrite`] made for a request from `peer`.
pub(super) fn unfit(head: &Parts, peer: &Peer) -> Option<&'static str> {
    let headers = &head.headers;
    let is_fit_connection = |value: &HeaderValue| value == "te" || value == "upgrade";
    let chain = sole(headers, &FORWARDED_FOR);
    let ends_with_peer = |chain: &HeaderValue| chain.as_bytes().ends_with(peer.text.as_bytes());
    [
        (sole(headers, &HOST).is_some(), "not one Host"),
        (head.uri.authority().is_none(), "not in origin form"),
        (
            NEVER.iter().all(|name| !headers.contains_key(*name)),
            "a header that concerns the client's connection, or is false",
        ),
        (
            headers.get_all(CONNECTION).iter().all(is_fit_connection),
            "a Connection that names anything but te or upgrade",
        ),
        (
            headers.get_all(TE).iter().all(|value| value == "trailers"),
            "a TE that is not trailers",
        ),
        (
            if writes_x_forwarded(peer.forwarding.headers) {
                chain.is_some_and(ends_with_peer)
            } else {
                !headers.contains_key(FORWARDED_FOR)
            },
            "an X-Forwarded-For that does not end with the peer",
        ),
        (
            headers.get_all(FORWARDED).iter().all(|line| {
                elements(line).is_some_and(|elements| {
                    elements.last().and_then(|element| element.from) == Some(peer.address)
                })
            }),
            "a Forwarded that is malformed, or does not end with the peer",
        ),
    ]
    .into_iter()
    .find_map(|(holds, what)| (!holds).then_some(what))
}

/// Checks that an endpoint gets the same of the request at the beginning of `bytes`, whether its headers stay lines or are
/// looked at, and that a map which is made of the lines later says the same. Gives whether there were lines.
///
/// # Panics
/// When an endpoint would get something else.
pub(crate) fn check_lines(bytes: &[u8], policy: u8) -> bool {
    const LIMITS: HeadLimits = HeadLimits {
        head_bytes: 2048,
        headers: 32,
        uri_bytes: 256,
    };
    let peer = peer(policy);
    let read = |looks_at: &dyn Fn(&[u8], &[u8]) -> bool| {
        let mut heads = HeadReader::default();
        let buffer = &mut BytesMut::from(bytes);
        given(|into| heads.request(buffer, &LIMITS, looks_at, HeaderMap::new, into))
    };
    let sent = |mut head: RequestHead, is_taken_apart: bool| {
        let mut asked = Asked::new(&mut head.parts, head.lines.take(), &peer);
        let upgrade = asked.rewrite(true, || 7);
        if is_taken_apart {
            let taken_apart = asked.take_apart(&Spares::default());
            assert_eq!(taken_apart, Ok(()));
        }
        let mut out = BytesMut::new();
        asked.write(&mut out, head.framing);
        (upgrade, written(&out))
    };
    let by_need = |name: &[u8], value: &[u8]| needs_map(name, value, &peer);
    let (Ok(Some(map)), Ok(Some(lines)), Ok(Some(late))) =
        (read(&|_, _| true), read(&by_need), read(&by_need))
    else {
        return false;
    };
    let are_lines = lines.lines.is_some();
    let expected = sent(map, false);
    assert_eq!(sent(lines, false), expected);
    assert_eq!(sent(late, true), expected);
    are_lines
}

/// The lines of a head as an endpoint reads them, whatever their order.
fn written(head: &[u8]) -> Vec<Vec<u8>> {
    let lines = head.split(|byte| *byte == b'\n');
    let mut lines: Vec<Vec<u8>> = lines
        .map(|line| match line.iter().position(|byte| *byte == b':') {
            Some(at) => {
                let (name, value) = line.split_at(at);
                let value = value.get(1..).unwrap_or_default().trim_ascii();
                [&name.to_ascii_lowercase(), b": ".as_slice(), value].concat()
            }
            None => line.to_vec(),
        })
        .collect();
    lines.sort();
    lines
}

/// Makes a head of `bytes`, and checks what becomes of it. The first byte chooses the policy, the second the version;
/// the first line is the target, and every other line a header.
///
/// # Panics
/// When an endpoint would get a head that it must not get.
pub fn fuzz_head(bytes: &[u8]) {
    let Some((&[policy, version], text)) = bytes.split_first_chunk::<2>() else {
        return;
    };
    let mut lines = text.split(|b| *b == b'\n');
    let Some(request) = request(version, &mut lines) else {
        return;
    };
    let peer = peer(policy);
    if check(&request).is_err() {
        return;
    }
    let (mut head, ()) = request.into_parts();
    let _ = client_address(&peer, &head.headers);
    rewrite(&mut head, &peer, version & 4 != 0, || 7);
    assert_eq!(unfit(&head, &peer), None, "{head:?}");
}

fn request<'a>(version: u8, lines: &mut impl Iterator<Item = &'a [u8]>) -> Option<Request<()>> {
    let mut headers = HeaderMap::new();
    let uri = Uri::try_from(lines.next()?).ok()?;
    for line in lines {
        let at = line.iter().position(|b| *b == b':')?;
        let (name, value) = line.split_at(at);
        let name = HeaderName::from_bytes(name).ok()?;
        let value = HeaderValue::from_bytes(value.get(1..)?.trim_ascii()).ok()?;
        headers.try_append(name, value).ok()?;
    }
    let mut request = Request::new(());
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    *request.version_mut() = match version & 3 {
        0 => Version::HTTP_10,
        1 => Version::HTTP_2,
        _ => Version::HTTP_11,
    };
    Some(request)
}

/// A peer at 192.0.2.7 that is trusted or not, in each of the ways that there are.
fn peer(policy: u8) -> Peer {
    let network = Network {
        address: IpAddr::from([192, 0, 2, 0]),
        prefix: 24,
    };
    let forwarding = Forwarding {
        trusted: (policy & 1 != 0).then_some(network).into_iter().collect(),
        trusted_hops: usize::from(policy >> 1 & 3),
        headers: match policy >> 3 & 3 {
            0 => ForwardedHeaders::XForwarded,
            1 => ForwardedHeaders::Forwarded,
            2 => ForwardedHeaders::Both,
            _ => ForwardedHeaders::Remove,
        },
        via: Some("sluice".into()),
        request_id: Some(HeaderName::from_static("x-id")),
    };
    Peer::new(
        IpAddr::from([192, 0, 2, 7]),
        443,
        Scheme::Https,
        Rc::new(forwarding),
    )
}
