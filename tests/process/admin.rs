//! The admin server over sockets.

use crate::support::{
    origin::Behaviour,
    process::{JSON, Process, ROLLOUT, stderr, stdout},
    site::{Documents, Site, Slot},
    wire::{self, Connection},
};
use serde_json::Value;
use std::{
    fs,
    time::{Duration, Instant},
};

fn paused_canary() -> (Site, Process) {
    let mut site = Site::with_steps("setWeight: 50\npause: {}");
    let process = site.start();
    site.ship("v2", Slot::Green, Behaviour::Good);
    process.until_phase("Paused", 50.0);
    (site, process)
}

fn refusal(answer: &wire::Message) -> String {
    let said: Value = serde_json::from_str(answer.text()).unwrap();
    said["error"].as_str().unwrap().to_owned()
}

#[test]
fn health_metrics_and_state_are_served() {
    let site = Site::new(Documents::default());
    let process = site.start();
    for path in ["/healthz", "/readyz"] {
        let answer = process.get(path);
        assert_eq!((answer.status(), answer.text()), (200, "ok\n"), "{path}");
    }
    for (accept, content_type) in [
        ("", "text/plain"),
        ("accept: text/plain", "text/plain"),
        (
            "accept: application/openmetrics-text; version=1.0.0",
            "application/openmetrics-text",
        ),
        (
            "accept: application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
            "application/vnd.google.protobuf",
        ),
    ] {
        let answer = wire::get(process.admin, "/metrics", accept).unwrap();
        let found = answer.header("content-type").unwrap();
        assert!(
            answer.status() == 200 && found.starts_with(content_type),
            "{accept}: {found}"
        );
    }
    let version = process.api("/api/v1/version");
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    let all = process.api("/api/v1/rollouts");
    assert_eq!(
        (all.as_array().unwrap().len(), &all[0]["name"]),
        (1, &"shop".into())
    );
    for path in [
        "/api/v1/rollouts/default/cart",
        "/api/v1/nothing",
        "/nothing",
    ] {
        assert_eq!(process.get(path).status(), 404, "{path}");
    }
}

#[test]
fn a_change_is_told_within_a_second() {
    let (_site, process) = paused_canary();
    let mut events = Connection::open(process.admin).unwrap();
    events.send("GET /api/v1/events", "", "").unwrap();
    let mut views = events.lines().map_while(Result::ok).filter_map(|line| {
        let data = line.strip_prefix("data: ")?;
        Some(serde_json::from_str::<Value>(data).unwrap())
    });
    assert_eq!(
        views.next().unwrap()["message"],
        "CanaryPauseStep",
        "the state of now comes first"
    );
    let mut told_after = |verb: &str, message: &str| {
        assert_eq!(process.tell(verb, "{}").0, 200);
        let done = Instant::now();
        views.find(|view| view["message"] == message).unwrap();
        done.elapsed()
    };
    // The machine may be too busy once, but not each time.
    let times: Vec<Duration> = (0..3)
        .flat_map(|_| {
            [
                told_after("pause", "manually paused"),
                told_after("resume", "CanaryPauseStep"),
            ]
        })
        .collect();
    assert!(
        times.iter().min().unwrap() < &Duration::from_secs(1),
        "{times:?}"
    );
}

#[test]
fn a_foreign_page_cannot_reach_a_server_on_loopback() {
    let (_site, process) = paused_canary();
    let before = process.view()["decisions"].clone();
    for host in [
        "evil.example",
        "evil.example:9901",
        "127.0.0.1.evil.example",
    ] {
        for path in ["/metrics", "/api/v1/rollouts", ROLLOUT, "/api/v1/events"] {
            let answer = wire::get(process.admin, path, &format!("host: {host}")).unwrap();
            assert_eq!(answer.status(), 403, "{host} {path}");
            assert!(refusal(&answer).contains("call it by 127.0.0.1"));
        }
        let abort = format!("{ROLLOUT}/abort");
        let answer = wire::post(
            process.admin,
            &abort,
            &format!("host: {host}\n{JSON}"),
            "{}",
        )
        .unwrap();
        assert_eq!(answer.status(), 403);
    }
    let port = process.admin.port();
    for host in [
        "127.0.0.1".to_owned(),
        format!("localhost:{port}"),
        format!("[::1]:{port}"),
    ] {
        assert_eq!(
            wire::get(process.admin, ROLLOUT, &format!("host: {host}"))
                .unwrap()
                .status(),
            200,
            "{host}"
        );
    }
    // What a form of a foreign page can send is no JSON.
    for kind in [
        "",
        "content-type: text/plain",
        "content-type: application/x-www-form-urlencoded",
    ] {
        let answer = wire::post(process.admin, &format!("{ROLLOUT}/abort"), kind, "{}").unwrap();
        assert_eq!(answer.status(), 415, "{kind}: {}", answer.text());
    }
    assert_eq!(
        process.get(&format!("{ROLLOUT}/abort")).status(),
        405,
        "a GET changes nothing"
    );
    assert_eq!(process.view()["decisions"], before);
}

#[test]
fn verbs_that_make_no_sense_are_refused() {
    let (_site, process) = paused_canary();
    let before = process.view()["decisions"].clone();
    let (status, said) = process.tell("explode", "{}");
    assert_eq!(
        (status, &said["error"]),
        (
            404,
            &"no verb explode: allowed are promote, pause, resume, abort, retry, undo".into()
        )
    );
    let (status, said) = process.tell("retry", "{}");
    assert!(
        status == 409
            && said["error"]
                .as_str()
                .unwrap()
                .starts_with("cannot retry: "),
        "{said}"
    );
    let cart = "/api/v1/rollouts/default/cart/abort";
    let answer = wire::post(process.admin, cart, JSON, "{}").unwrap();
    assert_eq!(
        (answer.status(), refusal(&answer)),
        (404, "no rollout default/cart here".to_owned())
    );
    for body in ["{", "7", "{\"full\": 1}"] {
        let answer = wire::post(process.admin, &format!("{ROLLOUT}/promote"), JSON, body).unwrap();
        assert!(
            (400..500).contains(&answer.status()),
            "{body}: {}",
            answer.status()
        );
    }
    assert_eq!(process.view()["decisions"], before);
}

#[test]
fn a_token_is_demanded_where_there_is_one() {
    for address in ["127.0.0.1:0", "0.0.0.0:0"] {
        let admin = format!("admin: {{address: '{address}', tokenFile: token}}");
        let site = Site::new(Documents {
            proxy: admin,
            ..Documents::default()
        });
        fs::write(site.path("token"), "s3cret\n").unwrap();
        let mut process = site.start();
        process.admin.set_ip([127, 0, 0, 1].into());
        for headers in [
            "",
            "authorization: Bearer wrong",
            "authorization: s3cret",
            "authorization: Basic s3cret",
        ] {
            for path in ["/metrics", ROLLOUT] {
                let answer = wire::get(process.admin, path, headers).unwrap();
                assert_eq!(answer.status(), 401, "{headers} {path}");
            }
        }
        // Health is asked by machines that hold no token.
        assert_eq!(
            wire::get(process.admin, "/healthz", "host: node.example")
                .unwrap()
                .status(),
            200
        );
        process.headers = "authorization: Bearer s3cret".to_owned();
        assert_eq!(
            (process.get("/metrics").status(), &process.view()["phase"]),
            (200, &"Healthy".into())
        );

        let without = process.cli(&["status"]);
        assert_eq!(without.status.code(), Some(2));
        assert!(
            stderr(&without).contains("--token-file"),
            "{}",
            stderr(&without)
        );
        let file = site.path("token");
        let with = process.cli(&["status", "--token-file", file.to_str().unwrap()]);
        assert_eq!(
            (with.status.code(), stdout(&with)),
            (Some(0), "default/shop: Healthy\n")
        );
    }
}
