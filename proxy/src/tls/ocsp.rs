//! What an OCSP answer (RFC 6960) says, as far as whoever staples it must know.
//!
//! Its signature is not checked: that is for clients. But a stale answer does more harm than none, as some clients then
//! refuse the certificate, and an answer about another certificate tells them nothing.

use std::time::Duration;
use x509_cert::der::{
    self, Decode, Reader, SliceReader, Tag, TagNumber, Tagged,
    asn1::{AnyRef, GeneralizedTime},
};

/// An answer about one certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// The certificate's serial number, big-endian without leading zeros.
    pub(super) serial: Box<[u8]>,
    /// Whether it says that the certificate is good, and not revoked or unknown.
    pub(super) is_good: bool,
    /// When the next answer is due, since 1970: from then on this one is stale. None when it does not say.
    pub(super) next_update: Option<Duration>,
}

/// Why a file is no answer to be stapled, beginning with a verb.
pub(super) fn read(bytes: &[u8]) -> Result<Answer, &'static str> {
    let outer = children(bytes, Tag::Sequence).map_err(|_| "holds no DER sequence")?;
    let status = outer
        .first()
        .filter(|status| status.tag() == Tag::Enumerated);
    match status.map(|status| status.value()) {
        Some([0]) => answer(&outer).map_err(|_| "holds an answer that cannot be read"),
        Some(_) => Err("holds an answer without success"),
        None => Err("holds no OCSP answer"),
    }
}

/// `OCSPResponse`, whose parts are `outer`, down to its first `SingleResponse`.
fn answer(outer: &[AnyRef<'_>]) -> der::Result<Answer> {
    let bytes = children_of(part(outer, 1)?)?;
    let bytes = children_of(part(&bytes, 0)?)?;
    let basic = children(part(&bytes, 1)?.value(), Tag::Sequence)?;
    let data = children_of(part(&basic, 0)?)?;
    // A version and the responder come before the moment of the answer, the answers after it.
    let moment = data
        .iter()
        .position(|part| part.tag() == Tag::GeneralizedTime);
    let answers = children_of(part(&data, moment.map_or(usize::MAX, |at| at + 1))?)?;
    let single = children_of(part(&answers, 0)?)?;
    let certificate = children_of(part(&single, 0)?)?;
    let good = context(part(&single, 1)?.tag()) == Some(0);
    let next = single.get(3).filter(|next| context(next.tag()) == Some(0));
    let next = next.map(|next| GeneralizedTime::from_der(next.value()));
    Ok(Answer {
        serial: serial(part(&certificate, 3)?.value()),
        is_good: good,
        next_update: next.transpose()?.map(|time| time.to_unix_duration()),
    })
}

/// A serial number without leading zeros.
pub(super) fn serial(mut bytes: &[u8]) -> Box<[u8]> {
    while let [0, rest @ ..] = bytes {
        bytes = rest;
    }
    bytes.into()
}

/// The parts of what has `tag` and fills `bytes`.
fn children<'a>(bytes: &'a [u8], tag: Tag) -> der::Result<Vec<AnyRef<'a>>> {
    let whole = AnyRef::from_der(bytes)?;
    whole.tag().assert_eq(tag)?;
    children_of(whole)
}

fn children_of(whole: AnyRef<'_>) -> der::Result<Vec<AnyRef<'_>>> {
    let mut reader = SliceReader::new(whole.value())?;
    let mut parts = Vec::new();
    while !reader.is_finished() {
        parts.push(AnyRef::decode(&mut reader)?);
    }
    Ok(parts)
}

fn part<'a>(parts: &[AnyRef<'a>], index: usize) -> der::Result<AnyRef<'a>> {
    let missing = || der::ErrorKind::Incomplete {
        expected_len: der::Length::ONE,
        actual_len: der::Length::ZERO,
    };
    parts.get(index).copied().ok_or_else(|| missing().into())
}

fn context(tag: Tag) -> Option<u32> {
    match tag {
        Tag::ContextSpecific { number, .. } => Some(TagNumber::value(number)),
        _ => None,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let value = parts.concat();
        let length = u16::try_from(value.len()).unwrap().to_be_bytes();
        let long = [&[0x82][..], &length].concat();
        let short = [u8::try_from(value.len()).unwrap_or(0)];
        let length = match value.len() {
            0..128 => &short[..],
            128..256 => &[0x81, short[0]],
            _ => &long,
        };
        [&[tag], length, &value].concat()
    }

    /// An answer of this response status and certificate status about `serial`, with `next` as `YYYYMMDDhhmmssZ`.
    pub(in crate::tls) fn answer(
        status: u8,
        certificate: u8,
        serial: &[u8],
        next: Option<&str>,
    ) -> Vec<u8> {
        let moment = der(0x18, &[b"20200101000000Z"]);
        let hash = der(0x04, &[&[7; 20]]);
        let algorithm = der(0x30, &[&der(0x06, &[&[0x2B, 0x0E, 3, 2, 0x1A]])]);
        let id = der(0x30, &[&algorithm, &hash, &hash, &der(0x02, &[serial])]);
        let next = next.map(|next| der(0xA0, &[&der(0x18, &[next.as_bytes()])]));
        let single = der(
            0x30,
            &[
                &id,
                &der(certificate, &[]),
                &moment,
                &next.unwrap_or_default(),
            ],
        );
        let responder = der(0xA2, &[&hash]);
        let data = der(0x30, &[&responder, &moment, &der(0x30, &[&single])]);
        let basic = der(0x30, &[&data, &algorithm, &der(0x03, &[&[0; 65]])]);
        let oid = der(0x06, &[&[0x2B, 6, 1, 5, 5, 7, 0x30, 1, 1]]);
        let bytes = der(0xA0, &[&der(0x30, &[&oid, &der(0x04, &[&basic])])]);
        der(0x30, &[&der(0x0A, &[&[status]]), &bytes])
    }

    #[test]
    fn answers_are_read() {
        let due = Some(Duration::from_secs(2_208_988_800));
        for (certificate, next, is_good, next_update) in [
            (0x80, Some("20400101000000Z"), true, due),
            (0x80, None, true, None),
            (0xA1, Some("20400101000000Z"), false, due),
            (0x82, None, false, None),
        ] {
            let expected = Answer {
                serial: [0xA0, 1].into(),
                is_good,
                next_update,
            };
            let bytes = answer(0, certificate, &[0, 0xA0, 1], next);
            assert_eq!(read(&bytes), Ok(expected));
        }
    }

    #[test]
    fn other_files_are_refused() {
        let trailing = [answer(0, 0x80, &[1], None), vec![0]].concat();
        for (bytes, expected) in [
            (&b"-----BEGIN"[..], "holds no DER sequence"),
            (&[], "holds no DER sequence"),
            (&trailing, "holds no DER sequence"),
            (&[0x30, 0], "holds no OCSP answer"),
            (&[0x30, 3, 0x02, 1, 0], "holds no OCSP answer"),
            (&[0x30, 3, 0x0A, 1, 6], "holds an answer without success"),
            (
                &[0x30, 3, 0x0A, 1, 0],
                "holds an answer that cannot be read",
            ),
            (
                &answer(0, 0x80, &[1], Some("soon")),
                "holds an answer that cannot be read",
            ),
        ] {
            assert_eq!(read(bytes), Err(expected), "{bytes:02x?}");
        }
    }

    proptest! {
        #[test]
        fn damaged_answers_do_no_harm(at in any::<prop::sample::Index>(), byte: u8, cut: bool) {
            let mut bytes = answer(0, 0x80, &[1, 2, 3], Some("20400101000000Z"));
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if cut {
                bytes.truncate(at);
            }
            let read = read(&bytes);
            prop_assert!(!cut || read.is_err());
        }
    }
}
