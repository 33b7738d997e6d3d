//! What the tests say, in words and numbers.

use rollout::analysis::{
    Acceptance, Dispersion, Judgement, Limit, Margin, PrePeriod, Reading, Reason, Test, TestReading,
};
use traffic::Weight;

use super::Page;
use crate::view::format::{count, counted, magnitude, percent, seconds};

/// Each rollback test: how strong its evidence is, what it counted, and what is allowed.
pub(super) fn against(reading: &Reading, page: &mut Page) {
    page.heading("Evidence against the canary");
    for test in &reading.tests {
        page.item(&test.test.to_string(), &strength(test));
        for line in counts(test) {
            page.item("", &line);
        }
    }
    if let Some(known) = &reading.pre_period {
        page.text(&met_before(known));
    }
    let of_failures = reading.tests.first().and_then(dispersed);
    if let Some((canary, stable)) = of_failures {
        page.text(&format!(
            "Stable's failures come many at once at one endpoint. So {canary} requests of the canary tell as much of failures \
             as one would by itself, and {stable} of stable: the counts are divided by that before they are judged."
        ));
    }
    page.text(
        "E is the evidence so far. For a canary within the limit, the chance that E ever gets so high, however often \
         one looks, is at most p = 1/E.",
    );
}

/// What the users of both versions met before, which the allowed ratio is made of.
fn met_before(known: &PrePeriod) -> String {
    let of = |(requests, failures): (f64, f64)| {
        format!(
            "{} of {}",
            count(failures.round() as u64),
            counted(requests.round() as u64, "request")
        )
    };
    format!(
        "Users are kept on one version. Before, on stable, those who are the canary's at {} failed {}, and the others \
         {} (older ones count less). What the error ratio allows is made of that.",
        weight(known.weight()),
        of(known.canary()),
        of(known.stable()),
    )
}

/// How many requests of canary and stable tell as much as one, where that is more than one.
fn dispersed(test: &TestReading) -> Option<(String, String)> {
    let Dispersion { canary, stable } = test.dispersion;
    (canary >= 1.05 || stable >= 1.05).then(|| (magnitude(canary), magnitude(stable)))
}

fn strength(test: &TestReading) -> String {
    let finding = match test.ln_e {
        _ if test.canary_requests == 0 => return "not judged yet".into(),
        ln_e if ln_e >= test.ln_threshold => "WORSE than allowed",
        ln_e if ln_e > 0.0 => "not shown to be worse",
        _ => "nothing speaks against it",
    };
    let mut text = format!("{finding}: {}", evidence(test.ln_e, test.ln_threshold));
    if test.ln_e > 0.0 {
        text += &format!(", p <= {}", magnitude((-test.ln_e).exp()));
    }
    text
}

/// `E = 3.4 of 200 (ln E = 1.22 of 5.30)`.
fn evidence(ln_e: f64, ln_threshold: f64) -> String {
    format!(
        "E = {} of {} (ln E = {ln_e:.2} of {ln_threshold:.2})",
        magnitude(ln_e.exp()),
        magnitude(ln_threshold.exp()),
    )
}

/// What was counted and what is allowed, line by line.
fn counts(test: &TestReading) -> Vec<String> {
    let both = |what: &str, stable_what: &str| {
        format!(
            "{} of {} canary requests {what}, {} of {} stable requests {stable_what}",
            count(test.canary_events),
            count(test.canary_requests),
            count(test.stable_events),
            count(test.stable_requests),
        )
    };
    match test.limit {
        Limit::Ratio(margin) if test.test == Test::ClientErrors => vec![
            both("got a client error (4xx)", "did"),
            format!("allowed: {}", allowed_share("share", margin)),
        ],
        Limit::Ratio(margin) => {
            vec![
                both("failed", "did"),
                format!("allowed: {}", allowed(margin)),
            ]
        }
        Limit::Absolute(limit) => {
            vec![
                both("failed", "did"),
                format!(
                    "allowed: a failure ratio of {}, whatever stable's is; convicts while stable is shown to be well",
                    percent(limit * 100.0)
                ),
            ]
        }
        Limit::Rate { least, now } => vec![
            format!(
                "{} of both versions, {now:.1} a second in the last minute",
                counted(test.canary_requests, "request")
            ),
            format!("allowed: {least} a second and more"),
        ],
        Limit::Latency {
            stable: Some(stable),
            canary: Some(canary),
            ..
        } => {
            let slow = format!("took longer than {}", seconds(canary));
            let mut lines = vec![
                both(&slow, &format!("longer than {}", seconds(stable))),
                "allowed: the same share".into(),
            ];
            lines.extend(dispersed(test).map(|(canary, stable)| {
                format!(
                    "slow answers come many at once at one endpoint: counts are divided by {canary} and {stable}"
                )
            }));
            lines
        }
        Limit::Latency { increase, .. } => vec![format!(
            "not judged yet: it warms up, or too little is known of stable; allowed: {} more",
            percent(increase * 100.0)
        )],
    }
}

/// `a failure ratio of 1.1 times stable's plus 0.1 percentage points`.
fn allowed(margin: Margin) -> String {
    allowed_share("failure ratio", margin)
}

fn allowed_share(what: &str, margin: Margin) -> String {
    let points = points(margin.absolute);
    match margin.relative {
        1.0 => format!("a {what} of stable's plus {points}"),
        relative => format!(
            "a {what} of {} times stable's plus {points}",
            magnitude(relative)
        ),
    }
}

/// `0.1 percentage points`.
fn points(share: f64) -> String {
    format!(
        "{} percentage points",
        percent(share * 100.0).trim_end_matches('%')
    )
}

/// That stable itself fails, or that nobody knows whose failures the canary's are.
pub(super) fn hold(reading: &Reading, page: &mut Page) {
    let text = match reading.judgement {
        Judgement::Undecided | Judgement::RollBack { .. } => return,
        Judgement::Hold {
            stable_requests,
            stable_failures,
            allowed,
        } => format!(
            "Stable itself failed {} of {} of the last minute, more than the {} that count as healthy. While that lasts \
             nothing can be said for the canary, and it gets no more traffic. It is still taken away if it is worse than \
             stable.",
            count(stable_failures),
            counted(stable_requests, "request"),
            percent(allowed * 100.0),
        ),
        Judgement::TooLittle(shortfall) => {
            format!(
                "Too little to judge by: {shortfall}. While that lasts the canary gets no more traffic."
            )
        }
        Judgement::RollForward {
            canary_requests,
            canary_failures,
            stable_requests,
            stable_failures,
            allowed,
        } => {
            page.heading("Rolling forward");
            page.text(&format!(
                "Stable failed {} of {} of the last minute, more than the {} that count as healthy, and the canary only \
                 {} of {}. So the rollout goes on without waiting.",
                count(stable_failures),
                counted(stable_requests, "request"),
                percent(allowed * 100.0),
                count(canary_failures),
                count(canary_requests),
            ));
            return;
        }
        Judgement::Unattributed {
            canary_requests,
            canary_failures,
            stable_requests,
            stable_failures,
            limit,
        } => format!(
            "The canary failed {} of {}, more than the limit of {}. But it is not shown to be worse than stable, nor \
             stable to stay below the limit: that failed {} of {} of the last minute. While that lasts the canary gets \
             no more traffic; it is taken away once the failures are shown to be its own.",
            count(canary_failures),
            counted(canary_requests, "request"),
            percent(limit * 100.0),
            count(stable_failures),
            counted(stable_requests, "request"),
        ),
        Judgement::ClientErrors {
            canary_requests,
            canary_errors,
            stable_requests,
            stable_errors,
        } => format!(
            "The canary answered {} of {} with a client error (4xx), stable {} of {}. Both have the same clients, so a \
             route may be lost, or people with a right to come in turned away. While that is shown the canary gets no \
             more traffic. If it is meant so, `sluice promote --full` goes past it.",
            count(canary_errors),
            counted(canary_requests, "request"),
            count(stable_errors),
            count(stable_requests),
        ),
    };
    page.heading("Hold");
    page.text(&text);
}

/// What the evidence step needs before the next weight.
pub(super) fn to_go_on(acceptance: &Acceptance, page: &mut Page) {
    page.heading("To go on");
    page.text(&format!(
        "From {} to {}: the requests of this step must show that the canary stays below {}.",
        weight(acceptance.from),
        weight(acceptance.to),
        allowed(acceptance.margin),
    ));
    page.text(&format!(
        "So far {}, from {} of the canary, of which {} failed.",
        evidence(acceptance.ln_e, acceptance.ln_threshold),
        counted(acceptance.canary_requests, "request"),
        count(acceptance.canary_failures),
    ));
    if let Some(excludable) = acceptance.excludable {
        page.text(&format!(
            "They exclude that the canary's failure ratio is higher than stable's by more than {}.",
            points(excludable)
        ));
    }
    page.text(&outlook(acceptance));
    if acceptance.eta.is_some_and(|eta| eta > LONG) {
        page.text(
            "There is little traffic for such a small harm. More weight in the first step or a larger harmBudget needs \
             fewer requests.",
        );
    }
}

/// What is too long for a step, in seconds.
const LONG: f64 = 900.0;

fn outlook(acceptance: &Acceptance) -> String {
    let Some(reason) = acceptance.waits_for else {
        return "It may go on.".into();
    };
    let mut text = format!("It waits: {reason}");
    match (reason, acceptance.eta) {
        (Reason::Evidence | Reason::Dwell, Some(eta)) => {
            text += &format!(
                "; about {} more at the traffic of now, if the canary is as good as stable",
                seconds(eta.max(1.0).ceil())
            );
        }
        (Reason::Evidence, None) => {
            text += "; at the traffic of now it cannot be told how long that takes"
        }
        _ => {}
    }
    text + "."
}

fn weight(weight: Weight) -> String {
    percent(f64::from(weight.basis_points()) / 100.0)
}
