//! What is refused of the host of a request that came by HTTP/2, beside what is of any other's.

use super::{Fault, is_host, peer::Scheme};

/// Whether `:authority` is one. An endpoint would get it in the place of `Host`.
pub(crate) fn check_authority(authority: Option<&[u8]>) -> Result<(), Fault> {
    match authority {
        Some(authority) if authority.is_empty() || !is_host(authority) => Err(Fault::TargetInvalid),
        _ => Ok(()),
    }
}

/// Whether there is one host, which can be one: `:authority` and `Host` say the same where both are there (RFC 9113 section
/// 8.3.1).
pub(crate) fn check_hosts(
    authority: Option<&[u8]>,
    host: Option<&[u8]>,
    scheme: Scheme,
) -> Result<(), Fault> {
    if host.is_some_and(|host| !is_host(host)) {
        return Err(Fault::HostInvalid);
    }
    match (authority, host) {
        (Some(authority), Some(host)) => {
            let of_authority = without_port(authority, scheme);
            match of_authority.eq_ignore_ascii_case(without_port(host, scheme)) {
                true => Ok(()),
                false => Err(Fault::HostsDiffer),
            }
        }
        (None, None | Some(b"")) => Err(Fault::NoHost),
        _ => Ok(()),
    }
}

/// `host` without the port that is `scheme`'s own.
fn without_port(host: &[u8], scheme: Scheme) -> &[u8] {
    let port: &[u8] = match scheme {
        Scheme::Http => b":80",
        Scheme::Https => b":443",
    };
    host.strip_suffix(port).unwrap_or(host)
}
