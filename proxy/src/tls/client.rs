//! TLS towards endpoints.

use super::{
    H2, HTTP_1_1, TlsError,
    certificate::now,
    files::{Contents, Files},
    pem, provider,
    server::key_pair,
};
use crate::stream::Stream;
use arc_swap::ArcSwap;
use rustls::{
    AlertDescription, ClientConfig, RootCertStore,
    client::ResolvesClientCert,
    pki_types::ServerName,
    sign::{CertifiedKey, SingleCertAndKey},
};
use std::{
    collections::HashMap,
    io,
    net::IpAddr,
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};
use tokio::{net::TcpStream, task::spawn_blocking};
use tokio_rustls::TlsConnector;
use traffic::policy::{BackendTls, Protocol};

/// How endpoints are spoken to, for each way in which Services ask for it. Files are read when a way is first needed.
#[derive(Debug, Default)]
pub(crate) struct ClientTls {
    /// Replaced as a whole when a way comes to it, which is rare; read for each new connection, without a lock.
    ways: ArcSwap<HashMap<BackendTls, Arc<Way>>>,
    adding: Mutex<()>,
}

/// One way, with what its files held when they were last good.
#[derive(Debug)]
struct Way {
    tls: BackendTls,
    /// A failure is kept as well: else each connection to such a Service would read its files again.
    current: ArcSwap<Result<Arc<Secured>, TlsError>>,
    files: Mutex<Files>,
}

/// What connections to endpoints are secured with.
#[derive(Debug)]
pub(crate) struct Secured {
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
    /// The name that the certificate must bear; none takes the endpoint's address.
    server_name: Option<ServerName<'static>>,
}

/// Why a connection to an endpoint could not be secured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    /// What the Service asks for cannot be had from its files.
    #[error(transparent)]
    Settings(#[from] TlsError),
    /// The connection broke.
    #[error("the connection broke during the TLS handshake: {0}")]
    Io(io::Error),
    /// The endpoint's certificate is not trusted, it refuses the proxy's, or the two cannot agree.
    #[error("the TLS handshake failed: {0}")]
    Handshake(rustls::Error),
    /// HTTP/2 was asked for, and the endpoint did not agree to it.
    #[error("the endpoint did not agree to HTTP/2 (ALPN h2)")]
    NoHttp2,
}

impl ClientTls {
    /// What `tls` asks for. Files are read by another thread when it is the first to ask.
    ///
    /// # Errors
    /// When a file cannot be read or is not what it should be. The same error comes until a file has changed.
    pub(crate) async fn get(self: &Arc<Self>, tls: &BackendTls) -> Result<Arc<Secured>, TlsError> {
        if let Some(way) = self.ways.load().get(tls) {
            return Result::clone(&way.current.load());
        }
        let (this, wanted) = (Arc::clone(self), tls.clone());
        match spawn_blocking(move || this.add(&wanted)).await {
            Ok(added) => added,
            // The runtime is being shut down.
            Err(_) => self.add(tls),
        }
    }

    /// Secures a connection to the endpoint at `address`, which must just have been made. The caller limits the time.
    pub(crate) async fn connect(
        self: &Arc<Self>,
        tls: &BackendTls,
        protocol: Protocol,
        tcp: TcpStream,
        address: IpAddr,
    ) -> Result<Stream, ConnectError> {
        self.get(tls).await?.connect(protocol, tcp, address).await
    }

    /// Reads the files of every way again if one has changed, as
    /// [`ServerTls::reload`](super::ServerTls::reload) does. Gives one outcome for each that has changed. Blocks.
    pub(super) fn reload(&self) -> Vec<Result<(), TlsError>> {
        let ways = self.ways.load_full();
        ways.values().filter_map(|way| way.reload()).collect()
    }

    fn add(&self, tls: &BackendTls) -> Result<Arc<Secured>, TlsError> {
        let _adding = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        let ways = self.ways.load_full();
        let way = match ways.get(tls) {
            // Another was faster.
            Some(way) => Arc::clone(way),
            None => {
                let way = Arc::new(Way::load(tls.clone()));
                let mut ways = HashMap::clone(&ways);
                ways.insert(tls.clone(), Arc::clone(&way));
                self.ways.store(Arc::new(ways));
                way
            }
        };
        Result::clone(&way.current.load())
    }
}

impl Way {
    fn load(tls: BackendTls) -> Self {
        let mut files = Files::new(paths(&tls));
        let current = Secured::new(&tls, &files.read()).map(Arc::new);
        if let Err(error) = &current {
            tracing::error!(%error, "a Service cannot be spoken to over TLS until this is mended");
        }
        Self {
            tls,
            current: ArcSwap::from_pointee(current),
            files: Mutex::new(files),
        }
    }

    fn reload(&self) -> Option<Result<(), TlsError>> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let contents = files.look()?;
        match Secured::new(&self.tls, &contents) {
            Ok(secured) => {
                self.current.store(Arc::new(Ok(Arc::new(secured))));
                Some(Ok(()))
            }
            Err(error) => {
                // What was good goes on.
                if self.current.load().is_err() {
                    self.current.store(Arc::new(Err(error.clone())));
                }
                Some(Err(error))
            }
        }
    }
}

impl Secured {
    /// What `contents` make of `tls`.
    fn new(tls: &BackendTls, contents: &Contents) -> Result<Self, TlsError> {
        let authorities = match &tls.ca_file {
            Some(file) => Arc::new(pem::authorities(file, contents.get(file)?)?),
            None => system_authorities()?,
        };
        let own = match &tls.certificate {
            Some((chain, key)) => {
                let (own, facts) = key_pair(chain, key, contents)?;
                facts.warn(chain, now());
                Some(own)
            }
            None => None,
        };
        let server_name = match tls.server_name.as_deref() {
            Some(name) => {
                Some(ServerName::try_from(name).map_err(|_| TlsError::ServerName(name.into()))?)
            }
            None => None,
        };
        let mut http1 = config(authorities, own)?;
        let mut http2 = http1.clone();
        http1.alpn_protocols = vec![HTTP_1_1.to_vec()];
        http2.alpn_protocols = vec![H2.to_vec()];
        Ok(Self {
            http1: Arc::new(http1),
            http2: Arc::new(http2),
            server_name: server_name.map(|name| name.to_owned()),
        })
    }

    /// Secures a connection to the endpoint at `address`, which must just have been made. The caller limits the time.
    pub(crate) async fn connect(
        &self,
        protocol: Protocol,
        tcp: TcpStream,
        address: IpAddr,
    ) -> Result<Stream, ConnectError> {
        let config = match protocol {
            Protocol::Http1 => &self.http1,
            Protocol::Http2 => &self.http2,
        };
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => ServerName::from(address.to_canonical()),
        };
        let connector = TlsConnector::from(Arc::clone(config));
        let tls = connector
            .connect(name, tcp)
            .await
            .map_err(ConnectError::new)?;
        if protocol == Protocol::Http2 && tls.get_ref().1.alpn_protocol() != Some(H2) {
            return Err(ConnectError::NoHttp2);
        }
        Ok(Stream::Client(Box::new(tls)))
    }
}

impl ConnectError {
    /// What an error of the handshake, or of the first read after it, says: the library wraps its own errors into those of
    /// sockets. With TLS 1.3 an endpoint refuses a certificate only after the proxy has done its part.
    pub(crate) fn new(error: io::Error) -> Self {
        let inner = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match inner {
            Some(rustls::Error::AlertReceived(AlertDescription::NoApplicationProtocol)) => {
                Self::NoHttp2
            }
            Some(handshake) => Self::Handshake(handshake.clone()),
            None => Self::Io(error),
        }
    }
}

fn paths(tls: &BackendTls) -> Vec<PathBuf> {
    let own = tls.certificate.iter().flat_map(|(chain, key)| [chain, key]);
    tls.ca_file.iter().chain(own).cloned().collect()
}

fn config(
    authorities: Arc<RootCertStore>,
    own: Option<CertifiedKey>,
) -> Result<ClientConfig, TlsError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(authorities);
    Ok(match own {
        Some(own) => {
            let shown: Arc<dyn ResolvesClientCert> = Arc::new(SingleCertAndKey::from(own));
            builder.with_client_cert_resolver(shown)
        }
        None => builder.with_no_client_auth(),
    })
}

/// The authorities that the operating system trusts, read once: they are large, and a process is started anew more often
/// than they change.
fn system_authorities() -> Result<Arc<RootCertStore>, TlsError> {
    static READ: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    if let Some(store) = READ.get() {
        return Ok(Arc::clone(store));
    }
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "cannot read some certificate authorities of the operating system");
    }
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(found.certs);
    if store.is_empty() {
        return Err(TlsError::NoSystemAuthorities);
    }
    Ok(Arc::clone(READ.get_or_init(|| Arc::new(store))))
}
