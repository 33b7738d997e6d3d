//! Where in a text there is a byte of some kind, looked for in eight bytes at once.
//!
//! Each search marks bytes of a word by their highest bit. What it says of the first that is marked is certain; borrows may
//! mark bytes behind that one.

/// One in each byte.
const EACH: u64 = u64::MAX / 255;

/// The highest bit of each byte.
const HIGHEST: u64 = EACH << 7;

/// Where `text` has its first control character other than a tab, which is where a value ends (RFC 9110 section 5.5), or its
/// length.
#[inline(always)]
pub(super) fn value_end(text: &[u8]) -> usize {
    let mut end = first(text, |word| controls(word, b' '));
    while let Some([b'\t', rest @ ..]) = text.get(end..) {
        end += 1 + first(rest, |word| controls(word, b' '));
    }
    end
}

/// Where `text` has its first space or control character, or its length.
#[inline(always)]
pub(super) fn word_end(text: &[u8]) -> usize {
    first(text, |word| controls(word, b' ' + 1))
}

/// Where `text` has the first byte that is neither an ASCII letter nor a hyphen, or its length.
#[inline(always)]
pub(super) fn letters_end(text: &[u8]) -> usize {
    first(text, |word| {
        let lower = (word | (EACH * 0x20)) & !HIGHEST;
        let from_a = lower + EACH * u64::from(0x80 - b'a');
        let beyond_z = lower + EACH * u64::from(0x7f - b'z');
        let apart = word ^ (EACH * u64::from(b'-'));
        let no_hyphen = ((apart & !HIGHEST) + !HIGHEST) | apart;
        (!((from_a & !beyond_z) | !no_hyphen) | word) & HIGHEST
    })
}

/// Marks the bytes of `word` below `from`, and DEL.
#[inline(always)]
fn controls(word: u64, from: u8) -> u64 {
    let below = word.wrapping_sub(EACH * u64::from(from));
    let is_del = (word ^ (EACH * 0x7f)).wrapping_sub(EACH);
    (below | is_del) & !word & HIGHEST
}

/// Where the first byte of `text` is that `marks` marks, or its length. `marks` has to mark zeros.
#[inline(always)]
fn first(text: &[u8], marks: impl Fn(u64) -> u64) -> usize {
    let mut rest = text;
    loop {
        let (word, after) = match rest.split_first_chunk() {
            Some((bytes, after)) => (u64::from_le_bytes(*bytes), after),
            // There are zeros in it, so that this is the last turn.
            None => (last(rest), rest),
        };
        let marked = marks(word);
        if marked != 0 {
            return text.len() - rest.len() + (marked.trailing_zeros() / 8) as usize;
        }
        rest = after;
    }
}

/// Fewer than eight bytes, the first one lowest, with zeros behind them.
#[inline(never)]
fn last(bytes: &[u8]) -> u64 {
    let bytes = bytes.iter().rev();
    bytes.fold(0, |word, byte| word << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*, sample::select};

    /// How far from `at` the first byte is that `is`.
    fn position(text: &[u8], at: usize, is: impl Fn(u8) -> bool) -> usize {
        let found = text[at..].iter().position(|byte| is(*byte));
        found.unwrap_or(text.len() - at)
    }

    fn check(text: &[u8]) {
        for at in 0..=text.len() {
            let is_control = |byte: u8| byte.is_ascii_control();
            let value = position(text, at, |byte| is_control(byte) && byte != b'\t');
            assert_eq!(value_end(&text[at..]), value, "{text:?} {at}");
            let word = position(text, at, |byte| is_control(byte) || byte == b' ');
            assert_eq!(word_end(&text[at..]), word, "{text:?} {at}");
            let is_in_names = |byte: u8| byte.is_ascii_alphabetic() || byte == b'-';
            let letters = position(text, at, |byte| !is_in_names(byte));
            assert_eq!(letters_end(&text[at..]), letters, "{text:?} {at}");
        }
    }

    #[test]
    fn every_byte_is_found_behind_every_other_one() {
        for pair in 0..=u16::MAX {
            let [a, b] = pair.to_le_bytes();
            check(&[b'a', a, b, b'-', b'Z', b'a', b'z', b'A', b'-', b'-']);
        }
    }

    proptest! {
        #[test]
        fn what_is_found_is_what_one_byte_after_the_other_finds(
            text in vec(prop_oneof![3 => select(b"aZ-:_ ~\t\r\n\x7f\xff\0".to_vec()), 1 => any::<u8>()], 0..40),
        ) {
            check(&text);
        }
    }
}
