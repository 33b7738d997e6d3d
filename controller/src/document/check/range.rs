//! The ranges of numbers, durations and lists, as the API's schema has them.

use std::time::Duration;

use crds::schema::Node;
use crds::{GoDuration, duration};
use serde_json::Value;

use crate::document::report::Report;

/// Refuses what lies outside of its range in `value`, which lies at `path` and has been read as the type of `schema`.
pub(in crate::document) fn check(
    value: &Value,
    schema: Node<'_>,
    path: &str,
    report: &mut Report<'_>,
) {
    let alternatives = schema.alternatives();
    let fault = fault(value, schema).or_else(|| {
        // Where the schema itself refers to others, the one that fits says the range.
        alternatives.iter().find_map(|schema| fault(value, *schema))
    });
    if let Some(fault) = fault {
        report.error(path, fault);
        return;
    }
    match value {
        Value::Object(fields) => {
            let known = alternatives.iter().flat_map(|schema| schema.fields());
            for (name, schema) in known {
                if let Some(field) = fields.get(name) {
                    let path = if path.is_empty() {
                        name.to_owned()
                    } else {
                        format!("{path}.{name}")
                    };
                    check(field, schema, &path, report);
                }
            }
        }
        Value::Array(items) => {
            let Some(schema) = alternatives.iter().find_map(|schema| schema.items()) else {
                return;
            };
            for (index, item) in items.iter().enumerate() {
                check(item, schema, &format!("{path}[{index}]"), report);
            }
        }
        _ => {}
    }
}

/// What is wrong with `value` itself by what `schema` says itself.
fn fault(value: &Value, schema: Node<'_>) -> Option<String> {
    match value {
        Value::Number(number) => number.as_f64().and_then(|found| {
            number_fault(found, schema).or_else(|| duration_fault(duration_of(value)?, schema))
        }),
        Value::String(text) => match duration_of(value) {
            Some(found) if schema.word("x-min").is_some() => duration_fault(found, schema),
            _ => text_fault(text, schema),
        },
        Value::Array(items) => {
            let range = (number(schema, "minItems"), number(schema, "maxItems"));
            let found = items.len() as f64;
            let allowed = allowed(found, range)?;
            Some(format!("found {found} of them, allowed {allowed}"))
        }
        _ => None,
    }
}

fn number(schema: Node<'_>, word: &str) -> Option<f64> {
    schema.word(word).and_then(Value::as_f64)
}

fn number_fault(found: f64, schema: Node<'_>) -> Option<String> {
    if let Some(enumerated) = schema.word("enum").and_then(Value::as_array) {
        let numbers: Vec<f64> = enumerated.iter().filter_map(Value::as_f64).collect();
        let listed: Vec<_> = numbers.iter().map(ToString::to_string).collect();
        let is_fault = !numbers.is_empty() && !numbers.contains(&found);
        return is_fault.then(|| format!("found {found}, allowed {}", listed.join(", ")));
    }
    if let (Some(least), Some(most)) = (
        number(schema, "exclusiveMinimum"),
        number(schema, "maximum"),
    ) {
        let is_fault = !(found > least && found <= most);
        return is_fault
            .then(|| format!("found {found}, allowed a number above {least}, at most {most}"));
    }
    let range = (number(schema, "minimum"), number(schema, "maximum"));
    let allowed = allowed(found, range)?;
    Some(format!("found {found}, allowed {allowed}"))
}

/// What is allowed, when `found` is not.
fn allowed(found: f64, range: (Option<f64>, Option<f64>)) -> Option<String> {
    let is_fault =
        range.0.is_some_and(|least| found < least) || range.1.is_some_and(|most| found > most);
    is_fault.then(|| match range {
        (Some(least), Some(most)) => format!("{least} to {most}"),
        (Some(least), None) => format!("at least {least}"),
        (None, most) => format!("at most {}", most.unwrap_or(f64::INFINITY)),
    })
}

fn duration_of(value: &Value) -> Option<Duration> {
    match value {
        Value::String(text) => duration::parse(text).ok(),
        _ => (value.as_u64() == Some(0)).then_some(Duration::ZERO),
    }
}

fn duration_fault(found: Duration, schema: Node<'_>) -> Option<String> {
    let bound = |word| schema.word(word).and_then(duration_of);
    let (least, most) = (bound("x-min")?, bound("x-max"));
    let found = GoDuration(found);
    if found.0 >= least && most.is_none_or(|most| found.0 <= most) {
        return None;
    }
    let least = GoDuration(least);
    Some(match most.map(GoDuration) {
        Some(most) => format!("found {found}, allowed {least} to {most}"),
        None => format!("found {found}, allowed at least {least}"),
    })
}

fn text_fault(found: &str, schema: Node<'_>) -> Option<String> {
    let least = number(schema, "minLength")?;
    let allowed = match schema.word("x-file") {
        Some(_) => "the name of a file",
        None => "a text that is not empty",
    };
    (found.is_empty() && least > 0.0).then(|| format!("found \"\", allowed {allowed}"))
}
