use super::*;
use std::sync::Arc;
use traffic::{Backend, BackendId, Role, Stats};

/// A rollout whose requests the test sends.
struct Shop {
    stats: Stats,
    rollout: RolloutId,
    shares: Shares,
}

impl Shop {
    fn new() -> Self {
        Self {
            stats: Stats::new(2),
            rollout: RolloutId::new("default", "shop"),
            shares: Shares::default(),
        }
    }

    fn backend(&self, role: Role) -> Backend {
        Backend::plain(
            BackendId::new("default", role.as_str()),
            Arc::new([]),
            self.stats.series(&self.rollout, role),
        )
    }

    fn table(&self, percent: Option<u8>) -> RouteTable {
        let split = Split {
            rollout: self.rollout.clone(),
            stable: self.backend(Role::Stable),
            canary: percent.map(|_| self.backend(Role::Canary)),
            weight: Weight::from_percent(percent.unwrap_or(100)).unwrap(),
            rules: Vec::new(),
            copies: Vec::new(),
            sticky: None,
            tickets: self.stats.tickets(&self.rollout),
            rescue: false,
            armed: None,
            counted: None,
        };
        RouteTable::new(Vec::new(), vec![split]).unwrap()
    }

    fn send(&self, stable: usize, canary: usize) {
        for (role, n) in [(Role::Stable, stable), (Role::Canary, canary)] {
            let series = self.stats.series(&self.rollout, role);
            for i in 0..n {
                series.shard(i % 2).begin(Duration::ZERO, true);
            }
        }
    }

    /// The measured share after observing `percent` at `seconds`.
    fn at(&mut self, seconds: f64, percent: Option<u8>) -> Option<f64> {
        let table = self.table(percent);
        self.shares
            .observe(&table, Duration::from_secs_f64(seconds));
        let share = self.shares.of(&self.rollout).unwrap();
        assert_eq!(
            share.weight,
            Weight::from_percent(percent.unwrap_or(0)).unwrap()
        );
        share.measured
    }
}

#[test]
fn nothing_is_measured_before_there_are_requests() {
    let mut shop = Shop::new();
    shop.send(70, 30);
    assert_eq!(
        shop.at(0.0, Some(10)),
        None,
        "what came before is of no weight known here"
    );
    assert_eq!(shop.at(1.0, Some(10)), None);
    shop.send(9, 1);
    assert_eq!(shop.at(2.0, Some(10)), Some(0.1));
}

#[test]
fn a_change_of_weight_begins_a_new_window() {
    let mut shop = Shop::new();
    shop.at(0.0, Some(10));
    shop.send(90, 10);
    assert_eq!(shop.at(1.0, Some(10)), Some(0.1));
    assert_eq!(shop.at(1.1, Some(50)), None);
    shop.send(50, 50);
    assert_eq!(shop.at(2.2, Some(50)), Some(0.5));
}

#[test]
fn the_window_is_ten_seconds() {
    let mut shop = Shop::new();
    shop.at(0.0, Some(50));
    shop.send(100, 0);
    for second in 1..=10 {
        assert_eq!(
            shop.at(f64::from(second), Some(50)),
            Some(0.0),
            "at {second} s"
        );
    }
    shop.send(0, 100);
    assert_eq!(
        shop.at(11.0, Some(50)),
        Some(1.0),
        "the first hundred are 10 s old"
    );
    assert_eq!(shop.at(20.0, Some(50)), Some(1.0));
    assert_eq!(
        shop.at(30.0, Some(50)),
        None,
        "an idle rollout measures nothing"
    );
}

#[test]
fn readings_are_bounded_however_often_it_is_observed() {
    let mut shop = Shop::new();
    for tick in 0..1_000 {
        shop.at(f64::from(tick) / 10.0, Some(50));
    }
    assert!(shop.shares.rollouts[&shop.rollout].readings.len() <= 12);
}

#[test]
fn a_rollout_without_a_canary_has_weight_zero() {
    let mut shop = Shop::new();
    assert_eq!(shop.at(0.0, None), None);
    shop.send(5, 0);
    assert_eq!(shop.at(1.0, None), Some(0.0));
}

#[test]
fn the_requests_of_a_canary_before_are_not_the_next_ones() {
    let mut shop = Shop::new();
    shop.send(0, 500);
    shop.at(0.0, None);
    shop.send(10, 0);
    assert_eq!(shop.at(1.0, None), Some(0.0));
    assert_eq!(
        shop.at(2.0, Some(0)),
        None,
        "a canary has come, at weight 0"
    );
    shop.send(10, 0);
    assert_eq!(shop.at(3.0, Some(0)), Some(0.0));
}

#[test]
fn counters_that_begin_anew_do_not_mix_with_the_old() {
    let mut shop = Shop::new();
    shop.at(0.0, Some(50));
    shop.send(10, 10);
    assert_eq!(shop.at(1.0, Some(50)), Some(0.5));
    shop.stats.retain(|_| false);
    shop.send(1, 2);
    assert_eq!(shop.at(2.0, Some(50)), None);
    shop.send(1, 2);
    assert_eq!(shop.at(3.0, Some(50)), Some(2.0 / 3.0));
}

#[test]
fn rollouts_that_left_the_table_are_forgotten() {
    let mut shop = Shop::new();
    shop.at(0.0, Some(50));
    shop.shares
        .observe(&RouteTable::default(), Duration::from_secs(1));
    assert_eq!(shop.shares.of(&shop.rollout), None);
    assert_eq!(shop.shares.iter().count(), 0);
}
