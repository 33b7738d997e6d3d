use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use clap::Parser;
use tokio::sync::oneshot;

use super::{Exit, dispatch};
use crate::api::{Refusal, RolloutView, VerbRequest};
use crate::cli::{Cli, Command};
use crate::view::fixtures;

/// An admin API with given rollouts, which remembers the verbs that it was told.
struct Server {
    address: SocketAddr,
    told: Arc<Mutex<Vec<String>>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Clone)]
struct Api {
    rollouts: Vec<RolloutView>,
    events: Vec<RolloutView>,
    told: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(rollouts: Vec<RolloutView>, events: Vec<RolloutView>) -> Self {
        let told = Arc::default();
        let api = Api {
            rollouts,
            events,
            told: Arc::clone(&told),
        };
        let app = Router::new()
            .route("/api/v1/rollouts", get(list))
            .route("/api/v1/rollouts/{namespace}/{name}/record", get(record))
            .route("/api/v1/rollouts/{namespace}/{name}/{verb}", post(verb))
            .route("/api/v1/events", get(events_of))
            .with_state(api);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    served = axum::serve(listener, app) => served.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        Self {
            address,
            told,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// The exit code, output and complaint of a command line.
    fn run(&self, line: &str) -> (Exit, String, String) {
        run(&format!("{line} --address {}", self.address))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
        self.thread.take().unwrap().join().unwrap();
    }
}

async fn record(
    State(api): State<Api>,
    Path((namespace, name)): Path<(String, String)>,
) -> Json<Option<RolloutView>> {
    let is_meant = |view: &RolloutView| view.namespace == namespace && view.name == name;
    Json(api.rollouts.into_iter().find(is_meant))
}

async fn list(State(api): State<Api>) -> Json<Vec<RolloutView>> {
    Json(api.rollouts)
}

async fn verb(
    State(api): State<Api>,
    Path((namespace, name, verb)): Path<(String, String, String)>,
    headers: HeaderMap,
    Json(request): Json<VerbRequest>,
) -> Response {
    let token = headers
        .get(header::AUTHORIZATION)
        .map_or("", |value| value.to_str().unwrap());
    api.told.lock().unwrap().push(format!(
        "{verb}{} {namespace}/{name} {} {token}",
        request.to.map(|to| format!(" to {to}")).unwrap_or_default(),
        request.full
    ));
    if verb == "retry" {
        let error = "checkout is not aborted".into();
        return (StatusCode::CONFLICT, Json(Refusal { error })).into_response();
    }
    Json(fixtures::progressing()).into_response()
}

async fn events_of(State(api): State<Api>) -> Response {
    let events = api.events.into_iter().map(|view| {
        Ok::<_, Infallible>(Event::default().event("rollout").json_data(view).unwrap())
    });
    Sse::new(futures_util::stream::iter(events)).into_response()
}

fn run(line: &str) -> (Exit, String, String) {
    let cli = Cli::try_parse_from(format!("sluice {line}").split_whitespace()).unwrap();
    let Command::Client(command) = cli.command else {
        panic!("{line} is no client command")
    };
    let mut out = Vec::new();
    let (exit, complaint) = match dispatch(command, &mut out) {
        Ok(exit) => (exit, String::new()),
        Err(failure) => (failure.exit, failure.message.unwrap_or_default()),
    };
    (exit, String::from_utf8(out).unwrap(), complaint)
}

#[test]
fn verbs_reach_the_rollout_that_is_meant() {
    let server = Server::start(vec![fixtures::progressing()], Vec::new());
    let directory = tempfile::tempdir().unwrap();
    let token = directory.path().join("token");
    std::fs::write(&token, "s3cret\n").unwrap();

    let (exit, out, _) = server.run("promote --full");
    assert_eq!(exit, Exit::Done);
    assert_eq!(
        out,
        "default/checkout: Progressing, canary weight 5%: waiting for all steps to complete\n"
    );
    server.run("undo checkout --to-revision abc");
    server.run(&format!("abort checkout --token-file {}", token.display()));
    let (exit, _, complaint) = server.run("retry default/checkout");
    assert_eq!(
        (exit, complaint.as_str()),
        (Exit::Failed, "checkout is not aborted")
    );
    let (exit, _, complaint) = server.run("pause till");
    assert_eq!(exit, Exit::Unusable);
    assert_eq!(complaint, "no rollout till; there is default/checkout");
    let told = server.told.lock().unwrap().clone();
    assert_eq!(
        told,
        [
            "promote default/checkout true ",
            "undo to abc default/checkout false ",
            "abort default/checkout false Bearer s3cret",
            "retry default/checkout false "
        ]
    );
}

#[test]
fn status_tells_by_its_exit_code() {
    let check = |view: RolloutView, expected: Exit| {
        let server = Server::start(vec![view], Vec::new());
        assert_eq!(server.run("status checkout").0, expected);
    };
    check(fixtures::healthy(), Exit::Done);
    check(fixtures::rolled_back(), Exit::Failed);
    check(fixtures::progressing(), Exit::Unfinished);
    check(
        RolloutView {
            phase: "Paused".into(),
            ..fixtures::progressing()
        },
        Exit::Unfinished,
    );
}

#[test]
fn status_waits_for_the_end() {
    let other = RolloutView {
        name: "other".into(),
        ..fixtures::rolled_back()
    };
    let events = vec![fixtures::progressing(), other, fixtures::promoted()];
    let server = Server::start(vec![fixtures::progressing()], events);
    let (exit, out, complaint) = server.run("status --watch --timeout 1m");
    assert_eq!((exit, complaint.as_str()), (Exit::Done, ""));
    assert!(out.contains("checkout promoted by the plan"), "{out}");
    assert!(!out.contains("other"), "{out}");
}

#[test]
fn status_does_not_wait_longer_than_it_may() {
    let server = Server::start(vec![fixtures::progressing()], vec![fixtures::progressing()]);
    let (exit, _, complaint) = server.run("status --watch --timeout 100ms");
    assert_eq!(exit, Exit::Unfinished);
    assert!(
        complaint.starts_with("timed out: default/checkout: Progressing"),
        "{complaint}"
    );
}

#[test]
fn rollouts_are_shown_as_text_and_as_json() {
    let server = Server::start(vec![fixtures::rolled_back()], Vec::new());
    let text = |line: &str| {
        let (exit, out, complaint) = server.run(line);
        assert_eq!((exit, complaint.as_str()), (Exit::Done, ""), "{line}");
        out
    };
    assert!(text("list").contains("default    checkout  Degraded"));
    assert!(text("get checkout").contains("Evidence against the canary"));
    assert!(text("explain").contains("was rolled back by the guard"));
    let parsed: RolloutView = serde_json::from_str(&text("get -o json")).unwrap();
    assert_eq!(parsed, fixtures::rolled_back());
    let parsed: Vec<RolloutView> = serde_json::from_str(&text("list -o json")).unwrap();
    assert_eq!(parsed, [fixtures::rolled_back()]);
    assert_eq!(text("list -n elsewhere"), "no rollouts\n");
}

/// Where something answers one request, but not as an admin API does.
fn somebody_else() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        assert!(stream.read(&mut [0; 1024]).unwrap() > 0);
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello")
            .unwrap();
    });
    address
}

#[test]
fn an_error_says_what_was_tried_and_what_to_do() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let (exit, _, complaint) = run(&format!("list --address {address}"));
    assert_eq!(exit, Exit::Unusable);
    assert!(
        complaint.starts_with(&format!("cannot reach the admin API at http://{address}: ")),
        "{complaint}"
    );
    assert!(
        complaint.contains("is `sluice run` running there?"),
        "{complaint}"
    );

    let address = somebody_else();
    let (exit, _, complaint) = run(&format!("list --address {address}"));
    assert_eq!(exit, Exit::Unusable);
    assert!(
        complaint.contains("answered what this version of sluice does not understand"),
        "{complaint}"
    );
}

#[test]
fn what_needs_no_process_works_without_one() {
    let (exit, out, _) = run("version");
    assert_eq!(
        (exit, out),
        (
            Exit::Done,
            format!("sluice {}\n", env!("CARGO_PKG_VERSION"))
        )
    );
    for shell in ["bash", "zsh", "fish"] {
        let (exit, out, _) = run(&format!("completions {shell}"));
        assert_eq!(exit, Exit::Done);
        assert!(out.contains("promote"), "{shell}");
    }
}
