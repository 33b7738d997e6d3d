//! A block as it is written, and the table that goes with it.

use super::{
    USUAL_TABLE, huffman, integer,
    names::{self, Habit, Known},
    seen::Seen,
    statics,
    table::{Table, entry_size},
    words,
};
use bytes::{BufMut, BytesMut};
use http::StatusCode;

/// The largest entry that is put into the table, in bytes as RFC 7541 section 4.1 counts them. A larger one would push
/// too much out.
const LARGEST_ENTRY: usize = 1024;

/// The shortest value that is Huffman-coded, in bytes. Each byte that is saved costs about 5 ns (a date: 35 ns for 7
/// bytes), which is more than to send it. Long values are coded for the sake of slow clients, and none that is sent with
/// each answer and cannot be indexed is long.
const HUFFMAN_FROM: usize = 64;

/// Encodes the blocks of one connection, in the order in which they are sent.
///
/// It takes no memory of its own before a field is put into the table, which is when it comes for the second time, and
/// then what [`Table`] says: never more than 6 KiB of text, and 2.25 KiB beside it.
#[derive(Debug)]
pub(crate) struct Encoder {
    /// With the hash of each field.
    table: Table<u32>,
    due: Option<Due>,
    seen: Seen,
}

/// What the table's size is to be when the next block begins, in bytes.
#[derive(Clone, Copy, Debug)]
struct Due {
    /// The smallest that it was to be since the last block.
    smallest: u32,
    last: u32,
}

impl Encoder {
    /// For a peer that has not said yet how large its table may be.
    pub(crate) fn new() -> Self {
        Self {
            table: Table::new(USUAL_TABLE as usize),
            due: None,
            seen: Seen::new(),
        }
    }

    /// The peer's SETTINGS_HEADER_TABLE_SIZE, in bytes. The table is at most 4,096 whatever the peer allows. What the peer
    /// is to be told of it (RFC 7541 section 4.2) is written by the next [`Self::begin`].
    pub(crate) fn set_max(&mut self, bytes: u32) {
        let last = bytes.min(USUAL_TABLE);
        let smallest = self.due.map_or(last, |due| due.smallest.min(last));
        self.due = Some(Due { smallest, last });
    }

    /// Begins a block.
    pub(crate) fn begin(&mut self, out: &mut BytesMut) {
        if let Some(due) = self.due.take() {
            self.resize(due.smallest as usize, out);
            self.resize(due.last as usize, out);
        }
    }

    /// Writes `:status`, which must be the first field.
    pub(crate) fn status(&mut self, status: StatusCode, out: &mut BytesMut) {
        let index = match status.as_u16() {
            200 => 8,
            204 => 9,
            206 => 10,
            304 => 11,
            400 => 12,
            404 => 13,
            500 => 14,
            _ => return self.field(b":status", status.as_str().as_bytes(), out),
        };
        write_indexed(index, out);
    }

    /// Writes a field. `name` may be in any case, and is written in lower case (RFC 9113 section 8.2.1).
    pub(crate) fn field(&mut self, name: &[u8], value: &[u8], out: &mut BytesMut) {
        let name_hash = words::hash_name(name);
        let hash = words::hash_field(name_hash, value);
        // First, as most fields are there.
        let is_it = |in_table: &[u8], its: &[u8]| its == value && words::same_name(in_table, name);
        if let Some(place) = self.table.find(hash, is_it) {
            return write_indexed(statics::COUNT + 1 + place, out);
        }
        let known = names::find(name, name_hash);
        let literal = match known.habit {
            Habit::Changes => Literal::Plain,
            Habit::Sensitive => Literal::Sensitive,
            Habit::Repeats => self.first_or_again(hash, entry_size(name, value)),
        };
        write_literal(literal, known, name, value, out);
        if literal == Literal::Indexing {
            self.table.insert(hash, name, value);
            self.table.newest_name_to_lower_case();
        }
    }

    /// How a field that may repeat, and is not in the table, is written. Its entry would have this size, in bytes.
    fn first_or_again(&mut self, hash: u32, size: usize) -> Literal {
        let largest = LARGEST_ENTRY.min(self.table.limit());
        if size <= largest && self.seen.again(hash) {
            Literal::Indexing
        } else {
            Literal::Plain
        }
    }

    fn resize(&mut self, limit: usize, out: &mut BytesMut) {
        if limit != self.table.limit() {
            self.table.set_limit(limit);
            integer::write(0x20, 5, limit, out);
        }
    }
}

#[cfg(any(test, feature = "fuzzing"))]
impl Encoder {
    /// The table, as the peer has it.
    pub(super) fn table(&self) -> &Table<u32> {
        &self.table
    }
}

/// What the peer is to do with a field that is written in full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Literal {
    /// To put it into its table (RFC 7541 section 6.2.1).
    Indexing,
    /// Nothing (section 6.2.2).
    Plain,
    /// To never put it into any (section 6.2.3).
    Sensitive,
}

impl Literal {
    /// The first byte's flags, and how many bits of an index are behind them.
    const fn first(self) -> (u8, u32) {
        match self {
            Self::Indexing => (0x40, 6),
            Self::Plain => (0, 4),
            Self::Sensitive => (0x10, 4),
        }
    }
}

#[inline]
fn write_indexed(index: usize, out: &mut BytesMut) {
    integer::write(0x80, 7, index, out);
}

fn write_literal(kind: Literal, known: Known, name: &[u8], value: &[u8], out: &mut BytesMut) {
    let (flags, bits) = kind.first();
    integer::write(flags, bits, usize::from(known.index), out);
    if known.index == 0 {
        integer::write(0, 7, name.len(), out);
        let begin = out.len();
        out.put_slice(name);
        out[begin..].make_ascii_lowercase();
    }
    write_value(value, out);
}

fn write_value(value: &[u8], out: &mut BytesMut) {
    if value.len() >= HUFFMAN_FROM {
        let length = huffman::coded_length(value);
        if length < value.len() {
            integer::write(0x80, 7, length, out);
            return huffman::encode(value, out);
        }
    }
    integer::write(0, 7, value.len(), out);
    out.put_slice(value);
}
