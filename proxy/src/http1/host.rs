//! A host and its port, as `Host` and the authority of a target have them (RFC 3986 section 3.2).

use super::scan::letters_digits_and;
use std::net::Ipv6Addr;

/// A host and perhaps a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HostPort<'a> {
    host: &'a [u8],
    port: Option<u16>,
}

impl<'a> HostPort<'a> {
    /// Reads a name, an IPv4 address or an IPv6 address in brackets, and a port of one to five digits. There is no user
    /// information, and no host of later IP versions or with a zone, which mean nothing to anybody else.
    pub(super) fn parse(text: &'a [u8]) -> Option<Self> {
        // Most are a name and nothing else.
        if !text.is_empty() && text.iter().all(is_of_names) {
            return Some(Self {
                host: text,
                port: None,
            });
        }
        let (host, after) = if text.starts_with(b"[") {
            let end = text.iter().position(|byte| *byte == b']')?;
            let (host, after) = text.split_at(end + 1);
            is_ipv6(host.get(1..end)?).then_some((host, after))?
        } else {
            let end = text.iter().position(|byte| *byte == b':');
            let (host, after) = text.split_at(end.unwrap_or(text.len()));
            is_name(host).then_some((host, after))?
        };
        let port = match after.split_first() {
            None => None,
            Some((b':', digits)) => Some(port(digits)?),
            Some(_) => return None,
        };
        Some(Self { host, port })
    }

    /// Whether both name the same, where no port is `default_port`.
    pub(super) fn is_same(&self, other: &HostPort<'_>, default_port: u16) -> bool {
        self.host.eq_ignore_ascii_case(other.host)
            && self.port.unwrap_or(default_port) == other.port.unwrap_or(default_port)
    }
}

/// Whether `text` is a host, and perhaps a port, as a request may have them.
pub(crate) fn is_host(text: &[u8]) -> bool {
    HostPort::parse(text).is_some()
}

fn port(digits: &[u8]) -> Option<u16> {
    let is_number = matches!(digits.len(), 1..=5) && digits.iter().all(u8::is_ascii_digit);
    let number = is_number.then(|| str::from_utf8(digits).ok()?.parse().ok());
    number.flatten()
}

fn is_ipv6(address: &[u8]) -> bool {
    str::from_utf8(address).is_ok_and(|address| address.parse::<Ipv6Addr>().is_ok())
}

/// The bytes that a `reg-name` has as they are (RFC 3986 section 3.2.2: unreserved and sub-delims).
const IS_OF_NAMES: [bool; 256] = letters_digits_and(b"-._~!$&'()*+,;=");

fn is_of_names(byte: &u8) -> bool {
    IS_OF_NAMES[usize::from(*byte)]
}

/// Whether `name` is a `reg-name` that is not empty. An IPv4 address is one, too.
fn is_name(name: &[u8]) -> bool {
    let is_other = |byte: &u8| !is_of_names(byte);
    let mut rest = name;
    while let Some(at) = rest.iter().position(is_other) {
        rest = match rest.get(at..) {
            Some([b'%', high, low, after @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                after
            }
            _ => return false,
        };
    }
    !name.is_empty()
}
