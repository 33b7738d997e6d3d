//! What a new leader knows of a canary that another one has begun to judge.

use crate::{controller::process, fleet::Scene};
use anyhow::{Result, ensure};
use e2e::bed::harness;
use kube::Client;
use libtest_mimic::Trial;
use serde_json::{Value, json};

/// The canary's requests, of 40 a second, after which the controller is killed.
const BEFORE: u64 = 200;
/// Those that a new leader may not know of: about two seconds', and those of a block that was not full.
const GRANULARITY: u64 = 100;

pub(crate) fn tests() -> Vec<Trial> {
    vec![harness::test(
        "evidence_goes_on_when_the_leader_is_killed",
        evidence_goes_on,
    )]
}

/// An evidence step is under way when the controller is killed. The next one begins with the evidence that there was, and the
/// version is promoted by what both have seen.
async fn evidence_goes_on(client: Client, namespace: String) -> Result<()> {
    let mut scene = Scene::new(&client, namespace).await?;
    let evidence = json!({"name": "sluice/evidence", "config": {"harmBudget": 0.005}});
    let steps = json!([{"setWeight": 20}, {"plugin": evidence}, {"setWeight": 60}]);
    scene.ship_by("green", 0.0, Some(steps)).await?;
    scene.serve(2000).await?;
    let before = loop {
        let evidence = present(&scene).await?;
        if requests(&evidence) >= BEFORE {
            break evidence;
        }
    };
    ensure!(before["evidence"]["acceptance"]["met"] == false, "{before}");
    scene.change_leaders().await?;
    let after = present(&scene).await?;
    let (before, known) = (requests(&before), requests(&after));
    // A new process begins with nothing: without what the proxies remember it would have a few requests.
    ensure!(known + GRANULARITY >= before, "{known}, after {before}");
    println!("{before} requests of evidence before, {known} after");
    process::replay(after.to_string().as_bytes()).await?;
    scene.rollouts.wait("shop", "Healthy", 2).await?;
    scene.serve(0).await?;
    scene.end().await
}

/// What the controller tells of the canary, once there is evidence for a step.
async fn present(scene: &Scene) -> Result<Value> {
    let path = format!("/evidence/{}/shop", scene.namespace);
    loop {
        // There is none as long as nothing is judged.
        let Ok(page) = scene.controller.page(&path).await else {
            continue;
        };
        let told: Value = serde_json::from_slice(&page)?;
        if told["evidence"]["acceptance"].is_object() {
            return Ok(told);
        }
    }
}

/// The canary's requests that are evidence for the step.
fn requests(told: &Value) -> u64 {
    let requests = &told["evidence"]["acceptance"]["canary_requests"];
    requests.as_u64().unwrap_or_default()
}
