//! What the Secret holds that all processes share, as text and as certificates.

#[cfg(test)]
mod tests;

use super::certificate::{Certificate, Pair};
use k8s_openapi::ByteString;
use rustls::{
    RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier as _},
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject as _},
    sign::CertifiedKey,
};
use std::{collections::BTreeMap, slice, sync::Arc};

const ISSUER: [&str; 2] = ["ca.crt", "ca.key"];
const NEXT: [&str; 2] = ["next-ca.crt", "next-ca.key"];
const OLD: &str = "old-ca.crt";
const SERVING: [&str; 2] = ["tls.crt", "tls.key"];

/// The fields of a Secret.
pub(super) type Data = BTreeMap<String, ByteString>;

/// Authorities and the certificate that is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Contents {
    /// The authority that has signed what is served.
    pub(super) issuer: Pair,
    /// The one that takes its place when API servers trust it.
    pub(super) next: Option<Pair>,
    /// Those before it, which are trusted as long as they hold: what they signed ends before they do.
    pub(super) old: Vec<Certificate>,
    pub(super) serving: Pair,
}

/// Why a Secret is no good: the field, and what is wrong with it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {found}")]
pub(super) struct Fault {
    field: &'static str,
    found: String,
}

impl Contents {
    /// Reads what was written, and checks that all of it fits together and is for the first of `hosts`. Whether it holds
    /// at the moment is not asked.
    pub(super) fn read(data: &Data, hosts: &[String]) -> Result<Self, Fault> {
        let next = NEXT.iter().any(|field| data.contains_key(*field));
        let contents = Self {
            issuer: pair(data, ISSUER)?,
            next: next.then(|| pair(data, NEXT)).transpose()?,
            old: match data.contains_key(OLD) {
                true => certificates(data, OLD)?,
                false => Vec::new(),
            },
            serving: pair(data, SERVING)?,
        };
        contents.check(hosts)?;
        Ok(contents)
    }

    /// The fields to be written.
    pub(super) fn write(&self) -> Data {
        let pair = |[certificate, key]: [&str; 2], pair: &Pair| {
            [
                (certificate.to_owned(), pair.certificate.pem()),
                (key.to_owned(), pair.key.clone()),
            ]
        };
        let old: String = self.old.iter().map(Certificate::pem).collect();
        let old = (!old.is_empty()).then(|| (OLD.to_owned(), old));
        let next = self.next.iter().flat_map(|next| pair(NEXT, next));
        let all = pair(ISSUER, &self.issuer).into_iter().chain(next);
        all.chain(pair(SERVING, &self.serving))
            .chain(old)
            .map(|(field, text)| (field, ByteString(text.into_bytes())))
            .collect()
    }

    /// The authorities that API servers are to trust.
    pub(super) fn bundle(&self) -> impl Iterator<Item = &Certificate> {
        let next = self.next.iter().map(|next| &next.certificate);
        [&self.issuer.certificate]
            .into_iter()
            .chain(next)
            .chain(&self.old)
    }

    fn check(&self, hosts: &[String]) -> Result<(), Fault> {
        let fault = |why: rustls::Error| Fault {
            field: SERVING[0],
            found: why.to_string(),
        };
        let Certificate { der, not_after, .. } = &self.serving.certificate;
        let issuer = slice::from_ref(&self.issuer.certificate.der);
        for host in hosts {
            verify(issuer, der, host, UnixTime::since_unix_epoch(*not_after)).map_err(fault)?;
        }
        Ok(())
    }
}

/// Whether who trusts `roots` accepts `certificate` from `host`, at a time.
pub(super) fn verify(
    roots: &[CertificateDer<'static>],
    certificate: &CertificateDer<'_>,
    host: &str,
    at: UnixTime,
) -> Result<(), rustls::Error> {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(root.clone())?;
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider)
        .build()
        .map_err(|why| rustls::Error::General(why.to_string()))?;
    let host = ServerName::try_from(host).map_err(|why| rustls::Error::General(why.to_string()))?;
    verifier.verify_server_cert(certificate, &[], &host, &[], at)?;
    Ok(())
}

/// A certificate with its key, as it is served.
pub(super) fn certified(pair: &Pair) -> Result<CertifiedKey, rustls::Error> {
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes());
    let key =
        key.map_err(|why| rustls::Error::General(format!("no private key in PEM ({why})")))?;
    let chain = vec![pair.certificate.der.clone()];
    CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())
}

fn pair(data: &Data, [certificate, key]: [&'static str; 2]) -> Result<Pair, Fault> {
    let [found] = certificates(data, certificate)?
        .try_into()
        .map_err(|all: Vec<_>| Fault {
            field: certificate,
            found: format!("found {} certificates, allowed one", all.len()),
        })?;
    let fault = |found: String| Fault { field: key, found };
    let text = String::from_utf8(bytes(data, key)?.to_vec());
    let pair = Pair {
        certificate: found,
        key: text.map_err(|_| fault("is no text".to_owned()))?,
    };
    certified(&pair).map_err(|why| fault(why.to_string()))?;
    Ok(pair)
}

fn certificates(data: &Data, field: &'static str) -> Result<Vec<Certificate>, Fault> {
    read_bundle(bytes(data, field)?).map_err(|found| Fault { field, found })
}

/// The certificates in a text.
pub(super) fn read_bundle(text: &[u8]) -> Result<Vec<Certificate>, String> {
    let all = CertificateDer::pem_slice_iter(text).map(|der| {
        let der = der.map_err(|why| format!("is no valid PEM ({why})"))?;
        Certificate::read(der).map_err(|why| format!("is no certificate ({why})"))
    });
    all.collect()
}

fn bytes<'d>(data: &'d Data, field: &'static str) -> Result<&'d [u8], Fault> {
    let found = data.get(field).map(|ByteString(bytes)| bytes.as_slice());
    found.ok_or_else(|| Fault {
        field,
        found: "is missing".to_owned(),
    })
}
