use super::*;
use http::Request;

fn list(names: &[&str]) -> Vec<Box<str>> {
    names.iter().map(|&name| name.into()).collect()
}

fn cors(origins: &[&str], allow_credentials: bool, names: &[&str]) -> Cors {
    Cors {
        allow_origins: list(origins),
        allow_credentials,
        allow_methods: list(names),
        allow_headers: list(names),
        expose_headers: list(names),
        max_age: None,
    }
}

fn lines(headers: &HeaderMap) -> Vec<String> {
    let line =
        |(name, value): (&HeaderName, &HeaderValue)| format!("{name}: {}", value.to_str().unwrap());
    let mut lines: Vec<String> = headers
        .iter()
        .map(line)
        .map(|line| line.replace("access-control-", "ac-"))
        .collect();
    lines.sort();
    lines
}

fn asked(cors: &Cors, method: &str, headers: &[(&str, &str)]) -> Option<Vec<String>> {
    let mut request = Request::builder().method(method).uri("/p");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(()).unwrap();
    preflight(cors, request.method(), request.headers()).map(|headers| lines(&headers))
}

const FROM_A: (&str, &str) = ("origin", "https://a.example");
const TO_PUT: (&str, &str) = ("access-control-request-method", "PUT");
const WITH_X: (&str, &str) = ("access-control-request-headers", "x-a, x-b");

#[test]
fn only_an_options_request_with_origin_and_method_is_a_question() {
    let cors = cors(&["*"], false, &[]);
    for (method, headers, expected) in [
        ("OPTIONS", &[FROM_A, TO_PUT][..], true),
        ("OPTIONS", &[FROM_A], false),
        ("OPTIONS", &[TO_PUT], false),
        ("GET", &[FROM_A, TO_PUT], false),
    ] {
        assert_eq!(asked(&cors, method, headers).is_some(), expected);
    }
}

#[test]
fn questions_are_answered_as_the_gateway_api_says() {
    const ORIGIN_A: &str = "ac-allow-origin: https://a.example";
    const CREDENTIALS: &str = "ac-allow-credentials: true";
    const AGE: &str = "ac-max-age: 5";
    const VARY: &str = "vary: origin";
    const VARY_METHOD: &str = "vary: access-control-request-method";
    const VARY_HEADERS: &str = "vary: access-control-request-headers";
    let (vary_method, vary_headers) = (
        VARY_METHOD.replace("access-control-", "ac-"),
        VARY_HEADERS.replace("access-control-", "ac-"),
    );
    for (cors, headers, expected) in [
        (
            cors(&["*"], false, &[]),
            &[FROM_A, TO_PUT][..],
            &["ac-allow-origin: *", AGE][..],
        ),
        (
            cors(&["*"], false, &["*"]),
            &[FROM_A, TO_PUT],
            &[
                "ac-allow-headers: *",
                "ac-allow-methods: *",
                "ac-allow-origin: *",
                AGE,
            ],
        ),
        (
            cors(
                &["https://b.example", "https://*.example"],
                false,
                &["PUT", "PATCH"],
            ),
            &[FROM_A, TO_PUT],
            &[
                "ac-allow-headers: PUT, PATCH",
                "ac-allow-methods: PUT, PATCH",
                ORIGIN_A,
                AGE,
                VARY,
            ],
        ),
        (
            cors(&["https://b.example"], true, &["*"]),
            &[FROM_A, TO_PUT, WITH_X],
            &[&vary_headers, &vary_method, VARY],
        ),
        (
            cors(&["*"], true, &["*"]),
            &[FROM_A, TO_PUT, WITH_X],
            &[
                CREDENTIALS,
                "ac-allow-headers: x-a, x-b",
                "ac-allow-methods: PUT",
                ORIGIN_A,
                AGE,
                &vary_headers,
                &vary_method,
                VARY,
            ],
        ),
        (
            cors(&["*"], true, &["*"]),
            &[FROM_A, TO_PUT],
            &[
                CREDENTIALS,
                "ac-allow-methods: PUT",
                ORIGIN_A,
                AGE,
                &vary_headers,
                &vary_method,
                VARY,
            ],
        ),
    ] {
        assert_eq!(
            asked(&cors, "OPTIONS", headers).unwrap(),
            expected,
            "{cors:?}"
        );
    }
    let long = Cors {
        max_age: Some(600),
        ..cors(&["*"], false, &[])
    };
    let answer = asked(&long, "OPTIONS", &[FROM_A, TO_PUT]).unwrap();
    assert!(answer.contains(&"ac-max-age: 600".to_owned()));
}

#[test]
fn answers_say_what_the_route_grants_and_not_what_the_version_does() {
    const VERSIONS: [(&str, &str); 4] = [
        ("access-control-allow-origin", "https://evil.example"),
        ("access-control-allow-credentials", "true"),
        ("access-control-expose-headers", "x-secret"),
        ("vary", "accept-encoding"),
    ];
    for (cors, origin, expected) in [
        (
            cors(&["*"], false, &["x-a", "x-b"]),
            Some("https://a.example"),
            &[
                "ac-allow-origin: *",
                "ac-expose-headers: x-a, x-b",
                "vary: accept-encoding",
            ][..],
        ),
        (
            cors(&["*"], false, &[]),
            None,
            &["ac-allow-origin: *", "vary: accept-encoding"],
        ),
        (
            cors(&["https://a.example"], true, &["*", "x-a"]),
            Some("https://a.example"),
            &[
                "ac-allow-credentials: true",
                "ac-allow-origin: https://a.example",
                "ac-expose-headers: x-a",
                "vary: accept-encoding",
                "vary: origin",
            ],
        ),
        (
            cors(&["https://a.example"], true, &["*"]),
            Some("https://b.example"),
            &["vary: accept-encoding", "vary: origin"],
        ),
        (
            cors(&["https://a.example"], true, &["*"]),
            None,
            &["vary: accept-encoding", "vary: origin"],
        ),
    ] {
        let mut request = HeaderMap::new();
        if let Some(origin) = origin {
            request.insert(ORIGIN, origin.parse().unwrap());
        }
        let mut answer: HeaderMap = VERSIONS
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        let grant = Grant::of(&cors, &request);
        grant.give(&mut answer);
        // Once more changes nothing.
        grant.give(&mut answer);
        assert_eq!(lines(&answer), expected, "{cors:?} {origin:?}");
    }
}
