//! What a certificate says: names, dates, whom it is for.

use rustls::pki_types::CertificateDer;
use std::{
    path::Path,
    time::{Duration, SystemTime},
};
use x509_cert::{
    Certificate,
    der::{self, Decode},
    ext::pkix::{SubjectAltName, name::GeneralName},
};

/// What is to be known of a certificate that is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    /// The DNS names that it is for, in lower case; with `*` as the whole first label it is for all names of that shape.
    pub(super) names: Vec<Box<str>>,
    /// Whom it is for (RFC 4514).
    pub(super) subject: Box<str>,
    /// Its number, big-endian without leading zeros.
    pub(super) serial: Box<[u8]>,
    /// The first moment at which it holds, since 1970.
    pub(super) not_before: Duration,
    /// The last moment at which it holds, since 1970.
    pub(super) not_after: Duration,
}

/// Whether a certificate holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Validity {
    NotYet,
    Holds,
    Expired,
}

impl Facts {
    pub(super) fn read(certificate: &CertificateDer<'_>) -> Result<Self, der::Error> {
        let certificate = Certificate::from_der(certificate)?;
        let certificate = certificate.tbs_certificate();
        let validity = certificate.validity();
        let names = match certificate.get_extension::<SubjectAltName>()? {
            Some((_, SubjectAltName(names))) => names.iter().filter_map(dns_name).collect(),
            None => Vec::new(),
        };
        Ok(Self {
            names,
            subject: certificate.subject().to_string().into(),
            serial: super::ocsp::serial(certificate.serial_number().as_bytes()),
            not_before: validity.not_before.to_unix_duration(),
            not_after: validity.not_after.to_unix_duration(),
        })
    }

    /// What people know it by: its first name, or whom it is for.
    pub(super) fn label(&self) -> &str {
        self.names.first().unwrap_or(&self.subject)
    }

    /// Tells when it does not hold at `now`, since 1970. It is shown nevertheless: with a wrong clock on this side, to keep
    /// it back would do harm that it does not.
    pub(super) fn warn(&self, file: &Path, now: Duration) {
        let (file, name) = (file.display(), self.label());
        match self.validity(now) {
            Validity::Holds => {}
            Validity::NotYet => tracing::warn!(%file, name, "a certificate does not hold yet"),
            Validity::Expired => tracing::warn!(%file, name, "a certificate has expired"),
        }
    }

    /// Whether it holds at `now`, since 1970.
    fn validity(&self, now: Duration) -> Validity {
        if now < self.not_before {
            Validity::NotYet
        } else if now > self.not_after {
            Validity::Expired
        } else {
            Validity::Holds
        }
    }
}

fn dns_name(name: &GeneralName) -> Option<Box<str>> {
    match name {
        GeneralName::DnsName(name) => Some(name.as_str().to_ascii_lowercase().into()),
        _ => None,
    }
}

/// The time since 1970, as certificates measure it.
pub(super) fn now() -> Duration {
    SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default()
}

/// Whom a certificate is for (RFC 4514), such as `CN=shop,O=Example`; none when it cannot be read. Control characters
/// are escaped.
#[cfg(test)]
pub(crate) fn subject(certificate: &CertificateDer<'_>) -> Option<String> {
    let certificate = Certificate::from_der(certificate).ok()?;
    Some(certificate.tbs_certificate().subject().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};

    fn certificate() -> CertificateDer<'static> {
        let names = ["Shop.Example", "*.shop.example", "192.0.2.1"];
        let mut params = CertificateParams::new(names.map(str::to_owned)).unwrap();
        params.not_before = date_time_ymd(2024, 1, 1);
        params.not_after = date_time_ymd(2060, 1, 1);
        params.distinguished_name.push(DnType::CommonName, "a,\nb");
        params
            .distinguished_name
            .push(DnType::OrganizationName, "Example");
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().clone()
    }

    #[test]
    fn names_dates_and_subject_are_read() {
        let der = certificate();
        let facts = Facts::read(&der).unwrap();
        let names: Vec<&str> = facts.names.iter().map(|name| &**name).collect();
        assert_eq!(names, ["shop.example", "*.shop.example"]);
        assert_eq!(facts.label(), "shop.example");
        assert_eq!(&*facts.subject, r"O=Example,CN=a\,\0ab");
        assert_eq!(subject(&der).as_deref(), Some(&*facts.subject));
        let (from, to) = (
            Duration::from_secs(1_704_067_200),
            Duration::from_secs(2_840_140_800),
        );
        assert_eq!((facts.not_before, facts.not_after), (from, to));
        let moment = Duration::from_nanos(1);
        for (now, expected) in [
            (from - moment, Validity::NotYet),
            (from, Validity::Holds),
            (to, Validity::Holds),
            (to + moment, Validity::Expired),
        ] {
            assert_eq!(facts.validity(now), expected, "{now:?}");
        }
    }

    proptest! {
        #[test]
        fn damaged_certificates_do_no_harm(at in any::<prop::sample::Index>(), byte: u8, cut: bool) {
            let mut der = certificate().to_vec();
            let at = at.index(der.len());
            der[at] = byte;
            if cut {
                der.truncate(at);
            }
            let der = CertificateDer::from(der);
            let facts = Facts::read(&der);
            prop_assert!(!cut || facts.is_err());
            let _ = subject(&der);
        }
    }
}
