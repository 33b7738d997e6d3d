//! The page about verdicts is right: its numbers follow from its example by plain arithmetic, without the guard's code.

#![expect(clippy::expect_used, reason = "a test that is surprised ends")]

use serde_json::Value;
use std::{fs, path::Path};

const LOGITS: [f64; 12] = [0.3, 0.5, 0.8, 1.2, 1.7, 2.3, 3.0, 4.0, 5.0, 6.5, 8.5, 11.0];
const RELATIVE: f64 = 1.1;
const ABSOLUTE: f64 = 0.001;
const LN_THRESHOLD: f64 = 5.298317366548036;

fn page(name: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("docs")
        .join(name);
    fs::read_to_string(file).expect("the page can be read")
}

/// The error test of the example's rollback, and what was said of it.
fn example() -> (Value, Value) {
    let mut rollout: Value = serde_json::from_str(&page("verdict.json")).expect("JSON");
    let decisions = rollout["decisions"].as_array_mut().expect("decisions");
    let verdict = decisions.last_mut().expect("a decision");
    let log = verdict["record"]["tests"][0]["log"].take();
    (log, verdict["evidence"]["tests"][0].take())
}

fn float(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

/// A block: the numbers that the page explains.
struct Block {
    start: f64,
    stable_ratio: f64,
    under_way: f64,
    canary: f64,
    canary_bad: f64,
    stable: f64,
    stable_bad: f64,
}

impl Block {
    fn of(event: &Value) -> Option<Self> {
        let numbers: Vec<f64> = event.get("block")?.as_array()?.iter().map(float).collect();
        let [
            start,
            stable_ratio,
            canary_dispersion,
            stable_dispersion,
            under_way,
            canary,
            canary_bad,
            stable,
            stable_bad,
        ] = numbers[..]
        else {
            return None;
        };
        assert_eq!((canary_dispersion, stable_dispersion), (1.0, 1.0));
        Some(Self {
            start,
            stable_ratio,
            under_way,
            canary,
            canary_bad,
            stable,
            stable_bad,
        })
    }

    fn border(&self) -> f64 {
        RELATIVE * self.stable_ratio + ABSOLUTE
    }

    fn guess(&self, logits: f64) -> f64 {
        let odds = self.border() / (1.0 - self.border()) * logits.exp();
        (odds / (1.0 + odds)).min(0.9995)
    }

    /// The point of the margin nearest to the guess, by trisection.
    fn nearest(&self, guess: f64) -> (f64, f64) {
        let kl = |theta: f64, psi: f64| {
            theta * (theta / psi).ln() + (1.0 - theta) * ((1.0 - theta) / (1.0 - psi)).ln()
        };
        let canary = |stable: f64| RELATIVE * stable + ABSOLUTE;
        let away = |psi: f64| {
            self.canary * kl(guess, canary(psi)) + self.stable * kl(self.stable_ratio, psi)
        };
        let (mut low, mut high) = (self.stable_ratio, (guess - ABSOLUTE) / RELATIVE);
        for _ in 0..200 {
            let third = (high - low) / 3.0;
            if away(low + third) < away(high - third) {
                high -= third;
            } else {
                low += third;
            }
        }
        (canary(low), low)
    }

    fn ln_s(&self, logits: f64) -> f64 {
        if self.canary == 0.0 || self.stable == 0.0 {
            return 0.0;
        }
        let guess = self.guess(logits);
        let (psi_c, psi_s) = self.nearest(guess);
        self.canary_bad * (guess / psi_c).ln()
            + (self.canary - self.canary_bad) * ((1.0 - guess) / (1.0 - psi_c)).ln()
            + self.stable_bad * (self.stable_ratio / psi_s).ln()
            + (self.stable - self.stable_bad) * ((1.0 - self.stable_ratio) / (1.0 - psi_s)).ln()
    }
}

/// The weights at the end, what has not been given out, and what each window was given.
fn added_up(events: &[Value]) -> ([f64; 12], f64, Vec<f64>) {
    let (mut base, mut gained) = ([0.0; 12], [0.0; 12]);
    let (mut weights, mut left, mut given) = ([0.0; 12], 1.0, Vec::new());
    let (mut due, mut spread, mut window_ends) = (0.0, 0.0, 0.0);
    let (mut requests, mut failed) = (0.0, 0.0);
    for event in events {
        if event == "step_starts" {
            due += 0.5 / 2.0;
            (requests, failed) = (0.0, 0.0);
        }
        let Some(block) = Block::of(event) else {
            continue;
        };
        if block.start + 1e-3 >= window_ends {
            window_ends = block.start + 1.0;
            let until = 0.4 * window_ends / 900.0;
            given.push(due + until - spread);
            (due, spread) = (0.0, until);
            let mass = given[given.len() - 1];
            left -= mass;
            base = weights.map(|weight| weight + mass / 12.0);
            gained = [0.0; 12];
        }
        requests += block.canary;
        failed += block.canary_bad;
        let is_dead = failed > 0.0 && failed >= 0.5 * (requests - block.under_way);
        let cap = if is_dead {
            f64::INFINITY
        } else {
            LN_THRESHOLD / 2.0
        };
        for (index, logits) in LOGITS.into_iter().enumerate() {
            gained[index] += block.ln_s(logits);
            weights[index] = base[index] * gained[index].min(cap).exp();
        }
    }
    (weights, left, given)
}

#[test]
fn its_numbers_follow_from_its_example() {
    let (log, said) = example();
    let events = log["events"].as_array().expect("events");
    let text = page("verdicts.md");
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let holds = |part: String| assert!(words.contains(&part), "{part} is not in the page");

    let last = events.iter().rev().find_map(Block::of).expect("a block");
    holds(format!("θs = {:.7}", last.stable_ratio));
    holds(format!("+ 0.001 = {:.7}", last.border()));
    let guess = last.guess(5.0);
    holds(format!("θc = {guess:.5}"));
    let (psi_c, psi_s) = last.nearest(guess);
    holds(format!("ψc = {psi_c:.6}, ψs = {psi_s:.6}"));
    let canary = (guess / psi_c).ln();
    holds(format!(
        "= {canary:.4} + {:.4} = {:.4}",
        last.ln_s(5.0) - canary,
        last.ln_s(5.0)
    ));

    let (weights, left, given) = added_up(events);
    holds(format!("0.25 + 0.4 · 1/900 = {:.6}", given[0]));
    holds(format!("{:.6}. Within a window", given[1]));
    let row: String = weights
        .iter()
        .map(|weight| format!(" {weight:.3} |"))
        .collect();
    holds(format!("| W |{row}"));
    holds(format!("and {left:.6} has not been given out"));
    let evidence = weights.iter().sum::<f64>() + left;
    holds(format!("E = {evidence:.3}."));
    holds(format!("1/{evidence:.3} = {:.7}.", 1.0 / evidence));
    // And it is what the guard found.
    assert!(
        (evidence.ln() - float(&said["ln_e"])).abs() < 1e-6,
        "{evidence}"
    );
    assert!((float(&said["ln_threshold"]) - 200f64.ln()).abs() < 1e-9);
}
