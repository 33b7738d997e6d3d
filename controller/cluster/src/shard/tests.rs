use super::{NoShards, Shard, Shards};

fn shards(count: u16) -> Shards {
    count.try_into().unwrap()
}

/// The shard of a Rollout. There is exactly one.
fn of(count: u16, namespace: &str, name: &str) -> u16 {
    let its: Vec<Shard> = shards(count)
        .all()
        .filter(|shard| shard.has(namespace, name))
        .collect();
    assert_eq!(its.len(), 1, "{namespace}/{name}: {its:?}");
    its[0].index()
}

/// These never change: processes of different builds divide Rollouts between them.
#[test]
fn a_rollout_is_of_the_same_shard_in_every_build() {
    let rollouts = ["shop/shop", "shop/cart", "prod/shop", "a/b-c", "a-b/c"];
    let found = rollouts.map(|rollout| {
        let (namespace, name) = rollout.split_once('/').unwrap();
        [2, 4, 7, 32].map(|count| of(count, namespace, name))
    });
    let expected = [
        [0, 2, 4, 6],
        [0, 0, 6, 20],
        [0, 2, 0, 6],
        [1, 3, 5, 27],
        [1, 1, 2, 1],
    ];
    assert_eq!(found, expected, "{rollouts:?}");
}

#[test]
fn all_are_of_the_only_one() {
    assert!(Shard::default().has("prod", "shop"));
    assert_eq!(of(1, "prod", "shop"), 0);
}

#[test]
fn shards_are_about_as_large() {
    let mut sizes = [0u32; 16];
    for number in 0..16_000 {
        let shard = of(16, "prod", &format!("service-{number}"));
        sizes[usize::from(shard)] += 1;
    }
    // The deviation to be expected is 31.
    assert!(
        sizes.iter().all(|size| (850..1150).contains(size)),
        "{sizes:?}"
    );
}

#[test]
fn their_number_has_a_range() {
    for (written, expected) in [
        ("1", Ok(Shards::ONE)),
        ("32", Ok(shards(32))),
        ("0", Err("0")),
        ("33", Err("33")),
        ("-1", Err("-1")),
        ("four", Err("four")),
        ("70000", Err("70000")),
    ] {
        let expected = expected.map_err(|found: &str| NoShards(found.to_owned()));
        assert_eq!(written.parse(), expected, "{written}");
    }
    let why = "33".parse::<Shards>().unwrap_err().to_string();
    assert_eq!(why, "found `33`, allowed are whole numbers from 1 to 32");
    assert_eq!(
        shards(4).all().last().unwrap().to_string(),
        "3 of 4",
        "they count from 0"
    );
}
