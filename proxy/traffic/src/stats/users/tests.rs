use super::*;
use crate::{
    Backend, BackendId, Failure, Head, Role, RolloutId, Snapshot, Split, Stats, Sticky, StickyKey,
    Weight, split::Side,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use std::{net::IpAddr, sync::Arc, time::Duration};

const USER: HeaderName = HeaderName::from_static("x-user");
const OK: Outcome = Outcome::Answered(200);

fn rollout() -> RolloutId {
    RolloutId::new("default", "shop")
}

fn counting(salt: u64) -> Counting {
    Counting {
        salt,
        rule: FailureRule::DEFAULT,
    }
}

/// A stable without a canary, whose users are counted, on two workers.
struct Site {
    stats: Stats,
    split: Split,
}

impl Site {
    fn new(keys: Vec<StickyKey>) -> Self {
        let stats = Stats::new(2);
        let backend = |role: Role| {
            let id = BackendId::new("default", role.as_str());
            Backend::plain(id, Arc::new([]), stats.series(&rollout(), role))
        };
        let split = Split {
            rollout: rollout(),
            stable: backend(Role::Stable),
            canary: None,
            weight: Weight::ZERO,
            rules: Vec::new(),
            copies: Vec::new(),
            sticky: Some(Sticky { keys, salt: 7 }),
            tickets: stats.tickets(&rollout()),
            rescue: false,
            armed: None,
            counted: stats.count_users(&rollout(), Some(counting(7))),
        };
        Self { stats, split }
    }

    fn by_header() -> Self {
        Self::new(vec![StickyKey::Header(USER)])
    }

    /// A request of `user`, or of nobody, begins on `worker`: which side it goes to, and what it is counted by.
    fn begin(&self, user: Option<&str>, worker: usize) -> (Side, Option<Stake>) {
        let user = user.map(|user| (USER, HeaderValue::from_str(user).unwrap()));
        let headers = HeaderMap::from_iter(user);
        let uri = Uri::from_static("/");
        let head = Head {
            method: &Method::GET,
            uri: &uri,
            headers: (&headers).into(),
            client: &IpAddr::from([10, 0, 0, 1]),
            listener: "",
        };
        let choice = self.split.choose(&head, worker, || 42);
        (choice.side, choice.stake)
    }

    fn end(&self, (side, stake): (Side, Option<Stake>), worker: usize, outcome: Outcome) {
        let series = &self.split.backend(side).series;
        if let Some(stake) = stake {
            assert_eq!(series.ended(worker, stake, outcome), None);
        }
    }

    fn ask(&self, user: Option<&str>, worker: usize, outcome: Outcome) {
        self.end(self.begin(user, worker), worker, outcome);
    }

    fn users(&self) -> Option<UserCounts> {
        let rule = FailureRule::DEFAULT;
        let snapshot: Snapshot = self.stats.snapshot(&rollout(), None, Duration::ZERO, &rule);
        snapshot.users
    }

    /// Requests and failures in all sectors, and in how many of them there were any.
    fn sums(&self) -> (u64, u64, usize) {
        let users = self.users().unwrap();
        let sum = |of: fn(&SectorCounts) -> u64| users.sectors.iter().map(of).sum();
        let filled = users.sectors.iter().filter(|sector| sector.requests > 0);
        (
            sum(|sector| sector.requests),
            sum(|sector| sector.failed),
            filled.count(),
        )
    }
}

#[test]
fn a_user_is_counted_in_one_sector_by_all_workers() {
    let site = Site::by_header();
    let reset = Outcome::Failed {
        status: 502,
        reason: Failure::Reset,
    };
    for (worker, outcome) in [
        (0, OK),
        (1, Outcome::Answered(503)),
        (0, reset),
        (1, Outcome::Answered(404)),
        (0, Outcome::Cancelled),
    ] {
        site.ask(Some("ada"), worker, outcome);
    }
    assert_eq!(site.sums(), (4, 2, 1));
}

#[test]
fn the_sectors_below_a_weight_hold_the_users_that_it_gives_to_the_canary() {
    let site = Site::by_header();
    let quarter = Weight::from_percent(25).unwrap();
    let names: Vec<String> = (0..500).map(|user| format!("user-{user}")).collect();
    for name in &names {
        site.ask(Some(name), 0, OK);
    }
    let users = site.users().unwrap();
    let below: u64 = users.sectors[..16].iter().map(|s| s.requests).sum();
    let mut canary = site;
    canary.split.canary = Some(canary.split.stable.clone());
    canary.split.weight = quarter;
    canary.split.counted = None;
    let moved = names
        .iter()
        .filter(|name| canary.begin(Some(name), 0).0 == Side::Canary);
    assert_eq!(below, moved.count() as u64);
    assert!((80..170).contains(&below), "{below} of 500");
}

#[test]
fn who_has_no_key_is_spread_as_the_split_would_do_it() {
    let site = Site::by_header();
    for _ in 0..6_400 {
        site.ask(None, 0, OK);
    }
    let users = site.users().unwrap();
    let counts = users.sectors.iter().map(|sector| sector.requests);
    assert!(counts.clone().all(|n| (97..=103).contains(&n)), "{users:?}");
}

#[test]
fn a_user_without_a_cookie_gets_one_and_is_counted_by_it() {
    let cookie = StickyKey::Cookie {
        name: "bucket".into(),
        max_age: None,
    };
    let site = Site::new(vec![cookie]);
    let headers = HeaderMap::new();
    let uri = Uri::from_static("/");
    let head = Head {
        method: &Method::GET,
        uri: &uri,
        headers: (&headers).into(),
        client: &IpAddr::from([10, 0, 0, 1]),
        listener: "",
    };
    let choice = site.split.choose(&head, 0, || 42);
    assert_eq!(choice.new_bucket.map(|new| new.bucket), Some(42));
    let sticky = site.split.sticky.as_ref().unwrap();
    let (point, _) = sticky.point(&head, || 42).unwrap();
    site.end((choice.side, choice.stake), 0, OK);
    let users = site.users().unwrap();
    assert_eq!(users.sectors[sector_of(point)].requests, 1);
}

#[test]
fn another_salt_or_rule_begins_anew_and_what_is_under_way_counts_for_neither() {
    let mut site = Site::by_header();
    site.ask(Some("ada"), 0, OK);
    let under_way = site.begin(Some("ada"), 0);
    let again = site.stats.count_users(&rollout(), Some(counting(7)));
    assert_eq!(again, site.split.counted);
    assert_eq!(site.sums(), (1, 0, 1));
    let other_rule = Counting {
        rule: FailureRule::BROKEN,
        ..counting(7)
    };
    for changed in [counting(8), other_rule] {
        site.split.counted = site.stats.count_users(&rollout(), Some(changed));
        site.end(under_way, 0, OK);
        assert_eq!(site.sums(), (0, 0, 0));
        assert_eq!(site.users().unwrap().counting, changed);
    }
    site.ask(Some("ada"), 0, Outcome::Answered(503));
    assert_eq!(site.sums(), (1, 0, 1));
    site.split.counted = site.stats.count_users(&rollout(), None);
    assert_eq!((site.users(), site.begin(Some("ada"), 0).1), (None, None));
}
