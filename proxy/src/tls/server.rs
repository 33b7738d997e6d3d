//! TLS towards clients.

use super::{
    H2, HTTP_1_1, TlsError,
    certificate::{Facts, now},
    files::{Contents, Files},
    ocsp, pem, provider,
    resolver::{Resolver, Shown},
    session::ServerStream,
};
use crate::{
    config::{Certificate, ClientCertificates, ListenerTls, TlsVersion},
    spares::Spares,
    stream::Stream,
};
use arc_swap::ArcSwap;
use rustls::{
    ServerConfig, SupportedProtocolVersion,
    crypto::aws_lc_rs::Ticketer,
    server::{
        NoServerSessionStorage, ProducesTickets, WebPkiClientVerifier, danger::ClientCertVerifier,
    },
    sign::CertifiedKey,
};
use std::{
    io,
    path::{Path, PathBuf},
    rc::Rc,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::net::TcpStream;

/// How one listener speaks TLS, with what its files held when they were last good.
#[derive(Debug)]
pub(crate) struct ServerTls {
    tls: ListenerTls,
    http2: bool,
    serving: ArcSwap<Serving>,
    files: Mutex<Files>,
}

/// What was made of the files.
#[derive(Debug)]
struct Serving {
    config: Arc<ServerConfig>,
    facts: Vec<Facts>,
    tickets: Tickets,
}

/// What encrypts session tickets, for the clients that these authorities let in.
#[derive(Clone, Debug)]
struct Tickets {
    ticketer: Arc<dyn ProducesTickets>,
    authorities: Option<Vec<u8>>,
}

impl ServerTls {
    /// Reads the files of `tls`. HTTP/2 is offered by ALPN when `http2` says so. Blocks.
    ///
    /// # Errors
    /// When a file cannot be read or is not what it should be.
    pub(crate) fn load(tls: &ListenerTls, http2: bool) -> Result<Self, TlsError> {
        let mut files = Files::new(paths(tls));
        let serving = Serving::new(tls, http2, &files.read(), None)?;
        serving.warn(tls, now());
        Ok(Self {
            tls: tls.clone(),
            http2,
            serving: ArcSwap::from_pointee(serving),
            files: Mutex::new(files),
        })
    }

    /// What the next connection is accepted with.
    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.serving.load().config)
    }

    /// Reads the files again if one has changed. All certificates change together, and connections that are open go on
    /// with what they have. Gives whether anything changed. Blocks.
    ///
    /// # Errors
    /// When a file is not as it should be: then all stays as it was, and the error comes once, until a file changes
    /// again.
    pub(crate) fn reload(&self) -> Result<bool, TlsError> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(contents) = files.look() else {
            return Ok(false);
        };
        let tickets = self.serving.load().tickets.clone();
        let serving = Serving::new(&self.tls, self.http2, &contents, Some(tickets))?;
        serving.warn(&self.tls, now());
        self.serving.store(Arc::new(serving));
        Ok(true)
    }

    /// What each certificate is known by, and the last moment at which it holds, since 1970.
    pub(super) fn expiries(&self) -> Vec<(Box<str>, Duration)> {
        let serving = self.serving.load();
        let facts = serving.facts.iter();
        facts.map(|f| (f.label().into(), f.not_after)).collect()
    }
}

impl Serving {
    /// What `contents` make of `tls`. `before` are the tickets that were in use, if any.
    fn new(
        tls: &ListenerTls,
        http2: bool,
        contents: &Contents,
        before: Option<Tickets>,
    ) -> Result<Self, TlsError> {
        if tls.certificates.is_empty() {
            return Err(TlsError::NoCertificate);
        }
        let read = tls.certificates.iter().map(|files| shown(files, contents));
        let (keys, facts): (Vec<_>, Vec<_>) =
            read.collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
        let resolver = Resolver::new(keys, &facts);
        let tickets = Tickets::new(tls, contents, before)?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(versions(tls.min_version))?
            .with_client_cert_verifier(verifier(tls.client.as_ref(), contents)?)
            .with_cert_resolver(Arc::new(resolver));
        config.alpn_protocols = if http2 {
            vec![H2.to_vec(), HTTP_1_1.to_vec()]
        } else {
            vec![HTTP_1_1.to_vec()]
        };
        // Sessions are kept by the clients: a store would be a lock that all workers meet at.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ticketer = Arc::clone(&tickets.ticketer);
        Ok(Self {
            config: Arc::new(config),
            facts,
            tickets,
        })
    }

    /// Tells of certificates that clients will refuse, or never be shown.
    fn warn(&self, tls: &ListenerTls, now: Duration) {
        for (facts, files) in self.facts.iter().zip(&tls.certificates) {
            facts.warn(&files.chain_file, now);
            if facts.names.is_empty() {
                let (file, name) = (files.chain_file.display(), facts.label());
                tracing::warn!(%file, name, "a certificate bears no DNS name, and no client asks for it by name");
            }
        }
    }
}

impl Tickets {
    /// Tickets outlive a change of certificates, but not one of the authorities that sign clients': a client that came
    /// back with a ticket would not be checked again.
    fn new(tls: &ListenerTls, contents: &Contents, before: Option<Self>) -> Result<Self, TlsError> {
        let authorities = match &tls.client {
            Some(client) => Some(contents.get(&client.ca_file)?.to_vec()),
            None => None,
        };
        match before {
            Some(before) if before.authorities == authorities => Ok(before),
            _ => Ok(Self {
                ticketer: Ticketer::new()?,
                authorities,
            }),
        }
    }
}

fn paths(tls: &ListenerTls) -> Vec<PathBuf> {
    let certificates = tls.certificates.iter().flat_map(|files| {
        let ocsp = files.ocsp_file.iter();
        [&files.chain_file, &files.key_file].into_iter().chain(ocsp)
    });
    let client = tls.client.iter().map(|client| &client.ca_file);
    certificates.chain(client).cloned().collect()
}

fn versions(min: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    static ONLY_1_3: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];
    match min {
        TlsVersion::V1_2 => rustls::ALL_VERSIONS,
        TlsVersion::V1_3 => ONLY_1_3,
    }
}

fn verifier(
    client: Option<&ClientCertificates>,
    contents: &Contents,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let Some(client) = client else {
        return Ok(WebPkiClientVerifier::no_client_auth());
    };
    let file = &client.ca_file;
    let authorities = pem::authorities(file, contents.get(file)?)?;
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider());
    let builder = if client.is_required {
        builder
    } else {
        builder.allow_unauthenticated()
    };
    builder.build().map_err(|error| TlsError::Content {
        file: file.clone(),
        found: format!("cannot be used ({error})"),
        wanted: "PEM certificates of the authorities that sign clients'",
    })
}

/// A certificate with its key, checked to belong together, and its OCSP answer.
fn shown(files: &Certificate, contents: &Contents) -> Result<(Shown, Facts), TlsError> {
    let (key, facts) = key_pair(&files.chain_file, &files.key_file, contents)?;
    let mut shown = Shown::new(key);
    if let Some(file) = &files.ocsp_file {
        let bytes = contents.get(file)?;
        let answer = ocsp::read(bytes).map_err(|found| TlsError::Content {
            file: file.clone(),
            found: found.to_owned(),
            wanted: "a successful OCSP response in DER",
        })?;
        if answer.serial == facts.serial {
            warn_of_answer(file, &answer, now());
            shown.staple(bytes.to_vec(), answer.next_update.unwrap_or(Duration::MAX));
        } else {
            // A certificate is renewed before its answer can be: it is not to wait for that.
            let file = file.display();
            tracing::warn!(%file, "an OCSP answer is for another certificate and not stapled");
        }
    }
    Ok((shown, facts))
}

fn warn_of_answer(file: &Path, answer: &ocsp::Answer, now: Duration) {
    let file = file.display();
    if !answer.is_good {
        tracing::warn!(%file, "an OCSP answer says that its certificate is revoked or unknown");
    }
    if answer.next_update.is_some_and(|next| next <= now) {
        tracing::warn!(%file, "an OCSP answer is stale and not stapled");
    }
}

/// A certificate with its key, of a server or of a client.
pub(super) fn key_pair(
    chain_file: &Path,
    key_file: &Path,
    contents: &Contents,
) -> Result<(CertifiedKey, Facts), TlsError> {
    let chain = pem::chain(chain_file, contents.get(chain_file)?)?;
    let key = pem::key(key_file, contents.get(key_file)?)?;
    let unreadable = |error: &dyn std::fmt::Display| TlsError::Content {
        file: chain_file.to_owned(),
        found: format!("begins with a certificate that cannot be read ({error})"),
        wanted: "an X.509 certificate (RFC 5280)",
    };
    let facts = Facts::read(&chain[0]).map_err(|error| unreadable(&error))?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) => Ok((certified, facts)),
        Err(rustls::Error::InconsistentKeys(_)) => Err(TlsError::WrongKey {
            key: key_file.to_owned(),
            chain: chain_file.to_owned(),
        }),
        Err(error) => Err(unreadable(&error)),
    }
}

/// Has a client agree on TLS. The caller limits the time. The connection takes from `spares` what memory it needs.
///
/// # Errors
/// What the socket says, or [`io::ErrorKind::InvalidData`] with a [`rustls::Error`] when the client breaks the rules, or
/// the two cannot agree, or its certificate is refused. It has been told, and the connection is closed.
pub(crate) async fn accept(
    config: Arc<ServerConfig>,
    tcp: TcpStream,
    spares: Rc<Spares>,
) -> io::Result<Stream> {
    let tls = ServerStream::accept(config, tcp, spares).await?;
    Ok(Stream::Server(Box::new(tls)))
}
