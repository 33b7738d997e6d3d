//! What heads are made of.

use super::super::head::{Draft, Malformed};
use super::*;
use crate::{
    http1::{HeadFault, RequestFault},
    request::Fault,
};

type Field = (&'static str, &'static str);

const USUAL: [Field; 4] = [
    (":method", "GET"),
    (":scheme", "https"),
    (":authority", "a.example"),
    (":path", "/p"),
];

/// A usual request with `fields`, each in the place of the pseudo-header field of its name.
fn with(fields: &[Field]) -> Vec<Field> {
    let is_told = |name: &str| {
        fields
            .iter()
            .any(|field| field.0 == name && name.starts_with(':'))
    };
    let usual = USUAL.into_iter().filter(|field| !is_told(field.0));
    usual.chain(fields.iter().copied()).collect()
}

fn head(fields: &[Field], limit: usize) -> Result<Head, Malformed> {
    let mut text = Text::default();
    let mut draft = Draft::new(&mut text, limit);
    for (name, value) in fields {
        draft.take(name.as_bytes(), value.as_bytes());
    }
    draft.end()
}

fn check(fields: &[Field], expected: Result<&str, Refused>) {
    let head = head(fields, 1000);
    let head = head.unwrap_or_else(|Malformed| panic!("{fields:?} is malformed"));
    let expected = expected.map(|text| Bytes::from(text.replace('\n', "\r\n")));
    assert_eq!(head.text, expected, "{fields:?}");
}

use bytes::Bytes;

#[test]
fn a_head_becomes_one_of_http1() {
    const START: &str = "GET /p HTTP/1.1\nhost: a.example\n";
    for (fields, lines) in [
        (&[][..], ""),
        (&[("accept", "*/*")], "accept: */*\n"),
        (&[("x", " \ty\t ")], "x: y\n"),
        (&[("x", "")], "x: \n"),
        (&[("te", "trailers")], "te: trailers\n"),
        (&[("te", "Trailers")], "te: Trailers\n"),
        // The authority stands for it.
        (&[("host", "A.example")], ""),
        (&[("host", "a.example:443")], ""),
        // RFC 9113 section 8.2.3.
        (&[("cookie", "a=1")], "cookie: a=1\n"),
        (
            &[
                ("cookie", "a=1"),
                ("x", "y"),
                ("cookie", "b=2"),
                ("cookie", "c=3"),
            ],
            "x: y\ncookie: a=1; b=2; c=3\n",
        ),
    ] {
        check(&with(fields), Ok(&format!("{START}{lines}\n")));
    }
    // Without an authority, the host is where it came.
    let fields = [
        (":method", "GET"),
        (":path", "/"),
        (":scheme", "http"),
        ("x", "y"),
        ("host", "b"),
    ];
    check(&fields, Ok("GET / HTTP/1.1\nx: y\nhost: b\n\n"));
    // In any order.
    let fields = [
        (":path", "/"),
        (":authority", "b"),
        (":scheme", "http"),
        (":method", "PUT"),
    ];
    check(&fields, Ok("PUT / HTTP/1.1\nhost: b\n\n"));
    check(
        &with(&[(":method", "OPTIONS"), (":path", "*")]),
        Ok("OPTIONS * HTTP/1.1\nhost: a.example\n\n"),
    );
}

#[test]
fn what_two_servers_could_understand_differently_is_refused() {
    for (fields, fault) in [
        (&[("host", "a.example:80")][..], Fault::HostsDiffer),
        (&[("host", "b.example")], Fault::HostsDiffer),
        (&[("host", "")], Fault::HostsDiffer),
        (&[("host", "a b")], Fault::HostInvalid),
        (
            &[("host", "a.example"), ("host", "a.example")],
            Fault::ManyHosts,
        ),
        (
            &[("content-length", "1"), ("content-length", "1")],
            Fault::ManyLengths,
        ),
        (&[(":scheme", "ftp")], Fault::TargetInvalid),
        (&[(":authority", "u@a")], Fault::TargetInvalid),
        (&[(":authority", "")], Fault::TargetInvalid),
        (&[(":path", "*")], Fault::TargetInvalid),
        (&[(":path", "http://b/")], Fault::TargetInvalid),
        (&[(":path", "/a b")], Fault::TargetInvalid),
        (&[(":path", "/\u{e9}")], Fault::TargetInvalid),
    ] {
        check(&with(fields), Err(Refused::Stream(fault)));
    }
    let no_host = [(":method", "GET"), (":path", "/"), (":scheme", "http")];
    check(&no_host, Err(Refused::Stream(Fault::NoHost)));
    let tunnel = [(":method", "CONNECT"), (":authority", "a:443")];
    check(&tunnel, Err(Refused::Stream(Fault::Connect)));
}

#[test]
fn what_is_no_http2_is_malformed() {
    for fields in [
        &[("X", "y")][..],
        &[("", "y")],
        &[("x y", "z")],
        &[("x:", "y")],
        &[("x", "y\r\nz: a")],
        &[("x", "y\n")],
        &[("x", "y\0")],
        &[("x", "\u{7f}")],
        &[("connection", "close")],
        &[("transfer-encoding", "chunked")],
        &[("upgrade", "websocket")],
        &[("keep-alive", "1")],
        &[("proxy-connection", "x")],
        &[("te", "gzip")],
        &[("te", "trailers, gzip")],
        &[(":path", "")],
        &[(":path", "/a\r\nx: y")],
        &[(":authority", "a\r\nx: y")],
        &[(":method", "")],
        &[(":method", "GET /b")],
        &[(":method", "CONNECT")],
        &[(":status", "200")],
        &[(":protocol", "websocket")],
        &[(":path", "/"), (":path", "/")],
        &[("x", "y"), (":path", "/")],
    ] {
        assert_eq!(head(&with(fields), 1000), Err(Malformed), "{fields:?}");
    }
    for missing in 0..4 {
        let mut fields = USUAL.to_vec();
        let (name, _) = fields.remove(missing);
        let is_needed = name != ":authority";
        assert_eq!(head(&fields, 1000).is_err(), is_needed, "without {name}");
    }
}

#[test]
fn a_head_is_as_large_as_it_may_be_and_no_larger() {
    // Each field counts 32 bytes more than it has.
    let size = USUAL
        .iter()
        .map(|(name, value)| name.len() + value.len() + 32)
        .sum::<usize>();
    assert!(head(&USUAL, size).unwrap().text.is_ok());
    let too_large = Refused::Request(RequestFault::Head(HeadFault::TooLarge));
    assert_eq!(head(&USUAL, size - 1).unwrap().text, Err(too_large));
    // What is malformed of it besides does not matter.
    let fields = with(&[("X", "y")]);
    assert_eq!(head(&fields, size - 1).unwrap().text, Err(too_large));
}

#[test]
fn a_length_is_told_that_is_one() {
    for (value, length) in [
        ("5", Some(5)),
        ("005", Some(5)),
        ("", None),
        ("+5", None),
        ("5,5", None),
    ] {
        let head = head(&with(&[("content-length", value)]), 1000).unwrap();
        assert_eq!(head.length, length, "{value}");
    }
}
