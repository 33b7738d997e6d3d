//! The corpus over sockets: what clients send reaches an origin as the messages that it is, and nothing else does; what
//! endpoints answer reaches the client, and never the next one.

#[path = "../corpus/reader.rs"]
#[allow(unreachable_pub, reason = "it is included elsewhere, too")]
mod reader;

use crate::support::{
    http2,
    recorder::{ASKED, Recorder, SCRIPTED, Script, Seen, messages},
    strict::{Message, Next, Strict},
    world::{self, World},
};
use http::Request;
use reader::{Case, End};
use std::sync::Arc;
use traffic::{
    Backend, Role, Target,
    policy::{BackendPolicy, Protocol, Retry},
};

/// A proxy before a recorder, and what did not go as it should.
struct Course {
    world: World,
    recorder: Recorder,
    sentinels: usize,
    differences: Vec<String>,
}

impl Course {
    fn start(recorder: Recorder, is_http2_spoken: bool, policy: BackendPolicy) -> Self {
        let world = world::start_with(1, |config| config.listeners[0].http2 = is_http2_spoken);
        let target = Target::Backend(Backend {
            policy: Arc::new(policy),
            ..world.backend(Role::Stable, &[recorder.address()])
        });
        world.publish(&[("/", target.clone()), ("*", target)], Vec::new());
        Self {
            world,
            recorder,
            sentinels: 0,
            differences: Vec::new(),
        }
    }

    fn connect(&self) -> Strict {
        Strict::connect(self.world.address())
    }

    /// A request that has never been sent before gets its own answer on `client`. What it is.
    fn sentinel(&mut self, client: &mut Strict) -> Result<String, String> {
        self.sentinels += 1;
        let asked = format!("GET /sentinel/{}", self.sentinels);
        client.send(format!("{asked} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
        answer_to(client, &asked)?;
        Ok(asked)
    }

    fn note(&mut self, case: &Case, result: Result<(), String>) {
        if let Err(difference) = result {
            self.differences
                .push(format!("{}: {difference}", case.name));
        }
        assert!(
            self.differences.len() < 50,
            "{}",
            self.differences.join("\n")
        );
    }

    fn end(self) {
        let all = self.differences.join("\n");
        assert!(all.is_empty(), "{all}");
    }
}

/// The next message on `client`, past interim answers that only say to continue.
fn next(client: &mut Strict, method: &str) -> Next {
    loop {
        match client.response(method) {
            Next::Message(message) if message.start == "100" => {}
            next => return next,
        }
    }
}

/// Demands that the next answer on `client` is the recorder's to `asked`.
fn answer_to(client: &mut Strict, asked: &str) -> Result<(), String> {
    let method = asked.split(' ').next().unwrap_or_default();
    match next(client, method) {
        Next::Message(answer) if answer.start == "200" && answer.header(ASKED) == Some(asked) => {
            Ok(())
        }
        other => Err(format!("{asked:.80} was answered with {other:?}")),
    }
}

/// Demands a refusal with `status` and the connection's end behind it.
fn refused(client: &mut Strict, status: &str) -> Result<(), String> {
    match client.response("GET") {
        Next::Message(answer) if answer.start == status => {}
        other => return Err(format!("{status} was to come, not {other:?}")),
    }
    ended(client)
}

fn ended(client: &mut Strict) -> Result<(), String> {
    match client.response("GET") {
        Next::End => Ok(()),
        other => Err(format!("the end was to come, not {other:?}")),
    }
}

/// Demands that `seen` are just these messages.
fn check_seen(seen: &[Seen], expected: &[(String, Vec<u8>)]) -> Result<(), String> {
    if let Some(seen) = seen.iter().find(|it| matches!(it.next, Next::Invalid(_))) {
        return Err(format!("an origin got {seen:?}"));
    }
    let got: Vec<_> = messages(seen)
        .iter()
        .map(|it| (it.start.clone(), it.body.clone()))
        .collect();
    if got != expected {
        return Err(format!("an origin got {got:.300?}, not {expected:.300?}"));
    }
    Ok(())
}

fn request_case(course: &mut Course, case: &Case) -> Result<(), String> {
    let mut expected: Vec<_> = case
        .messages
        .iter()
        .map(|it| (it.start.clone(), it.body.clone()))
        .collect();
    let mut client = course.connect();
    client.send(&case.bytes);
    for (asked, _) in &expected {
        answer_to(&mut client, asked)?;
    }
    match case.end {
        End::Open => expected.push((course.sentinel(&mut client)?, Vec::new())),
        End::Closed => ended(&mut client)?,
        End::Refused(status) => refused(&mut client, &status.to_string())?,
        End::Broken => refused(&mut client, "400")?,
        End::Incomplete => {
            client.finish();
            match client.response("GET") {
                Next::End => {}
                Next::Message(answer) if answer.start == "400" => ended(&mut client)?,
                other => return Err(format!("half a message was answered with {other:?}")),
            }
        }
        End::Excess => return Err("no end of requests".to_owned()),
    }
    let asked = course.sentinel(&mut course.connect())?;
    expected.push((asked, Vec::new()));
    check_seen(&course.recorder.take(), &expected)
}

/// Whether these are the first bytes of HTTP/2.
fn is_http2(case: &Case) -> bool {
    case.bytes.starts_with(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
}

/// Plays all cases of requests before `recorder`, which may see `most` connections for a number of broken cases.
fn play_requests(recorder: Recorder, policy: BackendPolicy, most: impl Fn(usize) -> usize) {
    let mut course = Course::start(recorder, true, policy);
    let mut cases = reader::read("http1/requests");
    cases.retain(|case| !is_http2(case));
    for case in &cases {
        let result = request_case(&mut course, case);
        course.recorder.take();
        course.note(case, result);
    }
    let cut = |case: &&Case| matches!(case.end, End::Broken | End::Incomplete);
    let most = most(cases.iter().filter(cut).count());
    let connections = course.recorder.connections();
    course.end();
    assert!(connections <= most, "{connections} connections, {most} do");
}

#[test]
fn requests_arrive_as_what_they_are_or_not_at_all() {
    // Only what breaks off within a body closes a connection to the origin.
    play_requests(Recorder::start(), BackendPolicy::default(), |cut| cut + 2);
}

#[test]
fn requests_arrive_by_http2_as_what_they_are_or_not_at_all() {
    let policy = BackendPolicy {
        protocol: Protocol::Http2,
        ..BackendPolicy::default()
    };
    play_requests(Recorder::start_http2(), policy, |_| 1);
}

#[test]
fn http2_is_refused_where_only_http1_is_spoken() {
    let mut course = Course::start(Recorder::start(), false, BackendPolicy::default());
    let mut cases = reader::read("http1/requests");
    cases.retain(is_http2);
    for case in &cases {
        let result = request_case(&mut course, case);
        course.note(case, result);
    }
    course.end();
}

/// What the client is to see of a response's messages: a `100` is the proxy's own affair, and a change of protocol is
/// nothing that anybody asked for.
fn visible(case: &Case) -> (Vec<(String, Vec<u8>)>, End) {
    let mut visible = Vec::new();
    for message in &case.messages {
        match &*message.start {
            "100" => {}
            "101" => return (visible, End::Refused(502)),
            start => visible.push((start.to_owned(), message.body.clone())),
        }
    }
    (visible, case.end)
}

/// What the origin answers.
fn script(case: &Case) -> Script {
    let head = String::from_utf8_lossy(&case.bytes).to_lowercase();
    let is_framed = head.contains("content-length:") || head.contains("transfer-encoding:");
    Script {
        bytes: case.bytes.clone(),
        is_last: case.end == End::Incomplete || (case.end == End::Closed && !is_framed),
    }
}

/// What the origin is to see, `asked` for last.
fn expected_at_origin(case: &Case, asked: String) -> Vec<(String, Vec<u8>)> {
    // An end without a byte may be that of an idle connection, so that the request is sent again.
    let times = if case.bytes.is_empty() { 2 } else { 1 };
    let request = format!("{} {SCRIPTED}", case.method);
    let mut expected = vec![(request, Vec::new()); times];
    expected.push((asked, Vec::new()));
    expected
}

fn response_case(course: &mut Course, case: &Case) -> Result<(), String> {
    course.recorder.set(script(case));
    let mut client = course.connect();
    let request = format!("{} {SCRIPTED}", case.method);
    client.send(format!("{request} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
    let (messages, end) = visible(case);
    for (status, body) in messages {
        match client.response(&case.method) {
            Next::Message(answer) if (&answer.start, &answer.body) == (&status, &body) => {}
            other => return Err(format!("a client got {other:?}, not {status} {body:?}")),
        }
    }
    match end {
        End::Open | End::Closed | End::Excess => {}
        End::Refused(status) => match client.response(&case.method) {
            Next::Message(answer) if answer.start == status.to_string() => {}
            other => return Err(format!("a client got {other:?}, not {status}")),
        },
        End::Broken | End::Incomplete => match client.response(&case.method) {
            Next::Message(Message { start, .. }) if start == "502" => {}
            Next::Cut(_) => ended(&mut client)?,
            other => return Err(format!("a client got {other:?} of half an answer")),
        },
    }
    let asked = course.sentinel(&mut course.connect())?;
    let seen = course.recorder.take();
    check_seen(&seen, &expected_at_origin(case, asked))?;
    let is_reused = seen[seen.len() - 2].connection == seen[seen.len() - 1].connection;
    if is_reused != (end == End::Open) {
        return Err(format!("the connection was used again: {is_reused}"));
    }
    Ok(())
}

/// Nothing is sent again of which the endpoint may have seen something.
fn course_of_responses() -> Course {
    let policy = BackendPolicy {
        retry: Retry {
            attempts: 0,
            ..Retry::default()
        },
        ..BackendPolicy::default()
    };
    Course::start(Recorder::start(), true, policy)
}

#[test]
fn responses_reach_who_asked_for_them_and_nobody_else() {
    let mut course = course_of_responses();
    for case in reader::read("http1/responses") {
        let result = response_case(&mut course, &case);
        course.recorder.take();
        course.note(&case, result);
    }
    course.end();
}

/// An answer to an HTTP/2 client is the one that came by HTTP/1, or the stream is reset.
fn response_case_by_http2(course: &mut Course, case: &Case) -> Result<(), String> {
    course.recorder.set(script(case));
    let request = Request::builder()
        .method(&*case.method)
        .uri(format!("http://a{SCRIPTED}"))
        .body(());
    let answer = http2::ask(course.world.address(), request.unwrap(), b"");
    let (mut messages, end) = visible(case);
    let expected = match end {
        End::Open | End::Closed | End::Excess => messages.pop(),
        End::Refused(status) => Some((status.to_string(), Vec::new())),
        End::Broken | End::Incomplete => None,
    };
    match (answer, expected) {
        (Ok(answer), Some((status, body))) => {
            let names = ["connection", "keep-alive", "transfer-encoding", "upgrade"];
            if let Some(name) = names.iter().find(|it| answer.headers.contains_key(**it)) {
                return Err(format!("an HTTP/2 answer has {name}"));
            }
            let is_same = answer.body == body || matches!(end, End::Refused(_));
            if answer.status.to_string() != status || !is_same {
                return Err(format!("a client got {answer:?}, not {status} {body:?}"));
            }
        }
        (Ok(answer), None) if answer.status == 502 => {}
        (Err(error), None) if error.is_reset() => {}
        (answer, expected) => {
            return Err(format!("a client got {answer:?}, not {expected:?}"));
        }
    }
    let asked = course.sentinel(&mut course.connect())?;
    let seen = course.recorder.take();
    check_seen(&seen, &expected_at_origin(case, asked))
}

#[test]
fn responses_reach_clients_of_http2() {
    let mut course = course_of_responses();
    for case in reader::read("http1/responses") {
        let result = response_case_by_http2(&mut course, &case);
        course.recorder.take();
        course.note(&case, result);
    }
    course.end();
}
