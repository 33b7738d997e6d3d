use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Color;

use crate::api::RolloutView;
use crate::view::{Live, Palette, fixtures, text};

/// The view of `view` in a terminal of that size.
fn drawn(
    view: &RolloutView,
    width: u16,
    height: u16,
    notice: Option<&str>,
) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let caption = [
        "demo: shipped v2, which works as well as v1".to_owned(),
        "users: 12,345 answered, 14 failed".to_owned(),
    ];
    let live = Live {
        view,
        palette: Palette::PLAIN,
        caption: &caption,
        notice,
    };
    terminal
        .draw(|frame| frame.render_widget(&live, frame.area()))
        .unwrap();
    terminal
}

/// The rows of the terminal, without the spaces at their ends.
fn rows(terminal: &Terminal<TestBackend>) -> String {
    let buffer = terminal.backend().buffer();
    let mut text = String::new();
    for row in buffer.content().chunks(usize::from(buffer.area.width)) {
        let line: String = row.iter().map(ratatui::buffer::Cell::symbol).collect();
        text += line.trim_end();
        text.push('\n');
    }
    text
}

fn check(view: &RolloutView, (width, height): (u16, u16), expected: &str) {
    let shown = rows(&drawn(view, width, height, None));
    assert_eq!(
        shown,
        expected.trim_start_matches('\n'),
        "it looks like:\n{shown}"
    );
}

#[test]
fn a_canary_under_way_fits_a_small_terminal() {
    check(
        &fixtures::progressing(),
        (80, 24),
        "
demo: shipped v2, which works as well as v1
users: 12,345 answered, 14 failed

default/checkout  Progressing                                           14:03:10
waiting for all steps to complete
too few requests to be sure; time to go: about 6 s, inconclusive in 52 s
✓ weight 5%   ▸ evidence (harm <= 0.5%)   · weight 25%
· evidence (harm <= 0.5%)   · weight 50%   · evidence (harm <= 0.5%)
weight set    5.00% ██▌░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░
  measured    4.97% ██▌░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░
       revision      req/s   failed     p50     p90     p99 in flight  requests
stable 7d9f8b6c54      380     0.1%   10 ms   15 ms   21 ms         4     2,980
canary 55cc6d9f78     19.8       0%   10 ms   15 ms   21 ms         1       157
Evidence against the canary (a full bar convicts)
error ratio  ░░░░░░░░░░░░░░░ ln E  -0.6 of 5.3  0 of 157 against 3 of 2,980
latency p50  ░░░░░░░░░░░░░░░ ln E  -1.7 of 6.4  31 of 157 against 1,490 of 2,980
latency p90  ░░░░░░░░░░░░░░░ ln E  -0.3 of 6.4  6 of 157 against 297 of 2,980
latency p99  ██▏░░░░░░░░░░░░ ln E   0.9 of 6.4  0 of 157 against 29 of 2,980
Evidence for going from 5% to 25% (a full bar suffices)
harm bound   ██████▋░░░░░░░░ ln E   1.3 of 3.0  in about 6 s
Decisions
14:03:02  advanced 0% -> 5%
14:03:01  started
q quits
",
    );
}

#[test]
fn a_rollback_stands_out() {
    check(
        &fixtures::rolled_back(),
        (80, 24),
        "
demo: shipped v2, which works as well as v1
users: 12,345 answered, 14 failed

default/checkout  Degraded                                              14:03:06
RolloutAborted: error ratio: 19 of 64 canary requests failed, 1 of 1190 stable
ones; evidence 30946 against a threshold of 200

· weight 5%   · evidence (harm <= 0.5%)   · weight 25%
· evidence (harm <= 0.5%)   · weight 50%   · evidence (harm <= 0.5%)
weight set    0.00% ░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░
  measured    0.00% ░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░
       revision      req/s   failed     p50     p90     p99 in flight  requests
stable 7d9f8b6c54      380     0.1%   10 ms   15 ms   21 ms         4     2,980
canary 55cc6d9f78      0.0    29.7%   10 ms   15 ms   21 ms         0        64
Evidence against the canary (a full bar convicts)
error ratio  ██████████████████ ln E  10.3 of 5.3  19 of 64 against 1 of 1,190
latency p50  ░░░░░░░░░░░░░░░░░░ ln E  -1.7 of 6.4  12 of 64 against 595 of 1,190
latency p90  ░░░░░░░░░░░░░░░░░░ ln E  -0.3 of 6.4  2 of 64 against 118 of 1,190
latency p99  ██▋░░░░░░░░░░░░░░░ ln E   0.9 of 6.4  0 of 64 against 11 of 1,190
Decisions
14:03:05  rolled back 5% -> 0%, served 1.8 ms later: error ratio: 19 of 64 cana…
14:03:02  advanced 0% -> 5%
14:03:01  started
q quits
",
    );
}

#[test]
fn a_large_terminal_shows_everything_with_gaps() {
    check(
        &fixtures::hold(),
        (110, 36),
        "
demo: shipped v2, which works as well as v1
users: 12,345 answered, 14 failed

default/checkout  Progressing                                                                         14:03:10
waiting for all steps to complete
held: stable itself fails

✓ weight 5%   ▸ evidence (harm <= 0.5%)   · weight 25%   · evidence (harm <= 0.5%)   · weight 50%
· evidence (harm <= 0.5%)

weight set    5.00% ██▌░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░
  measured    4.97% ██▌░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░

       revision      req/s   failed     p50     p90     p99 in flight  requests failures
stable 7d9f8b6c54      380      20%   10 ms   15 ms   21 ms         4     2,980        3
canary 55cc6d9f78     19.8       0%   10 ms   15 ms   21 ms         1       157        0

Evidence against the canary (a full bar convicts)
error ratio  ░░░░░░░░░░░░░░░░░░░░░░░░ ln E  -0.4 of 5.3  31 of 157 against 596 of 2,980
latency p50  ░░░░░░░░░░░░░░░░░░░░░░░░ ln E  -1.7 of 6.4  31 of 157 against 1,490 of 2,980
latency p90  ░░░░░░░░░░░░░░░░░░░░░░░░ ln E  -0.3 of 6.4  6 of 157 against 297 of 2,980
latency p99  ███▌░░░░░░░░░░░░░░░░░░░░ ln E   0.9 of 6.4  0 of 157 against 29 of 2,980
HOLD: stable itself failed 4,560 of 22,800 requests in the last minute, more than 5%

Evidence for going from 5% to 25% (a full bar suffices)
harm bound   ██████████▋░░░░░░░░░░░░░ ln E   1.3 of 3.0  held

Decisions
14:03:02  advanced 0% -> 5%
14:03:01  started





q quits
",
    );
}

#[test]
fn a_narrow_terminal_loses_columns() {
    check(
        &fixtures::progressing(),
        (48, 20),
        "
demo: shipped v2, which works as well as v1
default/checkout  Progressing           14:03:10
waiting for all steps to complete
too few requests to be sure; time to go: about 6
s, inconclusive in 52 s
✓ weight 5%   ▸ evidence (harm <= 0.5%)
weight set    5.00% █▍░░░░░░░░░░░░░░░░░░░░░░░░░░
  measured    4.97% █▍░░░░░░░░░░░░░░░░░░░░░░░░░░
       revision      req/s   failed     p99
stable 7d9f8b6c54      380     0.1%   21 ms
canary 55cc6d9f78     19.8       0%   21 ms
Evidence against the canary
error ratio  ░░░░░░░░░░░░░░░░░ ln E  -0.6 of 5.3
latency p50  ░░░░░░░░░░░░░░░░░ ln E  -1.7 of 6.4
latency p90  ░░░░░░░░░░░░░░░░░ ln E  -0.3 of 6.4
latency p99  ██▌░░░░░░░░░░░░░░ ln E   0.9 of 6.4
Evidence for going from 5% to 25%
Decisions
14:03:02  advanced 0% -> 5%
q quits
",
    );
}

#[test]
fn without_a_canary_only_stable_is_shown() {
    check(
        &fixtures::healthy(),
        (48, 20),
        "
demo: shipped v2, which works as well as v1
users: 12,345 answered, 14 failed

default/checkout  Healthy               14:03:00

✓ weight 5%   ✓ evidence (harm <= 0.5%)
✓ weight 25%   ✓ evidence (harm <= 0.5%)
✓ weight 50%   ✓ evidence (harm <= 0.5%)

No canary: stable 7d9f8b6c54 takes every request

       revision      req/s   failed     p99
stable 7d9f8b6c54      400     0.1%   21 ms






q quits
",
    );
}

#[test]
fn a_full_bar_is_said_to_hold_where_it_may() {
    let check = |view: &RolloutView, wanted: &str| {
        let shown = rows(&drawn(view, 110, 36, None));
        assert!(shown.contains(wanted), "it looks like:\n{shown}");
    };
    check(&fixtures::progressing(), "(a full bar convicts)");
    check(&fixtures::refusing(), "(a full bar convicts or holds)");
    check(&fixtures::unattributed(), "(a full bar convicts or holds)");
}

#[test]
fn no_size_is_too_small() {
    for view in [
        fixtures::healthy(),
        fixtures::hold(),
        fixtures::rolled_back(),
    ] {
        for (width, height) in [(0, 0), (1, 1), (5, 2), (30, 1), (1, 30), (300, 100)] {
            drawn(&view, width, height, Some("lost the connection"));
        }
    }
}

#[test]
fn a_notice_takes_the_last_row() {
    let shown = rows(&drawn(
        &fixtures::healthy(),
        80,
        24,
        Some("lost the connection"),
    ));
    assert_eq!(shown.lines().last(), Some("lost the connection"));
}

#[test]
fn colors_are_used_only_when_they_may() {
    let colored = |palette: Palette| {
        let view = fixtures::rolled_back();
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
        let live = Live {
            view: &view,
            palette,
            caption: &[],
            notice: None,
        };
        terminal
            .draw(|frame| frame.render_widget(&live, frame.area()))
            .unwrap();
        terminal
            .backend()
            .buffer()
            .content()
            .iter()
            .any(|cell| cell.fg != Color::Reset)
    };
    assert!(!colored(Palette::PLAIN));
    assert!(colored(Palette::COLOR));
}

#[test]
fn a_long_plan_is_shown_around_its_current_step() {
    let mut view = fixtures::progressing();
    let plan = view.steps.clone();
    view.steps = vec![plan[0].clone(); 30];
    view.steps.push(plan[1].clone());
    view.steps.extend(vec![plan[2].clone(); 30]);
    let shown = rows(&drawn(&view, 80, 24, None));
    assert!(shown.contains("▸ evidence"), "{shown}");
    assert!(shown.contains("Decisions"), "{shown}");
}

#[test]
fn text_has_no_escapes_and_no_room_for_keys() {
    let shown = text(&fixtures::hold());
    assert!(
        shown.starts_with("default/checkout  Progressing"),
        "{shown}"
    );
    assert!(
        !shown.contains('\u{1b}') && !shown.contains("q quits"),
        "{shown}"
    );
}
