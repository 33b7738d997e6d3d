use super::*;
use crate::fleet::{Endpoint, EndpointSlice, Names, Seen, Service, ServicePort};
use http::{HeaderMap, Method, Uri};
use serde_json::json;
use std::rc::Rc;
use traffic::{BackendId, Head, Outcome, Reader, Role, split::Side};

const NAMES: fn() -> Names = || Names {
    namespace: None,
    domain: "cluster.local".into(),
};

/// Which Services have an endpoint.
struct Endpoints(&'static [&'static str]);

impl Endpoints {
    const BOTH: Self = Self(&["shop", "shop-canary"]);
    const STABLE: Self = Self(&["shop"]);
}

/// The outline of `prod/shop` with `weight` percent for the canary.
fn outline(weight: u8, generation: u8) -> Outline {
    outline_of(weight, generation, &Endpoints::BOTH)
}

fn outline_of(weight: u8, generation: u8, endpoints: &Endpoints) -> Outline {
    Outline::of(&seen(weight, generation, endpoints), &NAMES())
}

/// What is seen of `prod/shop` then.
fn seen(weight: u8, generation: u8, endpoints: &Endpoints) -> Seen {
    let rollout = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "shop", "namespace": "prod"},
        "spec": {"strategy": {"canary": {
            "stableService": "shop", "canaryService": "shop-canary",
            "trafficRouting": {"plugins": {"sluice/proxy": {"guard": {"failures": {"statuses": [404]}}}}},
        }}},
        "status": {"observedGeneration": generation.to_string(), "canary": {"weights": {
            "canary": {"weight": weight, "podTemplateHash": "v2"},
            "stable": {"weight": 100 - weight, "podTemplateHash": "v1"},
        }}},
    });
    let service = Service {
        ports: vec![ServicePort::default()],
        family: None,
    };
    let slice = EndpointSlice {
        ports: vec![("".into(), 80)],
        endpoints: vec![Endpoint {
            pod: None,
            address: [10, 0, 0, 1].into(),
            is_ready: true,
            is_serving: true,
            is_terminating: false,
        }],
    };
    let of = |name: &str| BackendId::new("prod", name);
    Seen {
        rollouts: vec![Arc::new(serde_json::from_value(rollout).unwrap())],
        services: ["shop", "shop-canary"]
            .map(|name| (of(name), Arc::new(service.clone())))
            .into(),
        slices: endpoints
            .0
            .iter()
            .map(|name| (of(name), vec![Arc::new(slice.clone())]))
            .collect(),
    }
}

fn weight(report: &RolloutReport) -> Option<u16> {
    report
        .serving
        .as_ref()
        .map(|split| split.weight.basis_points())
}

#[test]
fn a_split_is_told_when_every_worker_serves_it() {
    let (stats, routes) = (Arc::new(Stats::new(2)), Arc::new(Routes::default()));
    let publisher = Publisher::new("p".to_owned(), Arc::clone(&stats), Arc::clone(&routes));
    let (mut first, mut second) = (routes.reader(), routes.reader());
    let at = Duration::from_millis(1500);
    let report = || {
        publisher
            .report(|_| true, |_| false, at)
            .rollouts
            .remove("prod/shop")
    };
    assert!(report().is_none());
    first.view();
    second.view();
    assert!(!publisher.is_served(), "nothing is known");

    publisher.publish(outline(20, 1));
    assert_eq!(weight(&report().unwrap()), None);
    first.view();
    assert_eq!(
        weight(&report().unwrap()),
        None,
        "one worker has not seen it"
    );
    assert!(!publisher.is_served());
    second.view();
    assert!(publisher.is_served());
    let served = report().unwrap();
    assert_eq!(weight(&served), Some(2000));
    assert_eq!(publisher.report(|_| true, |_| false, at).at, 1.5);

    // What does not change the split takes nothing back.
    publisher.publish(outline(20, 2));
    assert_eq!(report().unwrap(), served);
    publisher.publish(outline(30, 2));
    let next = report().unwrap();
    assert_eq!((weight(&next), next.changes), (None, served.changes + 1));
    first.view();
    second.view();
    assert_eq!(weight(&report().unwrap()), Some(3000));

    // A Rollout that was gone is another one.
    publisher.publish(Outline::default());
    assert!(report().is_none());
    publisher.publish(outline(30, 2));
    assert!(report().unwrap().changes > next.changes);
    assert!(
        publisher
            .report(|_| false, |_| false, at)
            .rollouts
            .is_empty()
    );
    drop((first, second));
    assert_eq!(weight(&report().unwrap()), None, "nobody serves");
}

#[test]
fn counts_are_read_by_the_rule_of_the_rollout_and_end_with_it() {
    let stats = Arc::new(Stats::new(1));
    let publisher = Publisher::new("p".to_owned(), Arc::clone(&stats), Arc::default());
    publisher.publish(outline(20, 1));
    let id = RolloutId::new("prod", "shop");
    let failed = || {
        let report = publisher
            .report(|_| true, |_| false, Duration::ZERO)
            .rollouts
            .remove("prod/shop");
        let snapshot = report.unwrap().snapshot(Duration::ZERO).unwrap();
        (snapshot.canary.dispatched, snapshot.canary.failed)
    };
    let series = stats.series(&id, Role::Canary);
    for status in [404, 500, 200] {
        let shard = series.shard(0);
        shard.begin(Duration::ZERO, true);
        shard.end(Duration::ZERO, Duration::ZERO, Outcome::Answered(status));
    }
    assert_eq!(failed(), (3, 1));
    publisher.publish(Outline::default());
    publisher.publish(outline(20, 1));
    assert_eq!(failed(), (0, 0));
}

/// Requests by the last table, until the canary is tripped or has failed `failures` times. All that it gets fails.
fn ask(reader: &mut Reader, failures: usize) {
    let view = Rc::clone(reader.view());
    let split = &view.table().splits()[0];
    let (uri, headers) = (Uri::from_static("/"), HeaderMap::new());
    let head = Head {
        method: &Method::GET,
        uri: &uri,
        headers: (&headers).into(),
        client: &[127, 0, 0, 1].into(),
        listener: "any",
    };
    let mut failed = 0;
    while failed < failures && !split.has_tripped() {
        let choice = split.choose(&head, 0, || 0);
        let is_canary = choice.side == Side::Canary;
        let outcome = Outcome::Answered(if is_canary { 404 } else { 200 });
        let series = &split.backend(choice.side).series;
        series.shard(0).begin(Duration::ZERO, choice.by_weight);
        series.shard(0).end(Duration::ZERO, Duration::ZERO, outcome);
        if let Some(stake) = choice.stake {
            series.ended(0, stake, outcome);
        }
        failed += usize::from(is_canary);
    }
}

#[test]
fn a_canary_that_was_tripped_stays_so_for_its_trial() {
    let (stats, routes) = (Arc::new(Stats::new(1)), Arc::new(Routes::default()));
    let publisher = Publisher::new("p".to_owned(), stats, Arc::clone(&routes));
    let mut reader = routes.reader();
    let has_tripped = |reader: &mut Reader| {
        let split = reader.view().table().splits()[0].has_tripped();
        let report = publisher
            .report(|_| true, |_| false, Duration::ZERO)
            .rollouts
            .remove("prod/shop");
        let told = report.unwrap().tripped;
        if let Some(told) = &told {
            assert_eq!(told.canary, "v2");
            assert_eq!(
                (told.trip.canary_failures, told.trip.stable_failures),
                (told.trip.canary_requests, 0)
            );
        }
        assert_eq!(split, told.is_some());
        split
    };
    let serve = |weight: u8, endpoints: &Endpoints, reader: &mut Reader| {
        publisher.publish(outline_of(weight, 1, endpoints));
        reader.view();
    };
    serve(20, &Endpoints::BOTH, &mut reader);
    assert!(!has_tripped(&mut reader));
    ask(&mut reader, 20);
    assert!(has_tripped(&mut reader));
    // Whatever becomes of its pods, and at another weight.
    serve(20, &Endpoints::STABLE, &mut reader);
    assert!(!reader.view().table().splits()[0].weight.admits(0));
    serve(20, &Endpoints::BOTH, &mut reader);
    assert!(has_tripped(&mut reader));
    serve(60, &Endpoints::BOTH, &mut reader);
    assert!(has_tripped(&mut reader));
    serve(100, &Endpoints::BOTH, &mut reader);
    assert!(has_tripped(&mut reader));
    // It was aborted, and somebody tries it again.
    serve(0, &Endpoints::BOTH, &mut reader);
    serve(20, &Endpoints::BOTH, &mut reader);
    assert!(!has_tripped(&mut reader));
    ask(&mut reader, 20);
    assert!(has_tripped(&mut reader));
}

#[test]
fn with_all_requests_nothing_trips_a_canary() {
    let (stats, routes) = (Arc::new(Stats::new(1)), Arc::new(Routes::default()));
    let publisher = Publisher::new("p".to_owned(), stats, Arc::clone(&routes));
    let mut reader = routes.reader();
    publisher.publish(outline(100, 1));
    ask(&mut reader, 1000);
    assert!(!reader.view().table().splits()[0].has_tripped());
}

/// Of Services that take turns: what the canary's pods answer is counted as stable's from the table on that makes them
/// stable, and that is another split.
#[test]
fn what_was_the_canarys_is_stables_from_one_table_on() {
    let (stats, routes) = (Arc::new(Stats::new(1)), Arc::new(Routes::default()));
    let publisher = Publisher::new("p".to_owned(), Arc::clone(&stats), Arc::clone(&routes));
    let mut reader = routes.reader();
    let mut serve = |slot: &str, stable: &str, weight: u8| {
        let mut seen = seen(weight, 1, &Endpoints::BOTH);
        let rollout = Arc::make_mut(&mut seen.rollouts[0]);
        let strategy = rollout.spec.strategy.as_mut().unwrap();
        strategy.canary.as_mut().unwrap().ping_pong = Some(crds::strategy::PingPong {
            ping_service: "shop".to_owned(),
            pong_service: "shop-canary".to_owned(),
        });
        let status = rollout.status.as_mut().unwrap();
        status["stableRS"] = json!(stable);
        status["canary"]["stablePingPong"] = json!(slot);
        status["canary"]["weights"]["stable"]["podTemplateHash"] = json!(stable);
        publisher.publish(Outline::of(&seen, &NAMES()));
        let told = || {
            let mut report = publisher.report(|_| true, |_| false, Duration::ZERO);
            report.rollouts.remove("prod/shop").unwrap()
        };
        assert_eq!(told().serving, None, "no worker has looked");
        let split = &reader.view().table().splits()[0];
        let canary = split.canary.as_ref();
        for version in canary.into_iter().chain([&split.stable]) {
            if *version.id.name == *"shop-canary" {
                let shard = version.series.shard(0);
                shard.begin(Duration::ZERO, true);
                shard.end(Duration::ZERO, Duration::ZERO, Outcome::Answered(200));
            }
        }
        let snapshot = told().snapshot(Duration::ZERO).unwrap();
        let counted = (snapshot.stable.dispatched, snapshot.canary.dispatched);
        (told().serving.unwrap(), told().changes, counted)
    };
    let (before, first, counted) = serve("ping", "v1", 100);
    assert_eq!((before.stable.as_str(), counted), ("v1", (0, 1)));
    let (after, second, counted) = serve("pong", "v2", 0);
    assert_eq!((after.stable.as_str(), counted), ("v2", (1, 1)));
    assert!(second > first);
    // Also where nothing but the Services has changed sides.
    let (same, third, counted) = serve("ping", "v2", 0);
    assert_eq!((&same, counted), (&after, (1, 1)));
    assert!(third > second);
}

#[test]
fn what_was_counted_is_remembered_by_its_split_and_told_when_asked_for() {
    let (stats, routes) = (Arc::new(Stats::new(1)), Arc::new(Routes::default()));
    let publisher = Publisher::new("p".to_owned(), Arc::clone(&stats), Arc::clone(&routes));
    let mut reader = routes.reader();
    let shard = stats.series(&RolloutId::new("prod", "shop"), Role::Canary);
    let mut second = 0;
    let mut serve = |weight: u8| {
        publisher.publish(outline(weight, 1));
        reader.view();
        for _ in 0..3 {
            second += 1;
            shard.shard(0).begin(Duration::ZERO, true);
            let ended = Outcome::Answered(200);
            shard.shard(0).end(Duration::ZERO, Duration::ZERO, ended);
            publisher.remember(Duration::from_secs(second));
        }
    };
    // Somebody aborts it meanwhile, and tries it again.
    [20, 0, 20].into_iter().for_each(&mut serve);
    let at = Duration::from_secs(second);
    let told = |recalled: bool| {
        let mut report = publisher.report(|_| true, |_| recalled, at);
        report.rollouts.remove("prod/shop").unwrap().history
    };
    assert!(told(false).is_empty());
    let told = told(true);
    let of_span = |span: &crate::fleet::history::Span| {
        let weight = span.under.serving.as_ref().unwrap().weight;
        let trial = span.under.trial.as_ref().map(|trial| trial.number);
        let counted = span.moments.iter();
        let counted = counted.map(|moment| moment.counted.canary.dispatched);
        (weight.basis_points(), trial, counted.sum())
    };
    // The first reading is what the next is compared with. At rest, counters are read less often.
    assert_eq!(
        told.iter().map(of_span).collect::<Vec<_>>(),
        [(2000, Some(1), 2), (2000, Some(2), 6)]
    );
}
