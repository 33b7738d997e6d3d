//! Integers (RFC 7541 section 5.1).

use super::decode::Fault;
use bytes::{BufMut, BytesMut};

/// The bytes that may follow the first one: as many as an integer of 32 bits needs.
const MORE_BYTES: usize = 5;

/// The integer that begins in the lowest `bits` (`1..=8`) of `first`, and what follows it in `rest`.
#[inline]
pub(super) fn read(first: u8, bits: u32, rest: &[u8]) -> Result<(u32, &[u8]), Fault> {
    let most = most(bits);
    let begun = first & most;
    if begun < most {
        return Ok((u32::from(begun), rest));
    }
    read_more(most, rest)
}

fn read_more(most: u8, rest: &[u8]) -> Result<(u32, &[u8]), Fault> {
    let mut value = u64::from(most);
    for (i, byte) in rest.iter().take(MORE_BYTES).enumerate() {
        value += u64::from(byte & 0x7f) << (7 * i);
        if byte & 0x80 == 0 {
            let value = u32::try_from(value).map_err(|_| Fault::Integer)?;
            return Ok((value, &rest[i + 1..]));
        }
    }
    Err(if rest.len() < MORE_BYTES {
        Fault::Incomplete
    } else {
        Fault::Integer
    })
}

/// Writes `value` into the lowest `bits` (`1..=8`) of a byte that has `flags` above them, and into as many bytes after it
/// as it needs.
#[inline(always)]
pub(super) fn write(flags: u8, bits: u32, value: usize, out: &mut BytesMut) {
    let most = most(bits);
    if value < usize::from(most) {
        out.put_u8(flags | value as u8);
        return;
    }
    write_more(flags | most, value - usize::from(most), out);
}

#[inline(never)]
fn write_more(first: u8, mut rest: usize, out: &mut BytesMut) {
    out.put_u8(first);
    while rest >= 0x80 {
        out.put_u8(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.put_u8(rest as u8);
}

/// What says that the integer goes on in the next byte: ones in all the `bits`.
fn most(bits: u32) -> u8 {
    u8::MAX >> (u8::BITS - bits)
}
