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
        headers,
        client: std::net::IpAddr::from([127, 0, 0, 1]),
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
