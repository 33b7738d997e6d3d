//! Choosing what to show when there is not room for everything.

use ratatui::text::Line;

/// Lines that belong together.
#[derive(Clone, Debug)]
pub(super) struct Section {
    /// The lines, the ones that matter most first.
    pub(super) lines: Vec<Line<'static>>,
    /// With fewer lines than this it says nothing.
    pub(super) least: usize,
    /// The section of least importance loses lines first.
    pub(super) importance: u8,
}

/// The lines of `sections` with a gap between each two, or as much of that as `height` has room for: first the gaps go,
/// the lowest first, then lines beyond the least of each section, then whole sections.
pub(super) fn fit(mut sections: Vec<Section>, height: usize) -> Vec<Line<'static>> {
    let mut order: Vec<usize> = (0..sections.len()).collect();
    order.sort_by_key(|index| sections[*index].importance);
    for index in &order {
        let excess = total(&sections).saturating_sub(height);
        let Section { lines, least, .. } = &mut sections[*index];
        lines.truncate(lines.len().saturating_sub(excess).max(*least));
    }
    for index in &order {
        if total(&sections) > height {
            sections[*index].lines.clear();
        }
    }
    let mut gaps = height.saturating_sub(total(&sections));
    let mut shown: Vec<Line<'static>> = Vec::new();
    for section in sections
        .into_iter()
        .filter(|section| !section.lines.is_empty())
    {
        if !shown.is_empty() && gaps > 0 {
            shown.push(Line::default());
            gaps -= 1;
        }
        shown.extend(section.lines);
    }
    shown
}

fn total(sections: &[Section]) -> usize {
    sections.iter().map(|section| section.lines.len()).sum()
}

#[cfg(test)]
mod tests {
    use ratatui::text::Line;

    use super::{Section, fit};

    #[test]
    fn what_matters_least_goes_first() {
        let section = |name: &str, lines: usize, least: usize, importance: u8| Section {
            lines: (1..=lines)
                .map(|line| Line::from(format!("{name}{line}")))
                .collect(),
            least,
            importance,
        };
        let check = |height: usize, expected: &str| {
            let sections = vec![
                section("a", 2, 1, 9),
                section("b", 3, 2, 1),
                section("c", 2, 2, 5),
            ];
            let shown: Vec<String> = fit(sections, height)
                .iter()
                .map(ToString::to_string)
                .collect();
            assert_eq!(shown.join(" "), expected, "{height}");
        };
        check(20, "a1 a2  b1 b2 b3  c1 c2");
        check(8, "a1 a2  b1 b2 b3 c1 c2");
        check(7, "a1 a2 b1 b2 b3 c1 c2");
        check(6, "a1 a2 b1 b2 c1 c2");
        check(5, "a1 b1 b2 c1 c2");
        check(4, "a1  c1 c2");
        check(2, "a1");
        check(0, "");
    }
}
