//! Certificates, keys and authorities from PEM (RFC 7468).

use super::{TlsError, provider};
use rustls::{
    RootCertStore,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
    sign::SigningKey,
};
use std::{path::Path, sync::Arc};

const CHAIN: &str = "a PEM chain of certificates, the server's own first,";
const KEY: &str = "an unencrypted PEM private key (RSA, ECDSA P-256, P-384 or P-521, or Ed25519)";
const AUTHORITIES: &str = "one or more PEM certificates of authorities";

fn content(file: &Path, found: impl Into<String>, wanted: &'static str) -> TlsError {
    TlsError::Content {
        file: file.to_owned(),
        found: found.into(),
        wanted,
    }
}

/// All certificates of `bytes`; at least one.
fn certificates(
    file: &Path,
    bytes: &[u8],
    wanted: &'static str,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(bytes).collect();
    let all = all.map_err(|error| content(file, format!("is no valid PEM ({error})"), wanted))?;
    if all.is_empty() {
        return Err(content(file, "holds no certificate", wanted));
    }
    Ok(all)
}

/// The chain of a server or client, its own certificate first.
pub(super) fn chain(file: &Path, bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    certificates(file, bytes, CHAIN)
}

/// The first private key of `bytes`.
pub(super) fn key(file: &Path, bytes: &[u8]) -> Result<Arc<dyn SigningKey>, TlsError> {
    let der = PrivateKeyDer::from_pem_slice(bytes).map_err(|error| {
        let found = match error {
            pem::Error::NoItemsFound if is_encrypted(bytes) => "holds an encrypted key".to_owned(),
            pem::Error::NoItemsFound => "holds no private key".to_owned(),
            other => format!("is no valid PEM ({other})"),
        };
        content(file, found, KEY)
    })?;
    let loaded = provider().key_provider.load_private_key(der);
    loaded.map_err(|error| {
        content(
            file,
            format!("holds a key that cannot be used ({error})"),
            KEY,
        )
    })
}

fn is_encrypted(bytes: &[u8]) -> bool {
    let mark = b"ENCRYPTED PRIVATE KEY";
    bytes.windows(mark.len()).any(|window| window == mark)
}

/// The authorities in `bytes`.
pub(super) fn authorities(file: &Path, bytes: &[u8]) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    for (index, certificate) in certificates(file, bytes, AUTHORITIES)?
        .into_iter()
        .enumerate()
    {
        let number = index + 1;
        store.add(certificate).map_err(|error| {
            let found =
                format!("holds a certificate that cannot be used (number {number}: {error})");
            content(file, found, AUTHORITIES)
        })?;
    }
    Ok(store)
}
