//! A canary that the proxy trips by itself, as users and operators see it.

use crate::support::{
    load::Load,
    origin::Behaviour,
    process::stdout,
    site::{Documents, Site, Slot},
};

/// A guard that would take a hundred failures, so that it is the proxy who acts.
const SURE: &str = "guard: {alpha: 1e-300, latency: off}";

#[test]
fn a_dead_canary_is_taken_off_by_the_proxy() {
    let mut site = Site::new(Documents {
        options: SURE.to_owned(),
        steps: "setWeight: 25\npause: {}".to_owned(),
        ..Documents::default()
    });
    let process = site.start();
    let load = Load::start(process.listener, 200);
    load.more(100);
    site.ship("v2", Slot::Green, Behaviour::Failing(1.0));
    let view = process.until_view("v2 is rolled back", |view| view["phase"] == "Degraded");
    let message = view["message"].as_str().unwrap();
    assert!(
        message.starts_with("RolloutAborted: rolled back by the proxy: "),
        "{message}"
    );
    let last = view["decisions"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&last["decision"], &last["by"]),
        (&"rolled-back".into(), &"proxy".into())
    );
    process.until_view("what was under way has ended", |view| {
        view["canary"]["inFlight"] == 0
    });
    let before = site.green.requests();
    let after = load.more(200);
    assert!(after.of("v1") > 0, "{after:?}");
    assert_eq!(site.green.requests(), before, "nothing goes to it any more");

    let explained = process.cli(&["explain", "shop"]);
    let text = stdout(&explained);
    assert!(text.contains("was rolled back by the proxy at"), "{text}");
    process.logs(&["the proxy gives all requests to stable by itself"]);
    let metrics = process.get("/metrics");
    let trips = "sluice_trips_total{namespace=\"default\",rollout=\"shop\"} 1";
    assert!(
        metrics.text().lines().any(|line| line == trips),
        "{}",
        metrics.text()
    );
}
