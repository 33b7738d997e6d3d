use super::*;

/// Writes a block of `fields` behind `:status: 200`, and gives it without that. The decoder must see what went in.
fn write(encoder: &mut Encoder, decoder: &mut Decoder, fields: &[(&str, &str)]) -> Vec<u8> {
    let mut out = BytesMut::new();
    encoder.begin(&mut out);
    let begin = out.len();
    encoder.status(StatusCode::OK, &mut out);
    for (name, value) in fields {
        encoder.field(name.as_bytes(), value.as_bytes(), &mut out);
    }
    let decoded = decode(decoder, &out).unwrap();
    let lower = |(name, value): &(&str, &str)| (name.to_lowercase(), value.to_string());
    let expected: Vec<_> = fields.iter().map(lower).collect();
    let text = |bytes: &Vec<u8>| String::from_utf8(bytes.clone()).unwrap();
    let seen = |(name, value, _): &Owned| (text(name), text(value));
    assert_eq!(decoded[1..].iter().map(seen).collect::<Vec<_>>(), expected);
    assert_eq!(out[begin], 0x88);
    out[begin + 1..].to_vec()
}

/// Checks what the blocks are, the first one first, when this field is written in each.
fn check(name: &str, value: &str, blocks: [&str; 4]) {
    let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new(4096));
    for block in blocks {
        let written = write(&mut encoder, &mut decoder, &[(name, value)]);
        assert_eq!(written, hex(block), "{name}: {value}");
    }
}

#[test]
fn what_repeats_is_put_into_the_table_when_it_comes_again() {
    check("server", "a", ["0f27 0161", "7601 61", "be", "be"]);
    check("Server", "a", ["0f27 0161", "7601 61", "be", "be"]);
    check(
        "X-Y",
        "Z",
        ["0003 782d 7901 5a", "4003 782d 7901 5a", "be", "be"],
    );
    check("x-y", "", ["0003 782d 7900", "4003 782d 7900", "be", "be"]);
    check(
        "a\u{7f}",
        "b",
        ["0002 617f 0162", "4002 617f 0162", "be", "be"],
    );
}

#[test]
fn what_changes_is_not_put_into_the_table() {
    check("Date", "now", ["0f12 03 6e6f 77"; 4]);
    check("content-length", "7", ["0f0d 0137"; 4]);
    check(
        "X-Request-ID",
        "7",
        ["000c 782d 7265 7175 6573 742d 6964 0137"; 4],
    );
}

#[test]
fn what_is_secret_is_never_to_be_put_into_any_table() {
    check("Set-Cookie", "a=b", ["1f28 0361 3d62"; 4]);
    check("www-authenticate", "a", ["1f2e 0161"; 4]);
    check("authorization", "a", ["1f08 0161"; 4]);
    check("proxy-authorization", "a", ["1f22 0161"; 4]);
    let mut out = BytesMut::new();
    Encoder::new().field(b"set-cookie", b"a", &mut out);
    let expected = vec![(b"set-cookie".to_vec(), b"a".to_vec(), true)];
    assert_eq!(decode(&mut Decoder::new(4096), &out), Ok(expected));
}

#[test]
fn what_is_large_is_not_put_into_the_table() {
    for (length, is_put) in [(1024 - 32 - 3, true), (1024 - 32 - 2, false)] {
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new(4096));
        let value = "a".repeat(length);
        let mut last = Vec::new();
        for _ in 0..3 {
            last = write(&mut encoder, &mut decoder, &[("x-y", &value)]);
        }
        assert_eq!(last == [0xbe], is_put, "{length}");
    }
}

#[test]
fn long_values_are_huffman_coded_where_that_is_shorter() {
    for (value, length) in [
        ("a".repeat(63), 63 + 1),
        ("a".repeat(64), 64 * 5 / 8 + 1),
        ("\n".repeat(64), 64 + 1),
        // Eight bits each: as long as without it.
        ("&".repeat(64), 64 + 1),
    ] {
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new(4096));
        let written = write(&mut encoder, &mut decoder, &[("location", &value)]);
        assert_eq!(written.len(), length + 2, "{value:?}");
    }
}

#[test]
fn statuses_are_those_of_the_static_table_or_put_into_the_other_one() {
    let mut encoder = Encoder::new();
    let mut check = |status: u16, block: &str| {
        let mut out = BytesMut::new();
        encoder.status(StatusCode::from_u16(status).unwrap(), &mut out);
        assert_eq!(out, hex(block), "{status}");
    };
    for (status, block) in [
        (200, "88"),
        (204, "89"),
        (206, "8a"),
        (304, "8b"),
        (400, "8c"),
        (404, "8d"),
        (500, "8e"),
        (302, "0803 3330 32"),
        (103, "0803 3130 33"),
        (302, "4803 3330 32"),
        (302, "be"),
        (999, "0803 3939 39"),
    ] {
        check(status, block);
    }
}

/// Checks what the next block begins with after the peer has said so.
fn check_sizes(sizes: &[u32], begin: &str) {
    let mut encoder = Encoder::new();
    for size in sizes {
        encoder.set_max(*size);
    }
    let mut out = BytesMut::new();
    encoder.begin(&mut out);
    assert_eq!(out, hex(begin), "{sizes:?}");
    encoder.begin(&mut out);
    assert_eq!(out, hex(begin), "{sizes:?}, once only");
}

#[test]
fn changes_of_the_size_are_written_once() {
    check_sizes(&[], "");
    check_sizes(&[4096], "");
    check_sizes(&[u32::MAX], "");
    check_sizes(&[0], "20");
    check_sizes(&[30], "3e");
    check_sizes(&[31], "3f00");
    check_sizes(&[4095], "3fe0 1f");
    check_sizes(&[0, 4096], "20 3fe1 1f");
    check_sizes(&[100, 0, 50, 65_536], "20 3fe1 1f");
    check_sizes(&[100, 200], "3f45 3fa9 01");
    check_sizes(&[200, 100], "3f45");
}

#[test]
fn a_smaller_table_forgets_the_oldest() {
    let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new(4096));
    let fields = [("a", "1"), ("b", "2"), ("c", "3")];
    for _ in 0..2 {
        write(&mut encoder, &mut decoder, &fields);
    }
    assert_eq!(
        write(&mut encoder, &mut decoder, &fields),
        [0xc0, 0xbf, 0xbe]
    );
    // Room for two of 34 bytes.
    encoder.set_max(101);
    let written = write(&mut encoder, &mut decoder, &fields[1..]);
    assert_eq!(written, [0xbf, 0xbe]);
    // It was written less than 32 fields ago, so that it comes back at once.
    let written = write(&mut encoder, &mut decoder, &fields);
    assert_eq!(written, hex("4001 6101 31 4001 6201 32 4001 6301 33"));
    encoder.set_max(0);
    let written = write(&mut encoder, &mut decoder, &fields);
    assert_eq!(written, hex("0001 6101 31 0001 6201 32 0001 6301 33"));
}

#[test]
fn what_does_not_repeat_pushes_nothing_out() {
    let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new(4096));
    for i in 0..1000 {
        let duration = i.to_string();
        let fields = [("server", "a"), ("x-duration", &duration), ("x-y", "z")];
        let written = write(&mut encoder, &mut decoder, &fields);
        if i > 1 {
            assert_eq!((written[0], written[written.len() - 1]), (0xbf, 0xbe));
        }
    }
}

#[test]
fn all_names_of_the_static_table_are_known_in_any_case() {
    for (i, (name, _)) in statics::ENTRIES.iter().enumerate() {
        let first = statics::ENTRIES.iter().position(|(other, _)| other == name);
        for name in [name.to_ascii_uppercase(), name.to_vec()] {
            let known = names::find(&name, words::hash_name(&name));
            assert_eq!(usize::from(known.index), first.unwrap() + 1, "{i}");
        }
    }
    for name in [&b""[..], b"x", b"server-timing", &[b'a'; 100]] {
        assert_eq!(names::find(name, words::hash_name(name)).index, 0);
    }
}
