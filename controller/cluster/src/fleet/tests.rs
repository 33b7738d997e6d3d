use super::{Proxies, ask::Asker, is_news, proxies::ready};
use crate::{key::Key, metrics::Counts};
use controller::{
    fleet::{Split, Told},
    reconcile::{Finding, Traffic},
};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use rollout::{Acceptance, Judgement};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    thread,
};
use traffic::Weight;

#[test]
fn the_proxies_are_named_by_namespace_and_service() {
    let read = |written: &str| {
        written
            .parse::<Proxies>()
            .map(|proxies| (proxies.namespace, proxies.service))
    };
    assert_eq!(
        read("edge/sluice-proxy"),
        Ok(("edge".to_owned(), "sluice-proxy".to_owned()))
    );
    for wrong in ["", "sluice-proxy", "/sluice-proxy", "edge/", "edge/a/b"] {
        let told = read(wrong).unwrap_err().to_string();
        assert_eq!(told, format!("found {wrong:?}, allowed NAMESPACE/SERVICE"));
    }
}

#[test]
fn live_are_the_endpoints_that_are_ready() {
    let admin = json!([{"name": "http", "port": 8080}, {"name": "admin", "port": 9091}]);
    let check = |ports: &Value, endpoints: Value, expected: &[&str]| {
        let slice =
            json!({"addressType": "IPv4", "metadata": {}, "ports": ports, "endpoints": endpoints});
        let slice: EndpointSlice = serde_json::from_value(slice).unwrap();
        let found: Vec<String> = ready(&slice).iter().map(ToString::to_string).collect();
        assert_eq!(found, expected);
    };
    let one = |conditions: Value| json!([{"addresses": ["10.0.0.1"], "conditions": conditions}]);
    check(&admin, one(json!({"ready": true})), &["10.0.0.1:9091"]);
    check(&admin, one(json!({})), &["10.0.0.1:9091"]);
    check(
        &admin,
        json!([{"addresses": ["fd00::1"]}]),
        &["[fd00::1]:9091"],
    );
    check(&admin, one(json!({"ready": false})), &[]);
    check(&admin, one(json!({"ready": true, "serving": false})), &[]);
    check(
        &admin,
        one(json!({"ready": false, "serving": true, "terminating": true})),
        &["10.0.0.1:9091"],
    );
    check(&admin, json!(null), &[]);
    check(
        &json!([{"name": "http", "port": 8080}]),
        one(json!({"ready": true})),
        &[],
    );
    check(&json!(null), one(json!({"ready": true})), &[]);
}

/// A proxy that gives `answer` to whatever it is asked, once. Returns where it is, and what will have been asked.
fn proxy(answer: &'static str) -> (SocketAddr, thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let asked = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() > 0 {
            head.extend(byte);
        }
        stream.write_all(answer.as_bytes()).unwrap();
        let head = String::from_utf8(head).unwrap();
        head.lines().next().unwrap_or_default().to_owned()
    });
    (address, asked)
}

/// What a proxy tells that answers so, and what it was asked.
fn told(answer: &'static str) -> (Option<Told>, String) {
    told_of(answer, false)
}

/// The same, `with_history` or without.
fn told_of(answer: &'static str, with_history: bool) -> (Option<Told>, String) {
    let (address, asked) = proxy(answer);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let counts = Counts::default();
    let heard = runtime.block_on(async {
        let rollouts = [Key::new("prod", "shop"), Key::new("prod", "cart")];
        let (asker, proxies) = (Asker::new(), BTreeSet::from([address]));
        match with_history {
            true => asker.ask_for_histories(&proxies, &rollouts, &counts).await,
            false => asker.ask(&proxies, &rollouts, &counts).await,
        }
    });
    let told = heard[&address]
        .as_ref()
        .and_then(|heard| heard.told_of("prod/shop"));
    (told, asked.join().unwrap())
}

#[test]
fn proxies_are_asked_for_what_they_know_of_rollouts() {
    let answer = concat!(
        "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n",
        r#"{"process": "p1", "at": 2.5, "rollouts": {"prod/shop": {"#,
        r#""serving": {"stable": "old", "canary": "new", "weight": 500}, "changes": 3, "#,
        r#""failures": {"statuses": [], "grpc_codes": []}, "#,
        r#""stable": {"dispatched": 9, "failed": 0, "clientErrors": 0, "cancelled": 0, "#,
        r#""latency": [], "abandoned": [], "waiting": [], "endpoints": []}, "#,
        r#""canary": {"dispatched": 1, "failed": 1, "clientErrors": 0, "cancelled": 0, "#,
        r#""latency": [], "abandoned": [], "waiting": [], "endpoints": []}}}}"#,
    );
    let (told, asked) = told(answer);
    assert_eq!(
        asked,
        "GET /fleet/v1/report?rollout=prod/shop&rollout=prod/cart HTTP/1.1"
    );
    let told = told.unwrap();
    assert_eq!(
        (
            told.process.as_str(),
            told.at.as_millis(),
            told.report.changes
        ),
        ("p1", 2500, 3)
    );
    let split = Split {
        stable: "old".to_owned(),
        canary: "new".to_owned(),
        weight: Weight::from_percent(5).unwrap(),
    };
    assert_eq!(told.report.serving, Some(split));
    assert_eq!(told.report.snapshot(told.at).unwrap().canary.failed, 1);
}

#[test]
fn proxies_are_asked_for_what_they_remember() {
    let (_, asked) = told_of("", true);
    assert_eq!(
        asked,
        "GET /fleet/v1/report?rollout=prod/shop&rollout=prod/cart&history=prod/shop&history=prod/cart HTTP/1.1"
    );
}

#[test]
fn what_is_no_report_is_no_answer() {
    for answer in [
        "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{\"process\": \"p\", \"at\": -1, \"rollouts\": {}}",
        "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{\"process\": \"p\", \"at\": 1, \"rollouts\": {}}",
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}",
        "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
        "",
    ] {
        assert_eq!(told(answer).0, None, "{answer}");
    }
}

#[test]
fn other_words_are_no_news() {
    let traffic = |why: &str, acceptance| Traffic {
        proxies: 1,
        served: Vec::new(),
        finding: Some(Finding {
            canary: "new".to_owned(),
            judgement: Judgement::Hold {
                why: why.to_owned(),
            },
            evidence: Some((1, acceptance)),
        }),
    };
    let before = traffic("5 of 9", Acceptance::Pending);
    assert!(!is_news(&before, &traffic("6 of 9", Acceptance::Pending)));
    assert!(is_news(&before, &traffic("5 of 9", Acceptance::Met)));
    assert!(is_news(
        &before,
        &Traffic {
            proxies: 2,
            ..before.clone()
        }
    ));
    assert!(is_news(
        &before,
        &Traffic {
            finding: None,
            ..before.clone()
        }
    ));
}
