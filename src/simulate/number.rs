//! Numbers as they are written on the command line and in records.

/// `0.1%` or `0.001`: a share from 0 to 1.
pub(super) fn share(text: &str) -> Result<f64, String> {
    let text = text.trim();
    let value = match text.strip_suffix('%') {
        Some(percent) => number(percent).map(|percent| percent / 100.0),
        None => number(text),
    };
    value
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or_else(|| {
            format!("found `{text}`, allowed is a share such as 0.1% or 0.001, at most 100%")
        })
}

/// How many times as long: above 1, at most 1000.
pub(super) fn factor(text: &str) -> Result<f64, String> {
    number(text)
        .filter(|factor| *factor > 1.0 && *factor <= 1000.0)
        .ok_or_else(|| format!("found `{text}`, allowed is a number above 1, at most 1000"))
}

/// Requests a second: above 0, at most a million.
pub(super) fn rate(text: &str) -> Result<f64, String> {
    number(text)
        .filter(|rate| *rate > 0.0 && *rate <= 1e6)
        .ok_or_else(|| format!("found `{text}`, allowed is a number above 0, at most 1000000"))
}

/// A number that is neither infinite nor NaN.
pub(super) fn number(text: &str) -> Option<f64> {
    text.trim()
        .parse()
        .ok()
        .filter(|number: &f64| number.is_finite())
}
