//! Certificates made for the occasion.

use proxy::{Certificate, ListenerTls, TlsVersion};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair,
};
use std::{fs, path::PathBuf};
use tempfile::TempDir;

/// An authority, a server's certificate by it, and the files that they are in.
pub(crate) struct Certificates {
    folder: TempDir,
}

impl Certificates {
    /// A certificate for `names`.
    pub(crate) fn new(names: &[&str]) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "authority");
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().unwrap();
        let chain = params.signed_by(&key, &authority).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let made = Self { folder };
        fs::write(made.authority(), authority.pem()).unwrap();
        fs::write(made.path("chain.pem"), chain.pem()).unwrap();
        fs::write(made.path("key.pem"), key.serialize_pem()).unwrap();
        made
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// The PEM file of the authority.
    pub(crate) fn authority(&self) -> PathBuf {
        self.path("authority.pem")
    }

    /// What a listener that shows the certificate is told.
    pub(crate) fn listener(&self) -> ListenerTls {
        ListenerTls {
            certificates: vec![Certificate {
                chain_file: self.path("chain.pem"),
                key_file: self.path("key.pem"),
                ocsp_file: None,
            }],
            client: None,
            min_version: TlsVersion::default(),
        }
    }
}
