mod bodies;
mod corpus;
mod heads;
mod properties;
mod requests;
mod responses;
mod writing;

use super::*;
use bytes::BytesMut;
use http::{HeaderMap, Method};

const LIMITS: HeadLimits = HeadLimits {
    head_bytes: 512,
    headers: 8,
    uri_bytes: 64,
};

/// The request at the beginning of `bytes`, and what is behind its head. Whether it is looked at makes no difference to
/// what it says.
fn request(bytes: &[u8]) -> Result<Option<(RequestHead, BytesMut)>, RequestFault> {
    transcript::check_request_lines(bytes, &LIMITS);
    let mut buffer = BytesMut::from(bytes);
    let mut heads = HeadReader::default();
    let head =
        given(|into| heads.request(&mut buffer, &LIMITS, |_, _| true, HeaderMap::new, into))?;
    Ok(head.map(|head| (head, buffer)))
}

/// The head of the response to a request of `method` at the beginning of `bytes`. Whether it is looked at makes no
/// difference to what it says.
fn response(bytes: &[u8], method: &Method) -> Result<Option<ResponseHead>, ResponseFault> {
    transcript::check_lines(bytes, method, &LIMITS);
    let mut buffer = BytesMut::from(bytes);
    let mut heads = HeadReader::default();
    given(|into| heads.response(&mut buffer, &LIMITS, method, true, HeaderMap::new, into))
}
