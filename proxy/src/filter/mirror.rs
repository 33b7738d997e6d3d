//! Copies of requests: which are made, and what they look like. Whoever forwards the request sends them.

use http::{HeaderName, HeaderValue, request::Parts};
use std::{cell::Cell, sync::Arc};
use traffic::{Permit, RouteState, action::Mirror};

/// Tells a copy from a request, so that whoever gets it can leave out what must not happen twice.
pub(crate) const MIRROR: HeaderName = HeaderName::from_static("x-sluice-mirror");

/// The points of one worker that decide which requests are copied: a Weyl sequence with the golden ratio's step, so that
/// of any run of requests very nearly the share is copied.
#[derive(Debug)]
pub(crate) struct Points(Cell<u64>);

impl Points {
    /// A sequence that begins at `seed`, which workers are given different ones of.
    pub(crate) fn new(seed: u64) -> Self {
        Self(Cell::new(seed))
    }

    fn next(&self) -> u64 {
        const GOLDEN_RATIO: u64 = 0x9E37_79B9_7F4A_7C15;
        let point = self.0.get().wrapping_add(GOLDEN_RATIO);
        self.0.set(point);
        point
    }
}

/// A copy that is to be sent.
#[derive(Debug)]
pub(crate) struct Copy<'a> {
    /// The mirror's place among those of the request, by which [`RouteState::mirror_dropped`] counts.
    pub(crate) place: usize,
    /// Where it goes.
    pub(crate) mirror: &'a Mirror,
    /// Its place among the copies under way; to be kept until its answer has ended.
    pub(crate) permit: Permit,
}

/// The copies to be made of a request whose body has `length` bytes, as far as that is known. One with a body that is too
/// large, or for which too many are under way, is counted as dropped. A request that asks for another protocol is not to
/// be copied.
pub(crate) fn copies<'a>(
    mirrors: impl IntoIterator<Item = &'a Mirror>,
    state: &'a Arc<RouteState>,
    length: Option<u64>,
    points: &'a Points,
) -> impl Iterator<Item = Copy<'a>> {
    let drawn = mirrors
        .into_iter()
        .enumerate()
        .filter(|(_, mirror)| mirror.share.admits(points.next()));
    drawn.filter_map(move |(place, mirror)| {
        let is_small = |length| u64::try_from(mirror.max_body_bytes).is_ok_and(|max| length <= max);
        if !length.is_none_or(is_small) {
            state.mirror_dropped(place);
            return None;
        }
        let permit = state.mirror_permit(place, mirror.max_concurrent)?;
        Some(Copy {
            place,
            mirror,
            permit,
        })
    })
}

/// The head of a copy of the request that an endpoint gets with `head`: the same, with [`MIRROR`]. The host stays, as a
/// mirror is commonly another version of the same service.
pub(crate) fn copy(head: &Parts) -> Parts {
    let mut copy = head.clone();
    copy.extensions.clear();
    let _ = copy
        .headers
        .try_insert(MIRROR, HeaderValue::from_static("true"));
    copy
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;
    use traffic::{Backend, BackendId, Role, RolloutId, Stats, Weight};

    fn mirror(percent: u8) -> Mirror {
        let stats = Stats::new(1);
        let series = stats.series(&RolloutId::new("default", "shadow"), Role::Active);
        let id = BackendId::new("default", "shadow");
        Mirror {
            backend: Backend::plain(id, Arc::new([]), series),
            share: Weight::from_percent(percent).unwrap(),
            max_concurrent: 2,
            max_body_bytes: 10,
        }
    }

    fn count(percent: u8, length: Option<u64>) -> (usize, u64) {
        let (state, points) = (Arc::default(), Points::new(7));
        let mirrors = [mirror(percent)];
        let made = (0..1000)
            .map(|_| copies(&mirrors, &state, length, &points).count())
            .sum();
        (made, state.mirror_counts(0).dropped)
    }

    #[test]
    fn the_share_is_copied_as_far_as_bodies_are_small() {
        assert_eq!(count(0, Some(0)), (0, 0));
        assert_eq!(count(100, Some(10)), (1000, 0));
        assert_eq!(count(100, None), (1000, 0));
        assert_eq!(count(100, Some(11)), (0, 1000));
        let (made, _) = count(10, Some(0));
        assert!(made.abs_diff(100) <= 2, "{made}");
    }

    #[test]
    fn copies_under_way_are_bounded() {
        let (state, points) = (Arc::default(), Points::new(7));
        let mirrors = [mirror(100), mirror(100)];
        let held: Vec<_> = (0..5)
            .flat_map(|_| copies(&mirrors, &state, Some(0), &points).collect::<Vec<_>>())
            .collect();
        assert_eq!(held.len(), 4);
        assert_eq!(state.mirror_counts(1).dropped, 3);
        drop(held);
        assert_eq!(copies(&mirrors, &state, Some(0), &points).count(), 2);
    }

    #[test]
    fn a_copy_says_that_it_is_one() {
        let request = Request::post("/p?q").header("host", "a").body(()).unwrap();
        let (mut head, ()) = request.into_parts();
        head.extensions.insert(1);
        let copy = copy(&head);
        assert_eq!((copy.method, copy.uri), (head.method, head.uri));
        assert_eq!(copy.headers["host"], "a");
        assert_eq!(copy.headers[MIRROR], "true");
        assert!(copy.extensions.is_empty());
    }
}
