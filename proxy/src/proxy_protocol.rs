//! The PROXY protocol (`doc/proxy-protocol.txt` of HAProxy), versions 1 and 2: how a proxy tells the next one, before
//! the first byte of a connection, whose connection it carries.
//!
//! Reading is strict. A header is believed, so whoever can make one be misread chooses his own address; what is not
//! exactly as the document has it ends the connection.

mod read;
mod v1;
mod v2;

pub(crate) use read::read_header;

use crate::config::Network;
use std::net::{IpAddr, SocketAddr};
use traffic::policy::ProxyProtocol;

/// Whether a header is demanded of `peer`, and believed: whether it is one of `trusted`. Of anybody else a header is only
/// bytes that are no HTTP.
pub(crate) fn is_expected(trusted: &[Network], peer: IpAddr) -> bool {
    trusted.iter().any(|network| network.contains(peer))
}

/// What a header says of the connection that it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Header {
    /// Nothing (`LOCAL`, `UNKNOWN`, or addresses that are not TCP's): the addresses of the socket hold.
    Local,
    /// It carries another connection.
    Proxied {
        /// Who made that connection.
        source: SocketAddr,
        /// Where to.
        destination: SocketAddr,
    },
}

/// Why bytes are no header. A connection that begins with them is to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// Neither version begins like this.
    #[error("no PROXY protocol header at the beginning of the connection")]
    Signature,
    /// Version 1: the line is longer than any can be, or does not end with CR LF.
    #[error("a PROXY line that does not end with CR LF within 107 bytes")]
    Line,
    /// Version 1: a field is missing, surplus or malformed.
    #[error("a PROXY line with a malformed {0}")]
    Field(&'static str),
    /// Version 2: the version is another, or the command neither LOCAL nor PROXY.
    #[error("a PROXY header with the unknown version and command {0:#04x}")]
    Command(u8),
    /// Version 2: the length is too small for the addresses, or above what is accepted.
    #[error(
        "a PROXY header of {0} bytes, which is too short for its addresses or longer than 4096"
    )]
    Length(u16),
    /// Version 2: an extension (TLV) reaches beyond the header.
    #[error("a PROXY header with a truncated extension")]
    Extension,
}

/// The header that `bytes` begin with, and its length; none while it is not whole. When there is none, all of `bytes`
/// are its beginning.
pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(Header, usize)>, Fault> {
    if is_beginning(bytes, v2::SIGNATURE) {
        v2::parse(bytes)
    } else if is_beginning(bytes, v1::SIGNATURE) {
        v1::parse(bytes)
    } else {
        Err(Fault::Signature)
    }
}

/// Whether the one that is shorter is how the other begins.
fn is_beginning(bytes: &[u8], signature: &[u8]) -> bool {
    bytes.iter().zip(signature).all(|(a, b)| a == b)
}

/// Appends the header of a connection from `source` to `destination` to `out`.
pub(crate) fn write(
    version: ProxyProtocol,
    source: SocketAddr,
    destination: SocketAddr,
    out: &mut Vec<u8>,
) {
    let (source, destination) = of_one_family(source, destination);
    match version {
        ProxyProtocol::V1 => v1::write(source, destination, out),
        ProxyProtocol::V2 => v2::write(source, destination, out),
    }
}

/// Both addresses as IPv4 if both are, and otherwise as IPv6: a header has one family.
fn of_one_family(source: SocketAddr, destination: SocketAddr) -> (SocketAddr, SocketAddr) {
    let (from, to) = (source.ip().to_canonical(), destination.ip().to_canonical());
    let widen = |address| match address {
        IpAddr::V4(v4) => IpAddr::V6(v4.to_ipv6_mapped()),
        IpAddr::V6(_) => address,
    };
    let (from, to) = if from.is_ipv4() && to.is_ipv4() {
        (from, to)
    } else {
        (widen(from), widen(to))
    };
    (
        SocketAddr::new(from, source.port()),
        SocketAddr::new(to, destination.port()),
    )
}

#[cfg(test)]
mod tests;
