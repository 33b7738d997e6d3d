//! As much of the protobuf wire format (<https://protobuf.dev/programming-guides/encoding/>) as traces need.
//!
//! Spans are written straight into the buffer that they wait in, without a tree of messages between.

/// A field's wire type.
const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;
const FIXED32: u64 = 5;

/// Appends `number` in groups of seven bits, the lowest first.
pub(super) fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn tag(out: &mut Vec<u8>, field: u64, wire_type: u64) {
    varint(out, field << 3 | wire_type);
}

/// A field that is a number.
pub(super) fn number(out: &mut Vec<u8>, field: u64, number: u64) {
    tag(out, field, VARINT);
    varint(out, number);
}

/// A field of eight bytes.
pub(super) fn fixed64(out: &mut Vec<u8>, field: u64, number: u64) {
    tag(out, field, FIXED64);
    out.extend_from_slice(&number.to_le_bytes());
}

/// A field of four bytes.
pub(super) fn fixed32(out: &mut Vec<u8>, field: u64, number: u32) {
    tag(out, field, FIXED32);
    out.extend_from_slice(&number.to_le_bytes());
}

/// A field that is a text or bytes.
pub(super) fn bytes(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    tag(out, field, BYTES);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// A field that is the message that `write` appends.
pub(super) fn message(out: &mut Vec<u8>, field: u64, write: impl FnOnce(&mut Vec<u8>)) {
    tag(out, field, BYTES);
    // The length comes first and is known last: there is room for a length of one byte, and longer messages move.
    let at = out.len();
    out.push(0);
    write(out);
    let mut length = out.len() - at - 1;
    let extra = (length.max(1).ilog2() / 7) as usize;
    if extra > 0 {
        let end = out.len();
        out.resize(end + extra, 0);
        out.copy_within(at + 1..end, at + 1 + extra);
    }
    for byte in &mut out[at..at + extra] {
        *byte = length as u8 | 0x80;
        length >>= 7;
    }
    out[at + extra] = length as u8;
}

/// What a field holds, as far as its wire type tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// Takes the first field off `message`: its number, and what it holds. None at the end, and where it is malformed.
pub(super) fn next<'a>(message: &mut &'a [u8]) -> Option<(u64, Value<'a>)> {
    let tag = take_varint(message)?;
    let value = match tag & 7 {
        VARINT => Value::Number(take_varint(message)?),
        FIXED64 => Value::Number(u64::from_le_bytes(take(message, 8)?.try_into().ok()?)),
        BYTES => {
            let length = usize::try_from(take_varint(message)?).ok()?;
            Value::Bytes(take(message, length)?)
        }
        FIXED32 => Value::Number(u32::from_le_bytes(take(message, 4)?.try_into().ok()?).into()),
        _ => return None,
    };
    Some((tag >> 3, value))
}

fn take<'a>(message: &mut &'a [u8], n: usize) -> Option<&'a [u8]> {
    let (taken, rest) = message.split_at_checked(n)?;
    *message = rest;
    Some(taken)
}

fn take_varint(message: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(message, 1)?[0];
        number |= u64::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_written_in_groups_of_seven_bits() {
        for (number, expected) in [
            (0, &[0][..]),
            (127, &[127]),
            (128, &[0x80, 1]),
            (300, &[0xAC, 2]),
            (
                u64::MAX,
                &[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1],
            ),
        ] {
            let mut out = Vec::new();
            varint(&mut out, number);
            assert_eq!(out, expected);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(a in any::<u64>(), b in any::<u32>(), long in 0usize..40_000) {
            let text = vec![7; long];
            let mut out = Vec::new();
            number(&mut out, 1, a);
            message(&mut out, 2, |out| bytes(out, 9, &text));
            fixed32(&mut out, 3, b);
            fixed64(&mut out, 1000, a);
            let rest = &mut &*out;
            prop_assert_eq!(next(rest), Some((1, Value::Number(a))));
            let Some((2, Value::Bytes(mut inner))) = next(rest) else {
                return Err(TestCaseError::fail("no message"));
            };
            prop_assert_eq!(next(&mut inner), Some((9, Value::Bytes(&text))));
            prop_assert_eq!(next(rest), Some((3, Value::Number(b.into()))));
            prop_assert_eq!(next(rest), Some((1000, Value::Number(a))));
            prop_assert_eq!(next(rest), None);
        }

        #[test]
        fn any_bytes_come_to_an_end(message in prop::collection::vec(any::<u8>(), 0..200)) {
            let rest = &mut &*message;
            while next(rest).is_some() {}
        }
    }
}
