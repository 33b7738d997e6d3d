//! Version 2: binary.

use super::{Fault, Header};
use std::net::{IpAddr, SocketAddr};

/// How the header begins.
pub(super) const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// The signature, the version with the command, the family with the transport, and the length of what follows.
const FIXED: usize = SIGNATURE.len() + 4;

/// The most that may follow the fixed part. Addresses take 36 bytes (216 for sockets of files); the rest are
/// extensions, whose largest in use, TLS with a client's certificate, has some 2 KiB.
const LONGEST: u16 = 4096;

const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;

/// Bytes of the addresses for each kind of them (the high nibble of the family): none, IPv4, IPv6, AF_UNIX.
const ADDRESS_BYTES: [usize; 4] = [0, 12, 36, 216];

pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Header, usize)>, Fault> {
    // Faults are told as soon as they can be: who speaks no PROXY protocol may wait for an answer.
    let Some(&command) = bytes.get(SIGNATURE.len()) else {
        return Ok(None);
    };
    if command != LOCAL && command != PROXY {
        return Err(Fault::Command(command));
    }
    let Some(&[_, family, high, low]) = bytes.get(SIGNATURE.len()..FIXED) else {
        return Ok(None);
    };
    let length = u16::from_be_bytes([high, low]);
    if length > LONGEST {
        return Err(Fault::Length(length));
    }
    let whole = FIXED + usize::from(length);
    let Some(rest) = bytes.get(FIXED..whole) else {
        return Ok(None);
    };
    if command == LOCAL {
        // The receiver must discard what follows, whatever it is.
        return Ok(Some((Header::Local, whole)));
    }
    let header = proxied(family, rest, length)?;
    Ok(Some((header, whole)))
}

fn proxied(family: u8, rest: &[u8], length: u16) -> Result<Header, Fault> {
    // Kinds that may be defined one day: nothing is known of their addresses, and where extensions begin.
    let Some(&addresses) = ADDRESS_BYTES.get(usize::from(family >> 4)) else {
        return Ok(Header::Local);
    };
    let (addresses, extensions) = rest
        .split_at_checked(addresses)
        .ok_or(Fault::Length(length))?;
    check_extensions(extensions)?;
    let pair = match family {
        TCP4 => pair::<4>(addresses),
        TCP6 => pair::<16>(addresses),
        _ => None,
    };
    Ok(pair.unwrap_or(Header::Local))
}

/// Two addresses of `N` bytes, then their ports.
fn pair<const N: usize>(bytes: &[u8]) -> Option<Header>
where
    IpAddr: From<[u8; N]>,
{
    let (from, rest) = bytes.split_first_chunk::<N>()?;
    let (to, ports) = rest.split_first_chunk::<N>()?;
    let &[a, b, c, d] = ports.as_array()?;
    Some(Header::Proxied {
        source: SocketAddr::new(IpAddr::from(*from), u16::from_be_bytes([a, b])),
        destination: SocketAddr::new(IpAddr::from(*to), u16::from_be_bytes([c, d])),
    })
}

/// Extensions (a type, a length of two bytes, a value) are skipped, but must fill the header exactly.
fn check_extensions(mut rest: &[u8]) -> Result<(), Fault> {
    while !rest.is_empty() {
        let (&[_, high, low], values) = rest.split_first_chunk().ok_or(Fault::Extension)?;
        let length = usize::from(u16::from_be_bytes([high, low]));
        rest = values.get(length..).ok_or(Fault::Extension)?;
    }
    Ok(())
}

/// `source` and `destination` must be of one family.
pub(super) fn write(source: SocketAddr, destination: SocketAddr, out: &mut Vec<u8>) {
    let mut addresses = Vec::with_capacity(ADDRESS_BYTES[2]);
    for address in [source.ip(), destination.ip()] {
        match address {
            IpAddr::V4(v4) => addresses.extend_from_slice(&v4.octets()),
            IpAddr::V6(v6) => addresses.extend_from_slice(&v6.octets()),
        }
    }
    for port in [source.port(), destination.port()] {
        addresses.extend_from_slice(&port.to_be_bytes());
    }
    let (family, length) = if source.is_ipv4() {
        (TCP4, 12)
    } else {
        (TCP6, 36)
    };
    out.extend_from_slice(SIGNATURE);
    out.extend_from_slice(&[PROXY, family, 0, length]);
    out.extend_from_slice(&addresses);
}
