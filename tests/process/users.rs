//! That what users met on stable comes from the sockets to the margin of the canary that some of them get.

use crate::support::{
    origin::Behaviour,
    site::{Documents, Site, Slot},
    wire::Connection,
};

/// Nine of ten users, so that the one who fails is among them: where users stand is the same in every run.
const STEPS: &str = "setWeight: 90\npause: {}";
/// The failures of one user are a large part of all, which is not to be taken for a stable that fails by itself.
const OPTIONS: &str =
    "sticky: [{header: x-user}], guard: {latency: off, trip: false, baselineUnhealthyAbove: 0.9}";

#[test]
fn a_canary_that_gets_a_user_who_failed_before_has_a_wider_margin() {
    const WELL: u64 = 300;
    const FAILED: u64 = 20;
    let check = |failed: u64, is_wide: bool| {
        let mut site = Site::new(Documents {
            steps: STEPS.to_owned(),
            options: OPTIONS.to_owned(),
            ..Documents::default()
        });
        let process = site.start();
        let mut connection = Connection::open(process.listener).unwrap();
        let mut ask = |user: u64| connection.get("/", &format!("x-user: {user}")).unwrap();
        for user in 1..=WELL {
            assert_eq!(ask(user).status(), 200);
        }
        site.blue.deploy("v1", Behaviour::Answering(500));
        for _ in 0..failed {
            assert!(ask(0).status() >= 500);
        }
        site.blue.deploy("v1", Behaviour::Good);
        site.ship("v2", Slot::Green, Behaviour::Good);
        let view = process.until_view("the pause", |view| {
            view["weight"] == 90.0 && view["evidence"]["pre_period"].is_object()
        });
        assert_eq!(ask(0).version(), "v2", "user 0 is the canary's");
        let known = &view["evidence"]["pre_period"];
        let sum = |what: &str| {
            let of = |side: &str| known[format!("{side}_{what}")].as_f64().unwrap();
            of("canary") + of("stable")
        };
        // They lose half of their say in an hour.
        let is_about =
            |found: f64, wanted: u64| (found - wanted as f64).abs() <= 0.1 * wanted as f64;
        assert!(is_about(sum("requests"), WELL + failed), "{known}");
        assert!(is_about(sum("failures"), failed), "{known}");
        assert!(
            is_about(known["canary_failures"].as_f64().unwrap(), failed),
            "{known}"
        );
        let relative = view["evidence"]["tests"][0]["limit"]["Ratio"]["relative"].as_f64();
        // Of users of whom nothing is known to fail, the margin is 4.2.
        assert_eq!(relative.unwrap() > 6.0, is_wide, "{relative:?}, {known}");
    };
    check(0, false);
    check(FAILED, true);
}
