//! Conditions on requests: headers, cookies, query parameters, texts.

use crds::StringMatch;
use crds::sluice::{Condition, MatchType};

use super::name;
use crate::document::report::Report;

/// Checks conditions on headers or cookies, whose names are tokens.
pub(super) fn named_by_tokens(conditions: &[Condition], path: &str, report: &mut Report<'_>) {
    for (index, condition) in conditions.iter().enumerate() {
        let path = format!("{path}[{index}]");
        name::token(&condition.name, format!("{path}.name"), report);
        value(condition, &path, report);
    }
}

/// Checks conditions on query parameters, whose names are any text.
pub(super) fn named_freely(conditions: &[Condition], path: &str, report: &mut Report<'_>) {
    for (index, condition) in conditions.iter().enumerate() {
        let path = format!("{path}[{index}]");
        if condition.name.is_empty() {
            report.error(
                format!("{path}.name"),
                "found \"\", allowed the name of a query parameter",
            );
        }
        value(condition, &path, report);
    }
}

fn value(condition: &Condition, path: &str, report: &mut Report<'_>) {
    let path = format!("{path}.value");
    match (condition.match_type(), &condition.value) {
        (MatchType::Present, None) | (MatchType::Exact | MatchType::Prefix, Some(_)) => {}
        (MatchType::Present, Some(value)) => {
            report.error(
                path,
                format!("found {value:?}, allowed none beside type Present"),
            );
        }
        (MatchType::RegularExpression, Some(pattern)) => regex(pattern, path, report),
        (kind, None) => report.error(path, format!("is missing: type {kind:?} needs it")),
    }
}

/// Checks a match of the rollout API, where an empty text counts as absent.
pub(super) fn string_match(matched: Option<&StringMatch>, path: &str, report: &mut Report<'_>) {
    let absent = StringMatch::default();
    let StringMatch {
        exact,
        prefix,
        regex: pattern,
    } = matched.unwrap_or(&absent);
    let is_set = |text: &&Option<String>| text.as_deref().is_some_and(|text| !text.is_empty());
    let found = [exact, prefix, pattern]
        .iter()
        .filter(|text| is_set(text))
        .count();
    if found != 1 {
        report.error(
            path,
            format!("found {found} of them, allowed exactly one of exact, prefix, regex"),
        );
    }
    if let Some(pattern) = pattern {
        regex(pattern, format!("{path}.regex"), report);
    }
}

/// Refuses what is no regular expression.
pub(super) fn regex(pattern: &str, path: String, report: &mut Report<'_>) {
    let Err(error) = traffic::matches::whole(pattern) else {
        return;
    };
    // The message repeats the pattern over several lines; the reason comes last.
    let error = error.to_string();
    let reason = error.lines().last().unwrap_or_default();
    let reason = reason.strip_prefix("error: ").unwrap_or(reason);
    report.error(
        path,
        format!("found {pattern:?}, allowed a regular expression: {reason}"),
    );
}
