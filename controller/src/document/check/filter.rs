//! Rules of a route's filters: those of the Gateway API, and what is safe to change.

use crds::proxy::{
    Cors, Filter, FilterType, Header, HeaderModifier, PathMatchType, PathModifier,
    PathModifierType, RequestRedirect, Route, UrlRewrite,
};
use http::{HeaderValue, Method, Uri};

use super::{name, repeated};
use crate::document::report::Report;

/// Checks the filters of `route`, and its redirect.
pub(super) fn filters(route: &Route, path: &str, report: &mut Report<'_>) {
    let by_prefix = matches_by_prefix(route);
    if let Some(written) = &route.redirect {
        redirect(written, &format!("{path}.redirect"), by_prefix, report);
    }
    let mut seen: Vec<FilterType> = Vec::new();
    for (index, filter) in route.filters.iter().enumerate() {
        let path = format!("{path}.filters[{index}]");
        if filter.kind != FilterType::RequestMirror && seen.contains(&filter.kind) {
            let message = "is a second one of its type, allowed one";
            report.error(format!("{path}.type"), message);
        }
        seen.push(filter.kind);
        self::filter(filter, &path, by_prefix, report);
        let is_futile = matches!(
            filter.kind,
            FilterType::UrlRewrite | FilterType::RequestMirror | FilterType::RequestHeaderModifier
        );
        if is_futile && route.redirect().is_some() {
            let message = "allowed only where the request is sent on, not beside a redirect";
            report.error(format!("{path}.type"), message);
        }
    }
}

/// Whether each match of `route` is one by path prefix.
fn matches_by_prefix(route: &Route) -> bool {
    let kind = |path: &crds::proxy::PathMatch| path.match_type() == PathMatchType::PathPrefix;
    let is_prefix = |matched: &crds::proxy::RouteMatch| matched.path.as_ref().is_none_or(kind);
    route.matches.iter().all(is_prefix)
}

fn filter(filter: &Filter, path: &str, by_prefix: bool, report: &mut Report<'_>) {
    let fields = filter.fields();
    if fields != [filter.kind.field()] {
        let found = match fields.as_slice() {
            [] => "none".to_owned(),
            _ => fields.join(", "),
        };
        let allowed = filter.kind.field();
        report.error(
            path,
            format!("found {found}, allowed exactly {allowed}, which belongs to the type"),
        );
    }
    let at = |field: &str| format!("{path}.{field}");
    if let Some(written) = &filter.request_header_modifier {
        header_modifier(written, &at("requestHeaderModifier"), report);
    }
    if let Some(written) = &filter.response_header_modifier {
        header_modifier(written, &at("responseHeaderModifier"), report);
    }
    if let Some(written) = &filter.url_rewrite {
        url_rewrite(written, &at("urlRewrite"), by_prefix, report);
    }
    if let Some(written) = &filter.request_redirect {
        redirect(written, &at("requestRedirect"), by_prefix, report);
    }
    if let Some(written) = &filter.cors {
        cors(written, &at("cors"), report);
    }
}

fn header_modifier(written: &HeaderModifier, path: &str, report: &mut Report<'_>) {
    for (field, headers) in [("set", &written.set), ("add", &written.add)] {
        for (index, header) in headers.iter().enumerate() {
            let path = format!("{path}.{field}[{index}]");
            name::editable_header(&header.name, format!("{path}.name"), report);
            if HeaderValue::from_str(&header.value).is_err() {
                let allowed = "visible ASCII characters and spaces";
                report.error(
                    format!("{path}.value"),
                    format!("found {:?}, allowed {allowed}", header.value),
                );
            }
        }
        let name = |header: &Header| header.name.to_ascii_lowercase();
        distinct(
            headers.iter().map(name),
            &format!("{path}.{field}"),
            ".name",
            report,
        );
    }
    for (index, name) in written.remove.iter().enumerate() {
        name::editable_header(name, format!("{path}.remove[{index}]"), report);
    }
    let names = written.remove.iter().map(|name| name.to_ascii_lowercase());
    distinct(names, &format!("{path}.remove"), "", report);
    if *written == HeaderModifier::default() {
        report.error(path, "found none, allowed at least one of set, add, remove");
    }
}

/// Refuses a name that is given twice, whatever its case.
fn distinct(names: impl Iterator<Item = String>, path: &str, field: &str, report: &mut Report<'_>) {
    let names: Vec<_> = names.collect();
    let places = names.iter().enumerate();
    repeated(
        places.map(|(index, name)| (name.as_str(), format!("{path}[{index}]{field}"))),
        report,
    );
}

fn url_rewrite(written: &UrlRewrite, path: &str, by_prefix: bool, report: &mut Report<'_>) {
    if written.hostname.is_none() && written.path.is_none() {
        report.error(path, "found none, allowed at least one of hostname, path");
    }
    if let Some(host) = &written.hostname {
        name::exact_host(host, format!("{path}.hostname"), report);
    }
    if let Some(written) = &written.path {
        path_modifier(written, &format!("{path}.path"), by_prefix, report);
    }
}

fn redirect(written: &RequestRedirect, path: &str, by_prefix: bool, report: &mut Report<'_>) {
    let RequestRedirect {
        scheme,
        hostname,
        port,
        path: modifier,
        status_code: _,
    } = written;
    if let Some(host) = hostname {
        name::exact_host(host, format!("{path}.hostname"), report);
    }
    if let Some(written) = modifier {
        path_modifier(written, &format!("{path}.path"), by_prefix, report);
    }
    if scheme.is_none() && hostname.is_none() && port.is_none() && modifier.is_none() {
        report.error(
            path,
            "found none, allowed at least one of scheme, hostname, port, path: it would lead to itself",
        );
    }
}

fn path_modifier(written: &PathModifier, path: &str, by_prefix: bool, report: &mut Report<'_>) {
    let full = ("replaceFullPath", &written.replace_full_path);
    let prefix = ("replacePrefixMatch", &written.replace_prefix_match);
    let ((wanted, value), (other, unwanted)) = match written.kind {
        PathModifierType::ReplaceFullPath => (full, prefix),
        PathModifierType::ReplacePrefixMatch => (prefix, full),
    };
    if unwanted.is_some() {
        report.error(
            format!("{path}.{other}"),
            format!(
                "does not belong to type {:?}, allowed {wanted}",
                written.kind
            ),
        );
    }
    if written.kind == PathModifierType::ReplacePrefixMatch && !by_prefix {
        report.error(
            format!("{path}.type"),
            "found ReplacePrefixMatch, allowed only where all matches are of type PathPrefix",
        );
    }
    let Some(value) = value else {
        let message = format!("is missing: type {:?} needs it", written.kind);
        report.error(format!("{path}.{wanted}"), message);
        return;
    };
    // A prefix may become nothing at all.
    let is_nothing = value.is_empty() && written.kind == PathModifierType::ReplacePrefixMatch;
    if !is_nothing {
        name::path(value, &format!("{path}.{wanted}"), report);
    }
}

fn cors(written: &Cors, path: &str, report: &mut Report<'_>) {
    for (index, origin) in written.allow_origins.iter().enumerate() {
        if !is_origin(origin) {
            let allowed = "an origin such as https://shop.example or https://*.shop.example, or *";
            report.error(
                format!("{path}.allowOrigins[{index}]"),
                format!("found {origin:?}, allowed {allowed}"),
            );
        }
    }
    for (index, method) in written.allow_methods.iter().enumerate() {
        if method != "*" && Method::from_bytes(method.as_bytes()).is_err() {
            report.error(
                format!("{path}.allowMethods[{index}]"),
                format!("found {method:?}, allowed a method in capitals, such as GET, or *"),
            );
        }
    }
    for (field, headers) in [
        ("allowHeaders", &written.allow_headers),
        ("exposeHeaders", &written.expose_headers),
    ] {
        for (index, header) in headers.iter().enumerate() {
            name::token(header, format!("{path}.{field}[{index}]"), report);
        }
    }
}

/// Whether `origin` is a scheme, a host that may begin with `*.`, and perhaps a port, or `*`.
fn is_origin(origin: &str) -> bool {
    if origin == "*" {
        return true;
    }
    let Some((scheme, authority)) = origin.split_once("://") else {
        return false;
    };
    let authority = authority.strip_prefix("*.").unwrap_or(authority);
    let is_plain = !authority.contains(['/', '?', '#', '@', '*']);
    let uri = format!("{scheme}://{authority}/").parse::<Uri>();
    is_plain && uri.is_ok_and(|uri| uri.host().is_some_and(|host| !host.is_empty()))
}
