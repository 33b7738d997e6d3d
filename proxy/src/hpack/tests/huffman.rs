use super::{super::huffman, *};
use proptest::{collection::vec, prelude::*};

fn check(text: &[u8]) {
    let mut coded = BytesMut::from(&b"before"[..]);
    huffman::encode(text, &mut coded);
    let coded = coded.split_off(6);
    assert_eq!(coded.len(), huffman::coded_length(text));
    let mut decoded = b"before".to_vec();
    assert_eq!(huffman::decode(&coded, &mut decoded), Ok(()));
    assert_eq!(decoded, [b"before", text].concat());
}

#[test]
fn all_bytes_come_back() {
    let all: Vec<u8> = (0..=255).collect();
    check(&all);
    for byte in 0..=255_u8 {
        for count in 0..9 {
            check(&vec![byte; count]);
            check(&[&vec![b'0'; count][..], &[byte]].concat());
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_come_back(text in vec(any::<u8>(), 0..300)) {
        check(&text);
    }

    /// Each string has one way only to be coded.
    #[test]
    fn what_can_be_decoded_is_what_would_be_encoded(coded in vec(any::<u8>(), 0..40)) {
        let mut text = Vec::new();
        if huffman::decode(&coded, &mut text).is_ok() {
            let mut again = BytesMut::new();
            huffman::encode(&text, &mut again);
            prop_assert_eq!(&again[..], &coded[..]);
        }
    }
}
