//! Version 1: one line of text.

use super::{Fault, Header};
use std::{
    io::Write as _,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

/// How the line begins.
pub(super) const SIGNATURE: &[u8] = b"PROXY ";

/// The longest line with its CR LF: UNKNOWN with two full IPv6 addresses.
const LONGEST: usize = 107;

pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Header, usize)>, Fault> {
    let within = &bytes[..bytes.len().min(LONGEST)];
    let Some(end) = within.iter().position(|&byte| byte == b'\n') else {
        return if bytes.len() < LONGEST {
            Ok(None)
        } else {
            Err(Fault::Line)
        };
    };
    let line = within[..end].strip_suffix(b"\r").ok_or(Fault::Line)?;
    let fields = line.strip_prefix(SIGNATURE).ok_or(Fault::Signature)?;
    let fields = str::from_utf8(fields).map_err(|_| Fault::Field("character"))?;
    Ok(Some((header(fields)?, end + 1)))
}

fn header(fields: &str) -> Result<Header, Fault> {
    let (family, rest) = fields.split_once(' ').unwrap_or((fields, ""));
    match family {
        "TCP4" => proxied::<Ipv4Addr>(rest),
        "TCP6" => proxied::<Ipv6Addr>(rest),
        // What follows it must be ignored.
        "UNKNOWN" => Ok(Header::Local),
        _ => Err(Fault::Field("protocol")),
    }
}

fn proxied<A: FromStr + Into<IpAddr>>(rest: &str) -> Result<Header, Fault> {
    // One space stands between fields, so that two of them make an empty field, which is no address.
    let mut fields = rest.split(' ');
    let mut next = || fields.next().unwrap_or_default();
    let address = |text: &str, what| {
        A::from_str(text)
            .map(Into::into)
            .map_err(|_| Fault::Field(what))
    };
    let source = address(next(), "source address")?;
    let destination = address(next(), "destination address")?;
    let source = SocketAddr::new(source, port(next(), "source port")?);
    let destination = SocketAddr::new(destination, port(next(), "destination port")?);
    match fields.next() {
        None => Ok(Header::Proxied {
            source,
            destination,
        }),
        Some(_) => Err(Fault::Field("end")),
    }
}

/// A decimal number without sign and leading zeros.
fn port(text: &str, what: &'static str) -> Result<u16, Fault> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let leads_with_zero = text.len() > 1 && text.starts_with('0');
    if !is_plain || leads_with_zero {
        return Err(Fault::Field(what));
    }
    text.parse().map_err(|_| Fault::Field(what))
}

/// `source` and `destination` must be of one family.
pub(super) fn write(source: SocketAddr, destination: SocketAddr, out: &mut Vec<u8>) {
    let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
    // Writing to a vector does not fail.
    let _ = write!(
        out,
        "PROXY {family} {} {} {} {}\r\n",
        source.ip(),
        destination.ip(),
        source.port(),
        destination.port()
    );
}
