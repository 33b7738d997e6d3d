use super::{
    collector::{Collector, Reply},
    *,
};
use crate::entry::samples::Sample;
use http::{HeaderMap, HeaderValue, Method, Version};
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind, status::StatusCode};
use proptest::prelude::*;
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

const LONG: Duration = Duration::from_secs(60);

/// No wait is worth a test's time.
const PACE: Pace = Pace {
    round: Duration::from_millis(1),
    request: LONG,
    first_wait: Duration::from_millis(1),
    longest_wait: Duration::from_millis(1),
    attempts: 3,
};

fn tracing(collector: &Collector) -> Tracing {
    Tracing {
        endpoint: collector.endpoint().into(),
        sample: 1.0,
        service_name: "edge".into(),
        buffer: 2048,
    }
}

fn start(collector: &Collector) -> Tracer {
    Tracer::start_with(&tracing(collector), 1, PACE).unwrap()
}

fn called() -> HeaderMap {
    let value = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    HeaderMap::from_iter([(
        "traceparent".parse().unwrap(),
        HeaderValue::from_static(value),
    )])
}

fn by_name(span: &Span) -> BTreeMap<&str, String> {
    collector::attributes(&span.attributes)
}

fn attempt(method: &Method, span: SpanId) -> Attempt<'_> {
    Attempt {
        span,
        start: Duration::from_secs(2),
        end: Duration::from_secs(3),
        method,
        version: Version::HTTP_11,
        endpoint: SocketAddr::from(([10, 0, 0, 3], 9001)),
        status: Some(200),
        failure: None,
        earlier: 0,
    }
}

/// Exports the span of `entry` and what `attempts` make, and hands over the spans that the collector got.
fn exported(entry: &Entry<'_>, attempts: &[Attempt<'_>]) -> Vec<Span> {
    let collector = Collector::start(vec![]);
    let tracer = start(&collector);
    let worker = tracer.worker(0);
    let context = worker.begin(&called(), || 0xABCD);
    for attempt in attempts {
        worker.end_attempt(&context, attempt);
    }
    worker.end(&context, entry);
    drop(worker);
    assert!(tracer.finish(LONG));
    collector.spans()
}

#[test]
fn a_request_and_its_attempts_are_spans_of_the_callers_trace() {
    let sample = Sample::default();
    let retried = Attempt {
        earlier: 1,
        ..attempt(&Method::GET, SpanId::new(0xC2))
    };
    let refused = Attempt {
        status: None,
        failure: Some("connect"),
        ..attempt(&Method::GET, SpanId::new(0xC1))
    };
    let spans = exported(&sample.entry(), &[refused, retried]);
    let [first, second, server] = &spans[..] else {
        panic!("{spans:#?}");
    };
    for span in &spans {
        assert_eq!(
            span.trace_id,
            0x0af7651916cd43dd8448eb211c80319c_u128.to_be_bytes()
        );
    }
    assert_eq!(server.parent_span_id, 0xb7ad6b7169203331_u64.to_be_bytes());
    assert_eq!(
        (server.name.as_str(), server.kind()),
        ("GET shop", SpanKind::Server)
    );
    assert_eq!(server.flags, 0x301, "sampled, with a parent elsewhere");
    assert_eq!(server.start_time_unix_nano, 1_795_573_800_250_000_000);
    assert_eq!(server.end_time_unix_nano, 1_795_573_800_262_345_000);
    assert_eq!(server.status, None);
    let expected = [
        ("client.address", "192.0.2.7"),
        ("http.request.method", "GET"),
        ("http.response.status_code", "200"),
        ("http.route", "shop"),
        ("network.protocol.version", "2"),
        ("server.address", "shop.example"),
        ("sluice.role", "canary"),
        ("sluice.rollout", "default/shop"),
        ("sluice.service", "default/shop-green"),
        ("url.path", "/cart"),
        ("url.scheme", "https"),
    ];
    assert_eq!(
        by_name(server),
        expected.map(|(k, v)| (k, v.to_owned())).into()
    );
    for (span, id) in [(first, 0xC1u64), (second, 0xC2)] {
        assert_eq!((span.name.as_str(), span.kind()), ("GET", SpanKind::Client));
        assert_eq!(span.span_id, id.to_be_bytes());
        assert_eq!(span.parent_span_id, server.span_id);
        assert_eq!(span.flags, 0x101);
        assert_eq!(span.start_time_unix_nano, 2_000_000_000);
        assert_eq!(span.end_time_unix_nano, 3_000_000_000);
    }
    let expected = [
        ("http.request.method", "GET"),
        ("http.request.resend_count", "1"),
        ("http.response.status_code", "200"),
        ("network.peer.address", "10.0.0.3"),
        ("network.peer.port", "9001"),
        ("network.protocol.version", "1.1"),
        ("server.address", "10.0.0.3"),
        ("server.port", "9001"),
    ];
    assert_eq!(
        by_name(second),
        expected.map(|(k, v)| (k, v.to_owned())).into()
    );
    assert_eq!(by_name(first)["error.type"], "connect");
    assert_eq!(first.status.as_ref().unwrap().code(), StatusCode::Error);
}

#[test]
fn failures_are_errors_and_clients_mistakes_are_not() {
    for (status, failure, expected) in [
        (200, None, None),
        (404, None, None),
        (400, Some("bad_request"), None),
        (500, None, Some("500")),
        (503, Some("status"), Some("503")),
        (502, Some("connect"), Some("connect")),
        (200, Some("grpc"), Some("grpc")),
        (200, Some("body_cut"), Some("body_cut")),
    ] {
        let sample = Sample::default();
        let entry = Entry {
            status,
            failure,
            ..sample.entry()
        };
        let spans = exported(&entry, &[]);
        let kind = by_name(&spans[0]).remove("error.type");
        assert_eq!(kind.as_deref(), expected, "{status} {failure:?}");
        assert_eq!(spans[0].status.is_some(), expected.is_some());
    }
}

#[test]
fn methods_of_clients_own_making_are_other() {
    let sample = Sample {
        method: Method::from_bytes(b"BREW").unwrap(),
        ..Sample::default()
    };
    let entry = Entry {
        route: None,
        ..sample.entry()
    };
    let span = &exported(&entry, &[])[0];
    assert_eq!(span.name, "HTTP");
    let attributes = by_name(span);
    assert_eq!(attributes["http.request.method"], "_OTHER");
    assert_eq!(attributes["http.request.method_original"], "BREW");
}

#[test]
fn a_grpc_status_is_told_by_its_name() {
    for (status, expected) in [
        (0, "OK"),
        (14, "UNAVAILABLE"),
        (16, "UNAUTHENTICATED"),
        (99, "99"),
    ] {
        let sample = Sample::default();
        let entry = Entry {
            grpc_status: Some(status),
            ..sample.entry()
        };
        let span = &exported(&entry, &[])[0];
        assert_eq!(by_name(span)["rpc.response.status_code"], expected);
    }
}

#[test]
fn long_values_are_cut() {
    let sample = Sample {
        path: "/ä".repeat(2000),
        ..Sample::default()
    };
    let spans = exported(&sample.entry(), &[]);
    let length = by_name(&spans[0])["url.path"].len();
    assert!((1000..=1024).contains(&length));
}

#[test]
fn what_is_not_recorded_is_not_sent() {
    let collector = Collector::start(vec![]);
    let config = Tracing {
        sample: 0.0,
        ..tracing(&collector)
    };
    let tracer = Tracer::start_with(&config, 1, PACE).unwrap();
    let worker = tracer.worker(0);
    let context = worker.begin(&HeaderMap::new(), || 7);
    worker.end(&context, &Sample::default().entry());
    worker.end_attempt(&context, &attempt(&Method::GET, SpanId::new(1)));
    drop(worker);
    let counters = tracer.counters();
    assert!(tracer.finish(LONG));
    assert_eq!(counters.read(), TraceRead::default());
    assert_eq!(collector.requests(), 0);
}

/// Sends `n` spans to a collector that gives `replies`, and says what became of them and how many requests were made.
fn delivered(n: u64, replies: Vec<Reply>) -> (TraceRead, usize) {
    let collector = Collector::start(replies);
    let tracer = start(&collector);
    let worker = tracer.worker(0);
    let sample = Sample::default();
    for _ in 0..n {
        let context = worker.begin(&called(), || 7);
        worker.end(&context, &sample.entry());
    }
    let counters = tracer.counters();
    let begun = Instant::now();
    loop {
        let read = counters.read();
        if read.exported + read.failed == n {
            return (read, collector.requests());
        }
        assert!(begun.elapsed() < LONG, "{read:?}");
        std::thread::yield_now();
    }
}

#[test]
fn what_a_collector_cannot_take_now_is_sent_again() {
    let later = |status| Reply::Status(status, Some("0"));
    for (replies, exported, requests) in [
        (vec![later(429)], 1, 2),
        (vec![later(503), later(503)], 1, 3),
        (vec![Reply::Status(502, None), Reply::Close], 1, 3),
        (
            vec![Reply::Status(503, Some("Wed, 25 Nov 2026 02:30:00 GMT"))],
            1,
            2,
        ),
        (vec![later(503), later(504), later(429)], 0, 3),
        (vec![Reply::Status(400, None)], 0, 1),
        (vec![Reply::Status(404, None)], 0, 1),
        (vec![Reply::Status(307, None)], 0, 1),
        (vec![Reply::Rejected(1)], 0, 1),
        (vec![Reply::Rejected(u64::MAX)], 0, 1),
        (vec![Reply::Garbage], 1, 1),
    ] {
        let what = format!("{replies:?}");
        let (read, asked) = delivered(1, replies);
        assert_eq!(
            (read.exported, read.failed),
            (exported, 1 - exported),
            "{what}"
        );
        assert_eq!(asked, requests, "{what}");
    }
}

#[test]
fn a_collector_that_is_away_costs_spans() {
    let collector = Collector::start(vec![]);
    let config = tracing(&collector);
    drop(collector);
    let tracer = Tracer::start_with(&config, 1, PACE).unwrap();
    let worker = tracer.worker(0);
    let context = worker.begin(&called(), || 7);
    worker.end(&context, &Sample::default().entry());
    drop(worker);
    let counters = tracer.counters();
    assert!(tracer.finish(LONG));
    assert_eq!(counters.read().failed, 1);
}

#[test]
fn a_collector_that_hangs_holds_nobody_up_and_memory_is_bounded() {
    let collector = Collector::start(vec![Reply::Hang]);
    let config = Tracing {
        buffer: 100,
        ..tracing(&collector)
    };
    let tracer = Tracer::start_with(&config, 1, PACE).unwrap();
    let worker = tracer.worker(0);
    let sample = Sample::default();
    let counters = tracer.counters();
    for _ in 0..50_000 {
        let context = worker.begin(&called(), || 7);
        worker.end(&context, &sample.entry());
    }
    // What hangs was taken in one round before the slot filled up once more, each time with what has room beside it while
    // the exporter holds its lock.
    assert!(
        counters.read().dropped >= 50_000 - 4 * 100,
        "{:?}",
        counters.read()
    );
    drop(worker);
    assert!(!tracer.finish(Duration::ZERO), "the thread is left behind");
}

#[test]
fn an_endpoint_that_is_none_is_refused_at_the_start() {
    let config = Tracing {
        endpoint: "localhost:4318".into(),
        sample: 1.0,
        service_name: "edge".into(),
        buffer: 1,
    };
    let error = Tracer::start(&config, 1).unwrap_err().to_string();
    assert!(
        error.contains("`localhost:4318`") && error.contains("http://"),
        "{error}"
    );
}

#[test]
fn all_proxies_pick_the_same_share() {
    let (half, tenth) = (Sampler::new(0.5), Sampler::new(0.1));
    let mut state = 1u64;
    let mut picked = [0, 0];
    for _ in 0..20_000 {
        let context = Context::begin(&HeaderMap::new(), half, || {
            state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
            state ^ (state >> 31)
        });
        let is_picked = [half, tenth].map(|sampler| sampler.picks(context.trace()));
        assert_eq!(is_picked[0], context.is_recorded());
        assert!(
            is_picked[0] || !is_picked[1],
            "a smaller share is part of a larger one"
        );
        picked[0] += u32::from(is_picked[0]);
        picked[1] += u32::from(is_picked[1]);
    }
    assert!((9_500..10_500).contains(&picked[0]), "{picked:?}");
    assert!((1_700..2_300).contains(&picked[1]), "{picked:?}");
}

proptest! {
    #[test]
    fn nothing_is_picked_at_zero_and_everything_at_one(id in any::<u64>()) {
        for (share, expected) in [(0.0, false), (1.0, true), (2.0, true), (-1.0, false), (f64::NAN, false)] {
            let context = Context::begin(&HeaderMap::new(), Sampler::new(share), || id);
            prop_assert_eq!(context.is_recorded(), expected, "{}", share);
        }
    }
}
