mod encoding;
mod examples;
mod faults;
mod huffman;
mod properties;
mod tables;

use super::*;
use bytes::BytesMut;
use http::StatusCode;

/// A name, a value, and whether it is sensitive.
type Owned = (Vec<u8>, Vec<u8>, bool);

fn owned(name: &str, value: &str) -> Owned {
    (name.into(), value.into(), false)
}

fn decode(decoder: &mut Decoder, block: &[u8]) -> Result<Vec<Owned>, Fault> {
    // What is in it must not matter.
    let mut scratch = b"scratch".to_vec();
    let mut fields = Vec::new();
    decoder.decode(block, &mut scratch, |field| {
        fields.push((
            field.name.to_vec(),
            field.value.to_vec(),
            field.is_sensitive,
        ));
    })?;
    Ok(fields)
}

/// The bytes that `text` says in hexadecimal, with white space between them.
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}
