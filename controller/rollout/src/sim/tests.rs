use super::*;

fn weight(percent: u8) -> Weight {
    Weight::from_percent(percent).unwrap()
}

fn after(traffic: &mut Traffic, ticks: usize) -> Snapshot {
    (0..ticks).map(|_| traffic.tick()).last().unwrap()
}

fn near(got: f64, wanted: f64, tolerance: f64) {
    assert!(
        (got - wanted).abs() < tolerance * wanted,
        "{got} is not about {wanted}"
    );
}

#[test]
fn rates_and_ratios_are_as_asked() {
    let mut traffic = Traffic::new(1_000.0, weight(25), 3);
    traffic.canary.failure_ratio = 0.2;
    traffic.canary.latency = Duration::from_millis(200);
    let Snapshot { stable, canary, .. } = after(&mut traffic, 200);
    near(
        (stable.dispatched + canary.dispatched) as f64,
        20_000.0,
        0.03,
    );
    near(canary.dispatched as f64, 5_000.0, 0.06);
    near(canary.failed as f64, 1_000.0, 0.15);
    let median = |counts: &Counts| counts.latency.quantile(0.5).unwrap().upper_bound();
    near(median(&stable), 0.05, 0.1);
    near(median(&canary), 0.2, 0.1);
    assert_eq!(
        canary.latency.count() + canary.in_flight(),
        canary.dispatched
    );
}

#[test]
fn the_same_seed_draws_the_same_requests() {
    let run = |seed| after(&mut Traffic::new(100.0, weight(10), seed), 50);
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn requests_that_hang_only_grow_old() {
    let mut traffic = Traffic::new(100.0, weight(50), 3);
    traffic.canary.hang_ratio = 1.0;
    let canary = after(&mut traffic, 30).canary;
    assert_eq!(canary.in_flight(), canary.dispatched);
    assert_eq!(canary.latency.count(), 0);
    assert!(canary.waiting.is_sorted());
    assert!(canary.slower_than(Bucket::of(Duration::from_secs(1))) > 50);
}

#[test]
fn a_new_weight_is_a_new_generation() {
    let mut traffic = Traffic::new(100.0, weight(0), 3);
    let before = after(&mut traffic, 10);
    assert_eq!(before.canary.dispatched, 0);
    traffic.set_weight(weight(100));
    let then = after(&mut traffic, 10);
    assert!(then.generation > before.generation);
    assert_eq!(then.stable.dispatched, before.stable.dispatched);
}

#[test]
fn binomial_and_poisson_have_their_means() {
    let mut random = Random::new(5);
    let mut mean = |draw: &dyn Fn(&mut Random) -> u64| {
        (0..2_000).map(|_| draw(&mut random) as f64).sum::<f64>() / 2_000.0
    };
    near(mean(&|r| r.binomial(100, 0.3)), 30.0, 0.05);
    near(mean(&|r| r.binomial(1000, 0.002)), 2.0, 0.1);
    near(mean(&|r| r.poisson(12.0)), 12.0, 0.05);
}
