//! HPACK: heads of HTTP/2 as bytes, for the server's side, without I/O (RFC 7541).
//!
//! One [`Decoder`] and one [`Encoder`] belong to each connection, and each holds a table of fields that follows the table
//! at the connection's other end step by step. What is wrong with one block is therefore wrong with all that follow.
//!
//! What fields may be in a head, and what may be in their names and values, is not looked at here.

mod decode;
mod encode;
#[cfg(any(test, feature = "fuzzing"))]
mod fuzz;
mod huffman;
mod integer;
mod names;
mod reader;
mod seen;
mod statics;
mod table;
mod words;

pub(crate) use decode::{Decoder, Fault};
pub(crate) use encode::Encoder;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use fuzz::fuzz;

#[cfg(test)]
mod tests;

/// The size of a table, in bytes as RFC 7541 section 4.1 counts them, until an end asks for another one (RFC 9113
/// section 6.5.2).
const USUAL_TABLE: u32 = 4096;

/// A field of a head, as it was decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Field<'a> {
    /// Any bytes: whether they are a name is not looked at, and neither is their case.
    pub(crate) name: &'a [u8],
    /// Any bytes.
    pub(crate) value: &'a [u8],
    /// Whether it must never be in a table, not even when it is passed on (RFC 7541 section 6.2.3).
    pub(crate) is_sensitive: bool,
}
