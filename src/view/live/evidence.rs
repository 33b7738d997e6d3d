//! What the guard has on the canary, and what a step still needs, as bars.

use ratatui::style::Style;
use ratatui::text::{Line, Span};
use rollout::analysis::{Acceptance, Judgement, Limit, Reading, Reason, Test, TestReading};

use super::bar::bar;
use crate::api::RolloutView;
use crate::view::Palette;
use crate::view::format::{clipped, count, percent, seconds, wrapped};

/// Each rollback test: its evidence against what convicts.
pub(super) fn against(view: &RolloutView, palette: Palette, width: usize) -> Vec<Line<'static>> {
    if !view.guard {
        return vec![Line::styled(
            "guard off: nobody judges this version",
            palette.faint(),
        )];
    }
    let Some(reading) = view
        .evidence
        .as_ref()
        .filter(|reading| !reading.tests.is_empty())
    else {
        return Vec::new();
    };
    let whose = if view.canary.is_some() {
        "the canary"
    } else {
        "the last canary"
    };
    let title = format!("Evidence against {whose}");
    let mut lines = vec![heading(title, full_bar(&reading.tests), palette, width)];
    let gauge = Gauge::new(reading, width);
    lines.extend(
        reading
            .tests
            .iter()
            .map(|test| test_line(test, palette, gauge)),
    );
    lines.extend(hold(reading, palette, width));
    lines
}

/// What a full bar leads to. Client errors hold unless they are told to convict, and a failure limit convicts only
/// beside a stable that is well.
fn full_bar(tests: &[TestReading]) -> &'static str {
    let may_hold =
        |test: &TestReading| matches!(test.test, Test::ClientErrors | Test::FailureLimit);
    if tests.iter().any(may_hold) {
        " (a full bar convicts or holds)"
    } else {
        " (a full bar convicts)"
    }
}

/// A heading with a note, where there is room for one.
fn heading(title: String, note: &str, palette: Palette, width: usize) -> Line<'static> {
    let note = if title.chars().count() + note.len() <= width {
        note
    } else {
        ""
    };
    Line::styled(title + note, palette.strong())
}

fn test_line(test: &TestReading, palette: Palette, gauge: Gauge) -> Line<'static> {
    let convicts = test.ln_e >= test.ln_threshold;
    let share = test.ln_e / test.ln_threshold;
    let style = match share {
        _ if convicts => palette.bad(),
        share if share > 0.5 => palette.canary(),
        _ => palette.good(),
    };
    gauge.line(
        &test.test.to_string(),
        share,
        (test.ln_e, test.ln_threshold),
        &counts(test),
        style,
    )
}

fn counts(test: &TestReading) -> String {
    if test.canary_requests == 0 {
        return "not judged yet".into();
    }
    if let Limit::Rate { least, now } = test.limit {
        return format!("{now:.1} a second, at least {least}");
    }
    format!(
        "{} of {} against {} of {}",
        count(test.canary_events),
        count(test.canary_requests),
        count(test.stable_events),
        count(test.stable_requests),
    )
}

/// How lines of `name ███░░░ ln E 1.2 of 5.3 detail` share the width, so that bars are of one length.
#[derive(Clone, Copy, Debug)]
struct Gauge {
    bar: usize,
    detail: usize,
}

impl Gauge {
    const NAME: usize = 12;
    const EVIDENCE: usize = "ln E -10.0 of 5.3".len();
    const BAR: std::ops::RangeInclusive<usize> = 12..=24;

    /// For the lines of `reading` in so many columns: details are shown when they leave a bar worth its name.
    fn new(reading: &Reading, width: usize) -> Self {
        let room = width.saturating_sub(Self::NAME + 1 + 1 + Self::EVIDENCE);
        let detail = reading
            .tests
            .iter()
            .map(|test| counts(test).len() + 2)
            .max()
            .unwrap_or(0);
        let detail = if detail + Self::BAR.start() <= room {
            detail
        } else {
            0
        };
        Self {
            bar: (room - detail).min(*Self::BAR.end()),
            detail,
        }
    }

    fn line(
        self,
        name: &str,
        share: f64,
        (ln_e, threshold): (f64, f64),
        detail: &str,
        style: Style,
    ) -> Line<'static> {
        let evidence = format!("ln E {ln_e:5.1} of {threshold:.1}");
        let mut line = Line::from(vec![
            Span::raw(format!("{name:width$} ", width = Self::NAME)),
            Span::styled(bar(share, self.bar), style),
            Span::raw(format!(" {evidence:width$}", width = Self::EVIDENCE)),
        ]);
        if self.detail > 0 {
            line.push_span(Span::raw(format!("  {}", clipped(detail, self.detail))));
        }
        line
    }
}

fn hold(reading: &Reading, palette: Palette, width: usize) -> Vec<Line<'static>> {
    let text = match reading.judgement {
        Judgement::Undecided | Judgement::RollBack { .. } => return Vec::new(),
        Judgement::Hold {
            stable_requests,
            stable_failures,
            allowed,
        } => format!(
            "HOLD: stable itself failed {} of {} requests in the last minute, more than {}",
            count(stable_failures),
            count(stable_requests),
            percent(allowed * 100.0),
        ),
        Judgement::TooLittle(shortfall) => format!("HOLD: {shortfall}"),
        Judgement::RollForward {
            canary_requests,
            canary_failures,
            stable_requests,
            stable_failures,
            ..
        } => format!(
            "FORWARD: stable itself failed {} of {} requests in the last minute, the canary {} of {}",
            count(stable_failures),
            count(stable_requests),
            count(canary_failures),
            count(canary_requests),
        ),
        Judgement::Unattributed {
            canary_requests,
            canary_failures,
            limit,
            ..
        } => format!(
            "HOLD: the canary failed {} of {} requests, more than {}, and stable is not shown to be well",
            count(canary_failures),
            count(canary_requests),
            percent(limit * 100.0),
        ),
        Judgement::ClientErrors {
            canary_requests,
            canary_errors,
            stable_requests,
            stable_errors,
        } => format!(
            "HOLD: the canary answered {} of {} requests with a client error, stable {} of {}",
            count(canary_errors),
            count(canary_requests),
            count(stable_errors),
            count(stable_requests),
        ),
    };
    wrapped(&text, width)
        .into_iter()
        .map(|line| Line::styled(line, palette.canary()))
        .collect()
}

/// The evidence that an evidence step needs before the next weight.
pub(super) fn to_go_on(view: &RolloutView, palette: Palette, width: usize) -> Vec<Line<'static>> {
    let Some(reading) = view.evidence.as_ref().filter(|_| view.canary.is_some()) else {
        return Vec::new();
    };
    let acceptance = reading
        .acceptance
        .filter(|it| it.waits_for != Some(Reason::RolledBack));
    let Some(acceptance) = acceptance else {
        return Vec::new();
    };
    let title = format!(
        "Evidence for going from {} to {}",
        percent(f64::from(acceptance.from.basis_points()) / 100.0),
        percent(f64::from(acceptance.to.basis_points()) / 100.0),
    );
    let style = if acceptance.met {
        palette.good()
    } else {
        palette.stable()
    };
    let evidence = (acceptance.ln_e, acceptance.ln_threshold);
    let line = Gauge::new(reading, width).line(
        "harm bound",
        acceptance.ln_e / acceptance.ln_threshold,
        evidence,
        &outlook(&acceptance),
        style,
    );
    vec![
        heading(title, " (a full bar suffices)", palette, width),
        line,
    ]
}

fn outlook(acceptance: &Acceptance) -> String {
    match (acceptance.waits_for, acceptance.eta) {
        (None, _) => "met".into(),
        (Some(Reason::BaselineUnhealthy), _) => "held".into(),
        (Some(_), Some(eta)) => format!("in about {}", seconds(eta.max(1.0).ceil())),
        (Some(reason), None) => reason.to_string(),
    }
}
