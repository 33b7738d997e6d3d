//! A block as it is read, and the table that goes with it.

use super::{
    Field, USUAL_TABLE,
    reader::{Reader, Text},
    statics,
    table::Table,
};

/// The first byte of a field that is in a table (RFC 7541 section 6.1).
const INDEXED: u8 = 0x80;

/// The first byte of one that is to be put into the table (section 6.2.1).
const INDEXING: u8 = 0x40;

/// The first byte of a change of the table's size (section 6.3).
const SIZE_UPDATE: u8 = 0x20;

/// The first byte of a field that must never be in a table (section 6.2.3).
const SENSITIVE: u8 = 0x10;

/// Decodes the blocks of one connection, in the order in which they come.
///
/// It takes no memory of its own before a field is put into the table, and then what [`Table`] says: with the usual
/// 4,096 bytes, never more than 6 KiB of text, and 1.5 KiB beside it.
#[derive(Debug)]
pub(crate) struct Decoder {
    table: Table,
    max: usize,
}

/// Why a block cannot be decoded. Each is a connection error `COMPRESSION_ERROR` (RFC 9113 section 4.3): what the
/// client's table has from then on is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// There is no field with this index (RFC 7541 section 2.3.3).
    Index,
    /// An integer does not fit into 32 bits, or has more bytes than that needs (section 5.1).
    Integer,
    /// The block ends within a field.
    Incomplete,
    /// A Huffman-coded string ends with something other than up to 7 bits that are ones (section 5.2).
    Padding,
    /// A Huffman-coded string has the code of its end in it (section 5.2).
    EndOfString,
    /// The table is to be larger than was announced (section 6.3).
    TableSize,
    /// The table's size is changed after a field (section 4.2).
    LateTableSize,
}

impl Fault {
    /// What is wrong, in one line.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Index => "a header's index is in no table",
            Self::Integer => "an integer of a header block is too large",
            Self::Incomplete => "a header block ends within a header",
            Self::Padding => "a Huffman-coded string is padded wrongly",
            Self::EndOfString => "a Huffman-coded string has its end within it",
            Self::TableSize => "the header table is made larger than allowed",
            Self::LateTableSize => "the header table's size is changed behind a header",
        }
    }
}

impl Decoder {
    /// `max`: the SETTINGS_HEADER_TABLE_SIZE that was announced, in bytes, at most 65,535. The client begins with 4,096
    /// (RFC 9113 section 6.5.2) and may go up to `max`; less than 4,096 must be acknowledged before this is used.
    pub(crate) fn new(max: usize) -> Self {
        Self {
            table: Table::new(max.min(USUAL_TABLE as usize)),
            max,
        }
    }

    /// Decodes one whole block, and gives each field, in order. `scratch` is the worker's memory that Huffman-coded
    /// strings are decoded into; what is in it, before and after, is nobody's.
    pub(crate) fn decode(
        &mut self,
        block: &[u8],
        scratch: &mut Vec<u8>,
        mut field: impl FnMut(Field<'_>),
    ) -> Result<(), Fault> {
        let mut reader = Reader::new(block);
        self.size_updates(&mut reader)?;
        while let Some(first) = reader.peek() {
            if first & INDEXED != 0 {
                field(self.indexed(reader.integer(7)?)?);
            } else if first & INDEXING != 0 {
                self.indexing(&mut reader, scratch, &mut field)?;
            } else if first & SIZE_UPDATE != 0 {
                return Err(Fault::LateTableSize);
            } else {
                let is_sensitive = first & SENSITIVE != 0;
                self.literal(&mut reader, is_sensitive, scratch, &mut field)?;
            }
        }
        Ok(())
    }

    fn size_updates(&mut self, reader: &mut Reader<'_>) -> Result<(), Fault> {
        while let Some(first) = reader.peek()
            && first & 0xe0 == SIZE_UPDATE
        {
            let limit = reader.integer(5)?;
            if limit > self.max {
                return Err(Fault::TableSize);
            }
            self.table.set_limit(limit);
        }
        Ok(())
    }

    /// The field with this index, in one address space for both tables (RFC 7541 section 2.3.3).
    #[inline]
    fn indexed(&self, index: usize) -> Result<Field<'_>, Fault> {
        let found = match index.checked_sub(statics::COUNT + 1) {
            Some(place) => self.table.get(place),
            None => statics::get(index),
        };
        let (name, value) = found.ok_or(Fault::Index)?;
        let is_sensitive = false;
        Ok(Field {
            name,
            value,
            is_sensitive,
        })
    }

    /// A field that is put into the table.
    fn indexing(
        &mut self,
        reader: &mut Reader<'_>,
        scratch: &mut Vec<u8>,
        field: &mut impl FnMut(Field<'_>),
    ) -> Result<(), Fault> {
        scratch.clear();
        let name = match reader.integer(6)? {
            0 => reader.string(scratch)?,
            // Its insertion may evict the field that its name is of.
            index => Text::copy(self.indexed(index)?.name, scratch),
        };
        let value = reader.string(scratch)?;
        let (name, value) = (name.of(scratch), value.of(scratch));
        self.table.insert((), name, value);
        let is_sensitive = false;
        field(Field {
            name,
            value,
            is_sensitive,
        });
        Ok(())
    }

    /// A field that is not put into the table.
    fn literal(
        &self,
        reader: &mut Reader<'_>,
        is_sensitive: bool,
        scratch: &mut Vec<u8>,
        field: &mut impl FnMut(Field<'_>),
    ) -> Result<(), Fault> {
        scratch.clear();
        let name = match reader.integer(4)? {
            0 => reader.string(scratch)?,
            index => Text::Here(self.indexed(index)?.name),
        };
        let value = reader.string(scratch)?;
        field(Field {
            name: name.of(scratch),
            value: value.of(scratch),
            is_sensitive,
        });
        Ok(())
    }
}

#[cfg(any(test, feature = "fuzzing"))]
impl Decoder {
    /// The client's table, as far as is known.
    pub(super) fn table(&self) -> &Table {
        &self.table
    }
}
