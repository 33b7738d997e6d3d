//! A site behind the proxy: an origin with a page, and the proxy's listeners and routes before it.

use crate::support::{
    origin::{self, Origin},
    tls::{Authority, Pair},
    wire,
    world::{self, World},
};
use proxy::{Listener, Network};
use std::{
    net::Ipv4Addr,
    sync::{Arc, mpsc},
};
use tokio_tungstenite::tungstenite::{
    WebSocket, handshake::derive_accept_key, protocol::Role as End,
};
use traffic::{
    Role, RolloutId, Route, RouteTable, Split, Sticky, StickyKey, Target, Weight,
    action::{Actions, Cors},
    matches::{HostMatch, PathMatch, RequestMatch},
};

/// Subresources of the page.
pub(crate) const RESOURCES: usize = 50;

/// The proxy before its origins.
pub(crate) struct Site {
    pub(crate) world: World,
    pub(crate) authority: Authority,
    _certificate: Pair,
    /// What the page reports.
    pub(crate) reports: mpsc::Receiver<String>,
}

/// The listeners, in order.
pub(crate) const PLAIN: usize = 0;
pub(crate) const TLS: usize = 1;
pub(crate) const PROXIED: usize = 2;

impl Site {
    pub(crate) fn start() -> Self {
        let authority = Authority::new("authority");
        let certificate = authority.sign("shop.example");
        let world = world::start_with(2, |config| {
            let local = (Ipv4Addr::LOCALHOST, 0).into();
            let mut tls = Listener::plain("tls", local);
            tls.tls = Some(authority.listener(&[&certificate]));
            let mut proxied = Listener::plain("proxied", local);
            proxied.proxy_protocol = vec![Network {
                address: Ipv4Addr::LOCALHOST.into(),
                prefix: 32,
            }];
            config.listeners.extend([tls, proxied]);
        });
        let (reporter, reports) = mpsc::channel();
        let stable = version("stable", &reporter);
        let canary = version("canary", &reporter);
        publish(&world, &stable, &canary);
        Self {
            world,
            authority,
            _certificate: certificate,
            reports,
        }
    }
}

/// Half of the users of `/version` see the canary and stay there. `other.example` lets scripts of `shop.example` read what
/// is below `/allowed`.
fn publish(world: &World, stable: &Origin, canary: &Origin) {
    let rollout = RolloutId::new("default", "shop");
    let all = world.backend(Role::Stable, &[stable.address]);
    let split = Split {
        rollout: rollout.clone(),
        stable: all.clone(),
        canary: Some(world.backend(Role::Canary, &[canary.address])),
        weight: Weight::from_basis_points(5_000).unwrap(),
        rules: Vec::new(),
        copies: Vec::new(),
        sticky: Some(Sticky {
            keys: vec![StickyKey::Cookie {
                name: "bucket".into(),
                max_age: None,
            }],
            salt: 7,
        }),
        tickets: world.stats.tickets(&rollout),
        rescue: false,
        armed: None,
        counted: None,
    };
    let route = |host: &str, path: &str, target| {
        let matches = vec![RequestMatch {
            path: PathMatch::Prefix(path.into()),
            ..RequestMatch::any()
        }];
        Route::plain(vec![HostMatch::parse(host)], matches, target)
    };
    let allows = |origin: &str| Actions {
        cors: Some(Cors {
            allow_origins: vec![origin.into()],
            allow_credentials: false,
            allow_methods: vec!["PUT".into()],
            allow_headers: vec!["x-demand".into()],
            expose_headers: Vec::new(),
            max_age: None,
        }),
        ..Actions::default()
    };
    let with = |actions, route| Route {
        actions: Arc::new(actions),
        ..route
    };
    let target = || Target::Backend(all.clone());
    let routes = vec![
        route("*", "/", target()),
        route("shop.example", "/version", Target::Split(0)),
        with(
            allows("https://shop.example"),
            route("other.example", "/allowed", target()),
        ),
        with(
            allows("https://else.example"),
            route("other.example", "/denied", target()),
        ),
    ];
    let table = RouteTable::new(routes, vec![split]).unwrap();
    world.routes.publish(table);
}

fn version(name: &'static str, reporter: &mpsc::Sender<String>) -> Origin {
    let reporter = reporter.clone();
    origin::raw(move |stream| {
        let mut wire = wire::Client::from(stream);
        while let Some(request) = wire.try_message(false) {
            let path = request.start.split(' ').nth(1).unwrap_or_default();
            match path {
                "/" => say(&mut wire, "text/html", include_bytes!("page.html")),
                "/version" => say(&mut wire, "text/plain", name.as_bytes()),
                "/report" => {
                    let _ = reporter.send(String::from_utf8_lossy(&request.body).into_owned());
                    say(&mut wire, "text/plain", b"");
                }
                "/events" => events(&mut wire),
                "/socket" => return socket(wire, &request),
                "/headers" => {
                    let lines = request.headers.iter();
                    let lines: String = lines.map(|(k, v)| format!("{k}: {v}\n")).collect();
                    say(&mut wire, "text/plain", lines.as_bytes());
                }
                _ if path.starts_with("/resource/") => {
                    say(&mut wire, "text/javascript", b"loaded += 1;");
                }
                _ => say(&mut wire, "application/octet-stream", &request.body),
            }
        }
    })
}

fn say(wire: &mut wire::Client, kind: &str, body: &[u8]) {
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    wire.send([head.as_bytes(), body].concat());
}

/// Three events, each by itself.
fn events(wire: &mut wire::Client) {
    wire.send(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
    );
    for n in 1..=3 {
        wire.send(format!("9\r\ndata: {n}\n\n\r\n"));
    }
    wire.send("0\r\n\r\n");
}

/// Speaks WebSocket and says back what is said.
fn socket(wire: wire::Client, request: &wire::Message) {
    let mut wire = wire;
    let key = request.header("sec-websocket-key").unwrap_or_default();
    wire.send(format!(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-accept: {}\r\n\r\n",
        derive_accept_key(key.as_bytes())
    ));
    let mut socket = WebSocket::from_raw_socket(wire.stream, End::Server, None);
    while let Ok(message) = socket.read() {
        if message.is_text() && socket.send(message).is_err() {
            return;
        }
    }
}
