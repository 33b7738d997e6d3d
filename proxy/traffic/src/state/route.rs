//! What is known of a route.

use super::bucket::{Bucket, Buckets, Pace};
use crate::action::{RateKey, RateLimit};
use http::HeaderMap;
use std::{
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// Mirrors of a route that have counters of their own; those beyond share the last one's.
const MIRRORS: usize = 8;

/// What is known of a route: how many requests are under way, and the buckets of its rate limit. Only routes with a limit
/// or a mirror write to it.
#[derive(Debug, Default)]
pub struct RouteState {
    bucket: Bucket,
    /// Made when a limit by key is first asked for: most routes have none.
    buckets: OnceLock<Buckets>,
    under_way: AtomicU32,
    rate_limited: AtomicU64,
    shed: AtomicU64,
    mirrors: [MirrorState; MIRRORS],
}

/// What is known of a route's mirror.
#[derive(Debug, Default)]
struct MirrorState {
    under_way: AtomicU32,
    sent: AtomicU64,
    dropped: AtomicU64,
}

/// What became of the copies for a mirror since the process began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MirrorCounts {
    /// Copies that had a place.
    pub sent: u64,
    /// Copies that were not sent: too many were under way, or the body was too large.
    pub dropped: u64,
}

/// What tells the requests of a route apart.
#[derive(Hash)]
enum Key<'a> {
    Client(IpAddr),
    Header(Option<&'a [u8]>),
}

impl RouteState {
    /// Lets a request from `client` with `headers` through at `now` (from the process's epoch), if `limit` has a token
    /// for it.
    ///
    /// # Errors
    /// How long it takes until there is a token.
    pub fn admit(
        &self,
        limit: &RateLimit,
        client: IpAddr,
        headers: &HeaderMap,
        now: Duration,
    ) -> Result<(), Duration> {
        let pace = Pace::of(limit);
        let buckets = || self.buckets.get_or_init(Buckets::default);
        let admitted = match &limit.key {
            RateKey::Route => self.bucket.take(pace, now),
            RateKey::ClientAddress => buckets().take(Key::Client(subscriber(client)), pace, now),
            RateKey::Header(name) => {
                let value = headers.get(name).map(http::HeaderValue::as_bytes);
                buckets().take(Key::Header(value), pace, now)
            }
        };
        if admitted.is_err() {
            self.rate_limited.fetch_add(1, Relaxed);
        }
        admitted
    }

    /// A place among `max` requests under way; nothing when all are taken. Dropping it gives it back.
    pub fn permit(self: &Arc<Self>, max: NonZeroU32) -> Option<Permit> {
        let permit = self.take_place(Place::Request, max.get());
        if permit.is_none() {
            self.shed.fetch_add(1, Relaxed);
        }
        permit
    }

    /// A place among `max` copies under way for the mirror at place `mirror` of the route; nothing, and a copy dropped,
    /// when all are taken. Dropping it gives it back.
    pub fn mirror_permit(self: &Arc<Self>, mirror: usize, max: u32) -> Option<Permit> {
        let permit = self.take_place(Place::Mirror(mirror), max);
        let state = self.mirror(mirror);
        let counter = match permit {
            Some(_) => &state.sent,
            None => &state.dropped,
        };
        counter.fetch_add(1, Relaxed);
        permit
    }

    /// Counts a copy for the mirror at place `mirror` that cannot be sent for another reason than its permit.
    pub fn mirror_dropped(&self, mirror: usize) {
        self.mirror(mirror).dropped.fetch_add(1, Relaxed);
    }

    /// What became of the copies for the mirror at place `mirror`.
    pub fn mirror_counts(&self, mirror: usize) -> MirrorCounts {
        let state = self.mirror(mirror);
        MirrorCounts {
            sent: state.sent.load(Relaxed),
            dropped: state.dropped.load(Relaxed),
        }
    }

    /// What became of the copies for all mirrors together.
    pub fn mirrored(&self) -> MirrorCounts {
        (0..MIRRORS).map(|place| self.mirror_counts(place)).fold(
            MirrorCounts::default(),
            |sum, counts| MirrorCounts {
                sent: sum.sent + counts.sent,
                dropped: sum.dropped + counts.dropped,
            },
        )
    }

    /// Requests under way that hold a [`Permit`].
    pub fn under_way(&self) -> u32 {
        self.under_way.load(Relaxed)
    }

    /// Requests that the rate limit refused.
    pub fn rate_limited(&self) -> u64 {
        self.rate_limited.load(Relaxed)
    }

    /// Requests that were refused because too many were under way.
    pub fn shed(&self) -> u64 {
        self.shed.load(Relaxed)
    }

    fn take_place(self: &Arc<Self>, place: Place, max: u32) -> Option<Permit> {
        let one_more = |taken: u32| (taken < max).then(|| taken + 1);
        self.cell(place)
            .fetch_update(Relaxed, Relaxed, one_more)
            .ok()?;
        Some(Permit {
            state: Arc::clone(self),
            place,
        })
    }

    fn cell(&self, place: Place) -> &AtomicU32 {
        match place {
            Place::Request => &self.under_way,
            Place::Mirror(mirror) => &self.mirror(mirror).under_way,
        }
    }

    fn mirror(&self, mirror: usize) -> &MirrorState {
        &self.mirrors[mirror.min(MIRRORS - 1)]
    }
}

/// What is under way.
#[derive(Clone, Copy, Debug)]
enum Place {
    Request,
    Mirror(usize),
}

/// A place among those that may be under way at the same time. Dropping it gives it back.
#[derive(Debug)]
#[must_use = "the place is given back when this is dropped"]
pub struct Permit {
    state: Arc<RouteState>,
    place: Place,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.state.cell(self.place).fetch_sub(1, Relaxed);
    }
}

/// What stands for all addresses that one client commonly has: an IPv4 address, or the first 64 bits of an IPv6 address
/// (RFC 6177).
fn subscriber(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(key: RateKey) -> RateLimit {
        RateLimit {
            per_second: 1.0,
            burst: NonZeroU32::MIN,
            key,
        }
    }

    #[test]
    fn requests_are_told_apart_by_the_key() {
        let header = "x-api-key".parse().unwrap();
        for (key, second, expected) in [
            (RateKey::Route, ("192.0.2.2", "b"), false),
            (RateKey::ClientAddress, ("192.0.2.2", "a"), true),
            (RateKey::ClientAddress, ("::ffff:192.0.2.1", "b"), false),
            (RateKey::Header(header), ("192.0.2.1", "b"), true),
        ] {
            let state = RouteState::default();
            let limit = limit(key);
            let admit = |address: &str, value: &str| {
                let headers =
                    HeaderMap::from_iter([("x-api-key".parse().unwrap(), value.parse().unwrap())]);
                let client = address.parse().unwrap();
                state
                    .admit(&limit, client, &headers, Duration::ZERO)
                    .is_ok()
            };
            assert!(admit("192.0.2.1", "a"));
            assert!(!admit("192.0.2.1", "a"));
            assert_eq!(admit(second.0, second.1), expected, "{limit:?} {second:?}");
        }
    }

    #[test]
    fn requests_without_the_header_share_a_bucket_and_one_of_an_empty_value_is_another() {
        let state = RouteState::default();
        let limit = limit(RateKey::Header("x-api-key".parse().unwrap()));
        let client = IpAddr::from([127, 0, 0, 1]);
        let none = HeaderMap::new();
        let empty = HeaderMap::from_iter([("x-api-key".parse().unwrap(), "".parse().unwrap())]);
        for (headers, expected) in [(&none, true), (&none, false), (&empty, true)] {
            let admitted = state.admit(&limit, client, headers, Duration::ZERO);
            assert_eq!(admitted.is_ok(), expected);
        }
        assert_eq!(state.rate_limited(), 1);
    }

    #[test]
    fn an_ipv6_client_is_its_network() {
        for (address, expected) in [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ] {
            let expected: IpAddr = expected.parse().unwrap();
            assert_eq!(subscriber(address.parse().unwrap()), expected);
        }
    }

    #[test]
    fn places_are_given_back() {
        let state = Arc::<RouteState>::default();
        let max = NonZeroU32::new(2).unwrap();
        let first = state.permit(max).unwrap();
        let _second = state.permit(max).unwrap();
        assert!(state.permit(max).is_none());
        assert_eq!((state.under_way(), state.shed()), (2, 1));
        drop(first);
        let _third = state.permit(max).unwrap();
        let copy = state.mirror_permit(0, 1).unwrap();
        assert!(state.mirror_permit(0, 1).is_none());
        assert!(state.mirror_permit(1, 1).is_some());
        assert!(state.mirror_permit(1, 0).is_none());
        drop(copy);
        assert!(state.mirror_permit(0, 1).is_some());
        let expected = MirrorCounts {
            sent: 2,
            dropped: 1,
        };
        assert_eq!(state.mirror_counts(0), expected);
    }
}
