//! The ways to choose one of several endpoints, as functions of what they are told.
//!
//! Endpoints are numbered from 0 to `n`; `fits` says whether one may be chosen. Nothing is allocated.

/// Of two that fit and were drawn at random, the one that costs less; nothing when none fits.
pub(super) fn power_of_two(
    n: usize,
    mut random: impl FnMut() -> u64,
    fits: impl Fn(usize) -> bool,
    cost: impl Fn(usize) -> f64,
) -> Option<usize> {
    /// Draws before all are looked at, which is for Services of which few endpoints are in use.
    const DRAWS: usize = 6;
    if n == 1 {
        return fits(0).then_some(0);
    }
    let mut held = None;
    for _ in 0..DRAWS.min(2 * n) {
        // The second of two is drawn among the others, so that two endpoints are always compared.
        let drawn = match held {
            Some(held) if n > 1 => (held + 1 + below(n - 1, random())) % n,
            _ => below(n, random()),
        };
        if !fits(drawn) || held == Some(drawn) {
            continue;
        }
        match held {
            None => held = Some(drawn),
            Some(held) => return Some(cheaper(held, drawn, &cost)),
        }
    }
    held.or_else(|| any_two(n, random, fits, cost))
}

/// As [`power_of_two`], but looks at all: two are drawn among those that fit.
fn any_two(
    n: usize,
    mut random: impl FnMut() -> u64,
    fits: impl Fn(usize) -> bool,
    cost: impl Fn(usize) -> f64,
) -> Option<usize> {
    let fitting = (0..n).filter(|i| fits(*i)).count();
    let first = below(fitting, random());
    let second = (first + 1 + below(fitting.saturating_sub(1), random())) % fitting.max(1);
    let nth = |which| (0..n).filter(|i| fits(*i)).nth(which);
    Some(cheaper(nth(first)?, nth(second)?, &cost))
}

fn cheaper(a: usize, b: usize, cost: impl Fn(usize) -> f64) -> usize {
    if cost(b) < cost(a) { b } else { a }
}

/// A number below `n` from a random one (Lemire's reduction); 0 when `n` is 0.
pub(super) fn below(n: usize, random: u64) -> usize {
    ((random as u128 * n as u128) >> 64) as usize
}

/// The first that fits, from `turn` on and around.
pub(super) fn round_robin(n: usize, turn: usize, fits: impl Fn(usize) -> bool) -> Option<usize> {
    let start = if turn < n { turn } else { 0 };
    (start..n).chain(0..start).find(|i| fits(*i))
}

/// The one that `key` belongs to, by rendezvous hashing: each endpoint draws a number from its own hash and the key, and
/// the largest wins. When an endpoint goes, only its keys move; when one comes, it takes its part of everybody's. One
/// that `is_full` is passed over, unless all that fit are.
pub(super) fn rendezvous(
    n: usize,
    key: u64,
    hash: impl Fn(usize) -> u64,
    fits: impl Fn(usize) -> bool,
    is_full: impl Fn(usize) -> bool,
) -> Option<usize> {
    let score = |i: usize| mix(hash(i) ^ key);
    let fitting = || (0..n).filter(|i| fits(*i));
    let best = fitting().max_by_key(|i| score(*i))?;
    if !is_full(best) {
        return Some(best);
    }
    let with_room = fitting().filter(|i| !is_full(*i));
    Some(with_room.max_by_key(|i| score(*i)).unwrap_or(best))
}

/// A number that looks random, another for each `seed` (the finaliser of SplitMix64).
pub(super) const fn mix(seed: u64) -> u64 {
    let mixed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::cell::Cell;

    /// Numbers from `seed` on.
    fn random(seed: u64) -> impl FnMut() -> u64 {
        let state = Cell::new(seed);
        move || {
            state.set(state.get().wrapping_add(1));
            mix(state.get())
        }
    }

    proptest! {
        #[test]
        fn whatever_fits_is_found_and_nothing_else(
            fitting in prop::collection::vec(prop::bool::weighted(0.2), 0..40), seed: u64, turn in 0usize..50
        ) {
            let n = fitting.len();
            let fits = |i: usize| fitting[i];
            let chosen = [
                power_of_two(n, random(seed), fits, |i| i as f64),
                round_robin(n, turn, fits),
                rendezvous(n, seed, |i| i as u64, fits, |i| i % 2 == 0),
            ];
            for chosen in chosen {
                prop_assert_eq!(chosen.is_some(), fitting.contains(&true));
                prop_assert!(chosen.is_none_or(fits));
            }
        }

        #[test]
        fn turns_are_shared_exactly(n in 1usize..20, rounds in 1usize..10, first in 0usize..20) {
            let (mut turn, mut counts) = (first, vec![0; n]);
            for _ in 0..n * rounds {
                let chosen = round_robin(n, turn, |_| true).unwrap();
                counts[chosen] += 1;
                turn = chosen + 1;
            }
            prop_assert_eq!(counts, vec![rounds; n]);
        }

        #[test]
        fn only_the_keys_of_an_endpoint_that_goes_are_moved(n in 2usize..20, gone in 0usize..20, key: u64) {
            let gone = gone % n;
            let hash = |i: usize| mix(i as u64);
            let before = rendezvous(n, key, hash, |_| true, |_| false).unwrap();
            let after = rendezvous(n, key, hash, |i| i != gone, |_| false).unwrap();
            prop_assert!(before == gone || before == after);
        }
    }

    #[test]
    fn keys_are_spread_evenly() {
        let mut counts = [0u32; 10];
        for key in 0..10_000 {
            let hash = |i: usize| mix(i as u64 + 1000);
            counts[rendezvous(10, mix(key), hash, |_| true, |_| false).unwrap()] += 1;
        }
        assert!(
            counts.iter().all(|count| (850..1150).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn of_two_the_cheaper_is_chosen_and_all_are_drawn() {
        let mut random = random(1);
        let mut counts = [0u32; 4];
        for _ in 0..4000 {
            let chosen = power_of_two(4, &mut random, |_| true, |i| i as f64);
            counts[chosen.unwrap()] += 1;
        }
        // Of the six pairs, the cheapest is in three, the next the cheaper of two, then of one, and the dearest of none.
        for (count, expected) in counts.into_iter().zip([2000, 1333, 667, 0]) {
            assert!(count.abs_diff(expected) < 150, "{counts:?}");
        }
    }

    #[test]
    fn a_full_endpoint_is_passed_over_unless_all_are() {
        let choose = |full: fn(usize) -> bool| rendezvous(3, 7, |i| i as u64, |_| true, full);
        let best = choose(|_| false).unwrap();
        assert_eq!(choose(|_| true), Some(best));
        let others = (0..3).filter(|i| *i != best);
        let is_best_full = |i: usize| i == best;
        let next = rendezvous(3, 7, |i| i as u64, |_| true, is_best_full).unwrap();
        assert!(others.into_iter().any(|other| other == next));
    }
}
