use super::*;
use Fault as F;

fn check(block: &str, fault: Fault) {
    let decoded = decode(&mut Decoder::new(4096), &hex(block));
    assert_eq!(decoded, Err(fault), "{block}");
}

#[test]
fn blocks_that_are_not_right_are_refused() {
    for (block, fault) in [
        // No index, and indices beyond the tables: of a field, and of a name.
        ("80", F::Index),
        ("be", F::Index),
        ("ff80 8001", F::Index),
        ("7f00 0161", F::Index),
        ("0f2f 0161", F::Index),
        ("1f2f 0161", F::Index),
        ("4001 6101 62 bf", F::Index),
        // Integers of 33 bits, and of more bytes than 32 bits need.
        ("ffff ffff ff0f", F::Integer),
        ("ffff ffff ff7f", F::Integer),
        ("ff80 8080 8080 00", F::Integer),
        ("007f 8080 8080 8000", F::Integer),
        ("3fff ffff ffff 0f", F::Integer),
        // Blocks that end within an integer, before a string, and within one.
        ("ff", F::Incomplete),
        ("ff80", F::Incomplete),
        ("ff80 8080 80", F::Incomplete),
        ("3f", F::Incomplete),
        ("40", F::Incomplete),
        ("44", F::Incomplete),
        ("4001", F::Incomplete),
        ("4001 61", F::Incomplete),
        ("4001 6102 62", F::Incomplete),
        ("0001 6182 ff", F::Incomplete),
        ("0001 617f", F::Incomplete),
        ("0001 617f ffff ffff 0e61", F::Incomplete),
        // Padding: a byte of it, four bytes of it, zeros, and zeros among ones.
        ("0001 6181 ff", F::Padding),
        ("0001 6182 1fff", F::Padding),
        ("0001 6183 ffff ff", F::Padding),
        ("0001 6181 18", F::Padding),
        ("0001 6181 1e", F::Padding),
        ("0001 6181 1b", F::Padding),
        ("0081 ff01 61", F::Padding),
        ("0001 6182 07ff", F::Padding),
        // A code that does not end.
        ("0001 6181 fe", F::Padding),
        ("0001 6183 ffff fe", F::Padding),
        // The end, with padding behind it, and with something.
        ("0001 6184 ffff ffff", F::EndOfString),
        ("0001 6185 1fff ffff ff", F::EndOfString),
        ("0001 6186 ffff fffc 1fff", F::EndOfString),
        // A table of 4,097 bytes, and a change of its size behind a field.
        ("3fe2 1f", F::TableSize),
        ("3fff ffff ff0e", F::TableSize),
        ("8220", F::LateTableSize),
        ("2082 3f", F::LateTableSize),
    ] {
        check(block, fault);
    }
}

#[test]
fn what_is_at_the_edge_of_a_fault_is_right() {
    for (block, fields) in [
        ("", vec![]),
        ("bd", vec![owned("www-authenticate", "")]),
        ("3fe1 1f82", vec![owned(":method", "GET")]),
        // Several changes at the beginning, and nothing else.
        ("2020 3fe1 1f20", vec![]),
        // An index with leading zeros.
        ("0f80 8080 8000 0161", vec![owned("accept-charset", "a")]),
        // Padding of seven bits, of less, and none at all.
        ("0001 6182 073f", vec![owned("a", "0Y")]),
        ("0001 6181 07", vec![owned("a", "0")]),
        ("0001 6181 7f", vec![owned("a", "9")]),
        ("0001 6181 f8", vec![owned("a", "&")]),
        ("0001 6180", vec![owned("a", "")]),
        ("0080 00", vec![owned("", "")]),
        ("0000 00", vec![owned("", "")]),
    ] {
        let decoded = decode(&mut Decoder::new(4096), &hex(block));
        assert_eq!(decoded, Ok(fields), "{block}");
    }
}

#[test]
fn faults_say_what_is_wrong() {
    for fault in [
        F::Index,
        F::Integer,
        F::Incomplete,
        F::Padding,
        F::EndOfString,
        F::TableSize,
        F::LateTableSize,
    ] {
        assert!(!fault.as_str().is_empty());
    }
}
