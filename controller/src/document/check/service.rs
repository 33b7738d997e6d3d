//! Rules of Services.

use crds::Choice;
use crds::proxy::{ConsistentHash, Ejection, HashKind, HealthCheck, Service};
use crds::sluice::Switch;

use super::{name, repeated};
use crate::document::report::Report;

pub(super) fn services(services: &[Service], namespace: &str, report: &mut Report<'_>) {
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
        policy(service, &path, report);
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
        if let Some(address) = name::address(endpoint, path.clone(), report)
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

/// How the endpoints are spoken to.
fn policy(service: &Service, path: &str, report: &mut Report<'_>) {
    let server_name = service
        .tls
        .as_ref()
        .and_then(|tls| tls.server_name.as_ref());
    if let Some(host) = server_name {
        name::exact_host(host, format!("{path}.tls.serverName"), report);
    }
    if let Some(Choice::Mapping(hash)) = &service.balancing {
        hash_key(hash, &format!("{path}.balancing.consistentHash"), report);
    }
    if let Some(Switch::On(options)) = &service.ejection {
        ejection(options, &format!("{path}.ejection"), report);
    }
    if let Some(written) = &service.health_check {
        health_check(written, &format!("{path}.healthCheck"), report);
    }
}

fn hash_key(hash: &ConsistentHash, path: &str, report: &mut Report<'_>) {
    match hash.consistent_hash.kind() {
        Ok(HashKind::Header(header)) => name::token(header, format!("{path}.header"), report),
        Ok(HashKind::Cookie(cookie)) => name::token(cookie, format!("{path}.cookie"), report),
        Ok(HashKind::ClientAddress) => {}
        Err(error) => report.error(path, error.to_string()),
    }
}

fn ejection(written: &Ejection, path: &str, report: &mut Report<'_>) {
    let default = traffic::policy::Ejection::default();
    let most = written.max_time.map_or(default.max_time, |time| time.0);
    if let Some(base) = written.base_time
        && base.0 > most
    {
        let most = crds::GoDuration(most);
        report.error(
            format!("{path}.baseTime"),
            format!("found {base}, allowed at most maxTime, which is {most}"),
        );
    }
}

fn health_check(written: &HealthCheck, path: &str, report: &mut Report<'_>) {
    if let Some(asked) = &written.path {
        let is_path = asked.starts_with('/') && asked.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_path || asked.contains('#') {
            let allowed = "a path that begins with / and has no space or #";
            report.error(
                format!("{path}.path"),
                format!("found {asked:?}, allowed {allowed}"),
            );
        }
    } else if written.host.is_some() {
        report.error(
            format!("{path}.host"),
            "allowed only beside path: without it nothing is asked for",
        );
    }
    if let Some(host) = &written.host
        && http::uri::Authority::try_from(host.as_str()).is_err()
    {
        let allowed = "a host name, with or without a port";
        report.error(
            format!("{path}.host"),
            format!("found {host:?}, allowed {allowed}"),
        );
    }
}
