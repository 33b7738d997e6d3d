//! What routes do to requests and answers.

mod limits;
mod mirrors;

use crate::support::{
    origin, run,
    speak::{Client, Message},
    tls::Authority,
    world::{self, World},
};
use http::{HeaderName, HeaderValue, StatusCode, Version};
use proxy::Listener;
use std::{net::Ipv4Addr, sync::Arc};
use traffic::{
    Actions, Role, Route, RouteTable, Target,
    action::{Cors, HeaderEdits, PathRewrite, Redirect, Rewrite},
    matches::{HostMatch, PathMatch, RequestMatch},
};

fn name(name: &'static str) -> HeaderName {
    HeaderName::from_static(name)
}

fn value(value: &'static str) -> HeaderValue {
    HeaderValue::from_static(value)
}

/// A route of everything below `path`.
fn below(path: &str, target: Target, actions: Actions) -> Route {
    let below = RequestMatch {
        path: PathMatch::Prefix(path.into()),
        ..RequestMatch::any()
    };
    Route {
        actions: Arc::new(actions),
        ..Route::plain(vec![HostMatch::Any], vec![below], target)
    }
}

fn publish(world: &World, routes: Vec<Route>) {
    world
        .routes
        .publish(RouteTable::new(routes, Vec::new()).unwrap());
}

fn to(world: &World, origin: &origin::Origin) -> Target {
    Target::Backend(world.backend(Role::Stable, &[origin.address]))
}

#[test]
fn headers_are_changed_on_the_way_there_and_back() {
    let origin = origin::http().run();
    let world = world::start();
    let edits = HeaderEdits {
        set: vec![(name("x-set"), value("new"))],
        add: vec![(name("x-add"), value("two"))],
        remove: vec![name("x-gone"), name("server")],
    };
    let actions = Actions {
        request_headers: edits.clone(),
        response_headers: edits,
        ..Actions::default()
    };
    world.route(to(&world, &origin), actions.clone());
    let sent = "x-set: old\r\nx-set: older\r\nx-add: one\r\nx-gone: 1\r\n";
    let answer = world.connect().get("/", sent);
    assert_eq!(answer.header("x-set"), Some("new"));
    let seen = &origin.seen()[0];
    assert_eq!(seen.header("x-set"), Some("new"));
    assert_eq!(seen.header("x-gone"), None);
    let added: Vec<_> = seen.headers.iter().filter(|(n, _)| n == "x-add").collect();
    assert_eq!(added.len(), 2);
    // The proxy's own answers are the route's answers, too.
    let nowhere = Target::Backend(world.backend(Role::Stable, &[]));
    world.route(nowhere, actions);
    let answer = world.connect().get("/", "");
    assert_eq!(
        (answer.status(), answer.header("x-set")),
        (503, Some("new"))
    );
}

#[test]
fn hosts_and_paths_are_rewritten() {
    let origin = origin::http().run();
    let world = world::start();
    let full = PathRewrite::ReplaceFullPath("/all".into());
    let prefix = |with: &str| PathRewrite::ReplacePrefixMatch(with.into());
    for (matched, rewrite, asked, expected) in [
        ("/", full, "/a/b?q=1", "/all?q=1"),
        ("/old", prefix("/new"), "/old/x?q=1", "/new/x?q=1"),
        ("/old", prefix("/new"), "/old", "/new"),
        ("/old", prefix("/"), "/old/x", "/x"),
        ("/old", prefix("/"), "/old", "/"),
        ("/", prefix("/v1"), "/x", "/v1/x"),
    ] {
        let actions = Actions {
            rewrite: Some(Rewrite {
                hostname: Some(value("inner.example")),
                path: Some(rewrite),
            }),
            ..Actions::default()
        };
        publish(&world, vec![below(matched, to(&world, &origin), actions)]);
        assert_eq!(world.connect().get(asked, "").status(), 200);
        let seen = origin.seen().pop().unwrap();
        assert_eq!(seen.start, format!("GET {expected} HTTP/1.1"));
        assert_eq!(seen.header("host"), Some("inner.example"));
    }
}

#[test]
fn clients_are_sent_elsewhere() {
    let world = world::start();
    let port = world.address().port();
    let plain = Redirect {
        scheme: None,
        hostname: None,
        port: None,
        path: None,
        status: StatusCode::MOVED_PERMANENTLY,
    };
    let host = "other.example".to_owned();
    for (redirect, status, location) in [
        (
            Redirect {
                scheme: Some("https".into()),
                ..plain.clone()
            },
            301,
            "https://shop.example/a/b?q=1".to_owned(),
        ),
        (
            Redirect {
                scheme: Some("https".into()),
                port: Some(8443),
                status: StatusCode::PERMANENT_REDIRECT,
                ..plain.clone()
            },
            308,
            "https://shop.example:8443/a/b?q=1".to_owned(),
        ),
        (
            Redirect {
                hostname: Some(host.into()),
                status: StatusCode::FOUND,
                ..plain.clone()
            },
            302,
            format!("http://other.example:{port}/a/b?q=1"),
        ),
        (
            Redirect {
                path: Some(PathRewrite::ReplacePrefixMatch("/c".into())),
                port: Some(80),
                status: StatusCode::TEMPORARY_REDIRECT,
                ..plain
            },
            307,
            "http://shop.example/c/b?q=1".to_owned(),
        ),
    ] {
        let route = below("/a", Target::Redirect(redirect), Actions::default());
        publish(&world, vec![route]);
        let answer = world.connect().get("/a/b?q=1", "");
        assert_eq!(answer.status(), status, "{answer:?}");
        assert_eq!(answer.header("location"), Some(&*location));
    }
}

#[test]
fn plain_text_leads_to_tls_by_the_listeners_names() {
    let authority = Authority::new("redirects");
    let pair = authority.sign("shop.example");
    let origin = origin::http().run();
    let world = world::start_with(1, |config| {
        let at = (Ipv4Addr::LOCALHOST, 0).into();
        let mut secure = Listener::plain("secure", at);
        secure.tls = Some(authority.listener(&[&pair]));
        config.listeners = vec![Listener::plain("plain", at), secure];
    });
    let redirect = Redirect {
        scheme: Some("https".into()),
        hostname: None,
        port: None,
        path: None,
        status: StatusCode::MOVED_PERMANENTLY,
    };
    let only = |name: &str, target| Route {
        listeners: vec![name.into()],
        ..below("/", target, Actions::default())
    };
    publish(
        &world,
        vec![
            only("plain", Target::Redirect(redirect)),
            only("secure", to(&world, &origin)),
        ],
    );
    let answer = world.connect().get("/x", "");
    assert_eq!(answer.status(), 301);
    assert_eq!(answer.header("location"), Some("https://shop.example/x"));
    run(async {
        let config = authority.client(&["h2"], None);
        let address = world.proxy.addresses()[1];
        let tls = Some((&config, "shop.example"));
        let socket = crate::support::speak::connect(address, tls).await.unwrap();
        let mut client = Client::begin(Version::HTTP_2, socket).await;
        assert_eq!(client.ask(Message::ask("GET", "/x")).await.status, 200);
    });
}

#[test]
fn browsers_are_told_who_may_read_answers() {
    let origin = origin::http().run();
    let world = world::start();
    let cors = Cors {
        allow_origins: vec!["https://*.shop.example".into()],
        allow_credentials: true,
        allow_methods: vec!["PUT".into()],
        allow_headers: vec!["x-a".into()],
        expose_headers: vec!["x-b".into()],
        max_age: Some(60),
    };
    let actions = Actions {
        cors: Some(cors),
        ..Actions::default()
    };
    world.route(to(&world, &origin), actions);
    let mut client = world.connect();
    let mut preflight = |from: &str| {
        client.send(format!(
            "OPTIONS / HTTP/1.1\r\nhost: a\r\norigin: {from}\r\naccess-control-request-method: PUT\r\n\
             access-control-request-headers: x-a\r\n\r\n"
        ));
        client.response()
    };
    let allowed = preflight("https://www.shop.example");
    let header = |name| allowed.header(name);
    let origin_header = "access-control-allow-origin";
    assert_eq!(header(origin_header), Some("https://www.shop.example"));
    assert_eq!(header("access-control-allow-credentials"), Some("true"));
    assert_eq!(header("access-control-max-age"), Some("60"));
    assert!(
        header("access-control-allow-methods")
            .unwrap()
            .contains("PUT")
    );
    assert_eq!(
        preflight("https://evil.example").header(origin_header),
        None
    );
    assert!(origin.seen().is_empty(), "the proxy answers by itself");
    for (from, allowed) in [
        ("https://www.shop.example", true),
        ("https://evil.example", false),
    ] {
        let answer = client.get("/", &format!("origin: {from}\r\n"));
        assert_eq!((answer.status(), answer.text()), (200, "ok"));
        assert_eq!(answer.header(origin_header), allowed.then_some(from));
        assert_eq!(
            answer.header("access-control-expose-headers").is_some(),
            allowed
        );
    }
}
