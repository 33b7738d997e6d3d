//! The cases.

use super::Case;
use crate::sluice::{self, HOST};
use anyhow::Context as _;
use http::{HeaderName, Request, header};
use std::{
    hint::black_box,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::NonZeroU32,
    time::Duration,
};
use traffic::{
    Arming, FailureRule, Head, Headers, Margins, Outcome, Role, Route, RouteState, RouteTable,
    Routes, Split, Stats, Sticky, StickyKey, Target,
    action::{RateKey, RateLimit},
    matches::{HostMatch, RequestMatch},
};

type Make = fn(&'static str) -> anyhow::Result<Case>;

/// All cases by name, in the order in which a request meets them.
const CASES: &[(&str, Make)] = &[
    ("read the table", view),
    ("match, 1 rule", |name| find(name, 1)),
    ("match, the last of 50 rules", |name| find(name, 50)),
    ("match, host in capitals", |name| {
        find_host(name, "WWW.SHOP.EXAMPLE")
    }),
    ("match, one of 1,000 wildcards", |name| {
        find_host(name, "a.b.shop-7.example")
    }),
    ("rate limit, by route", |name| limit(name, RateKey::Route)),
    ("rate limit, by client", |name| {
        limit(name, RateKey::ClientAddress)
    }),
    ("split by weight", |name| choose(name, None)),
    ("split, sticky by header", |name| {
        choose(name, Some(StickyKey::Header(USER)))
    }),
    ("split, sticky by cookie", |name| {
        choose(name, Some(bucket("bucket")))
    }),
    ("split, sticky by cookie, new user", |name| {
        Ok(Case {
            is_allocation_free: false,
            ..choose(name, Some(bucket("other")))?
        })
    }),
    ("record, begin and end", record),
    ("snapshot of both sides, 2 workers", snapshot),
];

/// All cases, in the order in which a request meets them.
///
/// # Errors
/// When a case's route table or request cannot be built.
pub fn all() -> anyhow::Result<Vec<Case>> {
    CASES.iter().map(|(name, make)| make(name)).collect()
}

/// The case of this name, and no other.
///
/// # Errors
/// As [`all`], and when there is no such case.
pub fn named(name: &str) -> anyhow::Result<Case> {
    let found = CASES.iter().find(|(known, _)| *known == name);
    let (name, make) = found.with_context(|| format!("there is no operation {name:?}"))?;
    make(name)
}

const USER: HeaderName = HeaderName::from_static("x-user");

fn bucket(name: &str) -> StickyKey {
    StickyKey::Cookie {
        name: name.into(),
        max_age: None,
    }
}

/// A case on a request's way.
fn case(name: &'static str, mut operation: impl FnMut() + 'static) -> Case {
    let repeat = move |times| {
        for _ in 0..times {
            operation();
        }
    };
    Case {
        name,
        is_allocation_free: true,
        repeat: Box::new(repeat),
    }
}

/// A request as it comes by HTTP/1: its headers are the lines that they came in.
struct Asked {
    request: Request<()>,
    lines: Vec<u8>,
    host: Vec<u8>,
}

impl From<Request<()>> for Asked {
    fn from(request: Request<()>) -> Self {
        let fields = request.headers().iter();
        let lines = fields.flat_map(|(name, value)| {
            [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat()
        });
        let host = request.headers().get(header::HOST);
        Self {
            lines: lines.collect(),
            host: host.map_or(Vec::new(), |host| host.as_bytes().to_vec()),
            request,
        }
    }
}

impl Asked {
    fn head(&self) -> Head<'_> {
        Head {
            method: self.request.method(),
            uri: self.request.uri(),
            headers: Headers::Lines {
                lines: &self.lines,
                host: &self.host,
            },
            client: &IpAddr::V4(Ipv4Addr::LOCALHOST),
            listener: "",
        }
    }
}

/// A request as a browser sends it, more or less.
fn request() -> anyhow::Result<Request<()>> {
    let request = Request::get("/cart/items?page=2")
        .header("host", HOST)
        .header(
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        )
        .header("accept", "text/html,application/xhtml+xml,*/*;q=0.8")
        .header("accept-encoding", "gzip, deflate, br")
        .header(
            "cookie",
            "session=4f3c2b1a; theme=dark; bucket=00c0ffee00c0ffee",
        )
        .header(USER, "user-4711");
    Ok(request.body(())?)
}

fn split(stats: &Stats) -> Split {
    let endpoint = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    let split = sluice::split(stats, endpoint, endpoint);
    let arming = Arming {
        trial: 1,
        weight: split.weight,
        margins: Margins {
            relative: 1.1,
            absolute: 0.001,
        },
        least_failures: 3,
        by_user: false,
        rule: FailureRule::DEFAULT,
    };
    Split {
        armed: stats.arm(&sluice::rollout(), Some(&arming)),
        ..split
    }
}

fn table(rules: usize) -> anyhow::Result<RouteTable> {
    let split = split(&Stats::new(1));
    Ok(RouteTable::new(sluice::routes(rules), vec![split])?)
}

fn view(name: &'static str) -> anyhow::Result<Case> {
    let routes = Routes::default();
    routes.publish(table(1)?);
    let mut reader = routes.reader();
    Ok(case(name, move || {
        black_box(reader.view().table());
    }))
}

fn find(name: &'static str, rules: usize) -> anyhow::Result<Case> {
    let (table, asked) = (table(rules)?, Asked::from(request()?));
    Ok(case(name, move || {
        black_box(table.find(black_box(&asked.head())));
    }))
}

/// Finding a host among many exact ones and wildcards.
fn find_host(name: &'static str, host: &'static str) -> anyhow::Result<Case> {
    let route = |host: &str| {
        let hosts = vec![HostMatch::parse(host)];
        Route::plain(hosts, vec![RequestMatch::any()], Target::Split(0))
    };
    let wildcards = (0..1_000).map(|i| route(&format!("*.shop-{i}.example")));
    let routes = wildcards.chain([route("www.shop.example")]).collect();
    let table = RouteTable::new(routes, vec![split(&Stats::new(1))])?;
    let asked = Asked::from(Request::get("/").header("host", host).body(())?);
    Ok(case(name, move || {
        black_box(table.find(black_box(&asked.head())));
    }))
}

fn limit(name: &'static str, key: RateKey) -> anyhow::Result<Case> {
    let limit = RateLimit {
        per_second: 1e6,
        burst: NonZeroU32::MIN.saturating_add(99),
        key,
    };
    let (state, request) = (RouteState::default(), request()?);
    let client = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let mut now = Duration::ZERO;
    // Buckets by key are made for the first request.
    let _ = state.admit(&limit, client, request.headers(), now);
    Ok(case(name, move || {
        now += Duration::from_micros(1);
        let admitted = state.admit(&limit, client, request.headers(), now);
        let _ = black_box(admitted);
    }))
}

fn choose(name: &'static str, key: Option<StickyKey>) -> anyhow::Result<Case> {
    let mut split = split(&Stats::new(1));
    split.sticky = key.map(|key| Sticky {
        keys: vec![key],
        salt: 1,
    });
    let asked = Asked::from(request()?);
    Ok(case(name, move || {
        black_box(split.choose(black_box(&asked.head()), 0, || 7));
    }))
}

fn record(name: &'static str) -> anyhow::Result<Case> {
    let series = Stats::new(1).series(&sluice::rollout(), Role::Stable);
    // The first request of a version allocates its counters.
    series.shard(0).begin(Duration::ZERO, true);
    let mut began = Duration::ZERO;
    Ok(case(name, move || {
        began += Duration::from_micros(40);
        let shard = series.shard(0);
        shard.begin(began, true);
        shard.end(
            began,
            began + Duration::from_micros(900),
            Outcome::Answered(200),
        );
    }))
}

/// What the controller reads, ten times a second for each rollout.
fn snapshot(name: &'static str) -> anyhow::Result<Case> {
    let stats = Stats::new(2);
    let mut now = Duration::ZERO;
    for (request, role) in (0..1_000u64).flat_map(|n| [(n, Role::Stable), (n, Role::Canary)]) {
        now = Duration::from_millis(request);
        let series = stats.series(&sluice::rollout(), role);
        let shard = series.shard(request as usize % 2);
        shard.begin(now, true);
        shard.end(
            now,
            now + Duration::from_micros(request),
            Outcome::Answered(200),
        );
    }
    Ok(Case {
        is_allocation_free: false,
        ..case(name, move || {
            black_box(stats.snapshot(&sluice::rollout(), None, now, &FailureRule::DEFAULT));
        })
    })
}
