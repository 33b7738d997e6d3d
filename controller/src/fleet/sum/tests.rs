use super::{Answers, Sum, Told};
use crate::fleet::{RolloutReport, Split};
use proptest::prelude::*;
use std::{collections::BTreeMap, net::SocketAddr, time::Duration};
use traffic::{Bucket, EndpointCounts, FailureRule, HalfOctaves, Snapshot, Weight};

fn split(percent: u8) -> Split {
    Split {
        stable: "old".to_owned(),
        canary: "new".to_owned(),
        weight: Weight::from_percent(percent).unwrap(),
    }
}

fn address(last: u8) -> SocketAddr {
    SocketAddr::from(([10, 244, 0, last], 9091))
}

/// A proxy, as it counts.
#[derive(Clone, Default)]
struct Proxy {
    process: u32,
    counted: Snapshot,
    serving: Option<Split>,
    changes: u64,
}

impl Proxy {
    fn count(&mut self, requests: u64, failed: u64) {
        let took = Duration::from_millis(requests);
        self.counted.canary.dispatched += requests;
        self.counted.canary.failed += failed;
        self.counted.canary.latency.add(Bucket::of(took), requests);
        let endpoints = &mut self.counted.canary.endpoints;
        if endpoints.is_empty() {
            endpoints.push(EndpointCounts {
                address: address(99),
                dispatched: 0,
                failed: 0,
                took: HalfOctaves::default(),
            });
        }
        endpoints[0].dispatched += requests;
        endpoints[0].failed += failed;
    }

    fn restart(&mut self) {
        *self = Self {
            process: self.process + 1,
            serving: self.serving.clone(),
            ..Self::default()
        };
    }

    fn told(&self) -> Told {
        let rule = FailureRule::BROKEN;
        Told {
            process: self.process.to_string(),
            at: Duration::ZERO,
            report: RolloutReport::new(self.serving.clone(), self.changes, rule, &self.counted),
        }
    }
}

fn answers<'p>(proxies: impl IntoIterator<Item = (u8, Option<&'p Proxy>)>) -> Answers {
    let told = |(last, proxy): (u8, Option<&Proxy>)| (address(last), proxy.map(Proxy::told));
    proxies.into_iter().map(told).collect()
}

#[derive(Clone, Debug)]
enum Deed {
    Count {
        proxy: u8,
        requests: u64,
        failed: u64,
    },
    Restart {
        proxy: u8,
    },
    /// Those that answer: one bit each.
    Ask {
        answering: u8,
    },
}

const PROXIES: u8 = 3;

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        6 => (0..PROXIES, 1..50_u64, 0..50_u64).prop_map(|(proxy, requests, failed)| Deed::Count {
            proxy,
            requests,
            failed: failed.min(requests),
        }),
        1 => (0..PROXIES).prop_map(|proxy| Deed::Restart { proxy }),
        4 => any::<u8>().prop_map(|answering| Deed::Ask { answering }),
    ];
    prop::collection::vec(deed, 1..60)
}

proptest! {
    /// Of each process, what it counted between its first and its last answer is counted, once.
    #[test]
    fn the_sum_is_what_was_counted_since_it_was_first_asked(deeds in deeds()) {
        let mut proxies = vec![Proxy::default(); usize::from(PROXIES)];
        let mut sum = Sum::default();
        // By proxy and process: requests and failures at the first and at the last answer.
        let mut heard: BTreeMap<(u8, u32), [(u64, u64); 2]> = BTreeMap::new();
        let mut before = (0, 0);
        for deed in deeds {
            match deed {
                Deed::Count { proxy, requests, failed } => proxies[usize::from(proxy)].count(requests, failed),
                Deed::Restart { proxy } => proxies[usize::from(proxy)].restart(),
                Deed::Ask { answering } => {
                    let asked = proxies.iter().zip(0..).map(|(proxy, last)| {
                        (last, (answering & (1 << last) != 0).then_some(proxy))
                    });
                    let asked: Vec<_> = asked.collect();
                    for (last, proxy) in asked.iter().filter_map(|(last, proxy)| Some((*last, (*proxy)?))) {
                        let canary = &proxy.counted.canary;
                        let now = (canary.dispatched, canary.failed);
                        heard.entry((last, proxy.process)).or_insert([now; 2])[1] = now;
                    }
                    let (snapshot, unread) = sum.add(Duration::ZERO, answers(asked));
                    prop_assert_eq!(unread, Vec::new());
                    let counted = |of: fn(&(u64, u64)) -> u64| -> u64 {
                        heard.values().map(|[first, last]| of(last) - of(first)).sum()
                    };
                    let canary = &snapshot.canary;
                    let requests = counted(|n| n.0);
                    prop_assert_eq!((canary.dispatched, canary.failed), (requests, counted(|n| n.1)));
                    prop_assert_eq!(canary.latency.count(), requests);
                    for endpoint in &canary.endpoints {
                        prop_assert!(endpoint.dispatched <= requests && endpoint.failed <= endpoint.dispatched);
                    }
                    prop_assert!(before <= (canary.dispatched, canary.failed), "a counter has fallen");
                    before = (canary.dispatched, canary.failed);
                }
            }
        }
    }
}

#[test]
fn the_split_is_known_where_all_live_proxies_tell_the_same() {
    let serving = |percent: Option<u8>, changes| Proxy {
        serving: percent.map(split),
        changes,
        ..Proxy::default()
    };
    let check = |name: &str, asked: &[(u8, Option<Proxy>)], expected: Option<u8>| {
        let mut sum = Sum::default();
        let asked = asked.iter().map(|(last, proxy)| (*last, proxy.as_ref()));
        let (snapshot, _) = sum.add(Duration::ZERO, answers(asked));
        assert_eq!(snapshot.generation.is_some(), expected.is_some(), "{name}");
        assert_eq!(sum.serving(), expected.map(split).as_ref(), "{name}");
    };
    let five = || Some(serving(Some(5), 1));
    check("nobody is live", &[], None);
    check("all the same", &[(1, five()), (2, five())], Some(5));
    check(
        "one is behind",
        &[(1, five()), (2, Some(serving(Some(0), 1)))],
        None,
    );
    check(
        "one is on its way",
        &[(1, five()), (2, Some(serving(None, 1)))],
        None,
    );
    check("one does not answer", &[(1, five()), (2, None)], None);
}

#[test]
fn what_was_sent_by_another_split_meanwhile_has_another_generation() {
    let mut sum = Sum::default();
    let mut proxy = Proxy {
        serving: Some(split(5)),
        ..Proxy::default()
    };
    let mut generation = |proxy: &Proxy| {
        let (snapshot, _) = sum.add(Duration::ZERO, answers([(1, Some(proxy))]));
        snapshot.generation.unwrap()
    };
    let first = generation(&proxy);
    assert_eq!(generation(&proxy), first);
    // There and back between two looks.
    proxy.changes += 2;
    let second = generation(&proxy);
    assert_ne!(second, first);
    proxy.restart();
    assert_ne!(generation(&proxy), second);
}

#[test]
fn endpoints_that_no_proxy_knows_any_more_are_forgotten() {
    let mut sum = Sum::default();
    let mut proxy = Proxy::default();
    proxy.count(1, 0);
    let mut known = |proxy: &Proxy| {
        let (snapshot, _) = sum.add(Duration::ZERO, answers([(1, Some(proxy))]));
        snapshot.canary.endpoints.len()
    };
    known(&proxy);
    proxy.count(1, 0);
    assert_eq!(known(&proxy), 1);
    proxy.counted.canary.endpoints.clear();
    assert_eq!(known(&proxy), 0);
}
