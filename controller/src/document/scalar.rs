//! What a scalar of YAML means, by the core schema of YAML 1.2.
//!
//! `on`, `off`, `yes` and `no` are texts here. The types that want a boolean take them for one.

use saphyr_parser::{ScalarStyle, Tag};
use serde_json::{Number, Value};

/// What `text` means. The error says what was found and what is allowed.
pub(super) fn resolve(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Value, String> {
    let Some(tag) = tag else {
        return match style {
            ScalarStyle::Plain => plain(text),
            _ => Ok(Value::from(text)),
        };
    };
    let resolved = match core_suffix(tag) {
        Some("str") => Some(Value::from(text)),
        Some("null") => is_null(text).then_some(Value::Null),
        Some("bool") => boolean(text).map(Value::Bool),
        Some("int") => integer(text),
        Some("float") => number(text)?,
        _ => return Err(unknown_tag(tag)),
    };
    resolved.ok_or_else(|| format!("found {text:?}, which is not what its tag {tag} says"))
}

/// Refuses tags of lists and mappings that say more than that.
pub(super) fn check_collection_tag(tag: Option<&Tag>, own: &str) -> Result<(), String> {
    match tag {
        Some(tag) if core_suffix(tag) != Some(own) => Err(unknown_tag(tag)),
        _ => Ok(()),
    }
}

/// The name of a tag of the core schema. The tag `!` alone stands for `!!str`.
fn core_suffix(tag: &Tag) -> Option<&str> {
    if tag.is_yaml_core_schema() {
        Some(&tag.suffix)
    } else {
        (tag.suffix.is_empty() && tag.handle == "!" || tag.handle.is_empty() && tag.suffix == "!")
            .then_some("str")
    }
}

fn unknown_tag(tag: &Tag) -> String {
    format!("found the tag {tag}, allowed !!str, !!int, !!float, !!bool, !!null, !!seq, !!map")
}

fn plain(text: &str) -> Result<Value, String> {
    if is_null(text) {
        return Ok(Value::Null);
    }
    if let Some(flag) = boolean(text) {
        return Ok(Value::Bool(flag));
    }
    if let Some(number) = integer(text) {
        return Ok(number);
    }
    Ok(number(text)?.unwrap_or_else(|| Value::from(text)))
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

fn integer(text: &str) -> Option<Value> {
    let based = |digits: &str, radix| {
        let first = digits.chars().next()?;
        first
            .is_digit(radix)
            .then(|| u64::from_str_radix(digits, radix).ok())?
    };
    if let Some(digits) = text.strip_prefix("0x") {
        return based(digits, 16).map(Value::from);
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return based(digits, 8).map(Value::from);
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let signed = text.strip_prefix('+').unwrap_or(text);
    match signed.parse::<i64>() {
        Ok(number) => Some(Value::from(number)),
        Err(_) => signed.parse::<u64>().ok().map(Value::from),
    }
}

/// A number with a fraction or an exponent, or one too large for an integer. JSON, and with it the
/// API, has no infinity and no NaN.
fn number(text: &str) -> Result<Option<Value>, String> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let special =
        matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN");
    if !special && !is_number(unsigned) {
        return Ok(None);
    }
    text.parse::<f64>()
        .ok()
        .and_then(Number::from_f64)
        .map(|number| Some(Value::Number(number)))
        .ok_or_else(|| format!("found {text}, allowed a finite number"))
}

/// `[0-9]+(\.[0-9]*)?` or `\.[0-9]+`, with an exponent or without.
fn is_number(text: &str) -> bool {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent_is_number = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        !exponent.is_empty() && digits(exponent)
    });
    digits(whole)
        && digits(fraction)
        && (!whole.is_empty() || !fraction.is_empty())
        && exponent_is_number
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn plain_scalars_mean_what_yaml_1_2_says() {
        let cases = [
            ("", json!(null)),
            ("~", json!(null)),
            ("Null", json!(null)),
            ("true", json!(true)),
            ("FALSE", json!(false)),
            ("0", json!(0)),
            ("-7", json!(-7)),
            ("+7", json!(7)),
            ("007", json!(7)),
            ("0x1F", json!(31)),
            ("0o17", json!(15)),
            (
                "18446744073709551615",
                json!(18_446_744_073_709_551_615_u64),
            ),
            ("1.5", json!(1.5)),
            ("1.", json!(1.0)),
            (".5", json!(0.5)),
            ("-1e3", json!(-1000.0)),
            ("99999999999999999999999", json!(1e23)),
        ];
        for (text, expected) in cases {
            assert_eq!(
                resolve(text, ScalarStyle::Plain, None),
                Ok(expected),
                "{text}"
            );
        }
    }

    #[test]
    fn everything_else_is_a_text() {
        for text in [
            "on",
            "off",
            "yes",
            "No",
            "y",
            "tRue",
            "nULL",
            "1_000",
            "1,5",
            "0x",
            "0xg",
            "0x-1",
            "0o8",
            "+-5",
            "-",
            "+",
            ".",
            "e5",
            "1e",
            "1e+",
            "1.2.3",
            "25%",
            "30s",
            "2026-01-01",
            "12:30",
            "nan",
            "inf",
            "infinity",
        ] {
            assert_eq!(resolve(text, ScalarStyle::Plain, None), Ok(json!(text)));
        }
        assert_eq!(
            resolve("12", ScalarStyle::SingleQuoted, None),
            Ok(json!("12"))
        );
        assert_eq!(
            resolve("null", ScalarStyle::Literal, None),
            Ok(json!("null"))
        );
    }

    #[test]
    fn numbers_that_json_cannot_hold_are_refused() {
        for text in [".inf", "-.INF", ".nan", "1e999"] {
            assert_eq!(
                resolve(text, ScalarStyle::Plain, None),
                Err(format!("found {text}, allowed a finite number"))
            );
        }
    }
}
