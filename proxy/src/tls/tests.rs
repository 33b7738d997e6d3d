//! Over real sockets, with certificates made for the occasion.

mod client;
mod files;
mod reload;
mod server;

use super::{ServerTls, Tls, accept, provider};
use crate::{
    config::{Certificate, ClientCertificates, Listener, ListenerTls, TlsVersion},
    stream::Stream,
};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair,
    PKCS_ECDSA_P256_SHA256, SignatureAlgorithm, date_time_ymd,
};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use std::{
    fs, io,
    path::{Path, PathBuf},
    rc::Rc,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// A certificate chain and its key, as PEM.
pub(super) struct Pair {
    chain: String,
    key: String,
}

impl Pair {
    fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.chain.as_bytes()).unwrap()
    }
}

pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        // Two of one name would be taken for one with a bad signature.
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let number = MADE.fetch_add(1, Relaxed);
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, format!("authority {number}"));
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for `names`, which is called like the first.
    fn sign(&self, names: &[&str]) -> Pair {
        self.sign_with(names, &PKCS_ECDSA_P256_SHA256, 2040)
    }

    fn sign_with(&self, names: &[&str], algorithm: &'static SignatureAlgorithm, year: i32) -> Pair {
        let owned: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(owned).unwrap();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(year, 1, 1);
        let name = names.first().copied().unwrap_or("nobody");
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate_for(algorithm).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Pair {
            chain: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    /// A client that trusts it.
    fn client(&self) -> ClientConfig {
        self.client_with(None)
    }

    /// A client of one version of TLS that trusts it.
    fn client_of(&self, version: &'static SupportedProtocolVersion) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let builder =
            ClientConfig::builder_with_provider(provider()).with_protocol_versions(&[version]);
        let builder = builder.unwrap().with_root_certificates(roots);
        Arc::new(builder.with_no_client_auth())
    }

    /// A client that trusts it and shows `pair`.
    fn client_with(&self, pair: Option<&Pair>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        match pair {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
                builder
                    .with_client_auth_cert(vec![pair.der()], key)
                    .unwrap()
            }
        }
    }
}

/// A folder of files.
pub(super) struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Puts the file in its place whole.
    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let (new, path) = (self.path("new"), self.path(name));
        fs::write(&new, content).unwrap();
        fs::rename(&new, &path).unwrap();
        path
    }

    fn certificate(&self, name: &str, pair: &Pair) -> Certificate {
        Certificate {
            chain_file: self.write(&format!("{name}.crt"), &pair.chain),
            key_file: self.write(&format!("{name}.key"), &pair.key),
            ocsp_file: None,
        }
    }
}

fn listener_tls(certificates: Vec<Certificate>) -> ListenerTls {
    ListenerTls {
        certificates,
        client: None,
        min_version: TlsVersion::V1_2,
    }
}

fn clients(ca_file: &Path, is_required: bool) -> Option<ClientCertificates> {
    Some(ClientCertificates {
        ca_file: ca_file.to_owned(),
        is_required,
    })
}

/// A listener `https` with a certificate for `shop.example` that expires with the year 2039.
pub(crate) fn store() -> Arc<Tls> {
    let folder = Folder::new();
    let pair = Authority::new().sign(&["shop.example"]);
    Arc::new(Tls::load(&[https(&folder, &pair)]).unwrap())
}

fn https(folder: &Folder, pair: &Pair) -> Listener {
    Listener {
        tls: Some(listener_tls(vec![folder.certificate("shop", pair)])),
        ..Listener::plain("https", "127.0.0.1:0".parse().unwrap())
    }
}

/// Two ends of a connection.
pub(crate) async fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap());
    let (client, accepted) = tokio::join!(client, listener.accept());
    (client.unwrap(), accepted.unwrap().0)
}

/// The server `shop.example`, and a client of one version of TLS that trusts it.
pub(super) fn config_and_client(
    version: &'static SupportedProtocolVersion,
) -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let (authority, folder) = (Authority::new(), Folder::new());
    let certificate = folder.certificate("shop", &authority.sign(&["shop.example"]));
    let server = ServerTls::load(&listener_tls(vec![certificate]), true).unwrap();
    (server.config(), authority.client_of(version))
}

/// Two ends of a connection over TLS: the client, and the server `shop.example`.
pub(crate) async fn secured_pair() -> (Stream, Stream) {
    let (authority, folder) = (Authority::new(), Folder::new());
    let certificate = folder.certificate("shop", &authority.sign(&["shop.example"]));
    let server = ServerTls::load(&listener_tls(vec![certificate]), true).unwrap();
    let met = meet(
        server.config(),
        &Arc::new(authority.client()),
        "shop.example",
    )
    .await;
    let client = Stream::Client(Box::new(met.client.unwrap()));
    (client, met.server.unwrap())
}

/// What a server and a client make of each other. When they agree, they have exchanged a word, so that session tickets
/// have arrived.
struct Met {
    server: io::Result<Stream>,
    client: io::Result<TlsStream<TcpStream>>,
}

impl Met {
    /// The certificate that the server showed.
    fn shown(&self) -> CertificateDer<'static> {
        let client = self.client.as_ref().unwrap();
        client.get_ref().1.peer_certificates().unwrap()[0].clone()
    }

    /// What the server complains of.
    fn complaint(&self) -> String {
        self.server.as_ref().unwrap_err().to_string()
    }
}

/// Remembers which name was asked for last (SNI).
#[derive(Debug)]
struct Asked {
    inner: Arc<dyn ResolvesServerCert>,
    name: Mutex<Option<String>>,
}

impl Asked {
    /// `config`, with what is asked of it.
    fn of(config: &ServerConfig) -> (Arc<ServerConfig>, Arc<Self>) {
        let mut config = config.clone();
        let asked = Arc::new(Self {
            inner: Arc::clone(&config.cert_resolver),
            name: Mutex::default(),
        });
        config.cert_resolver = Arc::clone(&asked) as Arc<dyn ResolvesServerCert>;
        (Arc::new(config), asked)
    }

    fn name(&self) -> Option<String> {
        self.name.lock().unwrap().clone()
    }
}

impl ResolvesServerCert for Asked {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        *self.name.lock().unwrap() = hello.server_name().map(str::to_owned);
        self.inner.resolve(hello)
    }
}

async fn meet(config: Arc<ServerConfig>, client: &Arc<ClientConfig>, name: &str) -> Met {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let (ours, theirs) = connection().await;
    let connector = TlsConnector::from(Arc::clone(client));
    let serve = async {
        let mut stream = accept(config, theirs, Rc::default()).await?;
        stream.write_all(b"word").await?;
        stream.flush().await?;
        Ok(stream)
    };
    let connect = async {
        let mut stream = connector.connect(name, ours).await?;
        let mut word = [0; 4];
        stream.read_exact(&mut word).await?;
        Ok(stream)
    };
    let (server, client) = tokio::join!(serve, connect);
    Met { server, client }
}
