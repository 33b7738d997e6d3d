//! Rules of the proxy document's routes.

use crds::proxy::{PathMatch, PathMatchType, Route, RouteMatch};

use super::{condition, name};
use crate::document::report::Report;

pub(super) fn route(route: &Route, path: &str, report: &mut Report<'_>) {
    match (&route.service, &route.rollout) {
        (None, None) => report.error(
            path,
            "found no target, allowed exactly one of service, rollout",
        ),
        (Some(_), Some(_)) => {
            report.error(
                path,
                "found service and rollout, allowed exactly one of service, rollout",
            );
        }
        _ => {}
    }
    for (index, host) in route.hosts.iter().enumerate() {
        name::host(host, format!("{path}.hosts[{index}]"), report);
    }
    for (index, matched) in route.matches.iter().enumerate() {
        route_match(matched, &format!("{path}.matches[{index}]"), report);
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
        PathMatchType::PathPrefix | PathMatchType::Exact => {
            if !value.starts_with('/') || value.contains(['?', '#']) {
                report.error(
                    path,
                    format!("found {value:?}, allowed a path that begins with / and has no ? or #"),
                );
            }
        }
    }
}
