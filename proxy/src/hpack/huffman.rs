//! The Huffman code (RFC 7541 section 5.2 and appendix B).
//!
//! It is a canonical one: in the order of their lengths, and of the symbols where lengths are the same, its codes are
//! consecutive numbers. So all the tables are made of the lengths.

use super::decode::Fault;
use bytes::{BufMut, BytesMut};

/// The bytes and, behind them, what ends a string (EOS).
const SYMBOLS: usize = 257;

const END: u16 = 256;

const SHORTEST: usize = 5;
const LONGEST: usize = 30;

/// How many short codes are decoded in one turn. Together they have at most 32 bits.
const AT_A_TIME: usize = 4;

/// The bits that [`SHORT`] is asked with.
const SHORT_BITS: u32 = 8;

/// How many bits the code of each symbol has.
const LENGTHS: [u8; SYMBOLS] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
    28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5,
    5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6,
    6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22,
    23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22,
    21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20,
    22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19,
    21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22,
    22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];

/// The symbols in the order of their codes.
static ORDER: [u16; SYMBOLS] = order();

/// For each length, the end of its codes, as the next one at the left of 32 bits, and what is to be added to one of its
/// codes to have its place in [`ORDER`].
static GROUPS: [(u64, u32); LONGEST + 1] = groups();

/// For each 8 bits, the length of the code that they begin with, and its byte. The length is 0 for codes of more bits.
///
/// A table of two bytes per look-up would be faster while it is in the cache. This one has 8 cache lines, that one would
/// have 256, and between two requests the rest of the proxy wants the cache.
static SHORT: [(u8, u8); 1 << SHORT_BITS] = short();

static CODES: [u32; SYMBOLS] = codes();

const fn order() -> [u16; SYMBOLS] {
    let mut order = [0; SYMBOLS];
    let mut place = 0;
    let mut length = SHORTEST;
    while length <= LONGEST {
        let mut symbol = 0;
        while symbol < SYMBOLS {
            if LENGTHS[symbol] as usize == length {
                order[place] = symbol as u16;
                place += 1;
            }
            symbol += 1;
        }
        length += 1;
    }
    order
}

const fn codes() -> [u32; SYMBOLS] {
    let order = order();
    let mut codes = [0; SYMBOLS];
    let mut place = 1;
    while place < SYMBOLS {
        let (before, symbol) = (order[place - 1] as usize, order[place] as usize);
        codes[symbol] = (codes[before] + 1) << (LENGTHS[symbol] - LENGTHS[before]);
        place += 1;
    }
    codes
}

const fn groups() -> [(u64, u32); LONGEST + 1] {
    let (order, codes) = (order(), codes());
    let mut groups = [(0, 0); LONGEST + 1];
    let mut place = 0;
    let mut length = SHORTEST;
    while length <= LONGEST {
        // A length that no code has ends where the one before it does.
        groups[length] = groups[length - 1];
        while place < SYMBOLS && LENGTHS[order[place] as usize] as usize == length {
            let code = codes[order[place] as usize];
            groups[length].0 = (code as u64 + 1) << (32 - length);
            groups[length].1 = (place as u32).wrapping_sub(code);
            place += 1;
        }
        length += 1;
    }
    groups
}

const fn short() -> [(u8, u8); 1 << SHORT_BITS] {
    let codes = codes();
    let mut short = [(0, 0); 1 << SHORT_BITS];
    let mut symbol = 0;
    while symbol < SYMBOLS {
        if LENGTHS[symbol] as u32 <= SHORT_BITS {
            let free = SHORT_BITS - LENGTHS[symbol] as u32;
            let mut rest = 0;
            while rest < 1 << free {
                short[(codes[symbol] << free | rest) as usize] = (LENGTHS[symbol], symbol as u8);
                rest += 1;
            }
        }
        symbol += 1;
    }
    short
}

/// Appends to `out` what `coded` says.
pub(super) fn decode(coded: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    let begin = out.len();
    // As much as can come of it, and what the last turn may write beyond.
    out.resize(begin + coded.len() * 8 / SHORTEST + AT_A_TIME, 0);
    let count = decode_into(coded, &mut out[begin..])?;
    out.truncate(begin + count);
    Ok(())
}

/// Decodes into `room`, which is large enough, and gives how many bytes came of it.
fn decode_into(coded: &[u8], room: &mut [u8]) -> Result<usize, Fault> {
    let mut bits = Bits::new(coded);
    let mut done = 0;
    while let Some(bytes) = room[done..].first_chunk_mut() {
        let count = bits.short(bytes)?;
        done += count;
        if count < AT_A_TIME {
            let Some(byte) = bits.long()? else {
                return Ok(done);
            };
            room[done] = byte;
            done += 1;
        }
    }
    Err(Fault::Padding)
}

/// What is still to be decoded of a string.
struct Bits<'a> {
    /// The next bits, from the left. After the last one there are ones, as there must be in the padding.
    next: u64,
    /// How many of them are of the string.
    count: u32,
    rest: &'a [u8],
}

impl<'a> Bits<'a> {
    fn new(coded: &'a [u8]) -> Self {
        Self {
            next: 0,
            count: 0,
            rest: coded,
        }
    }

    /// Sees to it that there are bits for the longest code.
    #[inline]
    fn refill(&mut self) {
        if self.count > 32 {
            return;
        }
        match self.rest.split_first_chunk() {
            Some((word, rest)) => {
                self.next |= u64::from(u32::from_be_bytes(*word)) << (32 - self.count);
                self.count += 32;
                self.rest = rest;
            }
            None => self.refill_at_end(),
        }
    }

    fn refill_at_end(&mut self) {
        for byte in self.rest {
            self.next |= u64::from(*byte) << (56 - self.count);
            self.count += 8;
        }
        self.rest = &[];
        self.next |= u64::MAX >> self.count;
    }

    /// Decodes up to four bytes, until one has a long code, and gives how many. The others are overwritten.
    #[inline]
    fn short(&mut self, bytes: &mut [u8; AT_A_TIME]) -> Result<usize, Fault> {
        self.refill();
        let mut count = 0;
        let mut taken = 0;
        for byte in bytes {
            // From the first long one on this is done in vain: nothing is taken of its bits.
            let (length, symbol) = SHORT[(self.next >> (u64::BITS - SHORT_BITS)) as usize];
            *byte = symbol;
            self.next <<= length;
            taken += u32::from(length);
            count += usize::from(length != 0);
        }
        // Beyond the end there are ones, and no short code is all ones: what ends there has begun before, and is no padding.
        self.count = self.count.checked_sub(taken).ok_or(Fault::Padding)?;
        Ok(count)
    }

    /// The byte whose code, of more than 8 bits, comes next, or nothing at the end, if the padding there is right.
    fn long(&mut self) -> Result<Option<u8>, Fault> {
        self.refill();
        let next = self.next >> 32;
        let mut length = SHORT_BITS as usize + 2;
        while next >= GROUPS[length].0 {
            length += 1;
        }
        let code = (next >> (32 - length)) as u32;
        let symbol = ORDER[code.wrapping_add(GROUPS[length].1) as usize];
        if length as u32 > self.count {
            return self.end().map(|()| None);
        }
        if symbol == END {
            return Err(Fault::EndOfString);
        }
        self.next <<= length;
        self.count -= length as u32;
        Ok(Some(symbol as u8))
    }

    /// Whether what is left is padding: the beginning of the end's code, shorter than a byte.
    fn end(&self) -> Result<(), Fault> {
        if self.count < 8 && self.next == u64::MAX {
            return Ok(());
        }
        Err(Fault::Padding)
    }
}

/// How many bytes `text` has when it is coded.
pub(super) fn coded_length(text: &[u8]) -> usize {
    let bits: usize = text.iter().map(|byte| length(*byte) as usize).sum();
    bits.div_ceil(8)
}

/// Writes `text`, coded.
pub(super) fn encode(text: &[u8], out: &mut BytesMut) {
    let (mut bits, mut count) = (0_u64, 0);
    for byte in text {
        let length = length(*byte);
        bits = bits << length | u64::from(CODES[usize::from(*byte)]);
        count += length;
        if count >= 32 {
            count -= 32;
            out.put_u32((bits >> count) as u32);
        }
    }
    let padding = count.next_multiple_of(8) - count;
    bits = ((bits + 1) << padding) - 1;
    count += padding;
    // At the left, where the bytes begin that are left to be written.
    let bytes = (bits << (32 - count)) as u32;
    out.put_slice(&bytes.to_be_bytes()[..count as usize / 8]);
}

fn length(byte: u8) -> u32 {
    static BYTES: [u8; SYMBOLS] = LENGTHS;
    u32::from(BYTES[usize::from(byte)])
}
