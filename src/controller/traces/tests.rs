use super::layer;
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest, common::v1::any_value::Value, trace::v1::Span,
};
use prost::Message as _;
use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::TcpListener,
    sync::mpsc,
    thread,
};
use tracing_subscriber::layer::SubscriberExt as _;

/// Takes one request, and gives its path and its body.
fn collector() -> (String, mpsc::Receiver<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut read, mut piece) = (Vec::new(), [0; 4096]);
        loop {
            let head_end = read.windows(4).position(|four| four == b"\r\n\r\n");
            if let Some(end) = head_end {
                let head = String::from_utf8_lossy(&read[..end]).to_ascii_lowercase();
                let length = head
                    .lines()
                    .find_map(|line| line.strip_prefix("content-length: "));
                let length: usize = length.unwrap().parse().unwrap();
                if read.len() >= end + 4 + length {
                    let path = head.split(' ').nth(1).unwrap().to_owned();
                    stream
                        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                        .unwrap();
                    send.send((path, read.split_off(end + 4))).unwrap();
                    return;
                }
            }
            let count = stream.read(&mut piece).unwrap();
            assert!(count > 0, "{}", String::from_utf8_lossy(&read));
            read.extend_from_slice(&piece[..count]);
        }
    });
    (format!("http://{address}/v1/traces"), receive)
}

fn attributes(span: &Span) -> BTreeMap<&str, String> {
    let text = |value: &Value| match value {
        Value::StringValue(text) => text.clone(),
        other => format!("{other:?}"),
    };
    let pair = |pair: &'_ opentelemetry_proto::tonic::common::v1::KeyValue| {
        text(pair.value.as_ref().unwrap().value.as_ref().unwrap())
    };
    span.attributes
        .iter()
        .map(|each| (&*each.key, pair(each)))
        .collect()
}

#[test]
fn a_turn_and_its_requests_are_one_trace() {
    let (endpoint, received) = collector();
    let (layer, traces) = layer(&endpoint).unwrap();
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::with_default(subscriber, || {
        let turn = cluster::turn_span("prod", "shop");
        let _in_turn = turn.enter();
        let request = cluster::request_span("Rollout", "patch");
        cluster::answered(&request, "409", true);
        drop(request);
        tracing::info!(target: "cluster::writes", "status: phase Paused");
        tracing::info!(target: "hyper", "nothing of ours");
    });
    drop(traces);
    let (path, body) = received.recv().unwrap();
    assert_eq!(path, "/v1/traces");
    let sent = ExportTraceServiceRequest::decode(&*body).unwrap();
    let [of_us] = &sent.resource_spans[..] else {
        panic!("{sent:?}");
    };
    let [scope] = &of_us.scope_spans[..] else {
        panic!("{of_us:?}");
    };
    let named = |name: &str| scope.spans.iter().find(|span| span.name == name).unwrap();
    let (turn, request) = (named("reconcile"), named("patch Rollout"));
    assert_eq!(request.trace_id, turn.trace_id);
    assert_eq!(request.parent_span_id, turn.span_id);
    assert_eq!(request.status.as_ref().unwrap().code, 2);
    assert_eq!(attributes(request)["http.response.status_code"], "409");
    let told = attributes(turn);
    assert_eq!(
        (&*told["k8s.namespace.name"], &*told["rollout"]),
        ("prod", "shop")
    );
    let events: Vec<_> = turn.events.iter().map(|event| &*event.name).collect();
    assert_eq!(events, ["status: phase Paused"]);
}

#[test]
fn an_endpoint_that_is_none_is_named() {
    let refused = |endpoint: &str| {
        layer::<tracing_subscriber::Registry>(endpoint)
            .err()
            .unwrap()
            .to_string()
    };
    assert!(
        refused("collector:4318").contains("`collector:4318`"),
        "{}",
        refused("collector:4318")
    );
    assert!(refused("ftp://collector").contains("must begin with"));
}
