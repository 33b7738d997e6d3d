//! A block as it is read.

use super::{decode::Fault, huffman, integer};

/// What says that a string is Huffman-coded (RFC 7541 section 5.2).
const HUFFMAN: u8 = 0x80;

/// What of a block has not been read.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

/// A string, where it is.
#[derive(Clone, Copy)]
pub(super) enum Text<'a> {
    /// Here, and nobody needs to copy it.
    Here(&'a [u8]),
    /// In the scratch memory, from a place to another one.
    Scratch(usize, usize),
}

impl<'a> Text<'a> {
    /// Its bytes.
    #[inline]
    pub(super) fn of(self, scratch: &'a [u8]) -> &'a [u8] {
        match self {
            Self::Here(bytes) => bytes,
            Self::Scratch(begin, end) => &scratch[begin..end],
        }
    }

    /// A copy of `bytes` at the end of `scratch`.
    pub(super) fn copy(bytes: &[u8], scratch: &mut Vec<u8>) -> Self {
        let begin = scratch.len();
        scratch.extend_from_slice(bytes);
        Self::Scratch(begin, scratch.len())
    }
}

impl<'a> Reader<'a> {
    pub(super) fn new(block: &'a [u8]) -> Self {
        Self { rest: block }
    }

    /// The next byte, which is not taken.
    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Takes the integer that begins in the lowest `bits` of the next byte.
    #[inline]
    pub(super) fn integer(&mut self, bits: u32) -> Result<usize, Fault> {
        let (first, rest) = self.rest.split_first().ok_or(Fault::Incomplete)?;
        let (value, rest) = integer::read(*first, bits, rest)?;
        self.rest = rest;
        Ok(value as usize)
    }

    /// Takes a string, and decodes it to the end of `scratch` if it is Huffman-coded.
    #[inline]
    pub(super) fn string(&mut self, scratch: &mut Vec<u8>) -> Result<Text<'a>, Fault> {
        let is_coded = self.peek().is_some_and(|first| first & HUFFMAN != 0);
        let length = self.integer(7)?;
        let (string, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(Fault::Incomplete)?;
        self.rest = rest;
        if !is_coded {
            return Ok(Text::Here(string));
        }
        let begin = scratch.len();
        huffman::decode(string, scratch)?;
        Ok(Text::Scratch(begin, scratch.len()))
    }
}
