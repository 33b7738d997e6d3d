//! The access log, from the request to the line.

use crate::support::{
    eventually, origin, run,
    speak::{Client, Message},
    world::{self, World},
};
use http::Version;
use proxy::{AccessLog, LogFormat};
use serde_json::Value;
use std::{fs, path::Path};
use tempfile::TempDir;
use traffic::{
    BackendPolicy,
    policy::{Balancing, Retry},
};

/// A proxy that writes a log in `format`, and the folder with its file.
fn logging(format: LogFormat) -> (World, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("access.log");
    let world = world::start_with(1, |config| {
        config.access_log = Some(AccessLog {
            file: Some(file),
            format,
            sample: 1.0,
            buffer: 1024,
        });
        config.forwarding.request_id = Some("x-request-id".parse().unwrap());
    });
    (world, folder)
}

/// The lines of the log, once there are `count`.
fn lines(folder: &Path, count: usize) -> Vec<String> {
    let file = folder.join("access.log");
    let read = || -> Vec<String> {
        let text = fs::read_to_string(&file).unwrap_or_default();
        text.lines().map(ToOwned::to_owned).collect()
    };
    eventually("the lines are written", || read().len() >= count);
    let lines = read();
    assert_eq!(lines.len(), count, "{lines:#?}");
    lines
}

fn last(folder: &Path, count: usize) -> Value {
    serde_json::from_str(&lines(folder, count)[count - 1]).unwrap()
}

/// Checks these members of `line`.
fn check(what: &str, line: &Value, expected: &[(&str, Value)]) {
    for (name, value) in expected {
        assert_eq!(
            line.get(name).unwrap_or(&Value::Null),
            value,
            "{what} {name}: {line}"
        );
    }
    assert!(line["duration_ms"].as_f64().is_some(), "{what} {line}");
}

#[test]
fn every_end_of_a_request_is_one_line() {
    let (world, folder) = logging(LogFormat::Json);
    let folder = folder.path();
    let echo = origin::http().body("hello").run();
    let cut = origin::after_head(|wire| {
        wire.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nbegun");
    });
    let endpoint = |origin: &origin::Origin| Value::from(origin.address.to_string());
    let null = Value::Null;
    // A plain one, with a body.
    world.serve(&[echo.address]);
    let mut client = world.connect();
    client.send("POST /a?b HTTP/1.1\r\nhost: shop.example:80\r\ncontent-length: 3\r\n\r\nabc");
    client.response();
    let line = last(folder, 1);
    check(
        "plain",
        &line,
        &[
            ("method", "POST".into()),
            ("host", "shop.example".into()),
            ("path", "/a?b".into()),
            ("protocol", "HTTP/1.1".into()),
            ("status", 200.into()),
            ("client", "127.0.0.1".into()),
            ("request_bytes", 3.into()),
            ("response_bytes", 5.into()),
            ("attempts", 1.into()),
            ("endpoint", endpoint(&echo)),
            ("rollout", "default/shop".into()),
            ("role", "stable".into()),
            ("service", "default/shop-stable".into()),
            ("failure", null.clone()),
        ],
    );
    let id = echo.seen()[0].header("x-request-id").unwrap().to_owned();
    assert_eq!(line["request_id"], id);
    // The same by HTTP/2.
    run(async {
        let mut client = Client::plain(Version::HTTP_2, world.address()).await;
        client
            .ask(Message::ask("POST", "/a").body(&["ab", "c"]))
            .await;
    });
    check(
        "HTTP/2",
        &last(folder, 2),
        &[
            ("protocol", "HTTP/2".into()),
            ("host", "shop.example".into()),
            ("request_bytes", 3.into()),
            ("response_bytes", 5.into()),
        ],
    );
    // One that broke off.
    world.serve(&[cut.address]);
    assert!(world.connect().get("/", "").is_cut);
    check(
        "cut",
        &last(folder, 3),
        &[
            ("status", 200.into()),
            ("failure", "body_cut".into()),
            ("response_bytes", 5.into()),
            ("endpoint", endpoint(&cut)),
        ],
    );
    // One that nobody answered.
    world.serve(&[]);
    world.connect().get("/", "");
    check(
        "no endpoint",
        &last(folder, 4),
        &[
            ("status", 503.into()),
            ("failure", "no_endpoint".into()),
            ("endpoint", null.clone()),
            ("attempts", 0.into()),
        ],
    );
    // One that the client gave up.
    let silent = origin::after_head(|wire| while !wire.is_closed() {});
    world.serve(&[silent.address]);
    let mut client = world.connect();
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    eventually("it has come", || silent.connections() == 1);
    drop(client);
    check("given up", &last(folder, 5), &[("status", 499.into())]);
    // No request at all.
    let mut client = world.connect();
    client.send("nonsense\r\n\r\n");
    assert_eq!(client.response().status(), 400);
    check(
        "malformed",
        &last(folder, 6),
        &[
            ("status", 400.into()),
            ("failure", "bad_request".into()),
            ("client", "127.0.0.1".into()),
            ("rollout", null),
        ],
    );
    // One that was sent twice.
    let good = origin::http().run();
    let closing = origin::after_head(|_| {});
    let policy = BackendPolicy {
        balancing: Balancing::RoundRobin,
        ejection: None,
        retry: Retry {
            min_per_second: 100,
            ..Retry::default()
        },
        ..BackendPolicy::default()
    };
    world.serve_with(&[closing.address, good.address], policy);
    world.connect().get("/", "");
    world.connect().get("/", "");
    let attempts = lines(folder, 8).split_off(6);
    let most = attempts.iter().map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["endpoint"], endpoint(&good));
        line["attempts"].as_u64().unwrap()
    });
    assert_eq!(most.max(), Some(2));
}

#[test]
fn a_tunnel_is_one_line_when_it_has_ended() {
    let (world, folder) = logging(LogFormat::Json);
    let origin = origin::after_head(|wire| {
        wire.send("HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: x\r\n\r\nfirst");
        assert_eq!(wire.take(7), b"earlier");
        wire.send("-last");
    });
    world.serve(&[origin.address]);
    let mut client = world.connect();
    client.send("GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n");
    assert_eq!(client.response_head().status(), 101);
    assert_eq!(client.take(5), b"first");
    let file = fs::read_to_string(folder.path().join("access.log")).unwrap_or_default();
    assert_eq!(file, "");
    client.send("earlier");
    assert_eq!(client.take(5), b"-last");
    drop(client);
    check(
        "tunnel",
        &last(folder.path(), 1),
        &[
            ("status", 101.into()),
            ("request_bytes", 7.into()),
            ("response_bytes", 10.into()),
            ("attempts", 1.into()),
            ("endpoint", origin.address.to_string().into()),
            ("failure", Value::Null),
        ],
    );
}

#[test]
fn a_template_is_followed() {
    let template = "%{client} \"%{method} %{path} %{protocol}\" %{status} %{req.x-a} %{resp.x-b}";
    let (world, folder) = logging(LogFormat::Template(template.into()));
    let origin = origin::answering(b"HTTP/1.1 200 OK\r\nx-b: two\r\ncontent-length: 0\r\n\r\n");
    world.serve(&[origin.address]);
    world.connect().get("/x", "x-a: one\r\n");
    assert_eq!(
        lines(folder.path(), 1),
        ["127.0.0.1 \"GET /x HTTP/1.1\" 200 one two"]
    );
}
