//! What names may look like.

use std::net::SocketAddr;

use http::HeaderName;
use traffic::action::is_editable;

use crate::document::report::Report;
use crate::spec::Network;

/// Refuses what is no object's name: names become labels of metrics and parts of addresses.
pub(super) fn object(name: Option<&str>, path: &str, report: &mut Report<'_>) {
    let Some(name) = name else {
        report.error(path, "is missing");
        return;
    };
    if !is_object_name(name) {
        report.error(
            path,
            format!(
                "found {name:?}, allowed at most 253 small letters, digits, dashes and dots, with a \
                 letter or digit at each end of each part"
            ),
        );
    }
}

/// As [`object`], for a name that may be absent.
pub(super) fn optional_object(name: Option<&str>, path: &str, report: &mut Report<'_>) {
    if name.is_some() {
        object(name, path, report);
    }
}

/// Refuses what is no host of a route.
pub(super) fn host(host: &str, path: String, report: &mut Report<'_>) {
    if !is_host(host) {
        report.error(
            path,
            format!(
                "found {host:?}, allowed a host name in small letters without a port, such as \
                 shop.example or *.shop.example"
            ),
        );
    }
}

/// Whether `host` is one of a route: a name, or `*.` and the end of names.
pub(crate) fn is_host(host: &str) -> bool {
    is_object_name(host.strip_prefix("*.").unwrap_or(host))
}

/// Refuses what is no host, or one with a wildcard.
pub(super) fn exact_host(host: &str, path: String, report: &mut Report<'_>) {
    if !is_object_name(host) {
        report.error(
            path,
            format!("found {host:?}, allowed a host name in small letters without a port, such as shop.example"),
        );
    }
}

/// Refuses what is no path, or one with a query.
pub(super) fn path(value: &str, path: &str, report: &mut Report<'_>) {
    if !value.starts_with('/') || value.contains(['?', '#']) {
        report.error(
            path,
            format!("found {value:?}, allowed a path that begins with / and has no ? or #"),
        );
    }
}

/// Refuses what is no address with a port.
pub(super) fn address(written: &str, path: String, report: &mut Report<'_>) -> Option<SocketAddr> {
    let address = written.parse().ok();
    if address.is_none() {
        report.error(
            path,
            format!("found {written:?}, allowed an IP address and a port, such as 127.0.0.1:8080 or [::1]:8080"),
        );
    }
    address
}

/// Refuses what is no network.
pub(super) fn networks(written: &[String], path: &str, report: &mut Report<'_>) {
    for (index, network) in written.iter().enumerate() {
        if Network::parse(network).is_none() {
            report.error(
                format!("{path}[{index}]"),
                format!("found {network:?}, allowed a network such as 10.0.0.0/8, or an address"),
            );
        }
    }
}

/// Refuses what is no header's name, or one that only the proxy itself may set.
pub(super) fn editable_header(name: &str, path: String, report: &mut Report<'_>) {
    match HeaderName::from_bytes(name.as_bytes()) {
        Ok(header) if !is_editable(&header) => {
            let allowed =
                "a header that says nothing of connections, hosts or the length of messages";
            report.error(path, format!("found {name:?}, allowed {allowed}"));
        }
        _ => token(name, path, report),
    }
}

/// Refuses what is no header's or cookie's name.
pub(super) fn token(name: &str, path: String, report: &mut Report<'_>) {
    // The names of headers and cookies are tokens alike (RFC 9110, RFC 6265).
    if HeaderName::from_bytes(name.as_bytes()).is_err() {
        report.error(
            path,
            format!("found {name:?}, allowed a name of letters, digits and !#$%&'*+-.^_`|~"),
        );
    }
}

/// Whether `name` is a DNS subdomain as RFC 1123 has it, which is what the API asks of names.
fn is_object_name(name: &str) -> bool {
    let is_alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_part = |part: &str| {
        let bytes = part.as_bytes();
        bytes.first().is_some_and(is_alphanumeric)
            && bytes.last().is_some_and(is_alphanumeric)
            && bytes
                .iter()
                .all(|byte| is_alphanumeric(byte) || *byte == b'-')
    };
    name.len() <= 253 && name.split('.').all(is_part)
}
