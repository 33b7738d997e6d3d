use super::*;
use proptest::prelude::*;

const VALID: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let pair = |&(name, value): &(&'static str, &str)| {
        (HeaderName::from_static(name), value.parse().unwrap())
    };
    let mut headers = HeaderMap::new();
    for (name, value) in pairs.iter().map(pair) {
        headers.append(name, value);
    }
    headers
}

/// 1, 2, 3, …
fn counting() -> impl FnMut() -> u64 {
    let mut last = 0;
    move || {
        last += 1;
        last
    }
}

fn begin(headers: &HeaderMap, share: f64) -> Context {
    Context::begin(headers, Sampler::new(share), counting())
}

#[test]
fn only_what_the_standard_allows_is_a_traceparent() {
    let id = "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331";
    let zero_trace = "00000000000000000000000000000000-b7ad6b7169203331";
    let zero_span = "0af7651916cd43dd8448eb211c80319c-0000000000000000";
    for (value, expected) in [
        (format!("00-{id}-01"), Some(1)),
        (format!("00-{id}-00"), Some(0)),
        (format!("00-{id}-03"), Some(3)),
        (format!("00-{id}-ff"), Some(3)),
        (format!("cc-{id}-03"), Some(1)),
        (format!("01-{id}-01-what-comes-later"), Some(1)),
        (format!("01-{id}-01."), None),
        (format!("01-{id}-01what"), None),
        (format!("00-{id}-01-what"), None),
        (format!("00-{id}-01-"), None),
        (format!("ff-{id}-01"), None),
        (format!("0-{id}-01"), None),
        (format!("0g-{id}-01"), None),
        (format!("00-{id}-0"), None),
        (format!("00-{id}-0A"), None),
        (format!("00-{id}"), None),
        (format!("00-{}-01", id.to_uppercase()), None),
        (format!("00-{}-01", id.replace('-', "_")), None),
        (format!("00_{id}-01"), None),
        (format!("00-{zero_trace}-01"), None),
        (format!("00-{zero_span}-01"), None),
        (format!(" 00-{id}-01"), None),
        (String::new(), None),
    ] {
        let parsed = Traceparent::parse(value.as_bytes());
        assert_eq!(parsed.map(|p| p.flags), expected, "{value}");
    }
}

#[test]
fn the_caller_decides_and_the_share_decides_where_there_is_none() {
    let off = VALID.replace("-01", "-00");
    for (caller, share, expected) in [
        (Some(VALID), 0.0, true),
        (Some(&*off), 1.0, false),
        (None, 0.0, false),
        (None, 1.0, true),
        (Some("00-garbage-01"), 0.0, false),
        (Some("00-garbage-01"), 1.0, true),
    ] {
        let pairs: Vec<_> = caller.iter().map(|v| ("traceparent", *v)).collect();
        let context = begin(&headers(&pairs), share);
        assert_eq!(context.is_recorded(), expected, "{caller:?} {share}");
    }
}

#[test]
fn an_endpoint_is_told_of_the_attempt() {
    let mut headers = headers(&[
        ("traceparent", VALID),
        ("tracestate", "a=1"),
        ("tracestate", "b=2"),
    ]);
    let context = begin(&headers, 0.0);
    assert_eq!(
        context.trace().to_string(),
        "0af7651916cd43dd8448eb211c80319c"
    );
    for attempt in [0xAB, 0xCD] {
        context.inject(SpanId::new(attempt), &mut headers);
        let expected = format!("00-0af7651916cd43dd8448eb211c80319c-{attempt:016x}-01");
        assert_eq!(headers["traceparent"], expected);
    }
    let states: Vec<_> = headers.get_all("tracestate").into_iter().collect();
    assert_eq!(states, ["a=1", "b=2"]);
}

#[test]
fn a_trace_that_nobody_records_is_passed_on_untouched() {
    let value = VALID.replace("-01", "-02");
    let long = "a".repeat(MAX_TRACESTATE + 1);
    let mut headers = headers(&[("traceparent", &value), ("tracestate", &long)]);
    let before = headers.clone();
    begin(&headers, 1.0).inject(SpanId::new(7), &mut headers);
    assert_eq!(headers, before);
}

#[test]
fn a_malformed_traceparent_begins_a_new_trace_without_the_old_state() {
    let two = [
        ("traceparent", VALID),
        ("traceparent", VALID),
        ("tracestate", "a=1"),
    ];
    for pairs in [
        &[][..],
        &[("tracestate", "a=1")],
        &[("traceparent", "00-x-y-01"), ("tracestate", "a=1")],
        &two,
    ] {
        for (share, flags) in [(1.0, "01"), (0.0, "00")] {
            let mut headers = headers(pairs);
            let context = begin(&headers, share);
            context.inject(SpanId::new(7), &mut headers);
            let expected = format!("00-00000000000000010000000000000002-0000000000000007-{flags}");
            let values: Vec<_> = headers.get_all("traceparent").into_iter().collect();
            assert_eq!(values, [&*expected]);
            assert!(!headers.contains_key("tracestate"));
        }
    }
}

#[test]
fn a_tracestate_has_bounds() {
    let members = |n: usize| vec!["a=1"; n].join(",");
    for (state, is_kept) in [
        (members(32), true),
        (members(33), false),
        ("a".repeat(MAX_TRACESTATE), true),
        ("a".repeat(MAX_TRACESTATE + 1), false),
    ] {
        let mut headers = headers(&[("traceparent", VALID), ("tracestate", &state)]);
        begin(&headers, 1.0).inject(SpanId::new(7), &mut headers);
        assert_eq!(headers.contains_key("tracestate"), is_kept, "{state}");
    }
}

#[test]
fn an_id_is_never_zero() {
    let context = Context::begin(&HeaderMap::new(), Sampler::new(1.0), || 0);
    assert_eq!(context.trace().get(), 1);
    assert_eq!(context.span().get(), 1);
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(trace in 1u128.., span in 1u64.., flags in 0u8..4) {
        let value = Traceparent {
            trace: TraceId::of(trace),
            parent: SpanId::new(span),
            flags,
        };
        prop_assert_eq!(Traceparent::parse(&value.to_bytes()), Some(value));
    }

    #[test]
    fn any_bytes_are_read_or_refused(value in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = Traceparent::parse(&value);
    }

    #[test]
    fn a_byte_that_is_changed_is_never_misread(at in 0usize..55, byte in any::<u8>()) {
        let mut value = VALID.as_bytes().to_vec();
        value[at] = byte;
        if let Some(read) = Traceparent::parse(&value) {
            // Only the version and the flags may read differently from what is written.
            prop_assert_eq!(&read.to_bytes()[3..52], &value[3..52]);
        }
    }
}
