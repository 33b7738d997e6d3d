use super::{History, LONG, MOST, Moment, RECENT, SHORT, Span, Tried};
use crate::fleet::{RolloutReport, Split};
use proptest::prelude::*;
use rollout::sim::Random;
use std::{collections::BTreeMap, net::SocketAddr, time::Duration};
use traffic::{
    Bucket, Counts, EndpointCounts, FailureRule, HalfOctave, HalfOctaves, Snapshot, Weight,
};

/// A Rollout's counters, and the history of them.
#[derive(Default)]
struct Scene {
    history: History,
    counted: Snapshot,
    /// In milliseconds.
    now: u64,
    changes: u64,
    trial: Option<Tried>,
}

impl Scene {
    fn push(&mut self) {
        let serving = Split {
            stable: "old".to_owned(),
            canary: "new".to_owned(),
            weight: Weight::from_percent(20).unwrap(),
        };
        let rule = FailureRule::BROKEN;
        let report = RolloutReport::new(Some(serving), self.changes, rule, &self.counted);
        let at = Duration::from_millis(self.now);
        self.history.push(at, self.trial.clone(), &report);
    }

    fn try_out(&mut self, number: Option<u64>) {
        self.changes += 1;
        self.trial = number.map(|number| Tried {
            canary: "new".to_owned(),
            number,
        });
    }

    /// Lets `seconds` pass, with about 100 requests in each, and pushes whenever that is due.
    fn run(&mut self, seconds: u64, random: &mut Random) {
        for _ in 0..seconds * 10 {
            self.now += 100;
            count(&mut self.counted.stable, 1, random.poisson(8.0), random);
            if self.trial.is_some() {
                count(&mut self.counted.canary, 2, random.poisson(2.0), random);
            }
            let at = Duration::from_millis(self.now);
            if self.history.is_due(at, self.trial.is_some()) {
                self.push();
            }
        }
    }

    fn moments(&self) -> Vec<Moment> {
        let spans = self.history.told().into_iter();
        spans.flat_map(|span| span.moments).collect()
    }
}

/// Counts requests at three endpoints of `version`, of a log-normal latency.
fn count(side: &mut Counts, version: u8, requests: u64, random: &mut Random) {
    for _ in 0..requests {
        let took = Duration::from_secs_f64(0.02 * f64::exp(0.5 * random.normal()));
        let address = SocketAddr::from(([10, 0, version, (random.bits() % 3) as u8], 8080));
        side.dispatched += 1;
        side.latency.add(Bucket::of(took), 1);
        let place = side.endpoints.binary_search_by_key(&address, |e| e.address);
        let place = place.unwrap_or_else(|place| {
            let new = EndpointCounts {
                address,
                dispatched: 0,
                failed: 0,
                took: HalfOctaves::default(),
            };
            side.endpoints.insert(place, new);
            place
        });
        side.endpoints[place].dispatched += 1;
        side.endpoints[place].took.add(HalfOctave::of(took), 1);
    }
}

#[derive(Clone, Debug)]
enum Deed {
    Pass { millis: u64, requests: u64 },
    Change { trial: bool },
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        30 => (1..20_000_u64, 0..3_u64).prop_map(|(millis, requests)| Deed::Pass { millis, requests }),
        60 => (900..1_100_u64, 0..3_u64).prop_map(|(millis, requests)| Deed::Pass { millis, requests }),
        5 => any::<bool>().prop_map(|trial| Deed::Change { trial }),
    ];
    prop::collection::vec(deed, 1..800)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn what_is_remembered_is_true_in_order_and_bounded(deeds in deeds()) {
        let mut scene = Scene::default();
        scene.push();
        // What was counted by each push.
        let mut pushed = BTreeMap::from([(0, 0)]);
        for deed in deeds {
            match deed {
                Deed::Pass { millis, requests } => {
                    scene.now += millis;
                    scene.counted.canary.dispatched += requests;
                    scene.counted.canary.latency.add(Bucket::LAST, requests);
                }
                Deed::Change { trial } => {
                    let number = scene.changes + 1;
                    scene.try_out(trial.then_some(number));
                }
            }
            scene.push();
            pushed.insert(scene.now, scene.counted.canary.dispatched);
        }
        let told = scene.history.told();
        let moments = scene.moments();
        prop_assert!(moments.len() <= MOST);
        let before = |at: u64| pushed.range(..at).next_back().map(|(at, _)| *at);
        let mut last = 0;
        for moment in &moments {
            let Moment { from, at, counted } = moment;
            prop_assert!(last <= *from && from <= at);
            last = *at;
            // Exactly what was counted between two pushes.
            prop_assert_eq!(counted.canary.dispatched, pushed[at] - pushed[from]);
            let latency: u64 = counted.canary.latency.iter().map(|(_, n)| n).sum();
            prop_assert_eq!(latency, counted.canary.dispatched);
            let is_long = at - from > LONG;
            prop_assert!(!is_long || before(*at) == Some(*from), "put together: {}, {}", from, at);
        }
        // Nothing lies between moments, nor after the last one.
        for (moment, next) in moments.iter().zip(&moments[1.min(moments.len())..]) {
            prop_assert_eq!(pushed[&moment.at], pushed[&next.from]);
        }
        prop_assert_eq!(pushed[&last], scene.counted.canary.dispatched);
        // That in which the split changed is as short as it was.
        let seams = told.iter().skip(1).filter_map(|span| span.moments.first());
        for seam in seams {
            prop_assert!(seam.from == seam.at || before(seam.at) == Some(seam.from));
        }
    }
}

#[test]
fn a_trial_is_remembered_for_an_hour_and_its_last_minute_by_the_second() {
    let (mut scene, random) = (Scene::default(), &mut Random::new(1));
    scene.run(600, random);
    scene.try_out(Some(1));
    scene.run(2 * 3600, random);
    let moments = scene.moments();
    assert!(moments.len() <= MOST, "{}", moments.len());
    let reach = scene.now - moments[0].from;
    assert!(reach >= 3_600_000, "{reach}");
    let recent = moments.iter().filter(|m| scene.now - m.at < RECENT);
    assert!(recent.clone().count() >= 55);
    assert!(recent.clone().all(|m| m.at - m.from <= SHORT));
    // What the documentation says.
    let bytes = scene.history.bytes();
    println!("on trial: {} moments, {bytes} bytes", moments.len());
    assert!(bytes <= 320 << 10, "{bytes}");

    scene.try_out(None);
    scene.run(600, random);
    let moments = scene.moments();
    let bytes = scene.history.bytes();
    println!("at rest: {} moments, {bytes} bytes", moments.len());
    assert!((35..=40).contains(&moments.len()), "{}", moments.len());
    assert!(bytes <= 20 << 10, "{bytes}");
}

#[test]
fn a_rollout_without_requests_takes_next_to_nothing() {
    let mut scene = Scene::default();
    scene.try_out(Some(1));
    for _ in 0..5_000 {
        scene.now += 1_000;
        scene.push();
    }
    let told = scene.history.told();
    let [Span { moments, .. }] = &told[..] else {
        panic!("{told:?}");
    };
    assert_eq!(moments.len(), 1);
    // And what comes then is all there.
    scene.counted.canary.dispatched += 3;
    scene.now += 1_000;
    scene.push();
    let last = scene.moments().pop().unwrap();
    assert_eq!(
        (last.at - last.from, last.counted.canary.dispatched),
        (1_000, 3)
    );
}

#[test]
fn who_asks_all_the_time_takes_nothing_from_what_is_remembered() {
    let (mut scene, random) = (Scene::default(), &mut Random::new(2));
    scene.try_out(Some(1));
    scene.run(600, random);
    for _ in 0..2_000 {
        scene.now += 1;
        count(&mut scene.counted.stable, 1, 1, random);
        scene.push();
    }
    assert!(scene.now - scene.moments()[0].from >= 600_000);
}

#[test]
fn what_is_counted_by_another_rule_begins_anew() {
    let mut scene = Scene::default();
    for statuses in [404, 405] {
        for _ in 0..3 {
            scene.now += 1_000;
            scene.counted.canary.dispatched += 1;
            let rule = FailureRule::BROKEN.with_statuses(statuses, statuses);
            let report = RolloutReport::new(None, 0, rule, &scene.counted);
            let at = Duration::from_millis(scene.now);
            scene.history.push(at, None, &report);
        }
    }
    let counted = scene
        .moments()
        .iter()
        .map(|m| m.counted.canary.dispatched)
        .sum::<u64>();
    assert_eq!(counted, 2);
}
