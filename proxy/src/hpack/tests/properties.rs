use super::*;
use proptest::{collection::vec, prelude::*, sample::select};

const NAMES: [&str; 14] = [
    "server",
    "Content-Type",
    "cache-control",
    "date",
    "Set-Cookie",
    "content-length",
    "x-request-id",
    "X-Custom",
    "x-custom-with-a-long-name-of-more-than-thirty-two-bytes",
    "via",
    ":status",
    "a",
    "etag",
    "vary",
];

/// Names in any case, and values.
type Fields = Vec<(Vec<u8>, Vec<u8>)>;

fn fields() -> impl Strategy<Value = Fields> {
    let name = prop_oneof![
        9 => select(NAMES.to_vec()).prop_map(|name| name.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..40),
    ];
    let value = prop_oneof![
        6 => (0..6_u8).prop_map(|i| vec![b'a' + i; usize::from(i) * 30]),
        2 => vec(0x20..0x7f_u8, 0..200),
        1 => vec(any::<u8>(), 0..100),
        1 => (500..1500_usize).prop_map(|length| vec![b'x'; length]),
    ];
    vec((name, value), 0..12)
}

/// Blocks, and what the peer says of its table before each.
fn blocks() -> impl Strategy<Value = Vec<(Vec<u32>, Fields)>> {
    let size = prop_oneof![Just(0), 0..300_u32, 0..5000_u32, Just(u32::MAX)];
    let sizes = prop_oneof![5 => Just(Vec::new()), 1 => vec(size, 1..4)];
    vec((sizes, fields()), 0..30)
}

/// Pieces of blocks, so that what comes of them is nearly a block or one.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let strings = [
        hex("0161"),
        hex("00"),
        hex("80"),
        hex("8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff"),
        [hex("7fe1 06"), vec![b'a'; 1000]].concat(),
        [hex("7fa1 1e"), vec![b'b'; 4000]].concat(),
    ];
    let string = || select(strings.to_vec());
    let piece = prop_oneof![
        // Of the tables, and with names of the tables, whatever is there.
        4 => (0..70_u8).prop_map(|index| vec![0x80 | index]),
        4 => (1..63_u8, string()).prop_map(|(index, value)| [vec![0x40 | index], value].concat()),
        4 => (0..9_u8, string()).prop_map(|(more, value)| [vec![0x7f, more], value].concat()),
        4 => (string(), string()).prop_map(|(name, value)| [vec![0x40], name, value].concat()),
        2 => (string(), string()).prop_map(|(name, value)| [vec![0x10], name, value].concat()),
        1 => vec(any::<u8>(), 0..6),
    ];
    vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(blocks in blocks()) {
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new(4096));
        let mut out = BytesMut::new();
        for (sizes, fields) in blocks {
            sizes.into_iter().for_each(|size| encoder.set_max(size));
            out.clear();
            encoder.begin(&mut out);
            for (name, value) in &fields {
                encoder.field(name, value, &mut out);
            }
            let expected = fields.into_iter().map(|(name, value)| {
                let name = name.to_ascii_lowercase();
                let is_sensitive = names::is_sensitive(&name);
                (name, value, is_sensitive)
            });
            prop_assert_eq!(decode(&mut decoder, &out), Ok(expected.collect::<Vec<_>>()));
            prop_assert!(encoder.table().is_like(decoder.table()));
        }
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(
        size in 0..4097_usize,
        blocks in vec(prop_oneof![pieces(), vec(any::<u8>(), 0..100)], 0..10),
    ) {
        let mut decoder = Decoder::new(size);
        for block in blocks {
            let decoded = decode(&mut decoder, &block);
            let (text, entries) = decoder.table().room();
            prop_assert!(text <= (size + size / 2).max(256));
            prop_assert!(entries <= (size / 32 + size / 64).max(8));
            if decoded.is_err() {
                break;
            }
        }
    }

    #[test]
    fn scripts_of_the_fuzz_target_hold(
        steps in vec((0..4_u8, prop_oneof![pieces(), vec(any::<u8>(), 0..50)]), 0..60),
    ) {
        let step = |(step, bytes): &(u8, Vec<u8>)| {
            let length = bytes.len().min(255);
            [&[*step, length as u8], &bytes[..length]].concat()
        };
        fuzz(&steps.iter().map(step).collect::<Vec<_>>().concat());
    }
}
