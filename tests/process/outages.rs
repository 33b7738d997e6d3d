//! Canaries that vanish or hang, and what that does to users.

use crate::support::{
    eventually,
    load::{Load, Totals},
    origin::Behaviour,
    site::{Documents, QUICK, QUICK_AND_TIMED, Site, Slot},
};
use std::time::{Duration, Instant};

/// How long a hung request may take; long against everything else here.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(60);

fn site(guard: &str) -> Site {
    Site::new(Documents {
        steps: "setWeight: 25\npause: {}".to_owned(),
        proxy: format!(
            "timeouts: {{responseHeader: {}s}}",
            RESPONSE_TIMEOUT.as_secs()
        ),
        options: guard.to_owned(),
        ..Documents::default()
    })
}

/// Starts v2, which works, and waits until it has its share.
fn canary_under_way(site: &mut Site) -> (crate::support::process::Process, Load) {
    let process = site.start();
    let load = Load::start(process.listener, 300);
    site.ship("v2", Slot::Green, Behaviour::Good);
    process.until_phase("Paused", 25.0);
    eventually("both versions have served", || {
        load.totals().of("v2") >= 50 && load.totals().of("v1") >= 150
    });
    (process, load)
}

/// Whether all answers of stable were good.
fn stable_never_failed(totals: &Totals) -> bool {
    totals
        .answers
        .keys()
        .all(|(version, status)| version != "v1" || *status == 200)
}

#[test]
fn a_canary_that_vanishes_is_rolled_back_by_failed_connections() {
    let mut site = site(QUICK);
    let (process, load) = canary_under_way(&mut site);
    assert_eq!(load.totals().failed(), 0, "{:?}", load.totals());
    site.green.stop();
    let view = process.until_view("v2 is rolled back", |view| view["phase"] == "Degraded");
    let message = view["message"].as_str().unwrap();
    assert!(
        message.starts_with("RolloutAborted: rolled back: error ratio: "),
        "{message}"
    );
    process.until_phase("Degraded", 0.0);
    let at_rollback = load.totals();
    let after = load.more(150);
    // What was under way at the swap may still fail.
    assert!(after.failed() <= 48, "{after:?}");
    assert_eq!(load.more(100).failed(), 0, "stable serves everybody");
    assert!(stable_never_failed(&at_rollback), "{at_rollback:?}");
    assert!(
        at_rollback
            .answers
            .contains_key(&("nobody".to_owned(), 502)),
        "{at_rollback:?}"
    );
    let metrics = process.get("/metrics");
    let reasons: Vec<_> = ["connect", "reset"]
        .into_iter()
        .filter(|reason| failures(metrics.text(), reason) > 0)
        .collect();
    assert!(reasons.contains(&"connect"), "{reasons:?}");
}

fn failures(metrics: &str, reason: &str) -> u64 {
    let reason = format!("reason=\"{reason}\"");
    let counted = |line: &&str| {
        line.starts_with("sluice_failures_total")
            && line.contains("role=\"canary\"")
            && line.contains(&reason)
    };
    let line = metrics.lines().find(counted).unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn a_canary_that_hangs_is_rolled_back_long_before_the_response_timeout() {
    let mut site = site(QUICK_AND_TIMED);
    let (process, load) = canary_under_way(&mut site);
    let hung = Instant::now();
    site.green.behave(Behaviour::Hanging);
    let view = process.until_view("v2 is rolled back", |view| view["phase"] == "Degraded");
    let took = hung.elapsed();
    assert!(took < RESPONSE_TIMEOUT / 3, "{took:?}");
    let message = view["message"].as_str().unwrap();
    assert!(
        message.starts_with("RolloutAborted: rolled back: latency p"),
        "{message}"
    );
    process.until_phase("Degraded", 0.0);
    // What hangs is let go, so that all users are back; nobody of them ever saw stable fail.
    site.green.behave(Behaviour::Good);
    let after = load.more(200);
    assert_eq!(after.failed(), 0, "{after:?}");
    let totals = load.totals();
    assert!(stable_never_failed(&totals), "{totals:?}");
}

#[test]
fn a_canary_that_closes_its_connections_is_rolled_back() {
    let mut site = site(QUICK);
    let (process, load) = canary_under_way(&mut site);
    site.green.behave(Behaviour::Closing);
    let view = process.until_view("v2 is rolled back", |view| view["phase"] == "Degraded");
    assert!(
        view["message"].as_str().unwrap().contains("error ratio: "),
        "{view:#}"
    );
    process.until_phase("Degraded", 0.0);
    let totals = load.totals();
    assert!(stable_never_failed(&totals), "{totals:?}");
}

#[test]
fn a_canary_that_is_slower_is_rolled_back_by_latency() {
    let mut site = site(QUICK_AND_TIMED);
    let (process, _load) = canary_under_way(&mut site);
    site.green
        .behave(Behaviour::Slow(Duration::from_millis(300)));
    let view = process.until_view("v2 is rolled back", |view| view["phase"] == "Degraded");
    let message = view["message"].as_str().unwrap();
    assert!(
        message.starts_with("RolloutAborted: rolled back: latency p"),
        "{message}"
    );
}
