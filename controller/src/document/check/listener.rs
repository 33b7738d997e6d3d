//! Rules of where requests come in, and of whom is believed what.

use crds::Choice;
use crds::proxy::{AccessLog, Admin, Forwarding, LogTemplate, ProxySpec, Tracing};
use http::Uri;

use super::{name, repeated};
use crate::document::report::Report;

pub(super) fn listeners(spec: &ProxySpec, report: &mut Report<'_>) {
    if spec.listeners.is_empty() {
        report.error("spec.listeners", "found none, allowed at least one");
    }
    let at = |index: usize, field: &str| format!("spec.listeners[{index}].{field}");
    for (index, listener) in spec.listeners.iter().enumerate() {
        name::object(Some(&listener.name), &at(index, "name"), report);
        name::address(&listener.address, at(index, "address"), report);
        if let Some(peers) = &listener.proxy_protocol {
            name::networks(&peers.trusted, &at(index, "proxyProtocol.trusted"), report);
        }
    }
    let listeners = || spec.listeners.iter().enumerate();
    repeated(
        listeners().map(|(i, listener)| (listener.name.as_str(), at(i, "name"))),
        report,
    );
    // Port 0 asks for any free port, which is another one each time.
    let fixed = listeners().filter(|(_, listener)| !listener.address.ends_with(":0"));
    repeated(
        fixed.map(|(i, listener)| (listener.address.as_str(), at(i, "address"))),
        report,
    );
}

pub(super) fn admin(admin: Option<&Admin>, report: &mut Report<'_>) {
    let Some(admin) = admin else { return };
    let written = admin.address.as_deref().unwrap_or(Admin::DEFAULT_ADDRESS);
    let address = name::address(written, "spec.admin.address".to_owned(), report);
    let has_token = admin
        .token_file
        .as_deref()
        .is_some_and(|file| !file.is_empty());
    // An address in IPv6 may be one of IPv4 in disguise.
    let is_open = address.is_some_and(|address| !address.ip().to_canonical().is_loopback());
    if is_open && !has_token {
        report.error(
            "spec.admin.tokenFile",
            format!("is missing: {written} can be reached from other machines"),
        );
    }
}

pub(super) fn forwarding(forwarding: &Forwarding, report: &mut Report<'_>) {
    name::networks(&forwarding.trusted, "spec.forwarding.trusted", report);
    if let Some(via) = &forwarding.via {
        // A pseudonym is a token (RFC 9110 section 7.6.3).
        name::token(via, "spec.forwarding.via".to_owned(), report);
    }
    if let Some(header) = &forwarding.request_id {
        name::editable_header(header, "spec.forwarding.requestId".to_owned(), report);
    }
}

pub(super) fn access_log(log: &AccessLog, report: &mut Report<'_>) {
    if let Some(Choice::Mapping(LogTemplate { template })) = &log.format
        && !template.is_empty()
        && let Err(fault) = traffic::log_template::validate(template)
    {
        report.error("spec.accessLog.format.template", fault);
    }
}

pub(super) fn tracing(tracing: &Tracing, report: &mut Report<'_>) {
    let is_endpoint = |uri: Uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|host| !host.is_empty())
    };
    if !tracing.endpoint.parse().is_ok_and(is_endpoint) {
        let allowed = "the URL of an OTLP/HTTP endpoint, such as http://127.0.0.1:4318/v1/traces";
        report.error(
            "spec.tracing.endpoint",
            format!("found {:?}, allowed {allowed}", tracing.endpoint),
        );
    }
}
