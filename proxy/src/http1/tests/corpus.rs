//! The corpus, before the codec and before hyper.

use super::{
    transcript::{End, Requests, check_requests, check_responses, responses},
    *,
};
use http_body_util::{BodyExt, Empty};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::{cell::RefCell, convert::Infallible, rc::Rc};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[path = "../../../tests/corpus/reader.rs"]
#[allow(unreachable_pub, reason = "it is included elsewhere, too")]
mod reader;

/// Those that the proxy has by default.
const LIMITS: HeadLimits = HeadLimits {
    head_bytes: 64 * 1024,
    headers: 100,
    uri_bytes: 16 * 1024,
};

/// Where a message begins, and its body: a `Message` of the corpus.
type Seen = (String, Vec<u8>);

fn seen_in_corpus(case: &reader::Case) -> Vec<Seen> {
    let seen = |message: &reader::Message| (message.start.clone(), message.body.clone());
    case.messages.iter().map(seen).collect()
}

fn end_in_corpus(end: reader::End) -> End {
    match end {
        reader::End::Open => End::Open,
        reader::End::Closed => End::Closed,
        reader::End::Refused(status) => End::Refused(http::StatusCode::from_u16(status).unwrap()),
        reader::End::Broken => End::Broken,
        reader::End::Incomplete => End::Incomplete,
        reader::End::Excess => End::Excess,
    }
}

fn requests(bytes: &[u8]) -> (Vec<Seen>, End) {
    let mut requests = Requests::default();
    requests.feed(bytes, &LIMITS);
    let seen = requests.messages.iter().map(|message| {
        let (start, _, body, _) = message.meaning();
        (start, body.to_vec())
    });
    (seen.collect(), requests.end())
}

/// Fails with all the differences at once.
fn check_all(differences: &[String], count: usize) {
    let all = differences.join("\n");
    assert!(
        all.is_empty(),
        "{} of {count} cases:\n{all}",
        differences.len()
    );
    assert!(count > 100, "the corpus is not there");
}

#[test]
fn requests_are_what_the_corpus_says() {
    let cases = reader::read("http1/requests");
    let mut differences = Vec::new();
    for case in &cases {
        let got = requests(&case.bytes);
        if got != (seen_in_corpus(case), end_in_corpus(case.end)) {
            differences.push(format!("{}: {got:.300?}", case.name));
        }
        check_requests(&case.bytes, 1 + case.bytes.len() / 50, &LIMITS);
    }
    check_all(&differences, cases.len());
}

#[test]
fn responses_are_what_the_corpus_says() {
    let cases = reader::read("http1/responses");
    let mut differences = Vec::new();
    for case in &cases {
        let method = Method::from_bytes(case.method.as_bytes()).unwrap();
        let (messages, end) = responses([&case.bytes[..]].into_iter(), &method, &LIMITS);
        let start = |status: http::StatusCode| status.as_str().to_owned();
        let seen: Vec<Seen> = messages
            .into_iter()
            .map(|it| (start(it.head), it.data))
            .collect();
        if (&seen, end) != (&seen_in_corpus(case), end_in_corpus(case.end)) {
            differences.push(format!("{}: {seen:.300?} {end:?}", case.name));
        }
        check_responses(&case.bytes, 1 + case.bytes.len() / 50, &method, &LIMITS);
    }
    check_all(&differences, cases.len());
}

/// The requests that hyper sees in `bytes`.
async fn hyper_requests(bytes: &[u8]) -> Vec<(Seen, HeaderMap)> {
    let (mut client, server) = tokio::io::duplex(1024 * 1024);
    client.write_all(bytes).await.unwrap();
    client.shutdown().await.unwrap();
    let seen = Rc::new(RefCell::new(Vec::new()));
    let service = service_fn(|request: http::Request<hyper::body::Incoming>| {
        let seen = Rc::clone(&seen);
        async move {
            let (parts, body) = request.into_parts();
            if let Ok(body) = body.collect().await {
                let target = parts.uri.path_and_query().map_or("/", |it| it.as_str());
                let slash = if target.starts_with('?') { "/" } else { "" };
                let start = format!("{} {slash}{target}", parts.method);
                seen.borrow_mut()
                    .push(((start, body.to_bytes().to_vec()), parts.headers));
            }
            Ok::<_, Infallible>(http::Response::new(Empty::<bytes::Bytes>::new()))
        }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.half_close(true);
    let serve = builder.serve_connection(TokioIo::new(server), service);
    let mut answers = Vec::new();
    let _ = tokio::join!(serve, client.read_to_end(&mut answers));
    seen.take()
}

#[tokio::test]
async fn hyper_sees_the_requests_that_the_codec_accepts() {
    let cases = reader::read("http1/requests");
    let mut differences = Vec::new();
    for case in &cases {
        let mut ours = Requests::default();
        ours.feed(&case.bytes, &LIMITS);
        let hypers = hyper_requests(&case.bytes).await;
        for (i, message) in ours.messages.iter().enumerate() {
            let (start, _, body, _) = message.meaning();
            let own = ((start, body.to_vec()), message.head.headers.clone());
            if hypers.get(i) != Some(&own) {
                differences.push(format!(
                    "{}: {own:.200?}, hyper {:.200?}",
                    case.name,
                    hypers.get(i)
                ));
            }
        }
    }
    check_all(&differences, cases.len());
}

/// The final response to a request of `method` that hyper sees in `bytes`.
async fn hyper_response(bytes: &[u8], method: &Method) -> Option<Seen> {
    let (client, mut server) = tokio::io::duplex(1024 * 1024);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(client))
        .await
        .ok()?;
    let answer = async {
        let request = http::Request::builder()
            .method(method)
            .uri("/")
            .header("host", "a");
        let request = request.body(Empty::<bytes::Bytes>::new()).unwrap();
        let response = sender.send_request(request).await.ok()?;
        let start = response.status().as_str().to_owned();
        let body = response.into_body().collect().await.ok()?;
        Some((start, body.to_bytes().to_vec()))
    };
    let serve = async {
        // hyper takes bytes that come before its request for an error.
        let mut request = [0; 1024];
        let _ = server.read(&mut request).await;
        let _ = server.write_all(bytes).await;
        let _ = server.shutdown().await;
    };
    let (answer, _, ()) = tokio::join!(answer, connection, serve);
    answer
}

#[tokio::test]
async fn hyper_sees_the_responses_that_the_codec_accepts() {
    let cases = reader::read("http1/responses");
    let mut differences = Vec::new();
    for case in &cases {
        let method = Method::from_bytes(case.method.as_bytes()).unwrap();
        let hypers = hyper_response(&case.bytes, &method).await;
        let ours = seen_in_corpus(case)
            .pop()
            .filter(|(status, _)| !status.starts_with('1'));
        if let Some(ours) = ours
            && hypers.as_ref() != Some(&ours)
        {
            differences.push(format!("{}: {ours:.200?}, hyper {hypers:.200?}", case.name));
        }
    }
    check_all(&differences, cases.len());
}
