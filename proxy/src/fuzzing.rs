//! What the fuzz targets in `fuzz/` call. Each function takes any bytes, and panics when what must always hold does not.

use crate::http1::{
    HeadLimits,
    transcript::{check_chunks, check_requests, check_responses},
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
