use super::{Contents, Data};
use crate::webhook::certificate::Pair;
use k8s_openapi::ByteString;
use proptest::prelude::*;
use std::{sync::OnceLock, time::Duration};

const BEGIN: Duration = Duration::from_secs(1_800_000_000);
const UNTIL: Duration = Duration::from_secs(1_900_000_000);

fn hosts() -> Vec<String> {
    vec!["hook.sluice.svc".to_owned()]
}

fn authority() -> Pair {
    Pair::authority(BEGIN, UNTIL).unwrap()
}

/// All that a Secret can hold.
fn contents() -> &'static Contents {
    static MADE: OnceLock<Contents> = OnceLock::new();
    MADE.get_or_init(|| {
        let issuer = authority();
        Contents {
            // Longer than its authority: it is cut.
            serving: issuer.sign(&hosts(), BEGIN, UNTIL * 2).unwrap(),
            issuer,
            next: Some(authority()),
            old: vec![authority().certificate, authority().certificate],
        }
    })
}

fn with(field: &str, text: impl Into<String>) -> Data {
    let mut data = contents().write();
    data.insert(field.to_owned(), ByteString(text.into().into_bytes()));
    data
}

#[test]
fn what_is_written_is_read_again() {
    let whole = contents();
    assert_eq!(whole.serving.certificate.not_after, UNTIL);
    let bare = Contents {
        next: None,
        old: Vec::new(),
        ..whole.clone()
    };
    for contents in [whole, &bare] {
        let read = Contents::read(&contents.write(), &hosts());
        assert_eq!(read.as_ref(), Ok(contents));
    }
    assert!(!format!("{whole:?}").contains("PRIVATE KEY"));
}

#[test]
fn what_does_not_fit_together_is_told() {
    let other = authority();
    let foreign = other.sign(&hosts(), BEGIN, UNTIL).unwrap();
    let mut lacking = contents().write();
    lacking.remove("ca.key");
    let mut signed_elsewhere = with("tls.crt", foreign.certificate.pem());
    signed_elsewhere.extend(with("tls.key", foreign.key.clone()).remove_entry("tls.key"));
    for (data, said) in [
        (Data::new(), "ca.crt: is missing"),
        (lacking, "ca.key: is missing"),
        (
            with("ca.crt", ""),
            "ca.crt: found 0 certificates, allowed one",
        ),
        (
            with("old-ca.crt", "-----BEGIN CERTIFICATE-----"),
            "old-ca.crt: is no valid PEM",
        ),
        (with("ca.key", other.key.clone()), "ca.key: "),
        (with("next-ca.key", "none"), "next-ca.key: "),
        (with("tls.crt", other.certificate.pem()), "tls.key: "),
        (signed_elsewhere, "tls.crt: "),
    ] {
        let why = Contents::read(&data, &hosts()).unwrap_err().to_string();
        assert!(why.starts_with(said), "{why}: not {said}");
    }
    let others = ["hook.shop.svc".to_owned()];
    let why = Contents::read(&contents().write(), &others).unwrap_err();
    assert!(why.to_string().starts_with("tls.crt: "), "{why}");
}

proptest! {
    #[test]
    fn garbage_does_no_harm(field in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), byte: u8, cut: bool) {
        let mut data = contents().write();
        let fields: Vec<String> = data.keys().cloned().collect();
        let ByteString(bytes) = data.get_mut(field.get(&fields)).unwrap();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if cut {
            bytes.truncate(at);
        }
        if let Ok(read) = Contents::read(&data, &hosts()) {
            prop_assert_eq!(read.serving.certificate, contents().serving.certificate.clone());
        }
    }
}
