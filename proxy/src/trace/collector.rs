//! A collector on a socket. It reads OTLP with the types that OpenTelemetry publishes.

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
    },
    common::v1::{KeyValue, any_value::Value},
    trace::v1::Span,
};
use prost::Message;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// What the collector does with one request.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    /// Answers with this status and, if so, this `Retry-After`.
    Status(u16, Option<&'static str>),
    /// Answers 200, but says that so many spans were rejected.
    Rejected(u64),
    /// Answers 200 with a body that means nothing.
    Garbage,
    /// Closes the connection.
    Close,
    /// Never answers.
    Hang,
}

/// Gives the replies it was started with, then takes everything.
pub(super) struct Collector {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    replies: std::vec::IntoIter<Reply>,
    requests: usize,
    spans: Vec<Span>,
}

impl Collector {
    pub(super) fn start(replies: Vec<Reply>) -> Self {
        Self::start_with(replies, None)
    }

    /// With `tls`, one that speaks it.
    pub(super) fn start_with(replies: Vec<Reply>, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Seen {
            replies: replies.into_iter(),
            ..Seen::default()
        }));
        let weak = Arc::downgrade(&seen);
        thread::spawn(move || {
            for stream in listener.incoming() {
                // A collector that was dropped is away.
                let Some(seen) = weak.upgrade() else { return };
                let stream = stream.unwrap();
                match &tls {
                    None => serve(stream, &seen),
                    Some(config) => {
                        let tls = ServerConnection::new(Arc::clone(config)).unwrap();
                        serve(StreamOwned::new(tls, stream), &seen);
                    }
                }
            }
        });
        Self { address, seen }
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(super) fn endpoint(&self) -> String {
        format!("http://{}/v1/traces", self.address)
    }

    pub(super) fn requests(&self) -> usize {
        self.seen.lock().unwrap().requests
    }

    pub(super) fn spans(&self) -> Vec<Span> {
        self.seen.lock().unwrap().spans.clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.seen = Arc::default();
        // Wakes the thread, which sees that it is away and closes the listener.
        drop(TcpStream::connect(self.address));
    }
}

/// Serves one connection until the peer closes it.
fn serve(stream: impl Read + Write, seen: &Mutex<Seen>) {
    let mut reader = BufReader::new(stream);
    while let Some(body) = request(&mut reader) {
        let mut seen = seen.lock().unwrap();
        seen.requests += 1;
        let mut answer = ExportTraceServiceResponse::default();
        let (status, retry_after) = match seen.replies.next() {
            None => {
                seen.spans.extend(spans(&body));
                (200, None)
            }
            Some(Reply::Status(status, retry_after)) => (status, retry_after),
            Some(Reply::Rejected(rejected_spans)) => {
                answer.partial_success = Some(ExportTracePartialSuccess {
                    rejected_spans: rejected_spans as i64,
                    error_message: "too old".to_owned(),
                });
                (200, None)
            }
            Some(Reply::Garbage) => {
                let _ = reader
                    .get_mut()
                    .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n\xff\xff\xff");
                continue;
            }
            Some(Reply::Close) => return,
            Some(Reply::Hang) => {
                drop(seen);
                // Until the peer gives up.
                let _ = reader.read(&mut [0]);
                return;
            }
        };
        let body = answer.encode_to_vec();
        let retry_after = retry_after.map_or(String::new(), |v| format!("retry-after: {v}\r\n"));
        let length = body.len();
        let head = format!("HTTP/1.1 {status} X\r\n{retry_after}content-length: {length}\r\n\r\n");
        let _ = reader
            .get_mut()
            .write_all(&[head.as_bytes(), &body].concat());
    }
}

/// The body of the next request.
fn request(reader: &mut impl BufRead) -> Option<Vec<u8>> {
    let (mut length, mut has_type) = (0, false);
    let mut first = String::new();
    if reader.read_line(&mut first).ok()? == 0 {
        return None;
    }
    assert_eq!(first, "POST /v1/traces HTTP/1.1\r\n");
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse().unwrap();
        }
        has_type |= line == "content-type: application/x-protobuf";
    }
    assert!(has_type);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(body)
}

/// The attributes of a list by their keys, each value as text.
pub(super) fn attributes(list: &[KeyValue]) -> BTreeMap<&str, String> {
    let pair = |pair: &KeyValue| match pair.value.as_ref().unwrap().value.as_ref().unwrap() {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        other => panic!("{other:?}"),
    };
    list.iter().map(|p| (&*p.key, pair(p))).collect()
}

fn spans(body: &[u8]) -> Vec<Span> {
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    let [resource_spans] = &request.resource_spans[..] else {
        panic!("{request:?}");
    };
    let resource = &resource_spans.resource.as_ref().unwrap().attributes;
    assert_eq!(
        attributes(resource),
        [("service.name", "edge".to_owned())].into()
    );
    let [scope_spans] = &resource_spans.scope_spans[..] else {
        panic!("{request:?}");
    };
    assert_eq!(scope_spans.scope.as_ref().unwrap().name, "sluice");
    assert!(scope_spans.spans.len() <= 512);
    scope_spans.spans.clone()
}
