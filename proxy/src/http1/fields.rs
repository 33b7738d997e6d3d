//! The header lines of a head: into a map, and what they say of the message's framing and connection.

use super::{
    framing::{Announced, Framing, FramingFault, plain_decimal},
    head::HeadFault,
    lines::Gaps,
    scan::{Line, line},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Version};

/// What the header lines of a head say that the codec must know.
#[derive(Debug, Default)]
pub(super) struct Fields {
    /// Where the value of the last `Host` is, from and to.
    pub(super) host: Option<(usize, usize)>,
    /// How many times `Host` is there.
    pub(super) hosts: usize,
    /// Whether the client waits for a 100 before it sends the body.
    pub(super) expects_continue: bool,
    /// Whether `TE` has `trailers`, in any case. Parameters after a semicolon do not count.
    pub(super) takes_trailers: bool,
    /// Whether a line is looked at on the way.
    pub(super) is_looked_at: bool,
    /// Which lines the next connection says in its own way, or not at all.
    pub(super) gaps: Gaps,
    /// How many lines there are.
    pub(super) count: usize,
    /// Where the first of them begins.
    pub(super) start: usize,
    /// Where the last of them ends, and the empty line begins.
    pub(super) end: usize,
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
    fn of(name: &[u8]) -> Self {
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
fn is<const LENGTH: usize>(name: &[u8], known: &[u8; LENGTH]) -> bool {
    let name: Result<&[u8; LENGTH], _> = name.try_into();
    name.is_ok_and(|name| {
        let pairs = name.iter().zip(known);
        pairs.fold(0, |other, (byte, known)| other | ((byte | 0x20) ^ known)) == 0
    })
}

impl Fields {
    /// Takes in what the lines of `head` say that begin at `start`, up to the empty line. `looks_at` says of a line whether it is
    /// looked at.
    ///
    /// # Errors
    /// The first thing that is wrong with them; more of them than `limit` are.
    #[inline(always)]
    pub(super) fn read(
        &mut self,
        head: &[u8],
        start: usize,
        limit: usize,
        looks_at: impl Fn(&Line<'_>) -> bool,
    ) -> Result<(), HeadFault> {
        self.start = start;
        let mut text = head.get(start..).unwrap_or_default();
        while let Some(line) = line(text)? {
            if self.count == limit {
                return Err(HeadFault::TooManyHeaders);
            }
            self.count += 1;
            self.is_looked_at = self.is_looked_at || looks_at(&line);
            let kind = Kind::of(line.name);
            if kind != Kind::Other {
                self.note(kind, &line, head, head.len() - text.len());
            }
            text = line.rest;
        }
        self.end = head.len() - text.len();
        Ok(())
    }

    /// Takes in a line of `kind`, which begins at `from` in `head`.
    fn note(&mut self, kind: Kind, line: &Line<'_>, head: &[u8], from: usize) {
        let value = line.value;
        if kind.is_left_out() {
            let is_length = kind == Kind::ContentLength;
            let length = is_length.then(|| plain_decimal(value)).flatten();
            self.gaps
                .leave_out(from, head.len() - line.rest.len(), length);
        }
        match kind {
            Kind::Host => {
                self.host = Some(place(value, head));
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

/// Where `part` is in `head`, from and to.
fn place(part: &[u8], head: &[u8]) -> (usize, usize) {
    let from = part.as_ptr() as usize - head.as_ptr() as usize;
    (from, from + part.len())
}

/// Moves the lines of `head`, which are `found`, into `map`.
pub(super) fn collect(head: &Bytes, found: &Fields, map: &mut HeaderMap) -> Result<(), HeadFault> {
    let lines = head.get(found.start..found.end);
    collect_from(head, lines.unwrap_or_default(), map)
}

/// Moves the header lines in `block`, which have been checked, into `map`.
///
/// # Errors
/// Lines that have not been checked, or more than a map holds.
pub(crate) fn collect_lines(block: &Bytes, map: &mut HeaderMap) -> Result<(), HeadFault> {
    collect_from(block, block, map)
}

/// Moves `lines`, which are a part of `text`, into `map`.
fn collect_from(text: &Bytes, lines: &[u8], map: &mut HeaderMap) -> Result<(), HeadFault> {
    for (name, value) in traffic::request::fields(lines) {
        let (from, to) = place(value, text);
        append(name, text.slice(from..to), map)?;
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
