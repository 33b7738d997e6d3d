//! The head of a request, out of the fields that its header block decodes to (RFC 9113 section 8.3).
//!
//! It is written down as a head of HTTP/1.1, which the codec of HTTP/1 then reads as any other: so there is one place where
//! it is decided what a head means, what is refused in it, and what of it an endpoint gets. What HTTP/2 can say and HTTP/1
//! cannot is refused here, first of all what would be read as another line.

use super::Text;
use crate::{
    http1::{HeadFault, IS_TOKEN, RequestFault},
    request::{Fault, Scheme, check_authority, check_hosts},
};
use bytes::{BufMut, Bytes};
use http::Method;
use std::ops::Range;

/// How many times the allowed size a head may decode to before the connection ends. Up to there, it is refused by itself.
pub(super) const OVERSIZE: usize = 16;

/// What a field costs beside its bytes (RFC 9113 section 6.5.2, SETTINGS_MAX_HEADER_LIST_SIZE).
const FIELD: usize = 32;

/// A request that is no HTTP/2 (RFC 9113 section 8.1.1): its stream is reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// Why a request is answered by nobody but the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// As one that came by HTTP/1 would be.
    Request(RequestFault),
    /// For what HTTP/2 says in its own way.
    Stream(Fault),
}

/// The head of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// As one of HTTP/1.1.
    pub(crate) text: Result<Bytes, Refused>,
    /// How long the body was announced to be.
    pub(crate) length: Option<u64>,
}

/// A head as its fields come.
pub(super) struct Draft<'a> {
    text: &'a mut Text,
    /// The most bytes that its fields may have together, each with 32 more.
    limit: usize,
    size: usize,
    method: Option<Range<usize>>,
    scheme: Option<Range<usize>>,
    authority: Option<Range<usize>>,
    path: Option<Range<usize>>,
    host: Option<Range<usize>>,
    hosts: usize,
    length: Option<u64>,
    lengths: usize,
    /// Whether a field came that is none of the first five.
    has_begun: bool,
    is_malformed: bool,
}

impl<'a> Draft<'a> {
    pub(super) fn new(text: &'a mut Text, limit: usize) -> Self {
        text.pseudo.clear();
        text.cookies.clear();
        text.head.clear();
        Self {
            text,
            limit,
            size: 0,
            method: None,
            scheme: None,
            authority: None,
            path: None,
            host: None,
            hosts: 0,
            length: None,
            lengths: 0,
            has_begun: false,
            is_malformed: false,
        }
    }

    /// Bytes that it has decoded to so far.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Takes the next field.
    pub(super) fn take(&mut self, name: &[u8], value: &[u8]) {
        self.size += name.len() + value.len() + FIELD;
        if self.size > self.limit || self.is_malformed {
            return;
        }
        if name.first() == Some(&b':') {
            self.is_malformed |= self.has_begun || !self.take_pseudo(name, value);
            return;
        }
        if !self.has_begun {
            self.has_begun = true;
            self.begin();
        }
        self.is_malformed |= !self.take_regular(name, trimmed(value));
    }

    /// Takes a pseudo-header field; whether it is one of a request, for the first time.
    fn take_pseudo(&mut self, name: &[u8], value: &[u8]) -> bool {
        let place = match name {
            b":method" => &mut self.method,
            b":scheme" => &mut self.scheme,
            b":authority" => &mut self.authority,
            b":path" => &mut self.path,
            _ => return false,
        };
        let is_first = place.is_none();
        *place = Some(self.text.note(value));
        is_first && is_value(value)
    }

    /// Takes another field; whether it may stand in a request.
    fn take_regular(&mut self, name: &[u8], value: &[u8]) -> bool {
        if !is_name(name) || !is_value(value) {
            return false;
        }
        match name {
            // RFC 9113 section 8.2.2.
            b"connection" | b"transfer-encoding" | b"upgrade" | b"keep-alive"
            | b"proxy-connection" => return false,
            b"te" if !value.eq_ignore_ascii_case(b"trailers") => return false,
            b"host" => {
                self.hosts += 1;
                self.host = Some(self.text.note(value));
                // The authority stands in its place, where there is one.
                if self.authority.is_some() {
                    return true;
                }
            }
            b"content-length" => {
                self.lengths += 1;
                self.length = decimal(value);
            }
            // RFC 9113 section 8.2.3: it may come in pieces, which are one to HTTP/1.
            b"cookie" => {
                if !self.text.cookies.is_empty() {
                    self.text.cookies.extend_from_slice(b"; ");
                }
                self.text.cookies.extend_from_slice(value);
                return true;
            }
            _ => {}
        }
        self.text.line(name, value);
        true
    }

    /// Writes the first line, and the host.
    fn begin(&mut self) {
        let noted = |place: &Option<Range<usize>>| place.clone().unwrap_or_default();
        let Text { head, pseudo, .. } = &mut *self.text;
        let part = |place: &Option<Range<usize>>| pseudo.get(noted(place)).unwrap_or_default();
        head.reserve(256);
        head.put_slice(part(&self.method));
        head.put_u8(b' ');
        head.put_slice(part(&self.path));
        head.put_slice(b" HTTP/1.1\r\n");
        if self.authority.is_some() {
            head.put_slice(b"host: ");
            head.put_slice(part(&self.authority));
            head.put_slice(b"\r\n");
        }
    }

    /// The head, when all of its fields have come.
    pub(super) fn end(mut self) -> Result<Head, Malformed> {
        if self.size > self.limit {
            let fault = RequestFault::Head(HeadFault::TooLarge);
            return Ok(Head {
                text: Err(Refused::Request(fault)),
                length: None,
            });
        }
        if !self.has_begun {
            self.begin();
        }
        if self.is_malformed || !self.is_request() {
            return Err(Malformed);
        }
        let text = match self.fault() {
            Some(fault) => Err(Refused::Stream(fault)),
            None => Ok(self.text.finish()),
        };
        Ok(Head {
            text,
            length: self.length,
        })
    }

    fn part(&self, place: &Option<Range<usize>>) -> Option<&[u8]> {
        self.text.pseudo.get(place.clone()?)
    }

    /// Whether it has the fields that a request must have (RFC 9113 sections 8.3.1 and 8.5).
    fn is_request(&self) -> bool {
        match self.part(&self.method) {
            Some(b"CONNECT") => {
                self.authority.is_some() && self.scheme.is_none() && self.path.is_none()
            }
            Some(method) => {
                let is_path = self.part(&self.path).is_some_and(|path| !path.is_empty());
                is_path && self.scheme.is_some() && Method::from_bytes(method).is_ok()
            }
            None => false,
        }
    }

    /// What makes it a request that cannot be passed on without two servers understanding it differently.
    fn fault(&self) -> Option<Fault> {
        let method = self.part(&self.method).unwrap_or_default();
        if method == b"CONNECT" {
            return Some(Fault::Connect);
        }
        if self.lengths > 1 {
            return Some(Fault::ManyLengths);
        }
        if self.hosts > 1 {
            return Some(Fault::ManyHosts);
        }
        let path = self.part(&self.path).unwrap_or_default();
        let is_path = path.starts_with(b"/") || (path == b"*" && method == b"OPTIONS");
        // Anything else would be read as another part of the line.
        if !is_path || !path.iter().all(u8::is_ascii_graphic) {
            return Some(Fault::TargetInvalid);
        }
        let Some(scheme) = self.part(&self.scheme).and_then(Scheme::parse) else {
            return Some(Fault::TargetInvalid);
        };
        let (authority, host) = (self.part(&self.authority), self.part(&self.host));
        check_authority(authority)
            .and_then(|()| check_hosts(authority, host, scheme))
            .err()
    }
}

/// Takes a field of trailers, which have no pseudo-header fields (RFC 9113 section 8.1); whether it may stand there.
pub(super) fn is_trailer(name: &[u8], value: &[u8]) -> bool {
    is_name(name) && is_value(value)
}

/// Whether `name` is a token without capitals (RFC 9113 section 8.2.1).
fn is_name(name: &[u8]) -> bool {
    const IN_NAMES: [bool; 256] = {
        let mut table = IS_TOKEN;
        let mut capital = b'A';
        while capital <= b'Z' {
            table[capital as usize] = false;
            capital += 1;
        }
        table
    };
    !name.is_empty() && name.iter().all(|byte| IN_NAMES[usize::from(*byte)])
}

/// Whether `value` has no byte that ends a line, or that no value may have (RFC 9110 section 5.5). All bytes at once.
fn is_value(value: &[u8]) -> bool {
    let is_bad = |byte: u8| (byte < 0x20 && byte != b'\t') | (byte == 0x7f);
    !value.iter().fold(false, |bad, byte| bad | is_bad(*byte))
}

/// The number that `value` is.
fn decimal(value: &[u8]) -> Option<u64> {
    let is_digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    is_digits
        .then(|| str::from_utf8(value).ok()?.parse().ok())
        .flatten()
}

/// `value` without spaces around it, which HTTP/1 does not take for a part of it (RFC 9110 section 5.5). Line ends stay, to be
/// refused.
fn trimmed(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}
