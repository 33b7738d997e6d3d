use std::time::Duration;

use super::{App, VERSION_HEADER};
use crate::demo::behaviour::Behaviour;

const INSTANT: Behaviour = Behaviour {
    failures: 0.0,
    hangs: 0.0,
    latency: Duration::ZERO,
    spread: 0.0,
};

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .proxy(None)
        .timeout_global(Some(Duration::from_secs(10)))
        .build()
        .into()
}

/// Status, version and body of the answer to `GET /anything`.
fn get(app: &App) -> (u16, String, String) {
    let mut response = agent()
        .get(format!("http://{}/anything", app.address()))
        .call()
        .unwrap();
    let version = response.headers()[VERSION_HEADER]
        .to_str()
        .unwrap()
        .to_owned();
    (
        response.status().as_u16(),
        version,
        response.body_mut().read_to_string().unwrap(),
    )
}

/// Status and body of the answer to `POST /behave?query`.
fn behave(app: &App, query: &str) -> (u16, String) {
    let url = format!("http://{}/behave?{query}", app.address());
    let mut response = agent().post(url).send_empty().unwrap();
    (
        response.status().as_u16(),
        response.body_mut().read_to_string().unwrap(),
    )
}

#[test]
fn an_app_answers_as_its_version_behaves() {
    let app = App::start("v1", INSTANT).unwrap();
    assert_eq!(app.deployed().first_request, None);
    assert_eq!(get(&app), (200, "v1".into(), "v1 ok\n".into()));
    assert!(app.deployed().first_request.is_some());

    app.deploy("v2", INSTANT.failing(1.0));
    assert_eq!(app.deployed().requests, 0);
    assert_eq!(get(&app), (500, "v2".into(), "v2 failed\n".into()));
    assert_eq!(app.deployed().requests, 1);
}

#[test]
fn behaviour_changes_over_http_and_only_as_a_whole() {
    let app = App::start("v1", INSTANT).unwrap();
    let (status, text) = behave(&app, "failures=1&latency=1ms");
    assert_eq!(
        (status, text.as_str()),
        (200, "v1 failures=1 hangs=0 latency=1ms spread=0\n")
    );
    assert_eq!(get(&app).0, 500);

    let (status, text) = behave(&app, "failures=0&latency=soon");
    assert_eq!(status, 400);
    assert_eq!(
        text,
        "latency: found `soon`, allowed is 0ms to 1m, such as 200ms\n"
    );
    assert_eq!(get(&app).0, 500);
}

#[test]
fn an_app_with_a_hung_request_still_ends() {
    let app = App::start("v1", INSTANT.hanging(1.0)).unwrap();
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .proxy(None)
        .timeout_global(Some(Duration::from_millis(100)))
        .build()
        .into();
    let answer = agent.get(format!("http://{}/", app.address())).call();
    assert!(matches!(answer, Err(ureq::Error::Timeout(_))), "{answer:?}");
    drop(app);
}
