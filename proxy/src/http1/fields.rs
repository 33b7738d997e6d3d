//! The header lines of a head: into a map, and what they say of the message's framing and connection.

use super::{
    framing::{Announced, Framing, FramingFault},
    head::HeadFault,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Version};

/// What the header lines of a head say that the codec must know.
#[derive(Debug, Default)]
pub(super) struct Fields<'a> {
    /// The last `Host`.
    pub(super) host: Option<&'a [u8]>,
    /// How many times `Host` is there.
    pub(super) hosts: usize,
    /// Whether the client waits for a 100 before it sends the body.
    pub(super) expects_continue: bool,
    /// Whether `TE` has `trailers`, in any case. Parameters after a semicolon do not count.
    pub(super) takes_trailers: bool,
    /// Which lines the next connection says in its own way, or not at all: a bit for each of the first 128.
    pub(super) left_out: u128,
    /// Which line is the last `Content-Length`.
    pub(super) length_at: Option<usize>,
    body: Announced,
    connection: Connection,
}

/// What `Connection` says of the time after the message (RFC 9112 section 9.3).
#[derive(Debug, Default)]
struct Connection {
    close: bool,
    keep_alive: bool,
    others: bool,
}

/// The headers that the codec, or a proxy, must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Host,
    ContentLength,
    TransferEncoding,
    Connection,
    Expect,
    Te,
    /// Another one that concerns one connection only.
    HopByHop,
    Other,
}

impl Kind {
    /// What `name`, in any case, is.
    fn of(name: &str) -> Self {
        match name.len() {
            2 if is(name, b"te") => Self::Te,
            4 if is(name, b"host") => Self::Host,
            6 if is(name, b"expect") => Self::Expect,
            7 if is(name, b"upgrade") => Self::HopByHop,
            10 if is(name, b"connection") => Self::Connection,
            10 if is(name, b"keep-alive") => Self::HopByHop,
            14 if is(name, b"content-length") => Self::ContentLength,
            16 if is(name, b"proxy-connection") => Self::HopByHop,
            17 if is(name, b"transfer-encoding") => Self::TransferEncoding,
            _ => Self::Other,
        }
    }

    /// Whether the next connection says this in its own way, or not at all.
    fn is_left_out(self) -> bool {
        !matches!(self, Self::Host | Self::Expect | Self::Other)
    }
}

/// Whether `name`, which is a token, is `known` in any case. All bytes at once: what is known has letters and hyphens only, which
/// no other byte of a token becomes by the bit that tells lower case.
fn is<const LENGTH: usize>(name: &str, known: &[u8; LENGTH]) -> bool {
    let name: Result<&[u8; LENGTH], _> = name.as_bytes().try_into();
    name.is_ok_and(|name| {
        let pairs = name.iter().zip(known);
        pairs.fold(0, |other, (byte, known)| other | ((byte | 0x20) ^ known)) == 0
    })
}

impl<'a> Fields<'a> {
    /// What `lines` say.
    pub(super) fn of(lines: &[httparse::Header<'a>]) -> Self {
        let mut fields = Self::default();
        for (at, line) in lines.iter().enumerate() {
            let kind = Kind::of(line.name);
            if kind.is_left_out() {
                fields.left_out |= 1_u128.checked_shl(at as u32).unwrap_or_default();
            }
            if kind == Kind::ContentLength {
                fields.length_at = Some(at);
            }
            fields.note(kind, line.value);
        }
        fields
    }

    fn note(&mut self, kind: Kind, value: &'a [u8]) {
        match kind {
            Kind::Host => {
                self.host = Some(value);
                self.hosts += 1;
            }
            Kind::ContentLength => self.body.length.add(value),
            Kind::TransferEncoding => self.body.codings.add(value),
            Kind::Connection => self.connection.add(value),
            Kind::Expect => {
                self.expects_continue |=
                    tokens(value).any(|it| it.eq_ignore_ascii_case(b"100-continue"));
            }
            Kind::Te => {
                self.takes_trailers |= tokens(value).any(|it| {
                    let bare = it.split(|byte| *byte == b';').next().unwrap_or_default();
                    bare.trim_ascii().eq_ignore_ascii_case(b"trailers")
                });
            }
            Kind::HopByHop | Kind::Other => {}
        }
    }

    /// Whether `Connection` names a header, which concerns that connection only.
    pub(super) fn names_others(&self) -> bool {
        self.connection.others
    }

    /// Whether the connection stays open after the message, as far as its sender says.
    pub(super) fn keep_alive(&self, version: Version) -> bool {
        !self.connection.close && (version == Version::HTTP_11 || self.connection.keep_alive)
    }

    /// How the body is framed.
    pub(super) fn framing(&self, version: Version) -> Result<Framing, FramingFault> {
        self.body.framing(version)
    }
}

impl Connection {
    fn add(&mut self, value: &[u8]) {
        for option in tokens(value) {
            if option.eq_ignore_ascii_case(b"close") {
                self.close = true;
            } else if option.eq_ignore_ascii_case(b"keep-alive") {
                self.keep_alive = true;
            } else {
                self.others |= !option.is_empty();
            }
        }
    }
}

/// Moves `lines`, which are slices of `head`, into `map`, as slices of `kept`, which is the same text.
pub(super) fn collect(
    head: &[u8],
    kept: &Bytes,
    lines: &[httparse::Header<'_>],
    map: &mut HeaderMap,
) -> Result<(), HeadFault> {
    for line in lines {
        let from = line.value.as_ptr() as usize - head.as_ptr() as usize;
        let value = kept.slice(from..from + line.value.len());
        append(line.name.as_bytes(), value, map)?;
    }
    Ok(())
}

/// Moves the header lines in `block`, which have been checked, into `map`.
///
/// # Errors
/// Lines that have not been checked, or more than a map holds.
pub(crate) fn collect_lines(block: &Bytes, map: &mut HeaderMap) -> Result<(), HeadFault> {
    for (name, value) in traffic::request::fields(block) {
        append(name, block.slice_ref(value), map)?;
    }
    Ok(())
}

/// The same text in memory of its own. A connection of HTTP/2 remembers values of headers for as long as it lasts (RFC 7541
/// section 2.3.2), and each would keep all that was read with its head, 4 KiB of a connection to an endpoint.
pub(crate) fn apart(head: &[u8]) -> Bytes {
    Bytes::copy_from_slice(head)
}

fn append(name: &[u8], value: Bytes, map: &mut HeaderMap) -> Result<(), HeadFault> {
    let name = HeaderName::from_bytes(name).map_err(|_| HeadFault::HeaderName)?;
    let value = HeaderValue::from_maybe_shared(value).map_err(|_| HeadFault::HeaderValue)?;
    let appended = map.try_append(name, value);
    appended.map(drop).map_err(|_| HeadFault::TooManyHeaders)
}

/// The elements of a comma-separated list.
pub(super) fn tokens(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

/// Whether `text` is a token (RFC 9110 section 5.6.2).
pub(super) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().copied().all(is_token_byte)
}

/// Whether a token may have `byte`.
pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
