//! Certificates, alone and with their keys.

use pem::{EncodeConfig, LineEnding, Pem};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::CertificateDer;
use std::{fmt, time::Duration};
use x509_cert::der::{self, Decode as _};

/// How the names of our authorities begin.
const AUTHORITY: &str = "sluice-webhook-";
/// By how much a certificate is good before it was made: clocks of API servers may be behind.
const BEFORE: Duration = Duration::from_secs(3600);
/// What certificates can say ends there; later times are taken for it.
const LAST: u64 = 253_402_300_799;

/// A certificate, and what is to be known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Certificate {
    pub(super) der: CertificateDer<'static>,
    /// The last moment at which it holds, since 1970.
    pub(super) not_after: Duration,
    /// Whom it is for, where it has one simple name, as ours have.
    name: Option<String>,
}

impl Certificate {
    pub(super) fn read(der: CertificateDer<'static>) -> Result<Self, der::Error> {
        let read = x509_cert::Certificate::from_der(&der)?;
        let read = read.tbs_certificate();
        let subject = read.subject().to_string();
        Ok(Self {
            not_after: read.validity().not_after.to_unix_duration(),
            name: subject.strip_prefix("CN=").map(str::to_owned),
            der,
        })
    }

    /// Whether it is an authority that a process like this one has made.
    pub(super) fn is_ours(&self) -> bool {
        self.name
            .as_ref()
            .is_some_and(|name| name.starts_with(AUTHORITY))
    }

    /// Whether it holds no more.
    pub(super) fn is_over(&self, now: Duration) -> bool {
        self.not_after <= now
    }

    pub(super) fn pem(&self) -> String {
        let lines = EncodeConfig::new().set_line_ending(LineEnding::LF);
        pem::encode_config(&Pem::new("CERTIFICATE", self.der.as_ref()), lines)
    }
}

/// A certificate with its key.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) certificate: Certificate,
    /// In PEM.
    pub(super) key: String,
}

/// Without the key.
impl fmt::Debug for Pair {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.certificate.fmt(to)
    }
}

impl Pair {
    /// A new authority, which holds until then (since 1970).
    pub(super) fn authority(now: Duration, until: Duration) -> Result<Self, rcgen::Error> {
        let key = KeyPair::generate()?;
        // Authorities of one name would be tried one after the other.
        let id = CertificateParams::default().key_identifier(&key);
        let id: String = id
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let mut params = of_authority(&format!("{AUTHORITY}{id}"));
        holds(&mut params, now, until);
        let made = params.self_signed(&key)?;
        Self::of(&made, &key)
    }

    /// A certificate of a server that this authority signs. It does not outlive the authority.
    pub(super) fn sign(
        &self,
        hosts: &[String],
        now: Duration,
        until: Duration,
    ) -> Result<Self, rcgen::Error> {
        let name = self.certificate.name.as_deref().unwrap_or_default();
        let issuer = Issuer::new(of_authority(name), KeyPair::from_pem(&self.key)?);
        let mut params = CertificateParams::new(hosts)?;
        params.distinguished_name = called("sluice-webhook");
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        holds(&mut params, now, until.min(self.certificate.not_after));
        let key = KeyPair::generate()?;
        let made = params.signed_by(&key, &issuer)?;
        Self::of(&made, &key)
    }

    fn of(made: &rcgen::Certificate, key: &KeyPair) -> Result<Self, rcgen::Error> {
        let read = Certificate::read(made.der().clone());
        Ok(Self {
            certificate: read.map_err(|_| rcgen::Error::CouldNotParseCertificate)?,
            key: key.serialize_pem(),
        })
    }
}

/// What an authority of that name is, but for its time.
fn of_authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = called(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn called(name: &str) -> DistinguishedName {
    let mut called = DistinguishedName::new();
    called.push(DnType::CommonName, name);
    called
}

fn holds(params: &mut CertificateParams, now: Duration, until: Duration) {
    let moment =
        |at: Duration| date_time_ymd(1970, 1, 1) + Duration::from_secs(at.as_secs().min(LAST));
    params.not_before = moment(now.saturating_sub(BEFORE));
    params.not_after = moment(until);
}
