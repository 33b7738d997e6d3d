//! serde's messages in the words of the person who wrote the document.

/// The field a "missing field" message is about.
pub(super) fn missing_field(message: &str) -> Option<&str> {
    message.strip_prefix("missing field `")?.strip_suffix('`')
}

/// `invalid type: string "x", expected i32` becomes `found "x", allowed a whole number …`.
///
/// A message of any other form was written by this crate and stays as it is.
pub(super) fn rewrite(message: &str) -> String {
    let mismatch = message
        .strip_prefix("invalid type: ")
        .or_else(|| message.strip_prefix("invalid value: "));
    if let Some((found, wanted)) = mismatch.and_then(|rest| rest.rsplit_once(", expected ")) {
        return format!(
            "found {}, allowed {}",
            found_words(found),
            wanted_words(wanted)
        );
    }
    let variant = message.strip_prefix("unknown variant `");
    if let Some((found, wanted)) = variant.and_then(|rest| rest.split_once("`, expected ")) {
        return format!("found {found:?}, allowed {}", variant_words(wanted));
    }
    message.to_owned()
}

fn found_words(found: &str) -> String {
    match found {
        "null" | "Option value" | "unit value" => "nothing".to_owned(),
        "map" => "a mapping".to_owned(),
        "sequence" => "a list".to_owned(),
        _ => [
            "boolean ",
            "integer ",
            "floating point ",
            "number ",
            "string ",
        ]
        .iter()
        .find_map(|kind| found.strip_prefix(kind))
        .unwrap_or(found)
        .trim_matches('`')
        .to_owned(),
    }
}

fn wanted_words(wanted: &str) -> String {
    let whole = |least: &dyn std::fmt::Display, most: &dyn std::fmt::Display| {
        format!("a whole number from {least} to {most}")
    };
    match wanted {
        "u16" => whole(&u16::MIN, &u16::MAX),
        "u32" => whole(&u32::MIN, &u32::MAX),
        "i32" => whole(&i32::MIN, &i32::MAX),
        "i64" => whole(&i64::MIN, &i64::MAX),
        "usize" | "u64" => "a whole number".to_owned(),
        "f64" => "a number".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" | "map" => "a mapping".to_owned(),
        _ if wanted.starts_with("struct ") => "a mapping".to_owned(),
        _ => wanted.to_owned(),
    }
}

/// ``one of `a`, `b` `` or `` `a` or `b` `` becomes `a, b`.
fn variant_words(wanted: &str) -> String {
    wanted
        .split('`')
        .skip(1)
        .step_by(2)
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_what_was_found_and_what_is_allowed() {
        let cases = [
            (
                r#"invalid type: string "ten", expected i32"#,
                r#"found "ten", allowed a whole number from -2147483648 to 2147483647"#,
            ),
            (
                "invalid type: integer `5`, expected a string",
                "found 5, allowed a string",
            ),
            (
                "invalid type: null, expected a sequence",
                "found nothing, allowed a list",
            ),
            (
                "invalid type: map, expected a sequence",
                "found a mapping, allowed a list",
            ),
            (
                "invalid type: sequence, expected struct Canary",
                "found a list, allowed a mapping",
            ),
            (
                "invalid type: boolean `true`, expected f64",
                "found true, allowed a number",
            ),
            (
                r#"invalid type: string "a, expected b", expected a boolean"#,
                r#"found "a, expected b", allowed true or false"#,
            ),
            (
                "unknown variant `Pod`, expected `Percent` or `Pods`",
                r#"found "Pod", allowed Percent, Pods"#,
            ),
            (
                "unknown variant `x`, expected one of `a`, `b`, `c`",
                r#"found "x", allowed a, b, c"#,
            ),
            ("found 2, allowed less", "found 2, allowed less"),
        ];
        for (serde, ours) in cases {
            assert_eq!(rewrite(serde), ours);
        }
    }
}
