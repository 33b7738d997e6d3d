use super::*;
use crate::Bucket;
use proptest::prelude::*;

const RULE: FailureRule = FailureRule::DEFAULT;

fn series() -> Arc<Series> {
    Stats::new(2).series(&RolloutId::new("default", "shop"), Role::Canary)
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn outcomes_are_counted_once_and_for_the_right_reason() {
    let series = series();
    let outcomes = [
        Outcome::Answered(200),
        Outcome::Answered(404),
        Outcome::Answered(503),
        Outcome::Failed {
            status: 504,
            reason: Failure::ResponseTimeout,
        },
        Outcome::Cancelled,
    ];
    for (i, outcome) in outcomes.into_iter().enumerate() {
        let shard = series.shard(i % 2);
        shard.begin(ms(10), true);
        shard.end(ms(10), ms(30), outcome);
    }
    let totals = series.totals();
    assert_eq!(totals.dispatched, 5);
    assert_eq!(totals.split, 5);
    assert_eq!(totals.failed, 2);
    assert_eq!(totals.cancelled, 1);
    assert_eq!(
        totals.statuses,
        [(200, 1), (404, 1), (499, 1), (503, 1), (504, 1)]
    );
    assert_eq!(totals.failures[Failure::Status as usize], 1);
    assert_eq!(totals.failures[Failure::ResponseTimeout as usize], 1);
    assert_eq!(
        totals.latency.count(),
        4,
        "a cancelled request has no latency"
    );
    assert_eq!(totals.latency_sum, ms(80));
    assert_eq!(totals.in_flight, 0);
}

#[test]
fn a_hanging_request_counts_as_slow_before_it_ends() {
    let series = series();
    let bound = Bucket::of(ms(500));
    series.shard(0).begin(ms(1_000), true);
    assert_eq!(series.counts(ms(1_100), &RULE).slower_than(bound), 0);
    assert_eq!(series.counts(ms(2_000), &RULE).slower_than(bound), 1);
    assert_eq!(series.counts(ms(2_000), &RULE).in_flight(), 1);
    series
        .shard(0)
        .end(ms(1_000), ms(2_100), Outcome::Answered(200));
    assert_eq!(
        series.counts(ms(2_200), &RULE).slower_than(bound),
        1,
        "counted once, before and after its end"
    );
    assert_eq!(series.counts(ms(2_200), &RULE).in_flight(), 0);
}

#[test]
fn an_age_is_never_overestimated() {
    let series = series();
    series.shard(0).begin(ms(127), true);
    for now in [128, 150, 191, 192] {
        let waiting = series.counts(ms(now), &RULE).waiting;
        assert!(
            waiting[0].0 <= Bucket::of(ms(now - 127)),
            "at {now} ms: {waiting:?}"
        );
    }
}

#[test]
fn a_status_outside_the_range_has_a_place() {
    let series = series();
    for status in [99, 600, 999] {
        series.shard(0).begin(ms(0), false);
        series.shard(0).end(ms(0), ms(1), Outcome::Answered(status));
    }
    assert_eq!(series.totals().statuses, [(999, 3)]);
    assert_eq!(series.totals().split, 0);
}

#[test]
fn forgetting_a_rollout_leaves_the_others() {
    let stats = Stats::new(1);
    let (kept, gone) = (
        RolloutId::new("default", "kept"),
        RolloutId::new("default", "gone"),
    );
    stats.series(&kept, Role::Stable);
    stats.series(&gone, Role::Stable);
    stats.retain(|rollout| *rollout == kept);
    let left: Vec<_> = stats.all().iter().map(|s| s.rollout().clone()).collect();
    assert_eq!(left, [kept]);
}

proptest! {
    #[test]
    fn counters_never_decrease(events in proptest::collection::vec((0usize..2, 0u64..5, 100u16..700), 1..200)) {
        let series = series();
        let mut before = series.counts(ms(0), &RULE);
        let mut now = 0;
        for (worker, latency, status) in events {
            let shard = series.shard(worker);
            shard.begin(ms(now), true);
            now += latency;
            shard.end(ms(now - latency), ms(now), Outcome::Answered(status));
            let after = series.counts(ms(now), &RULE);
            prop_assert!(after.dispatched > before.dispatched);
            prop_assert!(after.failed >= before.failed);
            prop_assert!(after.latency.count() > before.latency.count());
            before = after;
        }
    }
}
