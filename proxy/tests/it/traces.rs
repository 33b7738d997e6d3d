//! Traces, from the request to the spans that the collector gets.

use crate::support::{
    eventually, origin, run,
    speak::{self, Client, Message},
    wire,
    world::{self, World},
};
use http::Version;
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::any_value::Value,
    trace::v1::{
        Span,
        span::SpanKind::{self, Client as Sent, Server as Served},
        status::StatusCode,
    },
};
use prost::Message as _;
use proxy::Tracing;
use std::net::SocketAddr;
use traffic::{Actions, BackendPolicy, Role, Target, policy::Protocol};

/// A proxy that traces everything, and the collector that it tells.
fn tracing() -> (World, speak::Origin) {
    let collector = speak::origin(Protocol::Http1, None, |_| Message::answer(200));
    let world = world::start_with(1, |config| {
        config.tracing = Some(Tracing {
            endpoint: format!("http://{}/v1/traces", collector.address).into(),
            sample: 1.0,
            service_name: "edge".into(),
            buffer: 1024,
        });
    });
    (world, collector)
}

/// The spans that the collector got, once there are `count`.
fn spans(collector: &speak::Origin, count: usize) -> Vec<Span> {
    let read = || -> Vec<_> {
        let requests = collector.seen();
        let read = requests.iter().map(|seen| {
            assert_eq!(seen.one("content-type"), Some("application/x-protobuf"));
            ExportTraceServiceRequest::decode(&*seen.body.concat()).unwrap()
        });
        read.flat_map(|request| request.resource_spans)
            .flat_map(|resource| resource.scope_spans)
            .flat_map(|scope| scope.spans)
            .collect()
    };
    eventually("all are exported", || read().len() >= count);
    let spans = read();
    assert_eq!(spans.len(), count);
    spans
}

#[test]
fn traces_go_on_to_the_endpoint_and_to_the_collector() {
    let (world, collector) = tracing();
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let parent = format!("00-{trace}-b7ad6b7169203331-01");
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let origin = speak::origin(protocol, None, |_| Message::answer(200));
        let backend = traffic::Backend {
            policy: BackendPolicy {
                protocol,
                ..BackendPolicy::default()
            }
            .into(),
            ..world.backend(Role::Stable, &[origin.address])
        };
        world.route(Target::Backend(backend), Actions::default());
        for version in [Version::HTTP_11, Version::HTTP_2] {
            run(async {
                let mut client = Client::plain(version, world.address()).await;
                let request = Message::ask("GET", "/").header("traceparent", &parent);
                client.ask(request.header("tracestate", "a=b")).await;
            });
            let seen = origin.take();
            let passed = seen.one("traceparent").unwrap();
            assert!(passed.contains(trace) && passed != parent, "{passed}");
            assert_eq!(seen.one("tracestate"), Some("a=b"));
        }
    }
    // Of each request one that was served, and one that was sent.
    let spans = spans(&collector, 8);
    let of = |kind: SpanKind| spans.iter().filter(move |span| span.kind == kind as i32);
    assert_eq!(of(SpanKind::Server).count(), 4);
    for sent in of(SpanKind::Client) {
        let served = of(SpanKind::Server).any(|served| served.span_id == sent.parent_span_id);
        assert!(served, "{sent:?}");
    }
}

/// What is told of a span: its kind, whether it is an error, and these attributes of it.
type Told = (SpanKind, bool, Option<i64>, Option<String>);

fn told(span: &Span) -> Told {
    let attribute = |name: &str| {
        let mut all = span.attributes.iter();
        let found = all.find(|attribute| attribute.key == name)?;
        found.value.as_ref()?.value.clone()
    };
    let status = match attribute("http.response.status_code") {
        Some(Value::IntValue(status)) => Some(status),
        _ => None,
    };
    let error = match attribute("error.type") {
        Some(Value::StringValue(error)) => Some(error),
        _ => None,
    };
    let is_error = span
        .status
        .as_ref()
        .is_some_and(|status| status.code() == StatusCode::Error);
    (span.kind(), is_error, status, error)
}

fn error(kind: SpanKind, status: i64, reason: &str) -> Told {
    (kind, true, Some(status), Some(reason.into()))
}

fn good(kind: SpanKind, status: i64) -> Told {
    (kind, false, Some(status), None)
}

/// What a client does with a proxy.
type Act = fn(SocketAddr);

fn send(address: SocketAddr, request: &str) -> wire::Client {
    let mut client = wire::Client::connect(address);
    client.send(request);
    client
}

#[test]
fn every_end_of_a_request_is_told() {
    let cut = origin::after_head(|wire| {
        wire.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nbegun");
    });
    let tunnel = origin::after_head(|wire| {
        wire.send("HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n");
        assert_eq!(wire.take(4), b"over");
    });
    let get: Act = |address| {
        send(address, "GET / HTTP/1.1\r\nhost: a\r\n\r\n").response();
    };
    let nonsense: Act = |address| {
        send(address, "nonsense\r\n\r\n").response();
    };
    let upgrade: Act = |address| {
        let request = "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n";
        let mut client = send(address, request);
        assert_eq!(client.response_head().status(), 101);
        client.send("over");
        assert!(client.is_closed());
    };
    let (world, collector) = tracing();
    let mut expected = Vec::new();
    for (endpoints, act, told) in [
        // A client's mistake is no error of the server.
        (None, nonsense, vec![good(Served, 400)]),
        (None, get, vec![good(Served, 404)]),
        (Some(vec![]), get, vec![error(Served, 503, "no_endpoint")]),
        (
            Some(vec![cut.address]),
            get,
            vec![error(Served, 200, "body_cut"), error(Sent, 200, "body_cut")],
        ),
        (
            Some(vec![tunnel.address]),
            upgrade,
            vec![good(Served, 101), good(Sent, 101)],
        ),
    ] {
        if let Some(endpoints) = endpoints {
            world.serve(&endpoints);
        }
        act(world.address());
        expected.extend(told);
    }
    let spans = spans(&collector, expected.len());
    let mut all: Vec<Told> = spans.iter().map(told).collect();
    // They may come in another order.
    all.sort();
    expected.sort();
    assert_eq!(all, expected);
    assert!(spans.iter().all(|span| {
        span.start_time_unix_nano > 0 && span.start_time_unix_nano <= span.end_time_unix_nano
    }));
}
