use super::{Table, headline, print, rollout};
use crate::cluster_cli::Seen;
use crate::view::Palette;
use cluster::operator::Picture;
use serde_json::{Value, json};

fn set(hash: &str, revision: &str, wanted: i64, available: i64) -> Value {
    json!({
        "metadata": {
            "name": format!("shop-{hash}"), "uid": hash, "creationTimestamp": "2026-11-29T01:00:00Z",
            "labels": {"rollouts-pod-template-hash": hash},
            "annotations": {"rollout.argoproj.io/revision": revision},
            "ownerReferences": [{"uid": "u0", "controller": true}],
        },
        "spec": {
            "replicas": wanted, "template": {"spec": {"containers": [{"image": format!("shop:{revision}")}]}},
        },
        "status": {"replicas": wanted, "availableReplicas": available},
    })
}

fn pod(set: &str, name: &str, state: &Value) -> Value {
    json!({
        "metadata": {
            "name": name, "creationTimestamp": "2026-11-29T01:58:00Z",
            "ownerReferences": [{"uid": set, "controller": true}],
        },
        "spec": {"containers": [{"name": "app"}]},
        "status": {"phase": "Running", "containerStatuses": [state]},
    })
}

fn paused() -> Seen {
    let object = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
        "metadata": {
            "name": "shop", "namespace": "prod", "uid": "u0", "creationTimestamp": "2026-11-27T01:00:00Z",
        },
        "spec": {"replicas": 4, "strategy": {"canary": {"steps": [{"setWeight": 25}, {"pause": {}}]}}},
        "status": {
            "phase": "Paused", "message": "CanaryPauseStep", "currentStepIndex": 1, "stableRS": "a",
            "currentPodHash": "b", "replicas": 4, "updatedReplicas": 1, "readyReplicas": 4, "availableReplicas": 4,
        },
    });
    let mut old = set("o", "1", 0, 0);
    old["metadata"]["annotations"]["scale-down-deadline"] = json!("2026-11-29T02:00:20Z");
    let picture = Picture {
        rollouts: Vec::new(),
        replica_sets: vec![old, set("a", "2", 3, 3), set("b", "3", 1, 1)],
        pods: vec![
            pod(
                "b",
                "shop-b-1",
                &json!({"ready": true, "state": {"running": {}}}),
            ),
            pod(
                "a",
                "shop-a-1",
                &json!({"restartCount": 7, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}),
            ),
        ],
    };
    Seen::read(&object, &picture).unwrap()
}

fn text(palette: Palette, styled: bool) -> String {
    let now = "2026-11-29T02:00:00Z".parse().unwrap();
    let mut text = Vec::new();
    print(&rollout(&paused(), now, palette), styled, &mut text).unwrap();
    String::from_utf8(text).unwrap()
}

#[test]
fn a_rollout_is_shown_with_all_that_is_its_own() {
    let expected = "\
Name:            shop
Namespace:       prod
Status:          Paused
Message:         CanaryPauseStep
Strategy:        Canary
  Step:          1/2
  SetWeight:     25
  ActualWeight:  25
Images:          shop:2 (stable)
                 shop:3 (canary)
Replicas:
  Desired:       4
  Current:       4
  Updated:       1
  Ready:         4
  Available:     4

NAME               STATUS            AGE   INFO
shop               Paused            2d
├─ revision 3
│  └─ shop-b       Healthy           60m   canary
│     └─ shop-b-1  Running           2m0s  ready 1/1
├─ revision 2
│  └─ shop-a       Healthy           60m   stable
│     └─ shop-a-1  CrashLoopBackOff  2m0s  ready 0/1, restarts 7
└─ revision 1
   └─ shop-o       ScaledDown        60m   goes in 20s
";
    assert_eq!(text(Palette::PLAIN, false), expected);
}

/// Colours change nothing but colours.
#[test]
fn colours_are_for_terminals_only() {
    let styled = text(Palette::COLOR, true);
    assert!(styled.contains("\u{1b}["), "{styled}");
    let mut plain = String::new();
    let mut rest = styled.as_str();
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        plain += before;
        rest = after.split_once('m').unwrap().1;
    }
    plain += rest;
    assert_eq!(plain, text(Palette::PLAIN, false));
}

#[test]
fn it_is_told_in_a_line_too() {
    let line = "prod/shop: Paused, step 1/2, weight 25: CanaryPauseStep";
    assert_eq!(headline(&paused()), line);
}

#[test]
fn a_list_grows_by_what_changes() {
    let mut table = Table::new(&[paused()], true);
    let expected = "\
NAMESPACE  NAME  STRATEGY  STATUS       STEP  SET-WEIGHT  READY  DESIRED  UP-TO-DATE  AVAILABLE
prod       shop  Canary    Paused       1/2   25          4/4    4        1           4
";
    assert_eq!(table.text(), expected);
    assert!(table.changes(&[paused()]).is_empty());
    let mut next = paused();
    next.status.current_step_index = Some(2);
    let expected =
        "prod       shop  Canary    Paused       2/2   100         4/4    4        1           4";
    assert_eq!(table.changes(&[next.clone()]), [expected]);
    assert!(table.changes(&[]).is_empty());
    assert_eq!(table.changes(&[next]), [expected]);
    let own = Table::new(&[], false).text();
    assert!(own.starts_with("NAME  STRATEGY"), "{own}");
}
