//! Route tables, against a reference that looks at every condition of every route.

#![no_main]

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use regex::Regex;
use std::{
    cell::RefCell,
    cmp::Reverse,
    collections::{HashMap, HashSet},
    net::Ipv4Addr,
    sync::Arc,
};
use traffic::{
    Head, Route, RouteTable, Target,
    action::Redirect,
    matches::{HostMatch, PathMatch, RequestMatch, ValueMatch, whole},
    route::{Conflict, conflicts},
};

libfuzzer_sys::fuzz_target!(|data: &[u8]| check(data));

const HOSTS: [&str; 7] = ["*", "a", "b.a", "*.a", "*.b.a", "c.b.a", "*.c"];
const LISTENERS: [&str; 2] = ["one", "two"];
const PATHS: [&str; 7] = ["/", "/x", "/x/", "/x/y", "/xy", "/X", "/x/y/z"];
const PATTERNS: [&str; 4] = ["/x.*", "/[a-y]", ".*", "/x|/x/y"];
const NAMES: [&str; 3] = ["h", "i", "j"];
const VALUES: [&str; 4] = ["v", "vw", "w", ""];

thread_local! {
    static COMPILED: RefCell<HashMap<&'static str, Regex>> = RefCell::default();
}

/// Each is compiled once: that takes longer than all the rest.
fn pattern(text: &'static str) -> Regex {
    COMPILED.with_borrow_mut(|known| {
        let compiled = known.entry(text).or_insert_with(|| whole(text).unwrap());
        compiled.clone()
    })
}

/// Bytes as choices; none left are noughts.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn below(&mut self, most: usize) -> usize {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        usize::from(*first) % most
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    fn value(&mut self) -> ValueMatch {
        match self.below(4) {
            0 => ValueMatch::Exact(self.of(&VALUES).into()),
            1 => ValueMatch::Prefix(self.of(&VALUES).into()),
            2 => ValueMatch::Regex(pattern("v.?")),
            _ => ValueMatch::Present,
        }
    }

    fn path(&mut self) -> PathMatch {
        match self.below(3) {
            0 => PathMatch::Exact(self.of(&PATHS).into()),
            1 => PathMatch::Prefix(self.of(&PATHS).into()),
            _ => PathMatch::Regex(pattern(self.of(&PATTERNS))),
        }
    }

    fn condition(&mut self) -> RequestMatch {
        let mut condition = RequestMatch {
            path: self.path(),
            method: [None, Some(Method::GET), Some(Method::POST)][self.below(3)].clone(),
            ..RequestMatch::any()
        };
        for _ in 0..self.below(3) {
            let name = HeaderName::from_static(self.of(&NAMES));
            condition.fields.headers.push((name, self.value()));
        }
        for _ in 0..self.below(3) {
            let name = self.of(&NAMES).into();
            condition.fields.query.push((name, self.value()));
        }
        condition
    }

    /// A route that leads to a host of its number.
    fn route(&mut self, number: usize) -> Route {
        let hosts = (0..self.below(3) + 1).map(|_| HostMatch::parse(self.of(&HOSTS)));
        let hosts = hosts.collect();
        let matches = (0..self.below(3) + 1).map(|_| self.condition()).collect();
        let redirect = Redirect {
            scheme: None,
            hostname: Some(number.to_string().into()),
            port: None,
            path: None,
            status: StatusCode::FOUND,
        };
        let listeners: Vec<Arc<str>> = match self.below(3) {
            0 => Vec::new(),
            _ => vec![self.of(&LISTENERS).into()],
        };
        Route {
            listeners,
            ..Route::plain(hosts, matches, Target::Redirect(redirect))
        }
    }
}

fn check(data: &[u8]) {
    let mut choices = Choices(data);
    let routes: Vec<Route> = (0..choices.below(6) + 1)
        .map(|i| choices.route(i))
        .collect();
    let table = RouteTable::new(routes.clone(), Vec::new()).unwrap();
    let conditions: Vec<_> = routes.iter().map(Route::conditions).collect();
    let found = conflicts(&conditions);
    for _ in 0..8 {
        let mut headers = HeaderMap::new();
        let mut query = Vec::new();
        let host = ["a", "b.a", "c.b.a", "d.a", "x.c", "c", "A", "z"][choices.below(8)];
        headers.insert("host", HeaderValue::from_static(host));
        for _ in 0..choices.below(3) {
            headers.append(
                choices.of(&NAMES),
                HeaderValue::from_static(choices.of(&VALUES)),
            );
        }
        for _ in 0..choices.below(3) {
            query.push((choices.of(&NAMES), choices.of(&VALUES)));
        }
        let path = choices.of(&PATHS);
        let text: Vec<String> = query
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let uri: Uri = format!("{path}?{}", text.join("&")).parse().unwrap();
        let method = [Method::GET, Method::POST, Method::PUT][choices.below(3)].clone();
        let head = Head {
            method: &method,
            uri: &uri,
            headers: (&headers).into(),
            client: &Ipv4Addr::LOCALHOST.into(),
            listener: choices.of(&LISTENERS),
        };
        let expected = reference(&routes, &head, host, path, &query);
        let number = table.find(&head).map(|found| match found.target {
            Target::Redirect(redirect) => redirect.hostname.clone().unwrap().parse().unwrap(),
            _ => unreachable!(),
        });
        assert_eq!(
            number,
            expected.map(|(route, _, _)| route),
            "{head:?} {routes:#?}"
        );
        let Some((route, condition, host)) = expected else {
            continue;
        };
        let is_it = |conflict: &Conflict| match conflict {
            Conflict::Unreachable {
                route: r,
                condition: c,
                host: h,
                ..
            } => (*r, *c, h) == (route, condition, host),
            Conflict::SameHost { .. } => false,
        };
        assert!(
            !found.iter().any(is_it),
            "it was reached: {route} {condition} {host:?} {routes:#?}"
        );
    }
}

/// The route, the condition and the host that go first.
fn reference<'a>(
    routes: &'a [Route],
    head: &Head<'_>,
    host: &str,
    path: &str,
    query: &[(&str, &str)],
) -> Option<(usize, usize, &'a HostMatch)> {
    let mut all = Vec::new();
    for (r, route) in routes.iter().enumerate() {
        if !route.listeners.is_empty()
            && !route.listeners.iter().any(|name| **name == *head.listener)
        {
            continue;
        }
        for named in &route.hosts {
            let Some(host_rank) = host_rank(named, &host.to_ascii_lowercase()) else {
                continue;
            };
            for (c, condition) in route.matches.iter().enumerate() {
                if let Some(rank) = rank(condition, head, path, query) {
                    all.push(((host_rank, rank, Reverse(r), Reverse(c)), (r, c, named)));
                }
            }
        }
    }
    all.into_iter()
        .max_by_key(|(rank, _)| *rank)
        .map(|(_, place)| place)
}

fn host_rank(named: &HostMatch, host: &str) -> Option<(u8, usize)> {
    match named {
        HostMatch::Any => Some((0, 0)),
        HostMatch::Exact(exact) => (**exact == *host).then_some((2, 0)),
        HostMatch::Wildcard(suffix) => {
            let fits = host.len() > suffix.len() && host.ends_with(&**suffix);
            fits.then_some((1, suffix.len()))
        }
    }
}

type Rank = (u8, usize, bool, usize, usize);

fn rank(
    condition: &RequestMatch,
    head: &Head<'_>,
    path: &str,
    query: &[(&str, &str)],
) -> Option<Rank> {
    let (kind, length) = match &condition.path {
        PathMatch::Exact(exact) => (**exact == *path).then_some((2, exact.len()))?,
        PathMatch::Regex(regex) => regex.is_match(path).then_some((1, regex.as_str().len()))?,
        PathMatch::Prefix(prefix) => {
            let prefix: Vec<&str> = prefix.split('/').filter(|it| !it.is_empty()).collect();
            let elements: Vec<&str> = path.split('/').skip(1).collect();
            let length = prefix.iter().map(|it| it.len() + 1).sum();
            elements.starts_with(&prefix).then_some((0, length))?
        }
    };
    if condition
        .method
        .as_ref()
        .is_some_and(|method| method != head.method)
    {
        return None;
    }
    let mut names = HashSet::new();
    for (name, value) in &condition.fields.headers {
        if names.insert(name) {
            let mut values = head.headers.get_all(name);
            values.find(|it| admits(value, str::from_utf8(it).unwrap()))?;
        }
    }
    let mut keys = HashSet::new();
    for (name, value) in &condition.fields.query {
        if keys.insert(name) {
            let (_, first) = query.iter().find(|(key, _)| *key == &**name)?;
            admits(value, first).then_some(())?;
        }
    }
    Some((
        kind,
        length,
        condition.method.is_some(),
        names.len(),
        keys.len(),
    ))
}

fn admits(condition: &ValueMatch, value: &str) -> bool {
    match condition {
        ValueMatch::Exact(exact) => **exact == *value,
        ValueMatch::Prefix(prefix) => value.get(..prefix.len()) == Some(&**prefix),
        ValueMatch::Regex(regex) => regex.is_match(value),
        ValueMatch::Present => true,
    }
}
