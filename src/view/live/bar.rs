//! Bars of block characters.

/// A bar of `width` characters, filled to `share` (0 to 1; what is outside counts as the end that it is beyond).
pub(super) fn bar(share: f64, width: usize) -> String {
    const EIGHTHS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let share = if share.is_nan() {
        0.0
    } else {
        share.clamp(0.0, 1.0)
    };
    let eighths = (share * (width * 8) as f64).round() as usize;
    let mut bar: String = std::iter::repeat_n('█', eighths / 8).collect();
    if !eighths.is_multiple_of(8) {
        bar.push(EIGHTHS[eighths % 8]);
    }
    let filled = eighths.div_ceil(8);
    bar.extend(std::iter::repeat_n('░', width.saturating_sub(filled)));
    bar
}

#[cfg(test)]
mod tests {
    use super::bar;

    #[test]
    fn bars_are_filled_to_their_share() {
        let check = |share: f64, expected: &str| assert_eq!(bar(share, 4), expected, "{share}");
        check(0.0, "░░░░");
        check(0.001, "░░░░");
        check(0.03, "▏░░░");
        check(0.25, "█░░░");
        check(0.5625, "██▎░");
        check(1.0, "████");
        check(7.0, "████");
        check(-3.0, "░░░░");
        check(f64::NAN, "░░░░");
        assert_eq!(bar(1.0, 0), "");
    }
}
