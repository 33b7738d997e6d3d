//! What the fuzz targets in `fuzz/` call. Each function takes any bytes, and panics when what must always hold does not.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what is surprised ends"
)]

mod plays;
mod reader;
mod stage;
#[cfg(test)]
mod tests;

use crate::{
    http1::{
        HeadLimits,
        transcript::{check_chunks, check_requests, check_responses},
    },
    proxy_protocol,
};
use http::Method;

const LIMITS: HeadLimits = HeadLimits {
    head_bytes: 1024,
    headers: 16,
    uri_bytes: 256,
};

/// Requests of HTTP/1. The first byte says in what pieces the others come.
pub fn http1_request(data: &[u8]) {
    if let Some((first, bytes)) = data.split_first() {
        check_requests(bytes, usize::from(first % 32), &LIMITS);
        crate::request::check_lines(bytes, *first);
    }
}

/// Responses of HTTP/1. The first byte says in what pieces the others come, and to what request.
pub fn http1_response(data: &[u8]) {
    if let Some((first, bytes)) = data.split_first() {
        let method = if first & 0x80 == 0 {
            Method::GET
        } else {
            Method::HEAD
        };
        check_responses(bytes, usize::from(first % 32), &method, &LIMITS);
    }
}

/// Chunked bodies. The first byte says in what pieces the others come.
pub fn http1_chunked(data: &[u8]) {
    if let Some((first, bytes)) = data.split_first() {
        check_chunks(bytes, usize::from(first % 32), &LIMITS);
    }
}

/// A client of HTTP/1 before a worker and endpoints. The first byte says in what pieces the others come.
pub fn http1_proxy(data: &[u8]) {
    if let Some((first, bytes)) = data.split_first() {
        let size = match first % 8 {
            0 => bytes.len(),
            few => usize::from(few) * 5,
        };
        plays::requests(bytes, size);
    }
}

/// Endpoints of HTTP/1 behind a worker. The first byte says which of them close after their answer.
pub fn http1_answers(data: &[u8]) {
    if let Some((first, bytes)) = data.split_first() {
        plays::answers(bytes, *first);
    }
}

/// A client of HTTP/2 before a worker, as a script of frames.
pub fn http2_frames(data: &[u8]) {
    plays::frames(data);
}

/// A connection of HTTP/2, as a script of frames. The first byte says in what pieces they come.
pub fn http2_session(data: &[u8]) {
    if let Some((first, script)) = data.split_first() {
        plays::session(script, usize::from(*first));
    }
}

/// Header blocks of HTTP/2, and fields to be written as such.
pub fn hpack(data: &[u8]) {
    crate::hpack::fuzz(data);
}

/// A head on its way to an endpoint.
pub fn headers(data: &[u8]) {
    crate::request::fuzz_head(data);
}

/// The beginning of a connection that is to have a PROXY header. Where one ends does not depend on what has come behind it, and
/// addresses are read as they were written.
pub fn proxy_protocol(data: &[u8]) {
    use traffic::policy::ProxyProtocol::{V1, V2};
    let whole = proxy_protocol::parse(data);
    let Ok(Some((header, length))) = whole else {
        return;
    };
    assert!(length <= data.len());
    assert_eq!(proxy_protocol::parse(&data[..length]), whole);
    for end in 0..length {
        assert_eq!(
            proxy_protocol::parse(&data[..end]),
            Ok(None),
            "after {end} bytes"
        );
    }
    let proxy_protocol::Header::Proxied {
        source,
        destination,
    } = header
    else {
        return;
    };
    for version in [V1, V2] {
        let mut written = Vec::new();
        proxy_protocol::write(version, source, destination, &mut written);
        let read = proxy_protocol::parse(&written);
        let Ok(Some((proxy_protocol::Header::Proxied { source: again, .. }, length))) = read else {
            panic!("{read:?}");
        };
        assert_eq!(length, written.len());
        assert_eq!(
            (again.ip().to_canonical(), again.port()),
            (source.ip().to_canonical(), source.port())
        );
    }
}
