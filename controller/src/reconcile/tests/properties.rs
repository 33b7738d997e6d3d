//! What holds whatever people do, and in whatever order.

use proptest::prelude::*;
use serde_json::json;

use super::Cluster;

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

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        3 => (1u8..=4).prop_map(Deed::Ship),
        1 => (0u32..=6).prop_map(Deed::Scale),
        3 => Just(Deed::Promote),
        1 => Just(Deed::PromoteFull),
        2 => Just(Deed::Abort),
        1 => Just(Deed::Retry),
        1 => any::<bool>().prop_map(Deed::Pause),
        4 => (1i64..20).prop_map(Deed::Wait),
    ];
    prop::collection::vec(deed, 0..14)
}

fn strategies() -> impl Strategy<Value = serde_json::Value> {
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
        Just(json!({"blueGreen": {"activeService": "active", "scaleDownDelaySeconds": 7}})),
        Just(json!({"blueGreen": {
            "activeService": "active", "previewService": "preview", "previewReplicaCount": 1,
            "autoPromotionEnabled": false, "abortScaleDownDelaySeconds": 3,
        }})),
    ]
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

    /// Pods that serve, of all versions.
    fn available(&self) -> u32 {
        self.sets.iter().map(|set| set.object.available).sum()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Whatever was done, a good version that is shipped and promoted in full ends as the only one; the Rollout comes to
    /// rest (`settle` fails when it does not), and where nobody scales there are never fewer pods than may be missing.
    #[test]
    fn a_good_version_always_gets_through(strategy in strategies(), deeds in deeds()) {
        let mut cluster = Cluster::new(&json!({"replicas": 3, "strategy": strategy}), "v0")
            .with_services(&["active", "preview"]);
        cluster.bad.push("v4".to_owned());
        cluster.settle();
        cluster.pass(5);
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
        prop_assert_eq!(cluster.leads_to("active").unwrap_or("good"), "good");
    }

    /// An abort takes the new version's traffic away in the same moment: its Service leads back, and no pod of it is made.
    #[test]
    fn an_abort_waits_for_nothing(strategy in strategies(), deeds in deeds()) {
        let mut cluster = Cluster::new(&json!({"replicas": 3, "strategy": strategy}), "v0")
            .with_services(&["active", "preview"]);
        cluster.bad.push("v4".to_owned());
        cluster.settle();
        cluster.pass(5);
        for deed in deeds {
            cluster.does(deed);
        }
        let status = cluster.status();
        let stable = cluster.sets.iter().find(|set| {
            Some(&set.object.labels["rollouts-pod-template-hash"]) == status.stable_rs.as_ref()
        });
        let stable = stable.unwrap().image.clone();
        let is_under_way = status.stable_rs != status.current_pod_hash;
        cluster.patch_status(&json!({"abort": true, "promoteFull": false}));
        if is_under_way {
            prop_assert!(cluster.phase().starts_with("Degraded") || cluster.phase().starts_with("Paused"), "{}", cluster.phase());
            if let Some(leads) = cluster.leads_to("active") {
                prop_assert_eq!(leads, stable);
            }
        }
    }
}
