//! A certificate for the occasion, and clients that trust it.

use crate::sluice::HOST;
use std::{fs, path::Path, sync::Arc};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        client::Resumption,
        crypto::{CryptoProvider, aws_lc_rs},
        version::TLS13,
    },
};

/// Where the certificate is in a contender's folder.
pub(crate) const CHAIN: &str = "shop.crt";
/// Where its key is.
pub(crate) const KEY: &str = "shop.key";
/// Where both are in one file, as HAProxy wants them.
pub(crate) const BOTH: &str = "shop.pem";

/// A self-signed certificate for [`HOST`] with a key on P-256, which all contenders have.
pub(crate) struct Certificate {
    chain: String,
    key: String,
    connector: TlsConnector,
}

impl Certificate {
    pub(crate) fn make() -> anyhow::Result<Self> {
        let made = rcgen::generate_simple_self_signed([HOST.to_owned()])?;
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone())?;
        Ok(Self {
            chain: made.cert.pem(),
            key: made.signing_key.serialize_pem(),
            connector: connector(roots)?,
        })
    }

    /// Writes its files into `directory`.
    pub(crate) fn write(&self, directory: &Path) -> std::io::Result<()> {
        fs::write(directory.join(CHAIN), &self.chain)?;
        fs::write(directory.join(KEY), &self.key)?;
        fs::write(directory.join(BOTH), format!("{}{}", self.chain, self.key))
    }

    /// Connects as clients do that trust it.
    pub(crate) fn connector(&self) -> TlsConnector {
        self.connector.clone()
    }
}

/// Clients that leave no choice, so that all contenders do the same work: TLS 1.3 with AES-128-GCM and X25519, and
/// every handshake in full.
fn connector(roots: RootCertStore) -> anyhow::Result<TlsConnector> {
    let provider = CryptoProvider {
        cipher_suites: vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256],
        kx_groups: vec![aws_lc_rs::kx_group::X25519],
        ..aws_lc_rs::default_provider()
    };
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}
