use super::{super::collector::Collector, *};
use crate::spool::Capacity;
use rustls::{ServerConfig, pki_types::PrivateKeyDer};

#[test]
fn waits_grow_and_come_to_an_end() {
    let second = Duration::from_secs(1);
    let pace = Pace::default();
    for (sent, asked, random, expected) in [
        (1, None, 0, Some(second)),
        (2, None, 0, Some(2 * second)),
        (3, None, 0, Some(4 * second)),
        (1, None, 512, Some(second * 3 / 4)),
        (1, Some(7), 512, Some(7 * second)),
        (4, Some(3600), 0, Some(30 * second)),
        (5, Some(1), 0, None),
        (5, None, 0, None),
    ] {
        let asked = asked.map(Duration::from_secs);
        assert_eq!(pace.wait(sent, asked, random), expected, "{sent} {asked:?}");
    }
    let patient = Pace {
        attempts: u32::MAX,
        ..pace
    };
    assert_eq!(patient.wait(1000, None, 0), Some(30 * second));
}

#[test]
fn endpoints_are_urls_of_http() {
    for (given, is_valid) in [
        ("http://127.0.0.1:4318/v1/traces", true),
        ("https://collector.example/v1/traces", true),
        ("127.0.0.1:4318", false),
        ("grpc://127.0.0.1:4317", false),
        ("/v1/traces", false),
        ("", false),
    ] {
        assert_eq!(endpoint(given).is_ok(), is_valid, "{given}");
    }
}

#[test]
fn spans_are_sent_by_the_five_hundred() {
    let mut spans = Vec::new();
    for _ in 0..MAX_SPANS + 3 {
        message(&mut spans, span::SPANS, |out| out.push(0));
    }
    let rest = &mut &*spans;
    let sizes: Vec<u64> = std::iter::from_fn(|| chunk(rest)).map(|(_, n)| n).collect();
    assert_eq!(sizes, [512, 3]);
}

#[test]
fn a_collector_is_spoken_to_by_tls_when_its_authority_is_trusted() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let own = made.cert.der().clone();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.clone()], key)
        .unwrap();
    let server = Arc::new(server);
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    for (trusted, is_spoken) in [(own, true), (other.cert.der().clone(), false)] {
        let collector = Collector::start_with(Vec::new(), Some(Arc::clone(&server)));
        let config = Tracing {
            endpoint: collector.endpoint().into(),
            sample: 1.0,
            service_name: "edge".into(),
            buffer: 1,
        };
        let capacity = Capacity {
            records: 1,
            bytes: 1,
        };
        let counters = TraceCounters::new(Spool::new(1, capacity));
        let mut exporter = Exporter::new(&config, Pace::default(), counters).unwrap();
        exporter.agent = agent(exporter.pace.request, Some(tls(&[trusted])));
        let endpoint = format!("https://localhost:{}/v1/traces", collector.port());
        exporter.endpoint = endpoint.parse().unwrap();
        let answer = exporter.post(&exporter.body(&[]));
        assert_eq!(
            answer == Answer::Taken { rejected: 0 },
            is_spoken,
            "{answer:?}"
        );
        assert_eq!(collector.requests(), usize::from(is_spoken));
    }
}
