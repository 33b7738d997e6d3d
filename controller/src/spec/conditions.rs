//! Conditions on requests, compiled.

use super::{Fault, header_name};
use crds::{
    FieldPath,
    proxy::{PathMatchType, RouteMatch},
    sluice::{Condition, MatchType, RuleMatch},
};
use http::{HeaderName, Method};
use rollout::plan::{HeaderMatch, HeaderRoute, MirrorMatch, MirrorRoute, TextMatch};
use traffic::matches::{CopyMatch, FieldMatch, PathMatch, RequestMatch, ValueMatch, whole};

/// The whole-value expression `pattern`, or a fault at `at`.
fn regex(pattern: &str, at: FieldPath, faults: &mut Vec<Fault>) -> Option<regex::Regex> {
    match whole(pattern) {
        Ok(regex) => Some(regex),
        Err(error) => {
            let why = error.to_string();
            let why = why.lines().last().unwrap_or("too large");
            faults.push((
                at,
                format!("found {pattern:?}, allowed a regular expression ({why})"),
            ));
            None
        }
    }
}

fn value(condition: &Condition, at: &FieldPath, faults: &mut Vec<Fault>) -> Option<ValueMatch> {
    let kind = condition.match_type();
    let Some(value) = &condition.value else {
        if kind != MatchType::Present {
            faults.push((
                at.key("value"),
                "is missing; only type Present needs none".to_owned(),
            ));
            return None;
        }
        return Some(ValueMatch::Present);
    };
    Some(match kind {
        MatchType::Exact => ValueMatch::Exact(value.as_str().into()),
        MatchType::Prefix => ValueMatch::Prefix(value.as_str().into()),
        MatchType::RegularExpression => ValueMatch::Regex(regex(value, at.key("value"), faults)?),
        MatchType::Present => ValueMatch::Present,
    })
}

fn headers(
    conditions: &[Condition],
    at: &FieldPath,
    faults: &mut Vec<Fault>,
) -> Vec<(HeaderName, ValueMatch)> {
    let compile = |(index, condition): (usize, &Condition)| {
        let at = at.index(index);
        let value = value(condition, &at, faults);
        header_name(&condition.name, at.key("name"), faults).zip(value)
    };
    conditions.iter().enumerate().filter_map(compile).collect()
}

fn named(
    conditions: &[Condition],
    at: &FieldPath,
    faults: &mut Vec<Fault>,
) -> Vec<(Box<str>, ValueMatch)> {
    let compile = |(index, condition): (usize, &Condition)| {
        value(condition, &at.index(index), faults)
            .map(|value| (condition.name.as_str().into(), value))
    };
    conditions.iter().enumerate().filter_map(compile).collect()
}

/// The conditions of an entry of a split rule.
pub(super) fn of_rule(entry: &RuleMatch, at: &FieldPath, faults: &mut Vec<Fault>) -> FieldMatch {
    FieldMatch {
        headers: headers(&entry.headers, &at.key("headers"), faults),
        cookies: named(&entry.cookies, &at.key("cookies"), faults),
        query: named(&entry.query_params, &at.key("queryParams"), faults),
    }
}

/// The conditions of an entry of a route.
pub(super) fn of_route(
    entry: &RouteMatch,
    at: &FieldPath,
    faults: &mut Vec<Fault>,
) -> Option<RequestMatch> {
    let path_value = at.key("path").key("value");
    let path = match &entry.path {
        None => PathMatch::any(),
        Some(path) => {
            let value = path.value();
            let begins = |faults: &mut Vec<Fault>| {
                if !value.starts_with('/') {
                    faults.push((
                        path_value.clone(),
                        format!("found {value:?}, allowed a path that begins with /"),
                    ));
                }
            };
            match path.match_type() {
                PathMatchType::PathPrefix => {
                    begins(faults);
                    PathMatch::Prefix(value.into())
                }
                PathMatchType::Exact => {
                    begins(faults);
                    PathMatch::Exact(value.into())
                }
                PathMatchType::RegularExpression => {
                    PathMatch::Regex(regex(value, path_value, faults)?)
                }
            }
        }
    };
    let method = match entry
        .method
        .as_deref()
        .map(|method| (method, Method::try_from(method)))
    {
        None => None,
        Some((_, Ok(method))) => Some(method),
        Some((found, Err(_))) => {
            faults.push((
                at.key("method"),
                format!("found {found:?}, allowed a method such as GET"),
            ));
            None
        }
    };
    let fields = FieldMatch {
        headers: headers(&entry.headers, &at.key("headers"), faults),
        cookies: Vec::new(),
        query: named(&entry.query_params, &at.key("queryParams"), faults),
    };
    Some(RequestMatch {
        path,
        method,
        fields,
    })
}

/// The conditions of a header route, of which one must hold. `None` when one of them cannot be compiled, with a fault
/// at `at` for each.
pub(super) fn of_header_route(
    route: &HeaderRoute,
    at: &FieldPath,
    faults: &mut Vec<Fault>,
) -> Option<Vec<FieldMatch>> {
    let compile = |(index, condition): (usize, &HeaderMatch)| {
        let at = at.index(index);
        let value = text(&condition.value, &at.key("headerValue"), faults)?;
        let name = header_name(&condition.name, at.key("headerName"), faults)?;
        Some(FieldMatch {
            headers: vec![(name, value)],
            ..FieldMatch::default()
        })
    };
    route.matches.iter().enumerate().map(compile).collect()
}

/// As [`of_header_route`], of a mirror route.
pub(super) fn of_mirror_route(
    route: &MirrorRoute,
    at: &FieldPath,
    faults: &mut Vec<Fault>,
) -> Option<Vec<CopyMatch>> {
    let compile = |(index, condition): (usize, &MirrorMatch)| {
        let at = at.index(index);
        let header = |header: &HeaderMatch| {
            let at = at.key("headers").key(&header.name);
            let value = text(&header.value, &at, faults)?;
            Some((header_name(&header.name, at, faults)?, value))
        };
        let headers = condition
            .headers
            .iter()
            .map(header)
            .collect::<Option<_>>()?;
        let mut of = |field, condition: &Option<TextMatch>| match condition {
            None => Some(None),
            Some(condition) => text(condition, &at.key(field), faults).map(Some),
        };
        Some(CopyMatch {
            method: of("method", &condition.method)?,
            path: of("path", &condition.path)?,
            fields: FieldMatch {
                headers,
                ..FieldMatch::default()
            },
        })
    };
    route.matches.iter().enumerate().map(compile).collect()
}

fn text(condition: &TextMatch, at: &FieldPath, faults: &mut Vec<Fault>) -> Option<ValueMatch> {
    Some(match condition {
        TextMatch::Exact(value) => ValueMatch::Exact(value.as_str().into()),
        TextMatch::Prefix(value) => ValueMatch::Prefix(value.as_str().into()),
        TextMatch::Regex(value) => ValueMatch::Regex(regex(value, at.key("regex"), faults)?),
    })
}
