//! SIGKILL at random instants: what was decided stays decided, and nothing is decided by it.

mod model;

use crate::support::{
    load::Load,
    origin::Behaviour,
    process::{JSON, Process, ROLLOUT},
    random::Random,
    site::{Site, Slot},
    wire,
};
use model::{Place, Standing, VERBS};
use serde_json::Value;
use std::{
    fs, thread,
    time::{Duration, Instant},
};

const MS: Duration = Duration::from_millis(1);

/// The state file, which is whole whenever it is looked at.
fn state(site: &Site) -> Value {
    let text = fs::read_to_string(site.state_file()).unwrap();
    let state: Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in:\n{text}"));
    assert_eq!(
        (&state["layout"], &state["rollouts"][0]["name"]),
        (&1.into(), &"shop".into()),
        "{state}"
    );
    state
}

/// What happens before a kill.
#[derive(Debug)]
enum Deed {
    Nothing,
    /// A version that was never asked for before.
    Edit(String),
    /// A verb; its answer is waited for.
    Answered(&'static str),
    /// A verb; the kill may come before its answer.
    Sent(&'static str),
}

/// Verbs that lead to every kind of place once; chance alone might pass one by.
const TOUR: [&str; 9] = [
    "promote",
    "pause",
    "resume",
    "promote",
    "abort",
    "promote",
    "retry",
    "pause",
    "promote full",
];

fn choose(random: &mut Random, round: usize, standing: &Standing) -> Deed {
    let edit = || Deed::Edit(format!("v{}", round + 2));
    if round <= TOUR.len() {
        return round
            .checked_sub(1)
            .map_or_else(edit, |n| Deed::Answered(TOUR[n]));
    }
    let verb = VERBS[random.below(VERBS.len())];
    // A pause by hand outlives the canary it was meant for, which would be another story.
    let may_edit = !standing.place.is_by_hand();
    // Verbs mean nothing where there is no canary; a few are tried all the same.
    let edits = if standing.place == Place::Healthy {
        7
    } else {
        2
    };
    match random.below(10) {
        n if n < edits && may_edit => edit(),
        7 => Deed::Nothing,
        n if n % 2 == 0 => Deed::Answered(verb),
        _ => Deed::Sent(verb),
    }
}

/// Does `deed`, kills the process at a random instant, and brings all states that are right after that.
fn kill_after(
    deed: &Deed,
    process: Process,
    site: &mut Site,
    standing: &Standing,
    random: &mut Random,
) -> Vec<Standing> {
    match deed {
        Deed::Nothing => {
            thread::sleep(random.between(Duration::ZERO, 100 * MS));
            process.kill();
            vec![standing.clone()]
        }
        Deed::Edit(version) => {
            site.ask_for(version);
            thread::sleep(random.between(Duration::ZERO, 400 * MS));
            process.kill();
            vec![standing.with_new_canary()]
        }
        Deed::Answered(verb) => {
            let (status, said) = tell(&process, verb);
            let longest = [MS, 30 * MS][random.below(2)];
            thread::sleep(random.between(Duration::ZERO, longest));
            process.kill();
            let after = standing.after(verb);
            assert_eq!(
                status,
                if after.is_some() { 200 } else { 409 },
                "{verb} on {standing:?}: {said}"
            );
            vec![after.unwrap_or_else(|| standing.clone())]
        }
        Deed::Sent(verb) => {
            let (admin, path, body) = (
                process.admin,
                format!("{ROLLOUT}/{}", verb_path(verb)),
                verb_body(verb),
            );
            // Nobody is there to read the answer, if one comes.
            let sending = thread::spawn(move || drop(wire::post(admin, &path, JSON, body)));
            thread::sleep(random.between(Duration::ZERO, 15 * MS));
            process.kill();
            sending.join().unwrap();
            let after = standing.after(verb);
            [Some(standing.clone()), after]
                .into_iter()
                .flatten()
                .collect()
        }
    }
}

fn verb_path(verb: &str) -> &str {
    verb.split(' ').next().unwrap()
}

fn verb_body(verb: &str) -> &'static str {
    if verb == "promote full" {
        "{\"full\":true}"
    } else {
        "{}"
    }
}

fn tell(process: &Process, verb: &str) -> (u16, Value) {
    process.tell(verb_path(verb), verb_body(verb))
}

#[test]
fn what_was_decided_outlives_a_kill_at_any_instant() {
    const ROUNDS: usize = 48;
    let mut random = Random::new(1);
    let mut site = Site::with_steps(model::STEPS);
    let mut process = site.start();
    let mut standing = Standing::settled(&process, |standing| standing.place == Place::Healthy);
    for round in 0..ROUNDS {
        let deed = choose(&mut random, round, &standing);
        let allowed = kill_after(&deed, process, &mut site, &standing, &mut random);
        state(&site);
        process = site.start();
        let first = process.view();
        let healthy = allowed
            .iter()
            .any(|standing| standing.place == Place::Healthy);
        assert!(
            first["phase"] != "Healthy" || healthy,
            "round {round}, {deed:?}: promoted by a kill: {first:#}"
        );
        if matches!(deed, Deed::Nothing) {
            assert_eq!(
                first["weight"],
                standing.place.weight(),
                "round {round}: the weight is there from the start"
            );
        }
        let after = Standing::settled(&process, |found| {
            allowed.iter().any(|allowed| allowed.agrees(found))
        });
        println!("round {round}: {standing:?}, {deed:?} -> {after:?}");
        standing = after;
    }
}

#[test]
fn a_pause_goes_on_through_kills_with_what_is_left_of_it() {
    const PAUSE: Duration = Duration::from_secs(3);
    let mut random = Random::new(5);
    let mut site =
        Site::with_steps("setWeight: 20\npause: {duration: 3s}\nsetWeight: 50\npause: {}");
    let mut process = site.start();
    site.ship("v2", Slot::Green, Behaviour::Good);
    process.until_phase("Paused", 20.0);
    let entered = Instant::now();
    let mut kills = 0;
    loop {
        thread::sleep(random.between(50 * MS, 350 * MS));
        process.kill();
        kills += 1;
        let saved = state(&site)["rollouts"][0]["state"]["phase"].clone();
        assert!(saved == "paused" || saved == "progressing", "{saved}");
        process = site.start();
        let weight = process.view()["weight"].clone();
        if weight == 50.0 {
            break;
        }
        assert_eq!(weight, 20.0);
        // One that began anew with each process would never end.
        assert!(entered.elapsed() < 5 * PAUSE, "the pause does not end");
    }
    assert!(kills >= 3, "{kills} kills");
    let view = process.until_phase("Paused", 50.0);
    let decided = |weight: f64| {
        let decisions = view["decisions"].as_array().unwrap();
        let found: Vec<_> = decisions
            .iter()
            .filter(|decision| decision["weight"][1] == weight)
            .collect();
        assert_eq!(found.len(), 1, "decided once: {decisions:#?}");
        found[0]["at"]
            .as_str()
            .unwrap()
            .parse::<jiff::Timestamp>()
            .unwrap()
    };
    let between = decided(50.0).duration_since(decided(20.0)).unsigned_abs();
    // A process that is away when the pause ends goes on when it is back.
    assert!(
        between >= PAUSE && between < PAUSE + Duration::from_secs(4),
        "{between:?}"
    );
}

#[test]
fn a_bad_version_is_rolled_back_although_the_process_is_killed_again_and_again() {
    let mut random = Random::new(7);
    let mut site = Site::with_steps(
        "setWeight: 20\nplugin: {name: sluice/evidence, config: {maxDuration: 60s}}",
    );
    let mut process = site.start();
    site.ship("v2", Slot::Green, Behaviour::Good);
    process.until_view("v2 has begun", |view| view["weight"] == 20.0);
    site.green.behave(Behaviour::Failing(0.2));
    let begun = Instant::now();
    let mut lives = 0;
    while process.view()["phase"] != "Degraded" {
        let phase = process.view()["phase"].clone();
        assert!(
            phase == "Progressing" || phase == "Degraded",
            "life {lives}: {phase}"
        );
        assert!(
            begun.elapsed() < Duration::from_secs(40),
            "not rolled back in {lives} lives"
        );
        // Some five requests a second to the canary, of which one fails: no life is long enough for the three failures
        // that a verdict takes at least.
        let load = Load::start(process.listener, 25);
        thread::sleep(random.between(1200 * MS, 1600 * MS));
        process.kill();
        drop(load);
        state(&site);
        process = site.start();
        lives += 1;
    }
    assert!(lives > 1, "rolled back by two failures");
    process.kill();
    process = site.start();
    let view = process.until_phase("Degraded", 0.0);
    assert!(
        view["message"]
            .as_str()
            .unwrap()
            .starts_with("RolloutAborted: rolled back: "),
        "{view:#}"
    );
    for _ in 0..50 {
        assert_eq!(process.ask().version(), "v1");
    }
}
