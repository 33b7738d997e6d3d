use super::*;
use crate::tls::{ClientTls, ConnectError, Secured, TlsError};
use rustls::{CertificateError, Error};
use std::net::{IpAddr, Ipv4Addr};
use traffic::policy::{BackendTls, Protocol};

const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// What an endpoint and the proxy make of each other.
async fn connect(
    endpoint: Arc<ServerConfig>,
    secured: &Secured,
    protocol: Protocol,
) -> (io::Result<Stream>, Result<Stream, ConnectError>) {
    let (ours, theirs) = connection().await;
    let connect = async {
        let mut stream = secured.connect(protocol, ours, ADDRESS).await?;
        // With TLS 1.3 a client learns only now that its certificate is refused.
        let mut word = [0; 4];
        stream
            .read_exact(&mut word)
            .await
            .map_err(ConnectError::new)?;
        Ok(stream)
    };
    let serve = async {
        let mut stream = accept(endpoint, theirs, Rc::default()).await?;
        stream.write_all(b"word").await?;
        stream.flush().await?;
        Ok(stream)
    };
    tokio::join!(serve, connect)
}

async fn secured(tls: &BackendTls) -> Arc<Secured> {
    Arc::new(ClientTls::default()).get(tls).await.unwrap()
}

fn trusting(ca_file: &Path, server_name: Option<&str>) -> BackendTls {
    BackendTls {
        ca_file: Some(ca_file.to_owned()),
        server_name: server_name.map(Into::into),
        certificate: None,
    }
}

#[tokio::test]
async fn endpoints_are_checked_against_authority_and_name() {
    let (authority, stranger, folder) = (Authority::new(), Authority::new(), Folder::new());
    let certificate = folder.certificate("shop", &authority.sign(&["shop.internal", "127.0.0.1"]));
    let server = ServerTls::load(&listener_tls(vec![certificate]), true).unwrap();
    let ca = folder.write("ca.pem", authority.pem());
    let other = folder.write("other.pem", stranger.pem());
    let both = folder.write("both.pem", stranger.pem() + &authority.pem());
    let not_for_name =
        |error: &CertificateError| matches!(error, CertificateError::NotValidForNameContext { .. });
    for (ca_file, name, refusal) in [
        (&ca, Some("shop.internal"), None),
        (&ca, None, None),
        (&both, Some("127.0.0.1"), None),
        (
            &other,
            Some("shop.internal"),
            Some(CertificateError::UnknownIssuer),
        ),
        (
            &ca,
            Some("pay.internal"),
            Some(CertificateError::NotValidForName),
        ),
    ] {
        let secured = secured(&trusting(ca_file, name)).await;
        let (config, asked) = Asked::of(&server.config());
        let (_endpoint, proxy) = connect(config, &secured, Protocol::Http1).await;
        match (refusal, proxy) {
            (None, Ok(proxy)) => {
                let expected = name.filter(|name| name.parse::<IpAddr>().is_err());
                assert_eq!(asked.name().as_deref(), expected);
                assert_eq!(proxy.alpn(), Some(&b"http/1.1"[..]));
                assert_eq!(proxy.peer_subject().as_deref(), Some("CN=shop.internal"));
            }
            (Some(refusal), Err(ConnectError::Handshake(Error::InvalidCertificate(found)))) => {
                let is_name = refusal == CertificateError::NotValidForName;
                assert!(
                    found == refusal || (is_name && not_for_name(&found)),
                    "{found:?}"
                );
            }
            (refusal, proxy) => panic!("{refusal:?} expected, but {proxy:?}"),
        }
    }
}

#[tokio::test]
async fn without_a_file_the_authorities_of_the_operating_system_are_trusted() {
    let (authority, folder) = (Authority::new(), Folder::new());
    let certificate = folder.certificate("shop", &authority.sign(&["127.0.0.1"]));
    let server = ServerTls::load(&listener_tls(vec![certificate]), true).unwrap();
    let secured = match Arc::new(ClientTls::default())
        .get(&BackendTls::default())
        .await
    {
        Ok(secured) => secured,
        // This machine has none.
        Err(TlsError::NoSystemAuthorities) => return,
        Err(other) => panic!("{other}"),
    };
    let (_, proxy) = connect(server.config(), &secured, Protocol::Http1).await;
    let unknown = Error::InvalidCertificate(CertificateError::UnknownIssuer);
    assert!(matches!(proxy, Err(ConnectError::Handshake(error)) if error == unknown));
}

#[tokio::test]
async fn the_proxy_shows_its_certificate() {
    let (authority, stranger, folder) = (Authority::new(), Authority::new(), Folder::new());
    let ca = folder.write("ca.pem", authority.pem());
    let certificate = folder.certificate("shop", &authority.sign(&["shop.internal"]));
    let mut tls = listener_tls(vec![certificate]);
    tls.client = clients(&ca, true);
    let server = ServerTls::load(&tls, true).unwrap();
    let known = folder.certificate("proxy", &authority.sign(&["proxy"]));
    let unknown = folder.certificate("mallory", &stranger.sign(&["mallory"]));
    for (own, subject) in [
        (None, None),
        (Some(known), Some("CN=proxy")),
        (Some(unknown), None),
    ] {
        let asked = BackendTls {
            certificate: own.map(|own| (own.chain_file, own.key_file)),
            ..trusting(&ca, Some("shop.internal"))
        };
        let (endpoint, proxy) =
            connect(server.config(), &*secured(&asked).await, Protocol::Http1).await;
        let seen = endpoint.ok().and_then(|stream| stream.peer_subject());
        assert_eq!(seen.as_deref(), subject);
        match proxy {
            Ok(_) => assert!(subject.is_some()),
            Err(ConnectError::Handshake(Error::AlertReceived(_))) => assert!(subject.is_none()),
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn http2_must_be_agreed_on() {
    let (authority, folder) = (Authority::new(), Folder::new());
    let ca = folder.write("ca.pem", authority.pem());
    let certificate = folder.certificate("shop", &authority.sign(&["shop.internal"]));
    let tls = listener_tls(vec![certificate]);
    let [with, without] = [true, false].map(|http2| ServerTls::load(&tls, http2).unwrap().config());
    let mut silent = ServerConfig::clone(&with);
    silent.alpn_protocols.clear();
    let secured = secured(&trusting(&ca, Some("shop.internal"))).await;
    for (endpoint, agrees) in [(with, true), (without, false), (Arc::new(silent), false)] {
        let (_, proxy) = connect(Arc::clone(&endpoint), &secured, Protocol::Http2).await;
        match proxy {
            Ok(stream) => assert!(agrees && stream.alpn() == Some(b"h2")),
            Err(error) => assert!(
                !agrees && matches!(error, ConnectError::NoHttp2),
                "{error:?}"
            ),
        }
        let (_, proxy) = connect(endpoint, &secured, Protocol::Http1).await;
        assert_ne!(proxy.unwrap().alpn(), Some(&b"h2"[..]));
    }
}

#[tokio::test]
async fn an_endpoint_that_speaks_no_tls_is_told_apart() {
    let (authority, folder) = (Authority::new(), Folder::new());
    let secured = secured(&trusting(&folder.write("ca.pem", authority.pem()), None)).await;
    let (ours, theirs) = connection().await;
    drop(theirs);
    let broken = secured.connect(Protocol::Http1, ours, ADDRESS).await;
    assert!(matches!(broken, Err(ConnectError::Io(_))), "{broken:?}");
    let (ours, mut theirs) = connection().await;
    theirs
        .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        .await
        .unwrap();
    let plain = secured.connect(Protocol::Http1, ours, ADDRESS).await;
    assert!(
        matches!(plain, Err(ConnectError::Handshake(_))),
        "{plain:?}"
    );
}

#[tokio::test]
async fn what_was_asked_for_once_is_kept_until_files_change() {
    let (authority, stranger, folder) = (Authority::new(), Authority::new(), Folder::new());
    let client = Arc::new(ClientTls::default());
    let ca = folder.path("ca.pem");
    let asked = trusting(&ca, Some("shop.internal"));
    let missing = client.get(&asked).await.unwrap_err();
    assert!(matches!(missing, TlsError::Unreadable { .. }), "{missing}");
    folder.write("ca.pem", authority.pem());
    client.get(&asked).await.unwrap_err();
    assert!(matches!(client.reload()[..], [Ok(())]));
    let first = client.get(&asked).await.unwrap();
    assert!(Arc::ptr_eq(&first, &client.get(&asked).await.unwrap()));
    assert!(client.reload().is_empty());
    folder.write("ca.pem", "junk");
    assert!(matches!(
        client.reload()[..],
        [Err(TlsError::Content { .. })]
    ));
    assert!(
        Arc::ptr_eq(&first, &client.get(&asked).await.unwrap()),
        "what was good goes on"
    );
    folder.write("ca.pem", stranger.pem());
    assert!(matches!(client.reload()[..], [Ok(())]));
    assert!(!Arc::ptr_eq(&first, &client.get(&asked).await.unwrap()));
}

#[tokio::test]
async fn asking_at_the_same_time_reads_once() {
    let (authority, folder) = (Authority::new(), Folder::new());
    let client = Arc::new(ClientTls::default());
    let asked = trusting(&folder.write("ca.pem", authority.pem()), None);
    let (one, two) = tokio::join!(client.get(&asked), client.get(&asked));
    assert!(Arc::ptr_eq(&one.unwrap(), &two.unwrap()));
}

#[tokio::test]
async fn a_name_that_is_none_is_refused() {
    let (authority, folder) = (Authority::new(), Folder::new());
    let client = Arc::new(ClientTls::default());
    let asked = trusting(&folder.write("ca.pem", authority.pem()), Some("not a name"));
    let error = client.get(&asked).await.unwrap_err().to_string();
    assert!(
        error.contains("\"not a name\" is no server name"),
        "{error}"
    );
}
