//! The options of the proxy, beyond the ranges of their numbers: hosts, stickiness, rules.

use crds::sluice::{ProxyOptions, Rule, StickyKey, StickyKind};

use super::{condition, name, repeated};
use crate::document::report::Report;

const NO_HOSTS: &str =
    "has no effect here: the routes of the Proxy document say what is asked for by which names";

pub(super) fn options(options: &ProxyOptions, path: &str, report: &mut Report<'_>) {
    for (index, host) in options.hosts.iter().enumerate() {
        name::host(host, format!("{path}.hosts[{index}]"), report);
    }
    if !options.hosts.is_empty() {
        report.warning(format!("{path}.hosts"), NO_HOSTS);
    }
    for (index, key) in options.sticky.iter().enumerate() {
        sticky(key, &format!("{path}.sticky[{index}]"), report);
    }
    for (index, entry) in options.rules.iter().enumerate() {
        rule(entry, &format!("{path}.rules[{index}]"), report);
    }
    let names = options.rules.iter().enumerate();
    repeated(
        names.map(|(index, rule)| (rule.name.as_str(), format!("{path}.rules[{index}].name"))),
        report,
    );
}

fn sticky(key: &StickyKey, path: &str, report: &mut Report<'_>) {
    match key.kind() {
        Ok(StickyKind::Header(header)) => name::token(header, format!("{path}.header"), report),
        Ok(StickyKind::Cookie(cookie)) => {
            name::token(&cookie.name, format!("{path}.cookie.name"), report);
        }
        Ok(StickyKind::ClientAddress) => {}
        Err(error) => report.error(path, error.to_string()),
    }
}

fn rule(rule: &Rule, path: &str, report: &mut Report<'_>) {
    if rule.name.is_empty() {
        report.error(format!("{path}.name"), "found \"\", allowed a name");
    }
    let path = format!("{path}.match");
    if rule.matches.is_empty() {
        report.error(&path, "found no entry, allowed at least one");
    }
    for (index, entry) in rule.matches.iter().enumerate() {
        let path = format!("{path}[{index}]");
        if entry.is_empty() {
            report.error(
                &path,
                "found no condition, allowed at least one of headers, cookies, queryParams",
            );
        }
        condition::named_by_tokens(&entry.headers, &format!("{path}.headers"), report);
        condition::named_by_tokens(&entry.cookies, &format!("{path}.cookies"), report);
        condition::named_freely(&entry.query_params, &format!("{path}.queryParams"), report);
    }
}
