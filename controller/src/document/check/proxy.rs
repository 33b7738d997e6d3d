//! Rules of the proxy document.

use std::net::SocketAddr;
use std::time::Duration;

use crds::Proxy;
use crds::proxy::{Admin, ProxySpec, Service, Timeouts};

use super::{duration, name, repeated, route};
use crate::document::report::Report;

/// Checks a Proxy.
pub(in crate::document) fn proxy(proxy: &Proxy, report: &mut Report<'_>) {
    name::object(proxy.metadata.name.as_deref(), "metadata.name", report);
    name::optional_object(
        proxy.metadata.namespace.as_deref(),
        "metadata.namespace",
        report,
    );
    let spec = &proxy.spec;
    listeners(spec, report);
    admin(spec.admin.as_ref(), report);
    if let Some(workers) = spec.workers
        && !(1..=1024).contains(&workers)
    {
        report.error(
            "spec.workers",
            format!("found {workers}, allowed 1 to 1024"),
        );
    }
    if spec.state_file.as_deref() == Some("") {
        report.error("spec.stateFile", "found \"\", allowed the name of a file");
    }
    if let Some(timeouts) = &spec.timeouts {
        self::timeouts(timeouts, report);
    }
    services(&spec.services, proxy.metadata.namespace(), report);
    for (index, written) in spec.routes.iter().enumerate() {
        route::route(written, &format!("spec.routes[{index}]"), report);
    }
}

/// Whether an admin API at this address can be reached from other machines.
fn is_beyond_loopback(address: &SocketAddr) -> bool {
    !address.ip().to_canonical().is_loopback()
}

fn address(written: &str, path: String, report: &mut Report<'_>) -> Option<SocketAddr> {
    let address = written.parse().ok();
    if address.is_none() {
        report.error(
            path,
            format!("found {written:?}, allowed an IP address and a port, such as 127.0.0.1:8080 or [::1]:8080"),
        );
    }
    address
}

fn listeners(spec: &ProxySpec, report: &mut Report<'_>) {
    if spec.listeners.is_empty() {
        report.error("spec.listeners", "found none, allowed at least one");
    }
    let at = |index: usize, field: &str| format!("spec.listeners[{index}].{field}");
    for (index, listener) in spec.listeners.iter().enumerate() {
        name::object(Some(&listener.name), &at(index, "name"), report);
        address(&listener.address, at(index, "address"), report);
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

fn admin(admin: Option<&Admin>, report: &mut Report<'_>) {
    let Some(admin) = admin else { return };
    let written = admin.address.as_deref().unwrap_or(Admin::DEFAULT_ADDRESS);
    let address = address(written, "spec.admin.address".to_owned(), report);
    let has_token = admin
        .token_file
        .as_deref()
        .is_some_and(|file| !file.is_empty());
    if address.is_some_and(|address| is_beyond_loopback(&address)) && !has_token {
        report.error(
            "spec.admin.tokenFile",
            format!("is missing: {written} can be reached from other machines"),
        );
    }
}

fn timeouts(timeouts: &Timeouts, report: &mut Report<'_>) {
    let Timeouts {
        connect,
        response_header,
        idle,
        keep_alive,
        request_header,
        drain,
    } = timeouts;
    let range = (Duration::from_millis(1), Duration::from_secs(24 * 3600));
    for (field, written) in [
        ("connect", connect),
        ("responseHeader", response_header),
        ("idle", idle),
        ("keepAlive", keep_alive),
        ("requestHeader", request_header),
        ("drain", drain),
    ] {
        duration(*written, format!("spec.timeouts.{field}"), range, report);
    }
}

fn services(services: &[Service], namespace: &str, report: &mut Report<'_>) {
    let mut names = Vec::new();
    for (index, service) in services.iter().enumerate() {
        let path = format!("spec.services[{index}]");
        name::object(Some(&service.name), &format!("{path}.name"), report);
        name::optional_object(
            service.namespace.as_deref(),
            &format!("{path}.namespace"),
            report,
        );
        let namespace = service.namespace.as_deref().unwrap_or(namespace);
        names.push((
            format!("{namespace}/{}", service.name),
            format!("{path}.name"),
        ));
        endpoints(&service.endpoints, &format!("{path}.endpoints"), report);
    }
    repeated(
        names
            .iter()
            .map(|(name, path)| (name.as_str(), path.clone())),
        report,
    );
}

fn endpoints(endpoints: &[String], path: &str, report: &mut Report<'_>) {
    if endpoints.is_empty() {
        report.warning(
            path,
            "found none: requests to this Service are answered with 503",
        );
    }
    for (index, endpoint) in endpoints.iter().enumerate() {
        let path = format!("{path}[{index}]");
        if let Some(address) = address(endpoint, path.clone(), report)
            && address.port() == 0
        {
            report.error(
                path,
                format!("found {endpoint:?}, allowed a port from 1 to 65535"),
            );
        }
    }
    let places = endpoints.iter().enumerate();
    repeated(
        places.map(|(i, endpoint)| (endpoint.as_str(), format!("{path}[{i}]"))),
        report,
    );
}
