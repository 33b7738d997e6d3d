//! Who is to lead which shard. What somebody leads stays with him as far as can be.
//!
//! Each shard has a weight for each process (rendezvous hashing), which decides between those that lead as few. Weights
//! alone would leave one of three processes without any of four shards every other time.

use std::{cmp::Reverse, collections::BTreeSet};
use xxhash_rust::xxh3::xxh3_64;

/// Gives each shard that nobody leads to the process that leads the fewest.
pub(super) fn fill<'a>(leaders: &mut [Option<&'a str>], members: &BTreeSet<&'a str>) {
    for shard in 0..leaders.len() {
        if leaders[shard].is_none() {
            let load = |member: &&&str| (load(leaders, member), Reverse(weight(shard, member)));
            leaders[shard] = members.iter().min_by_key(load).copied();
        }
    }
}

/// Moves shards from the process that leads the most to the one that leads the fewest, until no two differ by more than one.
pub(super) fn even_out<'a>(leaders: &mut [Option<&'a str>], members: &BTreeSet<&'a str>) {
    loop {
        let most = members.iter().max_by_key(|member| load(leaders, member));
        let fewest = members.iter().min_by_key(|member| load(leaders, member));
        let (Some(most), Some(fewest)) = (most, fewest) else {
            return;
        };
        if load(leaders, most) <= load(leaders, fewest) + 1 {
            return;
        }
        let led = (0..leaders.len()).filter(|shard| leaders[*shard] == Some(most));
        if let Some(shard) = led.max_by_key(|shard| weight(*shard, fewest)) {
            leaders[shard] = Some(fewest);
        }
    }
}

fn load(leaders: &[Option<&str>], member: &str) -> usize {
    let led = leaders.iter().filter(|leader| **leader == Some(member));
    led.count()
}

fn weight(shard: usize, member: &str) -> u64 {
    xxh3_64(format!("{shard}/{member}").as_bytes())
}
