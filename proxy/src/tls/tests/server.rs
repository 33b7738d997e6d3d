use super::*;
use crate::tls::{certificate::Facts, ocsp};
use rcgen::{PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256};
use rustls::{
    HandshakeKind, ProtocolVersion,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs::cipher_suite},
    pki_types::UnixTime,
};

fn load(tls: &ListenerTls) -> ServerTls {
    ServerTls::load(tls, true).unwrap()
}

#[tokio::test]
async fn the_name_asked_for_chooses_the_certificate() {
    let (authority, folder) = (Authority::new(), Folder::new());
    let pairs = [
        &["first.example", "127.0.0.1"][..],
        &["*.shop.example"],
        &["pay.shop.example"],
    ]
    .map(|names| authority.sign(names));
    let certificates = pairs.iter().enumerate();
    let certificates = certificates.map(|(i, pair)| folder.certificate(&i.to_string(), pair));
    let server = load(&listener_tls(certificates.collect()));
    let client = Arc::new(authority.client());
    for (name, expected) in [
        ("first.example", 0),
        ("a.shop.example", 1),
        ("A.Shop.Example", 1),
        ("pay.shop.example", 2),
        ("127.0.0.1", 0),
    ] {
        let (config, asked) = Asked::of(&server.config());
        let met = meet(config, &client, name).await;
        assert_eq!(met.shown(), pairs[expected].der(), "{name}");
        let stream = met.server.unwrap();
        let is_name = name.parse::<std::net::IpAddr>().is_err();
        assert_eq!(asked.name(), is_name.then(|| name.to_lowercase()));
        assert_eq!(stream.tls_version(), Some("TLSv1.3"));
        assert!(stream.is_tls() && stream.into_plain().is_err());
    }
    for unknown in ["other.example", "a.b.shop.example"] {
        let met = meet(server.config(), &client, unknown).await;
        let refused = met.client.unwrap_err().to_string();
        assert!(
            refused.contains("first.example"),
            "the first was shown: {refused}"
        );
    }
}

#[tokio::test]
async fn every_kind_of_key_is_served() {
    let (authority, folder) = (Authority::new(), Folder::new());
    let client = Arc::new(authority.client());
    for algorithm in [
        &PKCS_RSA_SHA256,
        &PKCS_ECDSA_P256_SHA256,
        &PKCS_ECDSA_P384_SHA384,
        &PKCS_ED25519,
    ] {
        let pair = authority.sign_with(&["shop.example"], algorithm, 2040);
        let server = load(&listener_tls(vec![folder.certificate("shop", &pair)]));
        let met = meet(server.config(), &client, "shop.example").await;
        assert_eq!(met.shown(), pair.der(), "{algorithm:?}");
    }
}

#[tokio::test]
async fn a_client_is_shown_a_key_that_it_knows() {
    let (authority, folder) = (Authority::new(), Folder::new());
    let ecdsa = authority.sign(&["shop.example"]);
    let rsa = authority.sign_with(&["shop.example"], &PKCS_RSA_SHA256, 2040);
    let certificates = vec![
        folder.certificate("ecdsa", &ecdsa),
        folder.certificate("rsa", &rsa),
    ];
    let server = load(&listener_tls(certificates));
    let old = CryptoProvider {
        cipher_suites: vec![cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256],
        ..(*provider()).clone()
    };
    let mut roots = RootCertStore::empty();
    roots.add(authority.0.der().clone()).unwrap();
    let old = ClientConfig::builder_with_provider(Arc::new(old))
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    for (client, expected) in [(authority.client(), &ecdsa), (old, &rsa)] {
        let met = meet(server.config(), &Arc::new(client), "shop.example").await;
        assert_eq!(met.shown(), expected.der());
    }
}

#[tokio::test]
async fn versions_below_the_oldest_are_refused() {
    let (authority, folder) = (Authority::new(), Folder::new());
    let pair = authority.sign(&["shop.example"]);
    let mut tls = listener_tls(vec![folder.certificate("shop", &pair)]);
    let [old, new] =
        [&rustls::version::TLS12, &rustls::version::TLS13].map(|v| authority.client_of(v));
    for (min_version, old_works) in [(TlsVersion::V1_2, true), (TlsVersion::V1_3, false)] {
        tls.min_version = min_version;
        let server = load(&tls);
        let met = meet(server.config(), &old, "shop.example").await;
        assert_eq!(met.client.is_ok(), old_works, "{min_version:?}");
        let met = meet(server.config(), &new, "shop.example").await;
        let version = met.client.unwrap().get_ref().1.protocol_version();
        assert_eq!(version, Some(ProtocolVersion::TLSv1_3));
    }
}

#[tokio::test]
async fn tls_1_1_is_refused_with_an_alert() {
    let (authority, folder) = (Authority::new(), Folder::new());
    let pair = authority.sign(&["shop.example"]);
    let server = load(&listener_tls(vec![folder.certificate("shop", &pair)]));
    // A ClientHello (RFC 4346 section 7.4.1.2) without extensions.
    let body = [
        &[3, 2][..],
        &[7; 32],
        &[0],
        &[0, 4, 0xC0, 0x13, 0, 0x2F],
        &[1, 0],
    ]
    .concat();
    let length = u8::try_from(body.len()).unwrap();
    let hello = [&[22, 3, 1, 0, length + 4, 1, 0, 0, length][..], &body].concat();
    let (mut client, theirs) = connection().await;
    client.write_all(&hello).await.unwrap();
    let accepted = accept(server.config(), theirs, Rc::default()).await;
    assert!(accepted.is_err());
    let mut alert = [0; 7];
    client.read_exact(&mut alert).await.unwrap();
    assert_eq!((alert[0], alert[5]), (21, 2), "a fatal alert");
    let [handshake_failure, protocol_version] = [40, 70];
    assert!([handshake_failure, protocol_version].contains(&alert[6]));
}

#[tokio::test]
async fn http2_is_agreed_on_where_it_is_spoken() {
    let (authority, folder) = (Authority::new(), Folder::new());
    let pair = authority.sign(&["shop.example"]);
    let tls = listener_tls(vec![folder.certificate("shop", &pair)]);
    for (http2, offered, expected) in [
        (true, &["h2", "http/1.1"][..], Some("h2")),
        (true, &["http/1.1", "h2"], Some("h2")),
        (true, &["http/1.1"], Some("http/1.1")),
        (true, &[], None),
        (false, &["h2", "http/1.1"], Some("http/1.1")),
        (false, &[], None),
    ] {
        let server = ServerTls::load(&tls, http2).unwrap();
        let mut client = authority.client();
        client.alpn_protocols = offered
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        let stream = meet(server.config(), &Arc::new(client), "shop.example")
            .await
            .server
            .unwrap();
        assert_eq!(
            stream.alpn(),
            expected.map(str::as_bytes),
            "{http2} {offered:?}"
        );
    }
    let mut client = authority.client();
    client.alpn_protocols = vec![b"spdy/3".to_vec()];
    let met = meet(load(&tls).config(), &Arc::new(client), "shop.example").await;
    assert!(met.server.is_err(), "RFC 7301 section 3.2");
}

#[tokio::test]
async fn sessions_are_resumed_by_ticket() {
    let (authority, folder) = (Authority::new(), Folder::new());
    let pair = authority.sign(&["shop.example"]);
    let tls = listener_tls(vec![folder.certificate("shop", &pair)]);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let (server, other) = (load(&tls), load(&tls));
        let client = authority.client_of(version);
        let mut kinds = Vec::new();
        for server in [&server, &server, &other] {
            let met = meet(server.config(), &client, "shop.example").await;
            kinds.push(met.client.unwrap().get_ref().1.handshake_kind().unwrap());
        }
        let is_resumed: Vec<bool> = kinds.iter().map(|k| *k == HandshakeKind::Resumed).collect();
        assert_eq!(
            is_resumed,
            [false, true, false],
            "no listener takes another's tickets"
        );
    }
}

#[tokio::test]
async fn client_certificates_are_asked_for_and_checked() {
    let (authority, stranger, folder) = (Authority::new(), Authority::new(), Folder::new());
    let pair = authority.sign(&["shop.example"]);
    let ca = folder.write("clients.pem", authority.pem());
    let known = authority.sign(&["alice"]);
    let unknown = stranger.sign(&["mallory"]);
    let expired = authority.sign_with(&["bob"], &PKCS_ECDSA_P256_SHA256, 2021);
    let mut tls = listener_tls(vec![folder.certificate("shop", &pair)]);
    for (demanded, shown, expected) in [
        (None, Some(&known), Ok(None)),
        (Some(false), None, Ok(None)),
        (Some(false), Some(&known), Ok(Some("CN=alice"))),
        (Some(false), Some(&unknown), Err("UnknownIssuer")),
        (Some(true), None, Err("no certificates")),
        (Some(true), Some(&known), Ok(Some("CN=alice"))),
        (Some(true), Some(&unknown), Err("UnknownIssuer")),
        (Some(true), Some(&expired), Err("expired")),
    ] {
        tls.client = demanded.and_then(|is_required| clients(&ca, is_required));
        let client = authority.client_with(shown);
        let met = meet(load(&tls).config(), &Arc::new(client), "shop.example").await;
        match expected {
            Ok(subject) => {
                let stream = met.server.unwrap();
                assert_eq!(stream.peer_subject().as_deref(), subject, "{demanded:?}");
                assert_eq!(stream.peer_certificate().is_some(), subject.is_some());
            }
            Err(part) => assert!(met.complaint().contains(part), "{}", met.complaint()),
        }
    }
}

/// Remembers what was stapled.
#[derive(Debug)]
struct Stapled {
    inner: Arc<WebPkiServerVerifier>,
    seen: Mutex<Vec<u8>>,
}

impl ServerCertVerifier for Stapled {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        *self.seen.lock().unwrap() = ocsp.to_vec();
        self.inner
            .verify_server_cert(end_entity, intermediates, name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

#[tokio::test]
async fn an_ocsp_answer_is_stapled_while_it_is_fresh_and_for_this_certificate() {
    let (authority, folder) = (Authority::new(), Folder::new());
    let pair = authority.sign(&["shop.example"]);
    let serial = Facts::read(&pair.der()).unwrap().serial;
    let mut certificate = folder.certificate("shop", &pair);
    for (serial, next, is_stapled) in [
        (&serial[..], None, true),
        (&serial, Some("20990101000000Z"), true),
        (&serial, Some("20200101000000Z"), false),
        (&[1, 2, 3], Some("20990101000000Z"), false),
    ] {
        let answer = ocsp::tests::answer(0, 0x80, serial, next);
        certificate.ocsp_file = Some(folder.write("ocsp.der", &answer));
        let server = load(&listener_tls(vec![certificate.clone()]));
        let mut roots = RootCertStore::empty();
        roots.add(authority.0.der().clone()).unwrap();
        let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider());
        let stapled = Arc::new(Stapled {
            inner: inner.build().unwrap(),
            seen: Mutex::default(),
        });
        let mut client = authority.client();
        let verifier = Arc::clone(&stapled) as Arc<dyn ServerCertVerifier>;
        client.dangerous().set_certificate_verifier(verifier);
        let met = meet(server.config(), &Arc::new(client), "shop.example").await;
        let seen = stapled.seen.lock().unwrap().clone();
        assert_eq!(seen == answer, is_stapled, "{next:?}");
        met.client.unwrap();
    }
}
