//! What holds whatever people do, and in whatever order.

use jiff::Timestamp;
use proptest::prelude::*;
use rollout::Judgement;
use serde_json::{Value, json};

use super::Cluster;
use super::cluster::merge;
use super::routed::{SERVICES, strategy, taking_turns};
use crate::reconcile::{Turn, World, Write, joined, single, turn};

#[derive(Clone, Copy, Debug)]
enum Deed {
    /// Ships one of four versions; the last one cannot start.
    Ship(u8),
    Scale(u32),
    Promote,
    PromoteFull,
    Abort,
    Retry,
    Pause(bool),
    Wait(i64),
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        3 => (1u8..=4).prop_map(Deed::Ship),
        1 => (0u32..=6).prop_map(Deed::Scale),
        3 => Just(Deed::Promote),
        1 => Just(Deed::PromoteFull),
        2 => Just(Deed::Abort),
        1 => Just(Deed::Retry),
        1 => any::<bool>().prop_map(Deed::Pause),
        4 => (1i64..20).prop_map(Deed::Wait),
    ]
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    prop::collection::vec(deed(), 0..14)
}

fn strategies() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!({"canary": {
            "steps": [{"setWeight": 20}, {"pause": {"duration": 5}}, {"setWeight": 60}, {"pause": {}}],
            "maxSurge": 1, "maxUnavailable": 0,
        }})),
        Just(json!({"canary": {
            "steps": [{"setWeight": 30}, {"pause": {"duration": 1}}], "maxSurge": 0, "maxUnavailable": 1,
            "canaryService": "preview", "stableService": "active",
        }})),
        Just(json!({"canary": {}})),
        routed(),
        Just(json!({"blueGreen": {"activeService": "active", "scaleDownDelaySeconds": 7}})),
        Just(json!({"blueGreen": {
            "activeService": "active", "previewService": "preview", "previewReplicaCount": 1,
            "autoPromotionEnabled": false, "abortScaleDownDelaySeconds": 3,
        }})),
    ]
}

/// Canaries whose traffic the proxies split.
fn routed() -> impl Strategy<Value = Value> {
    let steps = json!([
        {"setWeight": 20}, {"pause": {"duration": 5}}, {"setWeight": 60}, {"pause": {}},
        {"plugin": {"name": "sluice/evidence", "config": {"maxDuration": "9s", "onInconclusive": "promote"}}},
    ]);
    let scaled = json!([
        {"setCanaryScale": {"replicas": 1}}, {"setWeight": 70}, {"pause": {"duration": 2}},
        {"setCanaryScale": {"matchTrafficWeight": true}}, {"setWeight": 10}, {"pause": {}},
    ]);
    let more = prop_oneof![
        Just(json!({})),
        Just(json!({"dynamicStableScale": true})),
        Just(json!({"scaleDownDelaySeconds": 0, "abortScaleDownDelaySeconds": 4})),
        Just(json!({"abortScaleDownDelaySeconds": 0, "minPodsPerReplicaSet": 2})),
    ];
    let steps = prop_oneof![Just(steps), Just(scaled), Just(json!([]))];
    let services = prop_oneof![Just(json!({})), Just(taking_turns())];
    (steps, more, services).prop_map(|(steps, more, mut services)| {
        merge(&mut services, &more);
        strategy(&steps, &services, &json!({}))
    })
}

/// What people do and what the guard finds.
#[derive(Clone, Debug)]
enum Happening {
    Deed(Deed),
    Find(Judgement),
    /// So many proxies are live, and take so many seconds for another split.
    Proxies(usize, i64),
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let why = || "why".to_owned();
    let deed = deed().prop_filter("without pods nothing is served", |deed| {
        !matches!(deed, Deed::Scale(_))
    });
    let happening = prop_oneof![
        6 => deed.prop_map(Happening::Deed),
        1 => Just(Happening::Find(Judgement::RollBack { why: why() })),
        1 => Just(Happening::Find(Judgement::Hold { why: why() })),
        1 => Just(Happening::Find(Judgement::RollForward { why: why() })),
        1 => (0_usize..3, 0_i64..4).prop_map(|(live, lag)| Happening::Proxies(live, lag)),
    ];
    prop::collection::vec(happening, 0..14)
}

impl Cluster {
    fn does(&mut self, deed: Deed) {
        match deed {
            Deed::Ship(version) => self.ship(&format!("v{version}")),
            Deed::Scale(replicas) => self.edit(&json!({"replicas": replicas})),
            Deed::Promote => self.promote(),
            Deed::PromoteFull => self.patch_status(&json!({"promoteFull": true})),
            Deed::Abort => self.patch_status(&json!({"abort": true})),
            Deed::Retry => self.patch_status(&json!({"abort": false})),
            Deed::Pause(paused) => self.edit(&json!({"paused": paused})),
            Deed::Wait(seconds) => self.pass(seconds),
        }
    }

    /// The version that the Service of stable or active leads to.
    fn stable_leads_to(&self) -> Option<&str> {
        let slot = match &self.rollout["status"]["canary"]["stablePingPong"] {
            Value::Null => "active",
            slot => slot.as_str().unwrap(),
        };
        self.leads_to(slot)
    }

    /// What users see, and what comes next depends on: the order of conditions is neither. Where proxies split requests, neither is
    /// what depends on the moment in which they are seen to serve something, the order of events and `verified`: these proxies look
    /// once for each turn, and the two take different numbers of turns.
    fn outcome(&self) -> Value {
        let mut events = self.events.clone();
        if self.rollout["spec"]["strategy"]["canary"]["trafficRouting"].is_object() {
            events.sort();
        }
        let mut rollout = self.rollout.clone();
        let weights = rollout.pointer_mut("/status/canary/weights");
        if let Some(weights) = weights.and_then(Value::as_object_mut) {
            weights.remove("verified");
        }
        if let Some(conditions) = rollout["status"]["conditions"].as_array_mut() {
            conditions.sort_by_key(|condition| condition["type"].to_string());
        }
        let sets = self.sets.iter().map(|set| &set.object);
        let sets: Vec<_> = sets
            .map(|set| json!([set.name, set.wanted, set.available, set.annotations]))
            .collect();
        let services: Vec<_> = self
            .services
            .keys()
            .map(|name| self.leads_to(name))
            .collect();
        json!([rollout, sets, services, events])
    }

    /// Where the Rollout is, without what is said of its way: who looks more often sees pods that are not there yet, say.
    fn standing(&self) -> Value {
        let mut outcome = self.outcome();
        for told in ["conditions", "duration"] {
            outcome[0]["status"][told].take();
        }
        outcome[3].take();
        without_times(outcome)
    }

    /// Pods that serve, of all versions.
    fn available(&self) -> u32 {
        self.sets.iter().map(|set| set.object.available).sum()
    }
}

/// A Rollout that has run v0 for a while, with pods of v4 never becoming available, whose turns are `turn`.
fn running(strategy: &Value, turn: fn(&World, Timestamp) -> Turn) -> Cluster {
    let spec = json!({"replicas": 3, "strategy": strategy});
    let mut cluster = Cluster::new(&spec, "v0").with_services(&SERVICES);
    cluster.turn = turn;
    cluster.bad.push("v4".to_owned());
    cluster.settle();
    cluster.pass(5);
    cluster
}

/// Turns that look at the world after each write of another object than the status.
fn one_by_one(world: &World, now: Timestamp) -> Turn {
    joined::turn(world, now, single)
}

/// `value` with nothing in the place of times.
fn without_times(value: Value) -> Value {
    match value {
        Value::String(text) if text.parse::<Timestamp>().is_ok() => Value::Null,
        Value::Array(values) => values.into_iter().map(without_times).collect(),
        Value::Object(fields) => {
            let fields = fields.into_iter();
            let fields = fields.map(|(name, value)| (name, without_times(value)));
            fields.collect()
        }
        value => value,
    }
}

/// Turns of which no more than one write is made.
fn broken_off(world: &World, now: Timestamp) -> Turn {
    let mut turn = turn(world, now);
    let is_told = |write: &Write| matches!(write, Write::Event(_));
    let first = turn.writes.iter().position(|write| !is_told(write));
    turn.writes
        .truncate(first.map_or(usize::MAX, |first| first + 1));
    turn
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Whatever was done, a good version that is shipped and promoted in full ends as the only one; the Rollout comes to
    /// rest (`settle` fails when it does not), and where nobody scales there are never fewer pods than may be missing.
    #[test]
    fn a_good_version_always_gets_through(strategy in strategies(), deeds in deeds()) {
        let mut cluster = running(&strategy, turn);
        prop_assert_eq!(cluster.phase(), "Healthy");
        let mut is_scaled = false;
        for deed in deeds {
            is_scaled |= matches!(deed, Deed::Scale(_));
            cluster.does(deed);
            if !is_scaled {
                prop_assert!(cluster.available() >= 2, "{:?} after {:?}", cluster.wanted(), deed);
            }
        }
        cluster.edit(&json!({"replicas": 3, "paused": false}));
        cluster.ship("good");
        cluster.patch_status(&json!({"promoteFull": true, "abort": false}));
        cluster.pass(120);
        prop_assert_eq!(cluster.phase(), "Healthy");
        prop_assert_eq!(cluster.wanted(), [("good", 3)]);
        prop_assert_eq!(cluster.stable_leads_to().unwrap_or("good"), "good");
    }

    /// A ReplicaSet that is made with its pods comes to the same as one that is made without any and then scaled, and so is told.
    #[test]
    fn what_is_seen_ahead_comes_so(strategy in strategies(), deeds in deeds()) {
        let mut clusters = [turn, one_by_one].map(|turn| running(&strategy, turn));
        for deed in deeds {
            let [ahead, after] = clusters.each_mut().map(|cluster| {
                cluster.does(deed);
                cluster.pass(1);
                cluster.outcome()
            });
            prop_assert_eq!(ahead, after, "after {:?}", deed);
        }
    }

    /// Whoever goes on after any write of a turn comes to the same, once pods have come and gone.
    #[test]
    fn a_turn_may_be_broken_off_anywhere(strategy in strategies(), deeds in deeds()) {
        let mut clusters = [turn, broken_off].map(|turn| running(&strategy, turn));
        for deed in deeds {
            let [whole, broken] = clusters.each_mut().map(|cluster| {
                cluster.does(deed);
                cluster.pass(40);
                cluster.standing()
            });
            prop_assert_eq!(whole, broken, "after {:?}", deed);
        }
    }

    /// An abort takes the new version's traffic away in the same moment: its Service leads back, and no pod of it is made.
    #[test]
    fn an_abort_waits_for_nothing(strategy in strategies(), deeds in deeds()) {
        let mut cluster = running(&strategy, turn);
        for deed in deeds {
            cluster.does(deed);
        }
        let status = cluster.status();
        let stable = cluster.sets.iter().find(|set| {
            Some(&set.object.labels["rollouts-pod-template-hash"]) == status.stable_rs.as_ref()
        });
        let stable = stable.unwrap();
        // A Service does not leave a version for one without pods, which a Rollout of no pods may have promoted.
        let has_pods = stable.object.available > 0;
        let stable = stable.image.clone();
        let is_under_way = status.stable_rs != status.current_pod_hash;
        cluster.patch_status(&json!({"abort": true, "promoteFull": false}));
        if is_under_way {
            prop_assert!(cluster.phase().starts_with("Degraded") || cluster.phase().starts_with("Paused"), "{}", cluster.phase());
            if let Some(leads) = cluster.stable_leads_to().filter(|_| has_pods) {
                prop_assert_eq!(leads, stable);
            }
            prop_assert_eq!(cluster.canary_weight().unwrap_or(0), 0);
        }
    }

    /// Whatever happens to a canary whose traffic is split: no version without pods is sent requests (the statuses are
    /// looked at in `check_weights`), and none by a Service that leads to another, a verdict takes its traffic away in the status that follows, what was convicted is
    /// not promoted unless a person wants that, and the Rollout comes to rest.
    #[test]
    fn a_verdict_is_kept_whatever_happens(strategy in routed(), happenings in happenings()) {
        let mut cluster = running(&strategy, turn);
        let mut convicted: Option<String> = None;
        for happening in happenings {
            let before = cluster.status();
            let has_traffic = cluster.canary_weight().unwrap_or(0) > 0;
            match &happening {
                Happening::Deed(deed) => {
                    let overrules = matches!(deed, Deed::Ship(_) | Deed::PromoteFull | Deed::Retry);
                    convicted = convicted.filter(|_| !overrules);
                    cluster.does(*deed);
                }
                Happening::Proxies(live, lag) => {
                    cluster.proxies.change(*live, *lag);
                }
                Happening::Find(judgement) => {
                    cluster.find(judgement.clone());
                    let is_verdict = matches!(judgement, Judgement::RollBack { .. });
                    if is_verdict && has_traffic && before.stable_rs != before.current_pod_hash {
                        prop_assert_eq!(cluster.canary_weight(), Some(0));
                        prop_assert_eq!(cluster.status().abort, Some(true));
                        convicted = before.current_pod_hash;
                    }
                }
            }
            prop_assert_eq!(cluster.starved(), None, "after {:?}: {:#?}", happening, cluster.trace);
            prop_assert_eq!(cluster.misled(), None, "after {:?}: {:#?}", happening, cluster.trace);
            let stable = cluster.status().stable_rs;
            prop_assert!(convicted.is_none() || stable != convicted, "after {:?}", happening);
        }
        cluster.proxies.live = 1;
        cluster.proxies.finding = None;
        cluster.edit(&json!({"paused": false}));
        cluster.ship("good");
        cluster.patch_status(&json!({"promoteFull": true, "abort": false}));
        cluster.pass(120);
        prop_assert_eq!(cluster.phase(), "Healthy");
        prop_assert!(cluster.wanted().contains(&("good", 3)), "{:?}", cluster.wanted());
        prop_assert_eq!(cluster.stable_leads_to(), Some("good"));
        prop_assert_eq!(cluster.canary_weight(), Some(0));
    }
}
