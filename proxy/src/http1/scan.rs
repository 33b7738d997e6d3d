//! Header lines, one after the other (RFC 9112 section 5).

use super::{head::HeadFault, words};

/// A header line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// Its name, which is a token.
    pub(super) name: &'a [u8],
    /// Its value, without the white space around it.
    pub(super) value: &'a [u8],
    /// What comes behind it.
    pub(super) rest: &'a [u8],
    /// Whether its name has an underscore.
    pub(super) has_underscore: bool,
}

/// The line at the beginning of `text`, or nothing where it is the empty one that ends a head.
///
/// # Errors
/// When it is none, or not all of it is there.
#[inline(always)]
pub(super) fn line(text: &[u8]) -> Result<Option<Line<'_>>, HeadFault> {
    if let [b'\r', rest @ ..] = text {
        let is_end = rest.first() == Some(&b'\n');
        return is_end.then_some(None).ok_or(HeadFault::LineEnd);
    }
    // Nearly all names are letters and hyphens.
    let (name, rest) = text.split_at(words::letters_end(text));
    let (name, mut rest, has_underscore) = match rest {
        [b':', rest @ ..] if !name.is_empty() => (name, rest, false),
        _ => odd_name(text).ok_or(HeadFault::HeaderName)?,
    };
    // One space is usual.
    if let [b' ', after @ ..] = rest {
        rest = after;
    }
    while let [b' ' | b'\t', after @ ..] = rest {
        rest = after;
    }
    let (value, rest) = rest.split_at(words::value_end(rest));
    match rest {
        [b'\r', b'\n', rest @ ..] => Ok(Some(Line {
            name,
            value: trim_end(value),
            rest,
            has_underscore,
        })),
        _ => Err(HeadFault::HeaderValue),
    }
}

/// The name at the beginning of `text`, what comes behind its colon, and whether it has an underscore.
#[cold]
#[inline(never)]
fn odd_name(text: &[u8]) -> Option<(&[u8], &[u8], bool)> {
    let (name, rest) = text.split_at(token_end(text));
    let rest = rest.strip_prefix(b":")?;
    (!name.is_empty()).then(|| (name, rest, name.contains(&b'_')))
}

/// `value` without the white space at its end.
#[inline]
fn trim_end(mut value: &[u8]) -> &[u8] {
    while let [before @ .., b' ' | b'\t'] = value {
        value = before;
    }
    value
}

/// Where the first byte of `text` is that no token has, or its length.
pub(super) fn token_end(text: &[u8]) -> usize {
    let end = text.iter().position(|byte| !is_token_byte(*byte));
    end.unwrap_or(text.len())
}

/// Whether `text` is a token (RFC 9110 section 5.6.2).
pub(super) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().copied().all(is_token_byte)
}

/// Whether a token may have `byte`.
pub(super) fn is_token_byte(byte: u8) -> bool {
    IS_TOKEN[usize::from(byte)]
}

/// Which bytes a token may have.
pub(crate) const IS_TOKEN: [bool; 256] = letters_digits_and(b"!#$%&'*+-.^_`|~");

/// Which bytes are ASCII letters, digits, or one of `others`.
pub(super) const fn letters_digits_and(others: &[u8]) -> [bool; 256] {
    let mut is = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        is[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut i = 0;
    while i < others.len() {
        is[others[i] as usize] = true;
        i += 1;
    }
    is
}
