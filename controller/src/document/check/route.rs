//! Rules of the proxy document's routes.

use crds::Choice;
use crds::proxy::{PathMatch, PathMatchType, ProxySpec, Route, RouteMatch};

use super::{condition, filter, name, repeated};
use crate::document::report::Report;

pub(super) fn routes(spec: &ProxySpec, report: &mut Report<'_>) {
    let listeners: Vec<&str> = spec.listeners.iter().map(|l| l.name.as_str()).collect();
    for (index, written) in spec.routes.iter().enumerate() {
        route(
            written,
            &listeners,
            &format!("spec.routes[{index}]"),
            report,
        );
    }
    let routes = spec.routes.iter().enumerate();
    let names: Vec<_> = routes.map(|(index, route)| route.name(index)).collect();
    let places = names.iter().enumerate();
    repeated(
        places.map(|(index, name)| (name.as_str(), format!("spec.routes[{index}].name"))),
        report,
    );
}

fn route(route: &Route, listeners: &[&str], path: &str, report: &mut Report<'_>) {
    target(route, path, report);
    name::optional_object(route.name.as_deref(), &format!("{path}.name"), report);
    for (index, name) in route.listeners.iter().enumerate() {
        if !listeners.contains(&name.as_str()) {
            let allowed = listeners.join(", ");
            report.error(
                format!("{path}.listeners[{index}]"),
                format!("found {name:?}, allowed the name of a listener: {allowed}"),
            );
        }
    }
    filter::filters(route, path, report);
    if let Some(limit) = &route.rate_limit
        && let Some(Choice::Mapping(by)) = &limit.key
    {
        name::token(&by.header, format!("{path}.rateLimit.key.header"), report);
    }
    for (index, host) in route.hosts.iter().enumerate() {
        name::host(host, format!("{path}.hosts[{index}]"), report);
    }
    for (index, matched) in route.matches.iter().enumerate() {
        route_match(matched, &format!("{path}.matches[{index}]"), report);
    }
}

/// Demands exactly one place where the route leads.
fn target(route: &Route, path: &str, report: &mut Report<'_>) {
    let by_filter = route.filters.iter().any(|f| f.request_redirect.is_some());
    let found: Vec<_> = [
        (route.service.is_some(), "service"),
        (route.rollout.is_some(), "rollout"),
        (route.redirect.is_some(), "redirect"),
        (by_filter, "a filter of type RequestRedirect"),
    ]
    .into_iter()
    .filter_map(|(is_set, name)| is_set.then_some(name))
    .collect();
    if found.len() != 1 {
        let found = match found.as_slice() {
            [] => "no target".to_owned(),
            _ => found.join(" and "),
        };
        report.error(
            path,
            format!("found {found}, allowed exactly one of service, rollout, redirect"),
        );
    }
}

fn route_match(matched: &RouteMatch, path: &str, report: &mut Report<'_>) {
    if let Some(written) = &matched.path {
        path_match(written, &format!("{path}.path.value"), report);
    }
    if let Some(method) = &matched.method {
        let is_method = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase());
        if !is_method {
            let path = format!("{path}.method");
            report.error(
                path,
                format!("found {method:?}, allowed a method in capitals, such as GET"),
            );
        }
    }
    condition::named_by_tokens(&matched.headers, &format!("{path}.headers"), report);
    condition::named_freely(
        &matched.query_params,
        &format!("{path}.queryParams"),
        report,
    );
}

fn path_match(matched: &PathMatch, path: &str, report: &mut Report<'_>) {
    let value = matched.value();
    match matched.match_type() {
        PathMatchType::RegularExpression => condition::regex(value, path.to_owned(), report),
        PathMatchType::PathPrefix | PathMatchType::Exact => name::path(value, path, report),
    }
}
