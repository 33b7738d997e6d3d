//! The header lines of a head: into a map, and what they say of the message's framing and connection.

use super::{
    framing::{Announced, Framing, FramingFault},
    head::HeadFault,
};
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Version,
    header::{CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TRANSFER_ENCODING},
};

/// What the header lines of a head say that the codec must know.
#[derive(Debug, Default)]
pub(super) struct Fields<'a> {
    /// The last `Host`.
    pub(super) host: Option<&'a [u8]>,
    /// How many times `Host` is there.
    pub(super) hosts: usize,
    /// Whether the client waits for a 100 before it sends the body.
    pub(super) expects_continue: bool,
    body: Announced,
    connection: Connection,
}

/// What `Connection` says of the time after the message (RFC 9112 section 9.3).
#[derive(Debug, Default)]
struct Connection {
    close: bool,
    keep_alive: bool,
}

impl<'a> Fields<'a> {
    /// Moves `lines`, which are slices of `head`, into `map`.
    pub(super) fn collect(
        head: &Bytes,
        lines: &[httparse::Header<'a>],
        map: &mut HeaderMap,
    ) -> Result<Self, HeadFault> {
        let mut fields = Self::default();
        for line in lines {
            let name =
                HeaderName::from_bytes(line.name.as_bytes()).map_err(|_| HeadFault::HeaderName)?;
            let value = HeaderValue::from_maybe_shared(head.slice_ref(line.value))
                .map_err(|_| HeadFault::HeaderValue)?;
            fields.note(&name, line.value);
            map.try_append(name, value)
                .map_err(|_| HeadFault::TooManyHeaders)?;
        }
        Ok(fields)
    }

    fn note(&mut self, name: &HeaderName, value: &'a [u8]) {
        if *name == HOST {
            self.host = Some(value);
            self.hosts += 1;
        } else if *name == CONTENT_LENGTH {
            self.body.length.add(value);
        } else if *name == TRANSFER_ENCODING {
            self.body.codings.add(value);
        } else if *name == CONNECTION {
            self.connection.add(value);
        } else if *name == EXPECT {
            self.expects_continue |=
                tokens(value).any(|it| it.eq_ignore_ascii_case(b"100-continue"));
        }
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
            self.close |= option.eq_ignore_ascii_case(b"close");
            self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }
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
