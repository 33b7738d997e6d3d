use super::*;
use crate::{BackendId, Role, Stats, StickyKey, matches::ValueMatch};
use http::{HeaderMap, HeaderName, Method, Uri};
use proptest::prelude::*;
use std::net::IpAddr;

fn split(stats: &Stats, weight: Weight, sticky: Option<Sticky>) -> Split {
    let rollout = RolloutId::new("default", "shop");
    let backend = |role: Role| {
        Backend::plain(
            BackendId::new("default", role.as_str()),
            Arc::new([]),
            stats.series(&rollout, role),
        )
    };
    Split {
        stable: backend(Role::Stable),
        canary: Some(backend(Role::Canary)),
        weight,
        rules: Vec::new(),
        copies: Vec::new(),
        sticky,
        tickets: stats.tickets(&rollout),
        rescue: false,
        armed: None,
        counted: None,
        rollout,
    }
}

fn weight(bp: u16) -> Weight {
    Weight::from_basis_points(bp).unwrap()
}

/// Where a request with these headers goes.
fn choose<'a>(split: &'a Split, headers: &HeaderMap, worker: usize) -> Choice<'a> {
    let uri = Uri::from_static("/");
    let head = Head {
        method: &Method::GET,
        uri: &uri,
        headers: headers.into(),
        client: &IpAddr::from([10, 0, 0, 1]),
        listener: "",
    };
    split.choose(&head, worker, || 42)
}

fn user(name: &str) -> HeaderMap {
    HeaderMap::from_iter([(HeaderName::from_static("x-user"), name.parse().unwrap())])
}

fn by_header() -> Sticky {
    Sticky {
        keys: vec![StickyKey::Header(HeaderName::from_static("x-user"))],
        salt: 7,
    }
}

#[test]
fn a_rule_comes_before_the_weight() {
    let stats = Stats::new(1);
    let mut split = split(&stats, Weight::ZERO, None);
    let fields = FieldMatch {
        headers: vec![(
            HeaderName::from_static("x-user"),
            ValueMatch::Exact("tester".into()),
        )],
        ..FieldMatch::default()
    };
    split.rules.push(SplitRule {
        name: "testers".into(),
        matches: vec![fields],
        to: Side::Canary,
    });
    let tester = choose(&split, &user("tester"), 0);
    assert_eq!((tester.side, tester.by_weight), (Side::Canary, false));
    let other = choose(&split, &user("other"), 0);
    assert_eq!((other.side, other.by_weight), (Side::Stable, true));
}

#[test]
fn without_a_canary_everything_is_stable() {
    let stats = Stats::new(1);
    let mut split = split(&stats, Weight::FULL, None);
    split.canary = None;
    assert_eq!(choose(&split, &HeaderMap::new(), 0).side, Side::Stable);
    assert_eq!(split.backend(Side::Canary).id.name.as_ref(), "stable");
}

#[test]
fn a_user_without_a_bucket_gets_one_that_leads_to_the_same_side() {
    let stats = Stats::new(1);
    let sticky = Sticky {
        keys: vec![StickyKey::Cookie {
            name: "bucket".into(),
            max_age: None,
        }],
        salt: 7,
    };
    for bp in (0..=10_000).step_by(250) {
        let split = split(&stats, weight(bp), Some(sticky.clone()));
        let first = choose(&split, &HeaderMap::new(), 0);
        let cookie = first.new_bucket.as_ref().unwrap().set_cookie();
        let pair = cookie.split(';').next().unwrap().parse().unwrap();
        let again = choose(
            &split,
            &HeaderMap::from_iter([(http::header::COOKIE, pair)]),
            0,
        );
        assert_eq!(
            (again.side, again.new_bucket),
            (first.side, None),
            "at {bp} bp with {cookie}"
        );
    }
}

#[test]
fn sticky_users_are_shared_by_the_weight() {
    let stats = Stats::new(1);
    for bp in [100, 1_000, 5_000] {
        let split = split(&stats, weight(bp), Some(by_header()));
        let users = 20_000;
        let canary = (0..users)
            .filter(|i| choose(&split, &user(&format!("user-{i}")), 0).side == Side::Canary)
            .count();
        // Four standard deviations of a binomial share: a uniform hash stays inside but once in 16,000.
        let (share, n) = (weight(bp).fraction(), f64::from(users));
        let tolerance = 4.0 * (share * (1.0 - share) / n).sqrt();
        assert!(
            (canary as f64 / n - share).abs() < tolerance,
            "{canary} of {users} at {bp} bp"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Over any window of 10,000 requests the share is within 3 requests per worker, whatever ran before.
    #[test]
    fn the_share_is_exact_over_any_window(
        bp in 0u16..=10_000,
        earlier in proptest::collection::vec((0u16..=10_000, 0usize..500), 0..4),
        workers in 1usize..5,
        order: u64,
    ) {
        let stats = Stats::new(workers);
        let none = HeaderMap::new();
        for (bp, requests) in earlier {
            let split = split(&stats, weight(bp), None);
            for i in 0..requests {
                choose(&split, &none, i % workers);
            }
        }
        let split = split(&stats, weight(bp), None);
        let mut state = order;
        let canary = (0..10_000)
            .filter(|_| {
                // Requests reach the workers in no order.
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                choose(&split, &none, (state >> 33) as usize % workers).side == Side::Canary
            })
            .count() as i64;
        prop_assert!((canary - i64::from(bp)).unsigned_abs() <= 3 * workers as u64, "{canary} at {bp} bp");
    }

    #[test]
    fn no_user_moves_back_while_the_weight_rises(name in "[a-z0-9]{1,20}", salt: u64, a in 0u16..=10_000, b in 0u16..=10_000) {
        let stats = Stats::new(1);
        let sticky = Sticky { salt, ..by_header() };
        let low = split(&stats, weight(a.min(b)), Some(sticky.clone()));
        let high = split(&stats, weight(a.max(b)), Some(sticky));
        let before = choose(&low, &user(&name), 0).side;
        let after = choose(&high, &user(&name), 0).side;
        prop_assert!(before == Side::Stable || after == Side::Canary);
    }
}

#[test]
fn copies_are_made_of_what_meets_a_condition_as_a_whole() {
    let stats = Stats::new(1);
    let mut split = split(&stats, Weight::ZERO, None);
    let text = |text: &str| Some(ValueMatch::Prefix(text.into()));
    let mirror = |percent| Mirror {
        backend: split.canary.clone().unwrap(),
        share: Weight::from_percent(percent).unwrap(),
        max_concurrent: 1,
        max_body_bytes: 1,
    };
    let reads = CopyRule {
        matches: vec![
            CopyMatch {
                method: Some(ValueMatch::Exact("GET".into())),
                path: text("/sh"),
                ..CopyMatch::default()
            },
            CopyMatch {
                fields: FieldMatch {
                    headers: vec![(HeaderName::from_static("x-user"), ValueMatch::Present)],
                    ..FieldMatch::default()
                },
                ..CopyMatch::default()
            },
        ],
        mirror: mirror(10),
    };
    let shop = CopyRule {
        matches: vec![CopyMatch {
            path: text("/shop?"),
            ..CopyMatch::default()
        }],
        mirror: mirror(20),
    };
    let rest = CopyRule {
        matches: vec![CopyMatch {
            path: text("/c"),
            ..CopyMatch::default()
        }],
        mirror: mirror(30),
    };
    split.copies = vec![reads, shop, rest];
    let check = |method: Method, uri: &'static str, headers: HeaderMap, expected: Option<u8>| {
        let uri = Uri::from_static(uri);
        let head = Head {
            method: &method,
            uri: &uri,
            headers: (&headers).into(),
            client: &IpAddr::from([10, 0, 0, 1]),
            listener: "",
        };
        let found = split.copy_of(&head).map(|mirror| mirror.share);
        let expected = expected.and_then(Weight::from_percent);
        assert_eq!(found, expected, "{method} {uri} {headers:?}");
    };
    let none = HeaderMap::new;
    check(Method::GET, "/shop?a", none(), Some(10));
    check(Method::GET, "/cart", none(), Some(30));
    // The query is no part of the path.
    check(Method::POST, "/shop?a", none(), None);
    check(Method::POST, "/shop?a", user("eva"), Some(10));
    check(Method::GET, "/", none(), None);
}
