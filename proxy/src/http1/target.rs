//! What a request asks for (RFC 9112 section 3.2), and whether `Host` says the same.

use super::{HeadLimits, host::HostPort, request::RequestFault};
use bytes::Bytes;
use http::{Method, Uri, Version, uri::Scheme};

/// Reads the target, of a request of `method`. Whatever comes back is in origin form, `*`, or an `http` or `https` URL
/// without user information.
pub(super) fn parse(
    target: Bytes,
    method: &Method,
    limits: &HeadLimits,
) -> Result<Uri, RequestFault> {
    if target.len() > limits.uri_bytes {
        return Err(RequestFault::TargetTooLong);
    }
    if *method == Method::CONNECT {
        return Err(RequestFault::Connect);
    }
    // A fragment is the client's own business; `http` would cut it off, and an endpoint perhaps not.
    if !target
        .iter()
        .all(|byte| byte.is_ascii_graphic() && *byte != b'#')
    {
        return Err(RequestFault::Target);
    }
    let is_asterisk = *target == *b"*";
    let is_origin = target.starts_with(b"/");
    let is_long = target.len() > usize::from(u16::MAX) - 1;
    let uri = Uri::from_maybe_shared(target).map_err(|_| match is_long {
        true => RequestFault::TargetTooLong,
        false => RequestFault::Target,
    })?;
    if is_asterisk && *method != Method::OPTIONS {
        return Err(RequestFault::Target);
    }
    if is_origin || is_asterisk {
        return Ok(uri);
    }
    let is_web = uri
        .scheme()
        .is_some_and(|it| *it == Scheme::HTTP || *it == Scheme::HTTPS);
    let has_host = uri
        .authority()
        .is_some_and(|it| HostPort::parse(it.as_str().as_bytes()).is_some());
    if is_web && has_host {
        Ok(uri)
    } else {
        Err(RequestFault::Target)
    }
}

/// Refuses a request whose host is not certain: of `hosts` that are there, the last is `host`. An empty `Host` is that of a
/// target that has none.
pub(super) fn check_host(
    uri: &Uri,
    version: Version,
    hosts: usize,
    host: Option<&[u8]>,
) -> Result<(), RequestFault> {
    let host = match (hosts, host) {
        (0, _) | (_, None) if version == Version::HTTP_11 => return Err(RequestFault::NoHost),
        (0, _) | (_, None) => return Ok(()),
        (1, Some(host)) => host,
        _ => return Err(RequestFault::ManyHosts),
    };
    let Some(authority) = uri.authority() else {
        let is_valid = host.is_empty() || HostPort::parse(host).is_some();
        return is_valid.then_some(()).ok_or(RequestFault::HostInvalid);
    };
    let default_port = if uri.scheme() == Some(&Scheme::HTTPS) {
        443
    } else {
        80
    };
    let host = HostPort::parse(host).ok_or(RequestFault::HostInvalid)?;
    match HostPort::parse(authority.as_str().as_bytes()) {
        Some(authority) if authority.is_same(&host, default_port) => Ok(()),
        _ => Err(RequestFault::HostContradicts),
    }
}
