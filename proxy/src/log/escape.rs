//! Values made safe for a line. Nothing that a client sends can end a line, a quoted value, or speak to a terminal.

/// Values are cut after this many bytes, so that one request cannot take the room of many.
const MAX_BYTES: usize = 4096;

/// Writes `value` as the inside of a JSON string (RFC 8259 section 7). What is no UTF-8 becomes U+FFFD.
pub(super) fn json(line: &mut Vec<u8>, value: &[u8]) {
    escaped(line, value, &JSON);
}

/// Writes `value` for a line of text: `"` and `\` behind a `\`, control characters and what is no UTF-8 as `\xHH`.
pub(super) fn text(line: &mut Vec<u8>, value: &[u8]) {
    escaped(line, value, &TEXT);
}

/// How a format writes what cannot stand as it is.
struct Style {
    control: fn(&mut Vec<u8>, char),
    /// Bytes that are no UTF-8.
    invalid: fn(&mut Vec<u8>, &[u8]),
}

const JSON: Style = Style {
    control: |line, c| {
        let digits = u32::from(c);
        line.extend_from_slice(b"\\u");
        for shift in [12, 8, 4, 0] {
            line.push(hex((digits >> shift) as u8));
        }
    },
    invalid: |line, _| line.extend_from_slice("\u{FFFD}".as_bytes()),
};

const TEXT: Style = Style {
    control: |line, c| (TEXT.invalid)(line, c.encode_utf8(&mut [0; 4]).as_bytes()),
    invalid: |line, bytes| {
        for byte in bytes {
            line.extend_from_slice(&[b'\\', b'x', hex(byte >> 4), hex(*byte)]);
        }
    },
};

/// The lowest four bits of `nibble` as a digit.
const fn hex(nibble: u8) -> u8 {
    match nibble & 0xF {
        digit @ 0..=9 => b'0' + digit,
        letter => b'a' + letter - 10,
    }
}

fn escaped(line: &mut Vec<u8>, value: &[u8], style: &Style) {
    let kept = &value[..value.len().min(MAX_BYTES)];
    // Nearly every value is plain ASCII, and is copied in one piece.
    if kept.iter().all(|&b| is_plain(b)) {
        line.extend_from_slice(kept);
    } else {
        for chunk in kept.utf8_chunks() {
            characters(line, chunk.valid(), style);
            if !chunk.invalid().is_empty() {
                (style.invalid)(line, chunk.invalid());
            }
        }
    }
    if kept.len() < value.len() {
        line.extend_from_slice("…".as_bytes());
    }
}

const fn is_plain(byte: u8) -> bool {
    matches!(byte, 0x20..=0x7E) && byte != b'"' && byte != b'\\'
}

fn characters(line: &mut Vec<u8>, text: &str, style: &Style) {
    for c in text.chars() {
        match c {
            '"' | '\\' => line.extend_from_slice(&[b'\\', c as u8]),
            // The last two end a line for some readers.
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                (style.control)(line, c);
            }
            c => line.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(write: fn(&mut Vec<u8>, &[u8]), value: &[u8]) -> String {
        let mut line = Vec::new();
        write(&mut line, value);
        String::from_utf8(line).unwrap()
    }

    #[test]
    fn what_is_not_plain_is_escaped() {
        for (value, as_json, as_text) in [
            (&b"/shop?a=b"[..], "/shop?a=b", "/shop?a=b"),
            ("käse".as_bytes(), "käse", "käse"),
            (b"a\"b\\c", r#"a\"b\\c"#, r#"a\"b\\c"#),
            (b"a\r\nb\t", r"a\u000d\u000ab\u0009", r"a\x0d\x0ab\x09"),
            (b"\x1b[31m\x7f", r"\u001b[31m\u007f", r"\x1b[31m\x7f"),
            ("\u{9b}31m".as_bytes(), r"\u009b31m", r"\xc2\x9b31m"),
            ("\u{2028}".as_bytes(), r"\u2028", r"\xe2\x80\xa8"),
            (b"a\xff\xfeb", "a\u{FFFD}\u{FFFD}b", r"a\xff\xfeb"),
            (b"", "", ""),
        ] {
            assert_eq!(written(json, value), as_json, "{value:?}");
            assert_eq!(written(text, value), as_text, "{value:?}");
        }
    }

    #[test]
    fn long_values_are_cut_and_say_so() {
        let long = "ä".repeat(MAX_BYTES);
        for write in [json, text] {
            let line = written(write, long.as_bytes());
            assert!(line.len() < MAX_BYTES + 8 && line.ends_with('…'));
        }
        assert_eq!(written(json, &[b'a'; MAX_BYTES]), "a".repeat(MAX_BYTES));
    }

    proptest! {
        #[test]
        fn json_reads_back_what_was_written(value in ".{0,60}") {
            let line = format!("\"{}\"", written(json, value.as_bytes()));
            let read: String = serde_json::from_str(&line).unwrap();
            prop_assert_eq!(read, value);
        }

        #[test]
        fn no_value_ends_a_line_or_a_quotation(value in prop::collection::vec(any::<u8>(), 0..60)) {
            for write in [json, text] {
                let line = written(write, &value);
                prop_assert!(!line.contains(char::is_control), "{}", line);
                let mut rest = line.as_str();
                while let Some(at) = rest.find(['\\', '"']) {
                    prop_assert!(rest[at..].starts_with('\\') && rest.len() > at + 1, "{}", line);
                    rest = &rest[at + 2..];
                }
            }
        }
    }
}
