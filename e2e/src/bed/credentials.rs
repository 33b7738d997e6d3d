//! Keys, certificates and kubeconfigs of a test bed: everyone has a name of their own and proves it.

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use serde_json::json;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Where the API server listens, in the test bed's own network.
pub const API_SERVER: &str = "https://127.0.0.1:6443";

/// What the API server's certificate is good for.
const NAMES: &[&str] = &[
    "127.0.0.1",
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
];

/// Issues what the members of a cluster need, into one directory.
#[derive(Debug)]
pub struct Authority {
    directory: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// A new authority, whose certificate and key are `ca.crt` and `ca.key` in `directory`.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub fn new(directory: &Path) -> Result<Self> {
        fs::create_dir_all(directory)?;
        let mut params = named("test-bed", None)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyCertSign,
        ];
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        fs::write(directory.join("ca.crt"), certificate.pem())?;
        fs::write(directory.join("ca.key"), key.serialize_pem())?;
        Ok(Self {
            directory: directory.to_owned(),
            issuer: Issuer::new(params, key),
        })
    }

    /// Writes the API server's certificate and key, `apiserver.crt` and `apiserver.key`.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub fn server(&self) -> Result<()> {
        let mut params = CertificateParams::new(
            NAMES
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>(),
        )?;
        params
            .distinguished_name
            .push(DnType::CommonName, "apiserver");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.issue(&params, "apiserver")
    }

    /// Writes a key that service-account tokens are signed with, `service-accounts.key`, and its public half,
    /// `service-accounts.pub`.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub fn signer(&self) -> Result<()> {
        let key = KeyPair::generate()?;
        let path = self.directory.join("service-accounts");
        fs::write(path.with_extension("key"), key.serialize_pem())?;
        fs::write(path.with_extension("pub"), key.public_key_pem())?;
        Ok(())
    }

    /// Writes `kubeconfig` for the user `user` of `group`, with certificate and key beside this authority's.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub fn client(&self, kubeconfig: &Path, user: &str, group: Option<&str>) -> Result<()> {
        let mut params = named(user, group)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let file = user.replace(':', "-");
        self.issue(&params, &file)?;
        let path = |extension: &str| self.directory.join(format!("{file}.{extension}"));
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "e2e",
            "contexts": [{"name": "e2e", "context": {"cluster": "e2e", "user": user}}],
            "clusters": [{"name": "e2e", "cluster": {
                "server": API_SERVER, "certificate-authority": self.directory.join("ca.crt")}}],
            "users": [{"name": user, "user": {
                "client-certificate": path("crt"), "client-key": path("key")}}],
        });
        Ok(fs::write(kubeconfig, config.to_string())?)
    }

    fn issue(&self, params: &CertificateParams, file: &str) -> Result<()> {
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let path = self.directory.join(file);
        fs::write(path.with_extension("crt"), certificate.pem())?;
        fs::write(path.with_extension("key"), key.serialize_pem())?;
        Ok(())
    }
}

/// The API server takes the common name as the user, and the organisation as the group.
fn named(user: &str, group: Option<&str>) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, user);
    if let Some(group) = group {
        params
            .distinguished_name
            .push(DnType::OrganizationName, group);
    }
    Ok(params)
}
