//! What can be wrong with the files and names of TLS.

use std::{io, path::PathBuf, sync::Arc};

/// Why TLS cannot be spoken as it was asked for.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TlsError {
    /// A listener has no certificate.
    #[error("no certificate is given; at least one is needed to speak TLS")]
    NoCertificate,
    /// A file cannot be read.
    #[error("{} cannot be read: {source}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why not.
        source: Arc<io::Error>,
    },
    /// A file holds something else than it should.
    #[error("{} {found}; {wanted} is expected", file.display())]
    Content {
        /// The file.
        file: PathBuf,
        /// What is in it, beginning with a verb.
        found: String,
        /// What ought to be.
        wanted: &'static str,
    },
    /// A key belongs to another certificate.
    #[error(
        "the key in {} does not belong to the first certificate in {}",
        key.display(),
        chain.display()
    )]
    WrongKey {
        /// The file of the key.
        key: PathBuf,
        /// The file of the certificates.
        chain: PathBuf,
    },
    /// A name that no certificate can bear.
    #[error("{0:?} is no server name; a DNS name or an IP address is expected")]
    ServerName(Box<str>),
    /// The operating system has no certificate authorities.
    #[error(
        "the operating system has no certificate authorities that could be read; \
         install them or name a file of authorities for this Service"
    )]
    NoSystemAuthorities,
    /// The TLS library refuses the settings.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}
