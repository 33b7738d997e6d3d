//! HTTP/2 by prior knowledge (RFC 9113 section 3.4), on a connection that may also begin with HTTP/1.

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Whether a connection begins with the preface of HTTP/2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Preface {
    /// It does: all of it is there.
    Yes,
    /// It does not.
    No,
    /// So far it does; more bytes are needed to know.
    NeedMore,
}

/// Whether `bytes`, the first of a connection, are the preface of HTTP/2. No request of HTTP/1 is more than a few bytes
/// alike.
pub(crate) fn is_http2_preface(bytes: &[u8]) -> Preface {
    let length = bytes.len().min(PREFACE.len());
    if bytes[..length] != PREFACE[..length] {
        Preface::No
    } else if length == PREFACE.len() {
        Preface::Yes
    } else {
        Preface::NeedMore
    }
}
