//! A state file that cannot be written holds nothing up but itself.

use crate::support::{
    load::Load,
    origin::Behaviour,
    process::refused,
    site::{Documents, Site, Slot},
};
use std::{fs, process::Command, thread};

#[test]
fn a_disk_that_fails_stops_neither_traffic_nor_the_guard() {
    let mut site = Site::with_steps("setWeight: 20\npause: {}");
    let process = site.start();
    let load = Load::start(process.listener, 200);
    load.more(20);
    // A folder in the way of the new state file: also root cannot write there.
    let blocked = site.path("state.json.new");
    fs::create_dir(&blocked).unwrap();
    site.ship("v2", Slot::Green, Behaviour::Good);
    process.until_phase("Paused", 20.0);
    process.logs(&[
        "ERROR",
        "state.json",
        "the state is kept in memory and written again with the next change",
    ]);
    assert_eq!(load.more(100).failed(), 0);

    let (status, told) = process.tell("promote", "{}");
    let why = told["error"].as_str().unwrap_or_default();
    assert_eq!(status, 507, "{told}");
    assert!(
        why.starts_with("promote is done, but a restart would undo it: state file "),
        "{why}"
    );
    process.logs(&["ERROR", "the verb acts, and would be lost with the process"]);
    process.until_phase("Healthy", 0.0);
    site.ship("v3", Slot::Blue, Behaviour::Failing(0.5));
    process.until_view("v3 is rolled back", |view| view["phase"] == "Degraded");
    process.until_phase("Degraded", 0.0);
    let after = load.more(100);
    assert_eq!(after.of("v3"), 0, "{after:?}");

    fs::remove_dir(&blocked).unwrap();
    let (status, _) = process.tell("retry", "{}");
    assert_eq!(status, 200);
    let text = fs::read_to_string(site.state_file()).unwrap();
    assert!(
        text.contains("\"retried\""),
        "the next change is kept, with all before it: {text}"
    );
    assert!(
        text.contains("\"rolled-back\"") && text.contains("\"promoted\""),
        "{text}"
    );
}

#[test]
fn a_disk_that_hangs_holds_up_the_answer_to_a_verb_and_nothing_else() {
    let mut site = Site::with_steps("setWeight: 20\npause: {}");
    let process = site.start();
    let load = Load::start(process.listener, 200);
    load.more(20);
    // Opening a pipe for writing waits for a reader.
    let pipe = site.path("state.json.new");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    site.ship("v2", Slot::Green, Behaviour::Good);
    process.until_phase("Paused", 20.0);
    thread::scope(|scope| {
        let promoting = scope.spawn(|| process.tell("promote", "{}"));
        process.until_phase("Healthy", 0.0);
        site.ship("v3", Slot::Blue, Behaviour::Failing(0.5));
        process.until_view("v3 is rolled back", |view| view["phase"] == "Degraded");
        process.until_phase("Degraded", 0.0);
        assert_eq!(load.more(100).of("v3"), 0);
        assert_eq!(process.get("/healthz").status(), 200);
        assert!(
            !promoting.is_finished(),
            "what is not on the disk is not answered"
        );
        // Out of the way for the next write; who waits at the pipe already is let go by a reader.
        let aside = site.path("aside");
        fs::rename(&pipe, &aside).unwrap();
        fs::read(&aside).unwrap();
        assert_eq!(promoting.join().unwrap().0, 200);
    });
    let text = fs::read_to_string(site.state_file()).unwrap();
    assert!(text.contains("\"promoted\""), "{text}");
}

#[test]
fn a_start_that_could_keep_nothing_is_refused() {
    let site = Site::new(Documents::default());
    let lock = site.path("state.json.lock");
    fs::create_dir(&lock).unwrap();
    let said = refused(&site.files());
    assert!(
        said.contains(&format!("state file {}", site.state_file().display())),
        "{said}"
    );
    assert!(said.contains(&lock.display().to_string()), "{said}");
}
