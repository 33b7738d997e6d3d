use super::explain;
use crate::api::RolloutView;
use crate::view::fixtures;
use traffic::FailureRule;

fn check(view: &RolloutView, expected: &str) {
    let text = explain(view);
    assert_eq!(text, expected.trim_start_matches('\n'), "it reads:\n{text}");
}

#[test]
fn without_a_canary_there_is_nothing_to_compare() {
    check(
        &fixtures::healthy(),
        r#"
default/checkout is Healthy

Compared
  Nothing: there is no canary. Stable 7d9f8b6c54 on checkout-blue takes every request: 12,345
  requests, of which 12 failed.

Next
  A change of spec.template starts a rollout.
"#,
    );
}

#[test]
fn a_canary_above_its_limit_holds_while_it_may_not_be_its_fault() {
    let text = explain(&fixtures::unattributed());
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for expected in [
        "error limit WORSE than allowed: E = 1,200 of 400 (ln E = 7.10 of 5.99)",
        "allowed: a failure ratio of 10%, whatever stable's is; convicts while stable is shown to be well",
        "Hold The canary failed 31 of 157 requests, more than the limit of 10%. But it is not shown to be worse than \
         stable, nor stable to stay below the limit: that failed 4,560 of 22,800 requests of the last minute.",
    ] {
        assert!(words.contains(expected), "it reads:\n{text}");
    }
}

#[test]
fn a_canary_that_refuses_its_clients_holds() {
    let text = explain(&fixtures::refusing());
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for expected in [
        "80 of 157 canary requests got a client error (4xx), 60 of 2,977 stable requests did",
        "allowed: a share of 1.5 times stable's plus 1 percentage points",
        "Hold The canary answered 80 of 157 requests with a client error (4xx), stable 60 of 2,977. Both have the same \
         clients, so a route may be lost, or people with a right to come in turned away.",
    ] {
        assert!(words.contains(expected), "it reads:\n{text}");
    }
}

#[test]
fn what_counts_as_failed_is_told_where_it_is_not_the_usual() {
    let listed = FailureRule::BROKEN.with_statuses(429, 429);
    for (rule, expected) in [
        (
            listed,
            "As failed count status 429, and requests that got no whole answer.",
        ),
        (
            FailureRule::BROKEN,
            "As failed count only requests that got no whole answer.",
        ),
        (FailureRule::DEFAULT, ""),
    ] {
        let mut view = fixtures::progressing();
        view.evidence.as_mut().unwrap().failure_rule = rule;
        let text = explain(&view);
        let told = text.lines().find(|line| line.contains("As failed"));
        assert_eq!(told.unwrap_or_default().trim(), expected);
    }
}

#[test]
fn that_failures_come_many_at_once_is_told() {
    let words = |view: &RolloutView| {
        let text = explain(view);
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let expected = "Stable's failures come many at once at one endpoint. So 3.2 requests of the canary tell as much of \
                    failures as one would by itself, and 13 of stable:";
    let text = words(&fixtures::bursts());
    assert!(text.contains(expected), "it reads:\n{text}");
    assert!(!words(&fixtures::progressing()).contains("many at once"));
}

#[test]
fn what_users_met_before_is_told() {
    let mut view = fixtures::progressing();
    assert!(!explain(&view).contains("Users are kept"));
    let known = r#"{"weight":1000,"canary_requests":1000.4,"canary_failures":50.2,"stable_requests":9000,"stable_failures":1}"#;
    view.evidence.as_mut().unwrap().pre_period = Some(serde_json::from_str(known).unwrap());
    let text = explain(&view);
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let expected = "Users are kept on one version. Before, on stable, those who are the canary's at 10% failed 50 of 1,000 \
                    requests, and the others 1 of 9,000 requests (older ones count less).";
    assert!(words.contains(expected), "it reads:\n{text}");
}

#[test]
fn a_canary_under_way_is_explained_with_what_it_needs() {
    check(
        &fixtures::progressing(),
        r#"
default/checkout is Progressing with 5% of the traffic on the canary: waiting for all steps to
complete
Waits for: too few requests to be sure; time to go: about 6 s, inconclusive in 52 s

Compared
  Canary 55cc6d9f78 with the version that was stable at the same time, on the requests that
  passed through here from 14:03:01 to 14:03:10:
            requests   failed  failure ratio (95%)            p50      p90      p99
  canary         157        0  0% (0% to 4.23%)             10 ms    15 ms    21 ms
  stable       2,980        3  0.1% (0.003% to 0.53%)       10 ms    15 ms    21 ms

Evidence against the canary
  error ratio  nothing speaks against it: E = 0.5 of 200 (ln E = -0.61 of 5.30)
               0 of 157 canary requests failed, 3 of 2,980 stable requests did
               allowed: a failure ratio of 1.1 times stable's plus 0.1 percentage points
  latency p50  nothing speaks against it: E = 0.2 of 600 (ln E = -1.70 of 6.40)
               31 of 157 canary requests took longer than 14 ms, 1,490 of 2,980 stable requests
               longer than 10 ms
               allowed: the same share
  latency p90  nothing speaks against it: E = 0.7 of 600 (ln E = -0.33 of 6.40)
               6 of 157 canary requests took longer than 21 ms, 297 of 2,980 stable requests
               longer than 15 ms
               allowed: the same share
  latency p99  not shown to be worse: E = 2.5 of 600 (ln E = 0.92 of 6.40), p <= 0.4
               0 of 157 canary requests took longer than 30 ms, 29 of 2,980 stable requests
               longer than 21 ms
               allowed: the same share
  E is the evidence so far. For a canary within the limit, the chance that E ever gets so high,
  however often one looks, is at most p = 1/E.

To go on
  From 5% to 25%: the requests of this step must show that the canary stays below a failure
  ratio of 1.4 times stable's plus 2 percentage points.
  So far E = 3.7 of 20 (ln E = 1.32 of 3.00), from 157 requests of the canary, of which 0
  failed.
  They exclude that the canary's failure ratio is higher than stable's by more than 3.1
  percentage points.
  It waits: too few requests to be sure; about 6 s more at the traffic of now, if the canary is
  as good as stable.

Decided
  14:03:01  started, by the plan
  14:03:02  advanced, weight 0% -> 5%, by the plan

Next
  It goes on by itself. `sluice promote default/checkout` skips the step, `sluice pause
  default/checkout` holds it, `sluice abort default/checkout` goes back.
"#,
    );
}

#[test]
fn low_traffic_is_explained_as_such() {
    check(
        &fixtures::low_traffic(),
        r#"
default/checkout is Progressing with 5% of the traffic on the canary: waiting for all steps to
complete
Waits for: too few requests to be sure; time to go: about 2 h 9 min, inconclusive in 52 s

Compared
  Canary 55cc6d9f78 with the version that was stable at the same time, on the requests that
  passed through here from 14:03:01 to 14:03:10:
            requests   failed  failure ratio (95%)            p50      p90      p99
  canary           1        0  0% (0% to 98.8%)                 -        -        -
  stable           4        0  0% (0% to 71.2%)             10 ms    15 ms    21 ms

Evidence against the canary
  error ratio  nothing speaks against it: E = 1.0 of 200 (ln E = -0.02 of 5.30)
               0 of 1 canary requests failed, 0 of 4 stable requests did
               allowed: a failure ratio of 1.1 times stable's plus 0.1 percentage points
  latency p50  nothing speaks against it: E = 0.2 of 600 (ln E = -1.70 of 6.40)
               not judged yet: it warms up, or too little is known of stable; allowed: 40% more
  latency p90  nothing speaks against it: E = 0.7 of 600 (ln E = -0.33 of 6.40)
               not judged yet: it warms up, or too little is known of stable; allowed: 40% more
  latency p99  not shown to be worse: E = 2.5 of 600 (ln E = 0.92 of 6.40), p <= 0.4
               not judged yet: it warms up, or too little is known of stable; allowed: 40% more
  E is the evidence so far. For a canary within the limit, the chance that E ever gets so high,
  however often one looks, is at most p = 1/E.

To go on
  From 5% to 25%: the requests of this step must show that the canary stays below a failure
  ratio of 1.4 times stable's plus 2 percentage points.
  So far E = 1.2 of 20 (ln E = 0.21 of 3.00), from 1 request of the canary, of which 0 failed.
  They exclude that the canary's failure ratio is higher than stable's by more than 96.1
  percentage points.
  It waits: too few requests to be sure; about 2 h 10 min more at the traffic of now, if the
  canary is as good as stable.
  There is little traffic for such a small harm. More weight in the first step or a larger
  harmBudget needs fewer requests.

Decided
  14:03:01  started, by the plan
  14:03:02  advanced, weight 0% -> 5%, by the plan

Next
  It goes on by itself. `sluice promote default/checkout` skips the step, `sluice pause
  default/checkout` holds it, `sluice abort default/checkout` goes back.
"#,
    );
}

#[test]
fn a_failing_stable_is_explained_and_not_held_against_the_canary() {
    check(
        &fixtures::hold(),
        r#"
default/checkout is Progressing with 5% of the traffic on the canary: waiting for all steps to
complete
Waits for: held: stable itself fails

Compared
  Canary 55cc6d9f78 with the version that was stable at the same time, on the requests that
  passed through here from 14:03:01 to 14:03:10:
            requests   failed  failure ratio (95%)            p50      p90      p99
  canary         157       31  19.7% (10.1% to 32.6%)       10 ms    15 ms    21 ms
  stable       2,980      596  20% (17.2% to 23%)           10 ms    15 ms    21 ms

Evidence against the canary
  error ratio  nothing speaks against it: E = 0.7 of 200 (ln E = -0.40 of 5.30)
               31 of 157 canary requests failed, 596 of 2,980 stable requests did
               allowed: a failure ratio of 1.1 times stable's plus 0.1 percentage points
  latency p50  nothing speaks against it: E = 0.2 of 600 (ln E = -1.70 of 6.40)
               31 of 157 canary requests took longer than 14 ms, 1,490 of 2,980 stable requests
               longer than 10 ms
               allowed: the same share
  latency p90  nothing speaks against it: E = 0.7 of 600 (ln E = -0.33 of 6.40)
               6 of 157 canary requests took longer than 21 ms, 297 of 2,980 stable requests
               longer than 15 ms
               allowed: the same share
  latency p99  not shown to be worse: E = 2.5 of 600 (ln E = 0.92 of 6.40), p <= 0.4
               0 of 157 canary requests took longer than 30 ms, 29 of 2,980 stable requests
               longer than 21 ms
               allowed: the same share
  E is the evidence so far. For a canary within the limit, the chance that E ever gets so high,
  however often one looks, is at most p = 1/E.

Hold
  Stable itself failed 4,560 of 22,800 requests of the last minute, more than the 5% that count
  as healthy. While that lasts nothing can be said for the canary, and it gets no more traffic.
  It is still taken away if it is worse than stable.

To go on
  From 5% to 25%: the requests of this step must show that the canary stays below a failure
  ratio of 1.4 times stable's plus 2 percentage points.
  So far E = 3.7 of 20 (ln E = 1.32 of 3.00), from 157 requests of the canary, of which 31
  failed.
  They exclude that the canary's failure ratio is higher than stable's by more than 3.1
  percentage points.
  It waits: the stable version is failing by itself.

Decided
  14:03:01  started, by the plan
  14:03:02  advanced, weight 0% -> 5%, by the plan

Next
  It goes on by itself. `sluice promote default/checkout` skips the step, `sluice pause
  default/checkout` holds it, `sluice abort default/checkout` goes back.
"#,
    );
}

#[test]
fn a_rollback_is_explained_with_all_that_it_was_made_on() {
    check(
        &fixtures::rolled_back(),
        r#"
default/checkout is Degraded

Verdict
  Revision 55cc6d9f78 was rolled back by the guard at 2026-11-23 14:03:05.200 +00:00, weight 5%
  -> 0%.
  Why: error ratio: 19 of 64 canary requests failed, 1 of 1190 stable ones; evidence 30946
  against a threshold of 200
  Every worker served the new weight 1.8 ms after the decision.
  19 requests of users failed on this revision.

Compared
  Canary 55cc6d9f78 with the version that was stable at the same time, on the requests that
  passed through here from 14:03:01 to 14:03:05:
            requests   failed  failure ratio (95%)            p50      p90      p99
  canary          64       19  29.7% (13.1% to 51.1%)       10 ms    15 ms    21 ms
  stable       1,190        1  0.084% (< 0.001% to 0.91%)   10 ms    15 ms    21 ms

Evidence against the canary
  error ratio  WORSE than allowed: E = 31,000 of 200 (ln E = 10.34 of 5.30), p <= 3.2e-5
               19 of 64 canary requests failed, 1 of 1,190 stable requests did
               allowed: a failure ratio of 1.1 times stable's plus 0.1 percentage points
  latency p50  nothing speaks against it: E = 0.2 of 600 (ln E = -1.70 of 6.40)
               12 of 64 canary requests took longer than 14 ms, 595 of 1,190 stable requests
               longer than 10 ms
               allowed: the same share
  latency p90  nothing speaks against it: E = 0.7 of 600 (ln E = -0.33 of 6.40)
               2 of 64 canary requests took longer than 21 ms, 118 of 1,190 stable requests
               longer than 15 ms
               allowed: the same share
  latency p99  not shown to be worse: E = 2.5 of 600 (ln E = 0.92 of 6.40), p <= 0.4
               0 of 64 canary requests took longer than 30 ms, 11 of 1,190 stable requests
               longer than 21 ms
               allowed: the same share
  E is the evidence so far. For a canary within the limit, the chance that E ever gets so high,
  however often one looks, is at most p = 1/E.

Decided
  14:03:01  started, by the plan
  14:03:02  advanced, weight 0% -> 5%, by the plan
  14:03:05  rolled back, weight 5% -> 0%, by the guard

Next
  Stable takes every request. A change of spec.template ships another version; `sluice retry
  default/checkout` starts this one again.
"#,
    );
}

#[test]
fn a_promotion_is_explained_too() {
    check(
        &fixtures::promoted(),
        r#"
default/checkout is Healthy

Verdict
  Revision 55cc6d9f78 was promoted by the plan at 2026-11-23 14:03:29.800 +00:00, weight 50% ->
  100%.
  Why: all traffic went to it
  Every worker served the new weight 900 µs after the decision.
  4 requests of users failed on this revision.

Compared
  Canary 55cc6d9f78 with the version that was stable at the same time, on the requests that
  passed through here from 14:03:01 to 14:03:29:
            requests   failed  failure ratio (95%)            p50      p90      p99
  canary       5,120        4  0.078% (0.004% to 0.36%)     10 ms    15 ms    21 ms
  stable       6,400        6  0.094% (0.01% to 0.35%)      10 ms    15 ms    21 ms

Evidence against the canary
  error ratio  nothing speaks against it: E = 0.015 of 200 (ln E = -4.20 of 5.30)
               4 of 5,120 canary requests failed, 6 of 6,400 stable requests did
               allowed: a failure ratio of 1.1 times stable's plus 0.1 percentage points
  latency p50  nothing speaks against it: E = 0.2 of 600 (ln E = -1.70 of 6.40)
               1,024 of 5,120 canary requests took longer than 14 ms, 3,200 of 6,400 stable
               requests longer than 10 ms
               allowed: the same share
  latency p90  nothing speaks against it: E = 0.7 of 600 (ln E = -0.33 of 6.40)
               204 of 5,120 canary requests took longer than 21 ms, 639 of 6,400 stable requests
               longer than 15 ms
               allowed: the same share
  latency p99  not shown to be worse: E = 2.5 of 600 (ln E = 0.92 of 6.40), p <= 0.4
               20 of 5,120 canary requests took longer than 30 ms, 64 of 6,400 stable requests
               longer than 21 ms
               allowed: the same share
  E is the evidence so far. For a canary within the limit, the chance that E ever gets so high,
  however often one looks, is at most p = 1/E.

Decided
  14:03:01  started, by the plan
  14:03:02  advanced, weight 0% -> 5%, by the plan
  14:03:15  advanced, weight 5% -> 50%, by the plan
  14:03:29  promoted, weight 50% -> 100%, by the plan

Next
  A change of spec.template starts a rollout.
"#,
    );
}

#[test]
fn an_unjudged_rollout_says_so() {
    let view = RolloutView {
        guard: false,
        evidence: None,
        ..fixtures::progressing()
    };
    let text = explain(&view);
    assert!(
        text.contains("None: the guard is off for this rollout, so no version is judged."),
        "{text}"
    );
}

#[test]
fn a_paused_rollout_names_the_ways_out() {
    let view = RolloutView {
        phase: "Paused".into(),
        ..fixtures::low_traffic()
    };
    let text = explain(&view);
    assert!(
        text.contains("It goes on with `sluice promote default/checkout`"),
        "{text}"
    );
}

#[test]
fn a_verdict_is_shown_window_by_window() {
    let view: RolloutView =
        serde_json::from_str(include_str!("../../../docs/verdict.json")).unwrap();
    let text = explain(&view);
    let counted = r#"
Counted
  error ratio      canary     bad     stable     bad         E     ln E
  from 0.0 s            8       2         75       0       2.6     0.96
  from 1.0 s            5       4         43       0    11,000     9.30
  to go on         canary     bad     stable     bad         E     ln E
  from 0.1 s            8       2         66       0       0.2    -1.82
  from 1.0 s            5       4         43       0     0.040    -3.23
  Judged again here, these counts lead to the same evidence. All tests, block by block, are in
  `-o json`, which `sluice explain --replay FILE` judges again anywhere.

Decided
"#;
    assert!(text.contains(counted), "it reads:\n{text}");

    // Another number was told than the counts lead to.
    let mut changed = view;
    let verdict = changed.decisions.last_mut().unwrap();
    verdict.evidence.as_mut().unwrap().tests[0].ln_e = 6.0;
    let text = explain(&changed);
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let said = "the counts do NOT lead to the evidence that was told. error ratio: ln E: stored 6, recomputed 9.29";
    assert!(words.contains(said), "it reads:\n{text}");
}

#[test]
fn a_long_record_shows_its_last_windows() {
    use crate::view::explain::{Page, record};
    use rollout::analysis::{Config, Judge};
    let mut judge = Judge::new(Config::default());
    let mut snapshot = traffic::Snapshot::default();
    let mut now = fixtures::at(0.0);
    judge.begin(now, 1);
    for _ in 0..600 {
        now += jiff::SignedDuration::from_millis(100);
        snapshot.at += std::time::Duration::from_millis(100);
        snapshot.stable.dispatched += 90_000;
        snapshot.canary.dispatched += 10_000;
        judge.observe(&snapshot, None, now);
    }
    let mut page = Page::default();
    record::counted(judge.record().as_ref(), &judge.reading(), &mut page);
    let text = page.finish();
    let table: Vec<_> = text.lines().skip(2).take(10).collect();
    // From the second interval on, as the first has no counts to begin with.
    assert!(
        table[1].starts_with("  before") && table[2].starts_with("  from 52."),
        "{text}"
    );
    assert!(table.iter().all(|line| line.len() <= 80), "{text}");
}
