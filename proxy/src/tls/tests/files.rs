use super::*;
use rcgen::PKCS_ED25519;

/// Checks what is said when the listener is loaded with this chain, key, authorities and OCSP answer.
fn check(chain: &str, key: &str, authorities: Option<&str>, ocsp: Option<&[u8]>, expected: &str) {
    let folder = Folder::new();
    let pair = Pair {
        chain: chain.to_owned(),
        key: key.to_owned(),
    };
    let mut certificate = folder.certificate("shop", &pair);
    certificate.ocsp_file = ocsp.map(|bytes| folder.write("ocsp.der", bytes));
    let mut tls = listener_tls(vec![certificate]);
    tls.client = authorities.and_then(|pem| clients(&folder.write("clients.pem", pem), true));
    let error = ServerTls::load(&tls, true).unwrap_err().to_string();
    let error = error.replace(&format!("{}/", folder.0.path().display()), "");
    assert!(error.starts_with(expected), "{error}");
}

#[test]
fn bad_files_are_told_by_name_with_what_was_found_and_what_is_allowed() {
    let authority = Authority::new();
    let [one, two] = [(); 2].map(|()| authority.sign(&["shop.example"]));
    let (chain, key) = (one.chain.as_str(), one.key.as_str());
    let damaged = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    let cut = &chain[..chain.len() / 2];
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let strange = "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n";
    for (chain, key, expected) in [
        (
            "",
            key,
            "shop.crt holds no certificate; a PEM chain of certificates, the server's own first, is expected",
        ),
        (key, key, "shop.crt holds no certificate; "),
        (cut, key, "shop.crt is no valid PEM ("),
        (
            damaged,
            key,
            "shop.crt begins with a certificate that cannot be read (",
        ),
        (
            chain,
            "",
            "shop.key holds no private key; an unencrypted PEM private key ",
        ),
        (chain, chain, "shop.key holds no private key; "),
        (chain, encrypted, "shop.key holds an encrypted key; "),
        (chain, strange, "shop.key holds a key that cannot be used ("),
        (
            chain,
            &two.key,
            "the key in shop.key does not belong to the first certificate in shop.crt",
        ),
    ] {
        check(chain, key, None, None, expected);
    }
    for (pem, expected) in [
        (
            "",
            "clients.pem holds no certificate; one or more PEM certificates of authorities is expected",
        ),
        (
            damaged,
            "clients.pem holds a certificate that cannot be used (number 1: ",
        ),
    ] {
        check(chain, key, Some(pem), None, expected);
    }
    for (bytes, expected) in [
        (
            &b"-----BEGIN"[..],
            "ocsp.der holds no DER sequence; a successful OCSP response in DER is expected",
        ),
        (
            &[0x30, 3, 0x0A, 1, 6],
            "ocsp.der holds an answer without success; ",
        ),
    ] {
        check(chain, key, None, Some(bytes), expected);
    }
}

#[test]
fn missing_files_and_certificates_are_told() {
    let folder = Folder::new();
    let mut certificate = folder.certificate("shop", &Authority::new().sign(&["shop.example"]));
    certificate.key_file = folder.path("none.key");
    let error = ServerTls::load(&listener_tls(vec![certificate]), true).unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("none.key cannot be read: No such file"),
        "{error}"
    );
    let error = ServerTls::load(&listener_tls(Vec::new()), true).unwrap_err();
    assert!(error.to_string().contains("at least one"), "{error}");
}

#[test]
fn a_listener_that_cannot_be_loaded_is_named() {
    let folder = Folder::new();
    let mut listener = https(&folder, &Authority::new().sign(&["shop.example"]));
    fs::remove_file(folder.path("shop.crt")).unwrap();
    let error = Tls::load(std::slice::from_ref(&listener))
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("listener https: ") && error.contains("shop.crt"),
        "{error}"
    );
    listener.tls = None;
    let tls = Tls::load(&[listener]).unwrap();
    assert!(tls.server(0).is_none() && tls.server(1).is_none());
}

#[test]
fn certificates_that_have_expired_are_served() {
    let (authority, folder) = (Authority::new(), Folder::new());
    let expired = authority.sign_with(&["old.example"], &PKCS_ED25519, 2021);
    let nameless = authority.sign(&[]);
    let certificates = vec![
        folder.certificate("expired", &expired),
        folder.certificate("nameless", &nameless),
    ];
    let server = ServerTls::load(&listener_tls(certificates), true).unwrap();
    let known_by: Vec<_> = server
        .expiries()
        .into_iter()
        .map(|(name, at)| (name, at.as_secs()))
        .collect();
    let (old, new) = (1_609_459_200, 2_208_988_800);
    assert_eq!(
        known_by,
        [("old.example".into(), old), ("CN=nobody".into(), new)]
    );
}

#[test]
fn of_certificates_with_one_name_the_first_to_expire_is_shown() {
    let (authority, folder) = (Authority::new(), Folder::new());
    let years =
        [2041, 2040, 2042].map(|year| authority.sign_with(&["shop.example"], &PKCS_ED25519, year));
    let mut listener = https(&folder, &years[0]);
    let certificates = years.iter().enumerate();
    let certificates = certificates.map(|(i, pair)| folder.certificate(&i.to_string(), pair));
    listener.tls = Some(listener_tls(certificates.collect()));
    let expiries = Tls::load(&[listener]).unwrap().expiries();
    assert_eq!(expiries.len(), 1);
    assert_eq!(
        (&*expiries[0].name, expiries[0].not_after.as_secs()),
        ("shop.example", 2_208_988_800)
    );
}
