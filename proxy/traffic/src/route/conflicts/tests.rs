use super::*;
use crate::{
    BackendId, Role, RolloutId, Stats, Target,
    matches::whole,
    route::{Backend, Route, RouteTable},
};
use http::Method;
use proptest::prelude::*;

fn prefix(path: &str) -> RequestMatch {
    RequestMatch {
        path: PathMatch::Prefix(path.into()),
        ..RequestMatch::any()
    }
}

fn exact(path: &str) -> RequestMatch {
    RequestMatch {
        path: PathMatch::Exact(path.into()),
        ..RequestMatch::any()
    }
}

fn regex(pattern: &str) -> RequestMatch {
    RequestMatch {
        path: PathMatch::Regex(whole(pattern).unwrap()),
        ..RequestMatch::any()
    }
}

fn post(path: &str) -> RequestMatch {
    RequestMatch {
        method: Some(Method::POST),
        ..prefix(path)
    }
}

fn header(value: ValueMatch) -> RequestMatch {
    let mut any = RequestMatch::any();
    any.fields.headers = vec![("x-beta".parse().unwrap(), value)];
    any
}

fn route(hosts: &[&str], listeners: &[&str], matches: Vec<RequestMatch>) -> Route {
    let id = RolloutId::new("default", "shop");
    let backend = Backend::plain(
        BackendId::new("default", "shop"),
        Arc::new([]),
        Stats::new(1).series(&id, Role::Active),
    );
    Route {
        listeners: listeners.iter().map(|&name| name.into()).collect(),
        ..Route::plain(
            hosts.iter().map(|host| HostMatch::parse(host)).collect(),
            matches,
            Target::Backend(backend),
        )
    }
}

fn told(routes: &[Route]) -> Vec<Conflict> {
    let conditions: Vec<_> = routes.iter().map(Route::conditions).collect();
    conflicts(&conditions)
}

#[test]
fn a_condition_is_told_that_another_route_takes_from_it() {
    let exactly = |value: &str| header(ValueMatch::Exact(value.into()));
    for (first, second, is_told) in [
        (prefix("/a"), prefix("/a"), true),
        (prefix("/a"), prefix("/a/"), true),
        (prefix("/"), RequestMatch::any(), true),
        (prefix("/a"), prefix("/b"), false),
        // The longer prefix goes first.
        (prefix("/a"), prefix("/a/b"), false),
        (prefix("/a"), exact("/a"), false),
        (exact("/a"), exact("/a"), true),
        (exact("/a"), exact("/a/"), false),
        (post("/a"), post("/a"), true),
        (prefix("/a"), post("/a"), false),
        (post("/a"), prefix("/a"), false),
        (regex("/a.*"), regex("/a.*"), true),
        (regex("/a.*"), prefix("/a"), false),
        (regex("/.*"), prefix("/a"), true),
        (regex(".*"), post("/a"), true),
        (exactly("1"), exactly("1"), true),
        (exactly("1"), exactly("2"), false),
        (header(ValueMatch::Present), exactly("1"), true),
        (exactly("1"), header(ValueMatch::Present), false),
        (
            header(ValueMatch::Prefix("a".into())),
            header(ValueMatch::Prefix("ab".into())),
            true,
        ),
        (
            header(ValueMatch::Regex(whole("[0-9]").unwrap())),
            exactly("1"),
            true,
        ),
    ] {
        let expected = Conflict::Unreachable {
            route: 1,
            condition: 0,
            host: HostMatch::parse("a.example"),
            by_route: 0,
            by_condition: 0,
        };
        let what = format!("{first:?} then {second:?}");
        let routes = [first, second].map(|m| route(&["a.example"], &[], vec![m]));
        let expected = if is_told { vec![expected] } else { Vec::new() };
        assert_eq!(told(&routes), expected, "{what}");
    }
}

#[test]
fn hosts_and_listeners_keep_routes_apart() {
    let any = || vec![RequestMatch::any()];
    for (first, second, count) in [
        ((&["a"][..], &[][..]), (&["b"][..], &[][..]), 0),
        ((&["*.a"], &[]), (&["x.a"], &[]), 0),
        ((&["*"], &[]), (&["a"], &[]), 0),
        ((&["A", "b"], &[]), (&["a", "b"], &[]), 2),
        ((&["a"], &["http"]), (&["a"], &["https"]), 0),
        ((&["a"], &["http"]), (&["a"], &[]), 0),
        ((&["a"], &[]), (&["a"], &["https"]), 1),
        ((&["a"], &["http", "https"]), (&["a"], &["https"]), 1),
        ((&["a"], &["http"]), (&["a"], &["http", "https"]), 0),
    ] {
        let routes = [first, second].map(|(hosts, listeners)| route(hosts, listeners, any()));
        assert_eq!(told(&routes).len(), count, "{first:?} then {second:?}");
    }
}

#[test]
fn a_host_that_a_route_has_twice_is_told_and_a_condition_is_not() {
    let twice = vec![prefix("/a"), prefix("/a")];
    assert_eq!(
        told(&[route(&["a", "b", "A"], &[], twice)]),
        [Conflict::SameHost {
            route: 0,
            first: 0,
            again: 2
        }]
    );
}

fn some_match() -> impl Strategy<Value = RequestMatch> {
    let path = prop::sample::select(vec!["/", "/a", "/a/", "/a/b"]);
    let value = prop_oneof![
        Just(ValueMatch::Present),
        Just(ValueMatch::Exact("1".into())),
        Just(ValueMatch::Prefix("1".into())),
    ];
    (path, 0..3, any::<bool>(), prop::option::of(value)).prop_map(|(path, kind, post, value)| {
        let mut condition = match kind {
            0 => prefix(path),
            1 => exact(path),
            _ => regex(&format!("{path}.*")),
        };
        condition.method = post.then_some(Method::POST);
        condition.fields.headers = value
            .map(|value| ("x-beta".parse().unwrap(), value))
            .into_iter()
            .collect();
        condition
    })
}

proptest! {
    /// What is told as unreachable is: no request finds it.
    #[test]
    fn nothing_is_told_that_a_request_comes_to(
        matches in prop::collection::vec(some_match(), 1..6),
        path in prop::sample::select(vec!["/", "/a", "/a/", "/a/b", "/a/b/c", "/ab"]),
        post: bool,
        value in prop::option::of(prop::sample::select(vec!["1", "12", "2"])),
    ) {
        let routes: Vec<Route> = matches.into_iter().map(|m| {
            let mut route = route(&["a"], &[], vec![m]);
            route.state = Arc::default();
            route
        }).collect();
        let told = told(&routes);
        let states: Vec<_> = routes.iter().map(|route| Arc::clone(&route.state)).collect();
        let table = RouteTable::new(routes, Vec::new()).unwrap();
        let mut request = http::Request::builder().uri(path).header("host", "a");
        if post {
            request = request.method(Method::POST);
        }
        if let Some(value) = value {
            request = request.header("x-beta", value);
        }
        let request = request.body(()).unwrap();
        let head = crate::Head {
            method: request.method(),
            uri: request.uri(),
            headers: request.headers().into(),
            client: &std::net::IpAddr::from([127, 0, 0, 1]),
            listener: "",
        };
        if let Some(found) = table.find(&head) {
            let taken = states.iter().position(|state| Arc::ptr_eq(state, found.state));
            let is_told = told.iter().any(
                |conflict| matches!(conflict, Conflict::Unreachable { route, .. } if Some(*route) == taken),
            );
            prop_assert!(!is_told);
        }
    }
}
