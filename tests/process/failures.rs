//! What counts as a failure is what the rollout says.

use crate::support::{
    load::Load,
    origin::Behaviour,
    site::{Documents, QUICK, Site, Slot},
};

#[test]
fn a_version_is_rolled_back_for_the_statuses_that_are_listed() {
    let listed = QUICK.replace("guard: {", "guard: {failures: {statuses: [429]}, ");
    let not_held = QUICK.replace("guard: {", "guard: {clientErrors: off, ");
    for (options, status, is_failure) in [
        (listed.as_str(), 429, true),
        // The list stands in the place of the default.
        (listed.as_str(), 500, false),
        (not_held.as_str(), 429, false),
    ] {
        let mut site = Site::new(Documents {
            steps: "setWeight: 50\nplugin: {name: sluice/evidence, config: {maxDuration: 60s}}"
                .to_owned(),
            options: options.to_owned(),
            ..Documents::default()
        });
        let process = site.start();
        let load = Load::start(process.listener, 300);
        load.more(50);
        site.ship("v2", Slot::Green, Behaviour::Answering(status));
        let ended = process.until_view("the rollout ends", |view| {
            let decisions = view["decisions"].as_array().unwrap();
            decisions
                .iter()
                .any(|d| d["decision"] == "rolled-back" || d["decision"] == "promoted")
        });
        let last = ended["decisions"].as_array().unwrap().last().unwrap();
        let expected = if is_failure {
            "rolled-back"
        } else {
            "promoted"
        };
        assert_eq!(last["decision"], expected, "{options} {status}: {last:#}");
    }
}
