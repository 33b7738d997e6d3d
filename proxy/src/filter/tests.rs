use super::*;
use crate::{answer::ERROR, config::Forwarding, request::Scheme};
use http::{HeaderName, HeaderValue, Request, StatusCode, header::ORIGIN};
use std::{net::IpAddr, num::NonZeroU32, rc::Rc};
use traffic::{
    Backend, BackendId, Role, RolloutId, Route, RouteTable, Stats,
    action::{Cors, HeaderEdits, PathRewrite, RateKey, RateLimit, Redirect, Rewrite},
    matches::{HostMatch, PathMatch, RequestMatch},
};

fn backend() -> Target {
    let series = Stats::new(1).series(&RolloutId::new("default", "shop"), Role::Active);
    let id = BackendId::new("default", "shop");
    Target::Backend(Backend::plain(id, [].into(), series))
}

fn table(target: Target, actions: Actions) -> RouteTable {
    let matched = RequestMatch {
        path: PathMatch::Prefix("/shop".into()),
        ..RequestMatch::any()
    };
    let route = Route {
        actions: actions.into(),
        ..Route::plain(vec![HostMatch::Any], vec![matched], target)
    };
    RouteTable::new(vec![route], Vec::new()).unwrap()
}

fn peer() -> Peer {
    Peer::new(
        [192, 0, 2, 7].into(),
        8080,
        Scheme::Http,
        Rc::new(Forwarding::default()),
    )
}

fn request(uri: &str, headers: &[(HeaderName, &str)]) -> Parts {
    let mut request = Request::get(uri).header("host", "a.example");
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn arrive_at<'a>(
    table: &'a RouteTable,
    request: &Parts,
    now: Duration,
) -> Result<Passage<'a>, OwnAnswer> {
    let head = Head {
        method: &request.method,
        uri: &request.uri,
        headers: (&request.headers).into(),
        client: &IpAddr::from([192, 0, 2, 7]),
        listener: "http",
    };
    let found = table.find(&head).unwrap();
    let mut passage = Passage::default();
    arrive(&head, &request.headers, &found, &peer(), now, &mut passage)?;
    Ok(passage)
}

/// The answer that a request gets at once.
fn answered(table: &RouteTable, request: &Parts) -> OwnAnswer {
    arrive_at(table, request, Duration::ZERO).unwrap_err()
}

fn edits(name: &'static str, value: &'static str) -> HeaderEdits {
    HeaderEdits {
        set: vec![(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )],
        ..HeaderEdits::default()
    }
}

fn from_a() -> Cors {
    Cors {
        allow_origins: vec!["https://a.example".into()],
        ..Cors::default()
    }
}

#[test]
fn a_route_that_does_nothing_changes_nothing() {
    let table = table(backend(), Actions::default());
    let mut head = request("/shop/cart?q", &[]);
    let before = head.clone();
    let mut passage = arrive_at(&table, &head, Duration::ZERO).unwrap();
    passage.edit_request(&mut head);
    let mut answer = HeaderMap::new();
    passage.edit_response(&mut answer);
    assert_eq!((head.uri, head.headers), (before.uri, before.headers));
    assert!(answer.is_empty());
    assert!(passage.take_permit().is_none());
}

#[test]
fn a_request_is_rewritten_and_its_answer_edited() {
    let actions = Actions {
        request_headers: edits("x-a", "1"),
        response_headers: edits("x-b", "2"),
        rewrite: Some(Rewrite {
            hostname: Some(HeaderValue::from_static("b.example")),
            path: Some(PathRewrite::ReplacePrefixMatch("/".into())),
        }),
        cors: Some(from_a()),
        ..Actions::default()
    };
    let table = table(backend(), actions);
    let mut head = request("/shop/cart?q", &[(ORIGIN, "https://a.example")]);
    let mut passage = arrive_at(&table, &head, Duration::ZERO).unwrap();
    passage.edit_request(&mut head);
    assert_eq!(head.uri, "/cart?q");
    assert_eq!(head.headers["host"], "b.example");
    assert_eq!(head.headers["x-a"], "1");
    let mut answer = HeaderMap::new();
    passage.edit_response(&mut answer);
    assert_eq!(answer["x-b"], "2");
    assert_eq!(answer["access-control-allow-origin"], "https://a.example");
}

#[test]
fn a_redirect_is_answered_with_what_the_route_says_of_answers() {
    let redirect = Redirect {
        scheme: Some("https".into()),
        hostname: None,
        port: None,
        path: None,
        status: StatusCode::MOVED_PERMANENTLY,
    };
    let actions = Actions {
        response_headers: edits("x-b", "2"),
        ..Actions::default()
    };
    for actions in [Actions::default(), actions] {
        let has_edits = !actions.is_empty();
        let table = table(Target::Redirect(redirect.clone()), actions);
        let answer = answered(&table, &request("/shop?q", &[]));
        assert_eq!(answer.status(), StatusCode::MOVED_PERMANENTLY);
        assert_eq!(answer.headers()["location"], "https://a.example/shop?q");
        assert_eq!(answer.headers().contains_key("x-b"), has_edits);
        assert!(!answer.headers().contains_key(ERROR));
    }
}

#[test]
fn what_is_too_much_is_refused_so_that_scripts_can_read_it() {
    let actions = Actions {
        cors: Some(from_a()),
        rate_limit: Some(RateLimit {
            per_second: 0.5,
            burst: NonZeroU32::MIN,
            key: RateKey::Route,
        }),
        ..Actions::default()
    };
    let table = table(backend(), actions);
    let head = request("/shop", &[(ORIGIN, "https://a.example")]);
    assert!(arrive_at(&table, &head, Duration::ZERO).is_ok());
    let answer = answered(&table, &head);
    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
    for (name, expected) in [
        ("retry-after", "2"),
        ("sluice-error", "rate_limited"),
        ("access-control-allow-origin", "https://a.example"),
    ] {
        assert_eq!(answer.headers()[name], expected);
    }
    assert!(arrive_at(&table, &head, Duration::from_secs(2)).is_ok());
}

#[test]
fn as_many_requests_are_under_way_as_may_be() {
    let actions = Actions {
        max_concurrent: Some(NonZeroU32::MIN),
        ..Actions::default()
    };
    let table = table(backend(), actions);
    let head = request("/shop", &[]);
    let permit = arrive_at(&table, &head, Duration::ZERO)
        .unwrap()
        .take_permit();
    assert!(permit.is_some());
    let answer = answered(&table, &head);
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers()["retry-after"], "1");
    assert_eq!(answer.headers()["sluice-error"], "route_busy");
    drop(permit);
    assert!(arrive_at(&table, &head, Duration::ZERO).is_ok());
}

#[test]
fn a_question_of_a_browser_takes_no_token() {
    let actions = Actions {
        cors: Some(from_a()),
        rate_limit: Some(RateLimit {
            per_second: 0.5,
            burst: NonZeroU32::MIN,
            key: RateKey::Route,
        }),
        ..Actions::default()
    };
    let table = table(backend(), actions);
    let mut question = request(
        "/shop",
        &[
            (ORIGIN, "https://a.example"),
            (http::header::ACCESS_CONTROL_REQUEST_METHOD, "PUT"),
        ],
    );
    question.method = http::Method::OPTIONS;
    for _ in 0..3 {
        assert_eq!(answered(&table, &question).status(), StatusCode::NO_CONTENT);
    }
}
