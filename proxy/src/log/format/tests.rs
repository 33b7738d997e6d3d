use super::*;
use crate::{entry::samples::Sample, trace::TraceId};
use http::HeaderMap;
use proptest::prelude::*;
use serde_json::Value as Json;
use std::collections::BTreeSet;

fn headers(pairs: &[(&'static str, &[u8])]) -> HeaderMap {
    let pair = |&(name, value): &(&'static str, &[u8])| {
        let value = HeaderValue::from_bytes(value).unwrap();
        (HeaderName::from_static(name), value)
    };
    pairs.iter().map(pair).collect()
}

fn line(format: &Format, entry: &Entry<'_>) -> String {
    let mut line = Vec::new();
    format.write(&mut line, entry, &SecondCache::default());
    String::from_utf8(line).unwrap()
}

fn template(text: &str) -> Format {
    Format::template(&LogTemplate::parse(text).unwrap())
}

#[test]
fn json_has_all_that_is_known() {
    let format = Format::json();
    let request = headers(&[("user-agent", b"curl/8"), ("referer", b"https://a/\"b\"")]);
    let sample = Sample {
        noted: format.note(&request),
        ..Sample::default()
    };
    let entry = Entry {
        failure: Some("grpc"),
        grpc_status: Some(14),
        trace: Some(TraceId::of(0x0af7651916cd43dd8448eb211c80319c)),
        ..sample.entry()
    };
    let expected = concat!(
        r#"{"time":"2026-11-25T02:30:00.250000Z","client":"192.0.2.7","listener":"https","scheme":"https","#,
        r#""protocol":"HTTP/2","method":"GET","host":"shop.example","path":"/cart?id=7","status":200,"#,
        r#""failure":"grpc","route":"shop","rollout":"default/shop","role":"canary","#,
        r#""service":"default/shop-green","endpoint":"10.0.0.3:9001","attempts":1,"request_bytes":0,"#,
        r#""response_bytes":512,"duration_ms":12.345,"first_byte_ms":9.007,"user_agent":"curl/8","#,
        r#""referer":"https://a/\"b\"","request_id":"r-1","#,
        r#""trace_id":"0af7651916cd43dd8448eb211c80319c","grpc_status":14}"#,
        "\n"
    );
    let written = line(&format, &entry);
    assert_eq!(written, expected);
    let read: Json = serde_json::from_str(&written).unwrap();
    let keys: BTreeSet<&str> = read
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(keys, Field::ALL.iter().map(|f| f.as_str()).collect());
}

#[test]
fn json_leaves_out_what_is_not_known() {
    let sample = Sample::default();
    let entry = Entry {
        status: 404,
        failure: Some("no_route"),
        route: None,
        rollout: None,
        role: None,
        service: None,
        endpoint: None,
        attempts: 0,
        first_byte: None,
        request_id: None,
        ..sample.entry()
    };
    let read: Json = serde_json::from_str(&line(&Format::json(), &entry)).unwrap();
    assert_eq!(read["failure"], "no_route");
    assert_eq!(read["attempts"], 0);
    for absent in [
        "rollout",
        "endpoint",
        "first_byte_ms",
        "trace_id",
        "referer",
    ] {
        assert!(read.get(absent).is_none(), "{absent}");
    }
}

#[test]
fn templates_are_filled_in() {
    for (text, expected) in [
        (
            "%{client} [%{time}] \"%{method} %{path} %{protocol}\" %{status} %{response_bytes}",
            "192.0.2.7 [2026-11-25T02:30:00.250000Z] \"GET /cart?id=7 HTTP/2\" 200 512\n",
        ),
        (
            "%{rollout} %{role} %{duration_ms}",
            "default/shop canary 12.345\n",
        ),
        ("%{failure} %{trace_id} %{referer}", "- - -\n"),
        ("%{req.x-user} %{resp.server}", "anna origin/1\n"),
        ("%{req.x-none} %{resp.x-none} %{user_agent}", "- - curl/8\n"),
        ("100%%", "100%\n"),
    ] {
        let format = template(text);
        let request = headers(&[("x-user", b"anna"), ("user-agent", b"curl/8")]);
        let mut noted = format.note(&request);
        format.note_response(&mut noted, &headers(&[("server", b"origin/1")]));
        let sample = Sample {
            noted,
            ..Sample::default()
        };
        assert_eq!(line(&format, &sample.entry()), expected, "{text}");
    }
}

#[test]
fn a_header_of_no_response_is_absent() {
    let format = template("%{resp.server}");
    let sample = Sample {
        noted: format.note(&HeaderMap::new()),
        ..Sample::default()
    };
    assert_eq!(line(&format, &sample.entry()), "-\n");
}

proptest! {
    #[test]
    fn numbers_and_addresses_are_written_as_others_write_them(
        number in any::<u64>(),
        address in any::<IpAddr>(),
        port in any::<u16>(),
        micros in any::<u64>(),
    ) {
        let format = template("%{response_bytes} %{client} %{endpoint} %{duration_ms}");
        let sample = Sample::default();
        let endpoint = SocketAddr::new(address, port);
        let entry = Entry {
            response_bytes: number,
            client: address,
            endpoint: Some(endpoint),
            duration: Duration::from_micros(micros),
            ..sample.entry()
        };
        let time = format!("{}.{:03}", micros / 1000, micros % 1000);
        let expected = format!("{number} {address} {endpoint} {time}\n");
        prop_assert_eq!(line(&format, &entry), expected);
    }

    #[test]
    fn a_line_is_one_line_and_json_stays_json(
        path in any::<String>(),
        agent in prop::collection::vec(0x20u8..=0xFF, 0..40),
    ) {
        let agent: Vec<u8> = agent.into_iter().filter(|&b| b != 0x7F).collect();
        for format in [Format::json(), template("\"%{path}\" \"%{user_agent}\"")] {
            let noted = format.note(&headers(&[("user-agent", &agent)]));
            let sample = Sample { path: path.clone(), noted, ..Sample::default() };
            let written = line(&format, &sample.entry());
            prop_assert_eq!(written.matches(char::is_control).collect::<Vec<_>>(), ["\n"]);
            prop_assert!(written.ends_with('\n'));
            if written.starts_with('{') {
                let read: Json = serde_json::from_str(&written).unwrap();
                prop_assert_eq!(&read["path"], &path);
                prop_assert_eq!(&read["user_agent"], &*String::from_utf8_lossy(&agent));
            }
        }
    }
}
