use super::*;
use crate::{
    Role, Stats,
    matches::{FieldMatch, ValueMatch, whole},
};
use http::{HeaderMap, Method, Request};

fn route(stats: &Stats, name: &str, hosts: &[&str], condition: RequestMatch) -> Route {
    Route::plain(
        hosts.iter().map(|host| HostMatch::parse(host)).collect(),
        vec![condition],
        Target::Backend(Backend::plain(
            BackendId::new("default", name),
            Arc::new([]),
            stats.series(&RolloutId::new("default", name), Role::Active),
        )),
    )
}

fn path(path: PathMatch) -> RequestMatch {
    RequestMatch {
        path,
        ..RequestMatch::any()
    }
}

fn found(table: &RouteTable, method: Method, uri: &str, headers: &HeaderMap) -> Option<String> {
    let request = Request::builder().method(method).uri(uri).body(()).unwrap();
    let head = Head {
        method: request.method(),
        uri: request.uri(),
        headers: headers.into(),
        client: &std::net::IpAddr::from([127, 0, 0, 1]),
        listener: "",
    };
    table.find(&head).map(|found| match found.target {
        Target::Backend(backend) => backend.id.name.to_string(),
        Target::Split(split) => format!("split {split}"),
        Target::Redirect(redirect) => redirect.status.to_string(),
    })
}

#[test]
fn the_more_specific_goes_first() {
    let stats = Stats::new(1);
    let header = FieldMatch {
        headers: vec![("x-beta".parse().unwrap(), ValueMatch::Present)],
        ..FieldMatch::default()
    };
    let routes = vec![
        route(&stats, "any", &["*"], RequestMatch::any()),
        route(&stats, "wild", &["*.example"], RequestMatch::any()),
        route(&stats, "host", &["a.example"], RequestMatch::any()),
        route(
            &stats,
            "prefix",
            &["a.example"],
            path(PathMatch::Prefix("/shop".into())),
        ),
        route(
            &stats,
            "longer",
            &["a.example"],
            path(PathMatch::Prefix("/shop/cart".into())),
        ),
        route(
            &stats,
            "regex",
            &["a.example"],
            path(PathMatch::Regex(whole("/shop/v[0-9]").unwrap())),
        ),
        route(
            &stats,
            "exact",
            &["a.example"],
            path(PathMatch::Exact("/shop/v1".into())),
        ),
        route(
            &stats,
            "post",
            &["a.example"],
            RequestMatch {
                method: Some(Method::POST),
                ..RequestMatch::any()
            },
        ),
        route(
            &stats,
            "beta",
            &["a.example"],
            RequestMatch {
                fields: header,
                ..RequestMatch::any()
            },
        ),
        route(&stats, "second", &["a.example"], RequestMatch::any()),
    ];
    let table = RouteTable::new(routes, Vec::new()).unwrap();
    let none = HeaderMap::new();
    let beta = HeaderMap::from_iter([("x-beta".parse().unwrap(), "1".parse().unwrap())]);
    for (method, uri, headers, expected) in [
        (Method::GET, "http://b.other/", &none, "any"),
        (Method::GET, "http://b.example/", &none, "wild"),
        (Method::GET, "http://A.example/", &none, "host"),
        (Method::GET, "http://a.example/shop", &none, "prefix"),
        (Method::GET, "http://a.example/shop/cart/1", &none, "longer"),
        (Method::GET, "http://a.example/shop/v2", &none, "regex"),
        (Method::GET, "http://a.example/shop/v1", &none, "exact"),
        (Method::POST, "http://a.example/", &none, "post"),
        (Method::GET, "http://a.example/", &beta, "beta"),
    ] {
        assert_eq!(
            found(&table, method, uri, headers).as_deref(),
            Some(expected),
            "{uri}"
        );
    }
}

#[test]
fn a_host_without_a_fitting_route_leaves_the_request_to_less_specific_hosts() {
    let stats = Stats::new(1);
    let only = |prefix: &str| path(PathMatch::Prefix(prefix.into()));
    let routes = vec![
        route(&stats, "any", &["*"], RequestMatch::any()),
        route(&stats, "short", &["*.example"], only("/a")),
        route(&stats, "long", &["*.shop.example"], only("/a/b")),
        route(&stats, "exact", &["x.shop.example"], only("/a/b/c")),
    ];
    let table = RouteTable::new(routes, Vec::new()).unwrap();
    for (uri, expected) in [
        ("http://x.shop.example/a/b/c", "exact"),
        ("http://x.shop.example/a/b", "long"),
        ("http://x.shop.example/a", "short"),
        ("http://x.shop.example/", "any"),
    ] {
        assert_eq!(
            found(&table, Method::GET, uri, &HeaderMap::new()).as_deref(),
            Some(expected),
            "{uri}"
        );
    }
}

#[test]
fn a_request_without_a_route_finds_nothing() {
    let stats = Stats::new(1);
    let routes = vec![route(&stats, "host", &["a.example"], RequestMatch::any())];
    let table = RouteTable::new(routes, Vec::new()).unwrap();
    assert_eq!(
        found(&table, Method::GET, "http://b.example/", &HeaderMap::new()),
        None
    );
}

#[test]
fn a_route_to_no_split_is_refused() {
    let route = Route::plain(
        vec![HostMatch::Any],
        vec![RequestMatch::any()],
        Target::Split(0),
    );
    assert_eq!(
        RouteTable::new(vec![route], Vec::new()).unwrap_err(),
        NoSuchSplit { route: 0 }
    );
}

#[test]
fn precedence_is_the_gateway_apis() {
    let header = |count: usize| FieldMatch {
        headers: (0..count)
            .map(|i| (format!("x-{i}").parse().unwrap(), ValueMatch::Present))
            .collect(),
        ..FieldMatch::default()
    };
    let query = |count: usize| FieldMatch {
        query: (0..count)
            .map(|i| (format!("q{i}").into(), ValueMatch::Present))
            .collect(),
        ..FieldMatch::default()
    };
    let get = |path: PathMatch, fields: FieldMatch| RequestMatch {
        path,
        method: Some(Method::GET),
        fields,
    };
    let any_method = |path: PathMatch, fields: FieldMatch| RequestMatch {
        path,
        method: None,
        fields,
    };
    let prefix = |path: &str| PathMatch::Prefix(path.into());
    // Each of these goes before the next, and all of them admit the request below.
    let ranked = [
        any_method(PathMatch::Exact("/a/b".into()), FieldMatch::default()),
        any_method(
            PathMatch::Regex(whole("/a/.*").unwrap()),
            FieldMatch::default(),
        ),
        any_method(prefix("/a/b/"), FieldMatch::default()),
        get(prefix("/a"), header(1)),
        get(prefix("/a"), query(2)),
        get(prefix("/a"), query(1)),
        get(prefix("/a"), FieldMatch::default()),
        any_method(prefix("/a"), header(2)),
        any_method(prefix("/a"), header(1)),
        any_method(prefix("/a"), query(1)),
        any_method(prefix("/a"), FieldMatch::default()),
        any_method(prefix("/"), header(2)),
        any_method(prefix("/"), FieldMatch::default()),
    ];
    let stats = Stats::new(1);
    let headers = HeaderMap::from_iter([
        ("x-0".parse().unwrap(), "1".parse().unwrap()),
        ("x-1".parse().unwrap(), "1".parse().unwrap()),
    ]);
    for first in 0..ranked.len() {
        // The order of the document must not matter.
        let routes = (first..ranked.len())
            .rev()
            .map(|i| route(&stats, &i.to_string(), &["*"], ranked[i].clone()));
        let table = RouteTable::new(routes.collect(), Vec::new()).unwrap();
        let taken = found(&table, Method::GET, "http://a/a/b?q0&q1", &headers);
        assert_eq!(taken, Some(first.to_string()));
    }
}

#[test]
fn of_conditions_on_one_name_the_first_counts() {
    let stats = Stats::new(1);
    let exactly = |value: &str| ValueMatch::Exact(value.into());
    let fields = FieldMatch {
        headers: vec![
            ("x-v".parse().unwrap(), exactly("1")),
            ("X-V".parse().unwrap(), exactly("2")),
        ],
        query: vec![("q".into(), exactly("1")), ("q".into(), exactly("2"))],
        ..FieldMatch::default()
    };
    let condition = RequestMatch {
        fields,
        ..RequestMatch::any()
    };
    // Were both counted, this would go after it.
    let other = RequestMatch {
        fields: FieldMatch {
            headers: vec![("x-v".parse().unwrap(), exactly("1"))],
            query: vec![("q".into(), exactly("1"))],
            ..FieldMatch::default()
        },
        ..RequestMatch::any()
    };
    let routes = vec![
        route(&stats, "other", &["*"], other),
        route(&stats, "twice", &["*"], condition.clone()),
    ];
    let headers = |v: &str| HeaderMap::from_iter([("x-v".parse().unwrap(), v.parse().unwrap())]);
    let table = RouteTable::new(routes, Vec::new()).unwrap();
    let taken = found(&table, Method::GET, "http://a/?q=1", &headers("1"));
    assert_eq!(taken.as_deref(), Some("other"));
    let alone = vec![route(&stats, "twice", &["*"], condition)];
    let table = RouteTable::new(alone, Vec::new()).unwrap();
    for (uri, value, expected) in [
        ("http://a/?q=1", "1", true),
        ("http://a/?q=1&q=2", "1", true),
        ("http://a/?q=2&q=1", "1", false),
        ("http://a/?q=1", "2", false),
    ] {
        let taken = found(&table, Method::GET, uri, &headers(value));
        assert_eq!(taken.is_some(), expected, "{uri} {value}");
    }
}

#[test]
fn routes_are_for_their_listeners() {
    let stats = Stats::new(1);
    let mut secure = route(&stats, "secure", &["*"], RequestMatch::any());
    secure.listeners = vec!["https".into(), "admin".into()];
    let plain = route(&stats, "plain", &["*"], RequestMatch::any());
    let table = RouteTable::new(vec![secure, plain], Vec::new()).unwrap();
    let request = Request::get("http://a/").body(()).unwrap();
    for (listener, expected) in [("https", "secure"), ("admin", "secure"), ("http", "plain")] {
        let head = Head {
            method: request.method(),
            uri: request.uri(),
            headers: request.headers().into(),
            client: &std::net::IpAddr::from([127, 0, 0, 1]),
            listener,
        };
        let found = table.find(&head).unwrap();
        assert!(!found.has_actions);
        let Target::Backend(backend) = found.target else {
            panic!("leads to no Service")
        };
        assert_eq!(&*backend.id.name, expected);
    }
}
