//! What became of the versions over time, as an SVG.

use super::{cases::Case, fly::Flown};
use crate::view;
use rollout::sim::Ending;
use std::fmt::Write as _;

/// Where the curves are, in pixels from the left and the top.
const LEFT: f64 = 60.0;
const TOP: f64 = 40.0;
const WIDTH: f64 = 620.0;
const HEIGHT: f64 = 320.0;
/// Told apart also by most people who are colour-blind (Okabe and Ito); used again when there are more versions.
const COLOURS: [&str; 7] = [
    "#009e73", "#e69f00", "#56b4e9", "#d55e00", "#cc79a7", "#0072b2", "#000000",
];
/// The endings that are drawn, and the strokes of their curves.
const ENDINGS: [(Ending, &str); 2] = [
    (Ending::RolledBack, ""),
    (Ending::Promoted, " stroke-dasharray=\"6 4\""),
];

/// The share of runs that was rolled back (solid) or promoted (dashed) by each time. The time is logarithmic.
pub(super) fn svg(cases: &[Case], flown: &[Vec<Flown>]) -> String {
    let seconds = flown.iter().flatten().map(|flown| flown.seconds);
    let axis = Axis::of(seconds);
    let mut svg = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"860\" height=\"420\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
    );
    text(
        &mut svg,
        (LEFT, TOP - 16.0),
        "start",
        "Share of runs rolled back (solid) and promoted (dashed), by time since the shipping",
    );
    grid(&mut svg, &axis);
    for (index, (case, flown)) in cases.iter().zip(flown).enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        for (ending, dashes) in ENDINGS {
            curve(
                &mut svg,
                &axis,
                flown,
                ending,
                &format!("stroke=\"{colour}\"{dashes}"),
            );
        }
        let y = TOP + 12.0 + 20.0 * index as f64;
        let x = LEFT + WIDTH + 16.0;
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"{}\" width=\"14\" height=\"4\" fill=\"{colour}\"/>",
            y - 6.0
        );
        text(&mut svg, (x + 20.0, y), "start", &case.to_string());
    }
    svg + "</svg>\n"
}

/// Whole powers of ten that hold all times.
struct Axis {
    from: i32,
    to: i32,
}

impl Axis {
    fn of(seconds: impl Iterator<Item = f64>) -> Self {
        let (mut from, mut to) = (0, 1);
        for power in seconds.filter(|seconds| *seconds > 0.0).map(f64::log10) {
            from = from.min(power.floor() as i32);
            to = to.max(power.ceil() as i32);
        }
        Self { from, to }
    }

    fn x(&self, seconds: f64) -> f64 {
        let from = f64::from(self.from);
        let share = (seconds.log10() - from) / (f64::from(self.to) - from);
        LEFT + WIDTH * share.clamp(0.0, 1.0)
    }
}

fn y(share: f64) -> f64 {
    TOP + HEIGHT * (1.0 - share)
}

fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, words: &str) {
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{words}</text>"
    );
}

fn grid(svg: &mut String, axis: &Axis) {
    let mut line = |x1: f64, y1: f64, x2: f64, y2: f64| {
        let _ = writeln!(
            svg,
            "<path d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\" stroke=\"#dddddd\"/>"
        );
    };
    let shares = [0.0, 0.25, 0.5, 0.75, 1.0];
    let powers: Vec<_> = (axis.from..=axis.to)
        .map(|power| 10f64.powi(power))
        .collect();
    for share in shares {
        line(LEFT, y(share), LEFT + WIDTH, y(share));
    }
    for seconds in &powers {
        line(axis.x(*seconds), y(0.0), axis.x(*seconds), y(1.0));
    }
    for share in shares {
        text(
            svg,
            (LEFT - 8.0, y(share) + 4.0),
            "end",
            &view::percent(share * 100.0),
        );
    }
    for seconds in powers {
        text(
            svg,
            (axis.x(seconds), y(0.0) + 18.0),
            "middle",
            &view::seconds(seconds),
        );
    }
}

/// The share of `flown` that ended so by each time, in steps.
fn curve(svg: &mut String, axis: &Axis, flown: &[Flown], ending: Ending, stroke: &str) {
    let ended = flown.iter().filter(|flown| flown.ending == ending);
    let mut times: Vec<_> = ended.map(|flown| flown.seconds).collect();
    if times.is_empty() {
        return;
    }
    times.sort_unstable_by(f64::total_cmp);
    let mut path = format!("M{LEFT:.1} {:.1}", y(0.0));
    for (before, seconds) in times.iter().enumerate() {
        let share = (before + 1) as f64 / flown.len() as f64;
        let _ = write!(path, "H{:.1}V{:.1}", axis.x(*seconds), y(share));
    }
    let _ = writeln!(
        svg,
        "<path d=\"{path}H{:.1}\" fill=\"none\" stroke-width=\"2\" {stroke}/>",
        LEFT + WIDTH
    );
}
