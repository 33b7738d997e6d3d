//! Certificates made for the occasion.

use proxy::{Certificate, ClientCertificates, ListenerTls, TlsVersion};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use std::{fs, path::PathBuf, sync::Arc};
use tempfile::TempDir;
use traffic::policy::BackendTls;

fn provider() -> Arc<CryptoProvider> {
    aws_lc_rs::default_provider().into()
}

/// Signs certificates.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

/// A certificate chain and its key, as PEM, and the files that hold them.
pub(crate) struct Pair {
    pub(crate) chain: String,
    pub(crate) key: String,
    pub(crate) chain_file: PathBuf,
    pub(crate) key_file: PathBuf,
}

impl Pair {
    fn parts(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let chain = CertificateDer::from_pem_slice(self.chain.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        (vec![chain], key)
    }
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        Self {
            issuer: CertifiedIssuer::self_signed(params, key).unwrap(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// The file of its own certificate.
    pub(crate) fn file(&self) -> PathBuf {
        let file = self.folder.path().join("ca.pem");
        fs::write(&file, self.pem()).unwrap();
        file
    }

    /// A certificate for `name`, on which its subject and its files are called.
    pub(crate) fn sign(&self, name: &str) -> Pair {
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let file = |end: &str, text: &str| {
            let file = self.folder.path().join(format!("{name}{end}"));
            fs::write(&file, text).unwrap();
            file
        };
        let (chain, key) = (certificate.pem(), key.serialize_pem());
        Pair {
            chain_file: file(".pem", &chain),
            key_file: file(".key", &key),
            chain,
            key,
        }
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        roots
    }

    /// A client that trusts it, offers `alpn`, and shows `pair`.
    pub(crate) fn client(&self, alpn: &[&str], pair: Option<&Pair>) -> ClientConfig {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(self.roots());
        let mut config = match pair {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let (chain, key) = pair.parts();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        config
    }

    /// A server that shows `pair` and takes `alpn`, and clients with a certificate of this authority only, if it `demands`
    /// one.
    pub(crate) fn server(&self, alpn: &[&str], pair: &Pair, demands: bool) -> Arc<ServerConfig> {
        let (chain, key) = pair.parts();
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = if demands {
            let roots = Arc::new(self.roots());
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider());
            builder.with_client_cert_verifier(verifier.build().unwrap())
        } else {
            builder.with_no_client_auth()
        };
        let mut config = builder.with_single_cert(chain, key).unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        config.into()
    }

    /// How a listener shows `pairs`.
    pub(crate) fn listener(&self, pairs: &[&Pair]) -> ListenerTls {
        let certificate = |pair: &&Pair| Certificate {
            chain_file: pair.chain_file.clone(),
            key_file: pair.key_file.clone(),
            ocsp_file: None,
        };
        ListenerTls {
            certificates: pairs.iter().map(certificate).collect(),
            client: None,
            min_version: TlsVersion::V1_2,
        }
    }

    /// What a listener demands of clients.
    pub(crate) fn of_clients(&self, is_required: bool) -> ClientCertificates {
        ClientCertificates {
            ca_file: self.file(),
            is_required,
        }
    }

    /// How the proxy speaks TLS with endpoints called `name`, showing `pair`.
    pub(crate) fn backend(&self, name: &str, pair: Option<&Pair>) -> BackendTls {
        BackendTls {
            ca_file: Some(self.file()),
            server_name: Some(name.into()),
            certificate: pair.map(|pair| (pair.chain_file.clone(), pair.key_file.clone())),
        }
    }
}
