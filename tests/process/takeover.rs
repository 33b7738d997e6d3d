//! One process takes over from another: nobody is refused, nothing is lost, and whoever is left goes on.

mod impostor;

use crate::support::{
    crowd::Crowd,
    eventually,
    origin::Behaviour,
    process::{Process, refused_with, sluice},
    random::Random,
    site::{Documents, Site, Slot},
    until,
    wire::Connection,
};
use impostor::Impostor;
use rustix::process::{Pid, Signal, kill_process};
use std::{fs, net::TcpListener, os::unix::net::UnixDatagram, thread, time::Duration};

const MS: Duration = Duration::from_millis(1);
/// How often one of the two processes is killed.
const ROUNDS: usize = 32;

/// A site with a canary in the middle of its way, and the process that serves it.
fn halfway(workers: usize) -> (Site, Process) {
    let mut site = Site::new(Documents {
        workers,
        ..Documents::default()
    });
    let process = site.start();
    site.ship("v2", Slot::Green, Behaviour::Good);
    process.until_phase("Paused", 50.0);
    (site, process)
}

/// Lets a new process take over from `old`, which ends in order.
fn renewed(site: &Site, mut old: Process) -> Process {
    let new = site.take_over();
    assert_eq!((new.listener, new.admin), (old.listener, old.admin));
    let status = old.ended();
    assert_eq!(status.code(), Some(0), "{}", old.log());
    new
}

#[test]
fn takeovers_under_load_lose_nothing() {
    let (mut site, mut process) = halfway(1);
    let before = process.view();
    let crowd = Crowd::start(process.listener, 8, 8);
    crowd.more(200);
    for workers in [3, 2, 4, 1] {
        site.documents.workers = workers;
        site.rewrite();
        process = renewed(&site, process);
        process.logs(&["admin server at"]);
        let view = process.until_phase("Paused", 50.0);
        for field in ["canary", "stable"] {
            assert_eq!(view[field]["revision"], before[field]["revision"]);
        }
        for field in ["decisions", "steps"] {
            assert_eq!(view[field], before[field], "{workers} workers");
        }
        crowd.more(200);
    }
    assert_eq!(
        process.tell("promote", "{}").0,
        200,
        "verbs are carried out"
    );
    process.until_phase("Healthy", 0.0);
    let tally = crowd.end();
    println!("{} answered, {} torn", tally.answered, tally.torn);
    assert!(tally.failures.is_empty(), "{:?}", tally.failures);
}

#[test]
fn what_is_under_way_in_the_old_process_is_finished_there() {
    let (site, mut old) = halfway(2);
    site.blue.behave(Behaviour::Hanging);
    site.green.behave(Behaviour::Hanging);
    let served = || site.blue.requests() + site.green.requests();
    let before = served();
    let mut busy = Connection::open(old.listener).unwrap();
    busy.send("GET /", "", "").unwrap();
    eventually("the request is under way", || served() == before + 1);
    let mut events = Connection::open(old.admin).unwrap();
    events.send("GET /api/v1/events", "", "").unwrap();
    let new = site.take_over();
    old.logs(&["another process has taken over; draining"]);
    let told = events.lines().map_while(Result::ok).count();
    assert!(told > 0, "who follows events is let go in order");
    assert!(old.has_ended().is_none(), "{}", old.log());
    site.blue.behave(Behaviour::Good);
    site.green.behave(Behaviour::Good);
    let answer = busy.response().unwrap();
    assert_eq!((answer.status(), answer.text()), (200, "ok\n"));
    assert!(busy.is_closed(), "and then the connection is");
    assert_eq!(old.ended().code(), Some(0));
    assert_eq!(new.ask().status(), 200);
}

#[test]
fn a_connection_whose_first_request_comes_after_the_takeover_is_answered() {
    let (site, old) = halfway(2);
    let waiting: Vec<_> = (0..16)
        .map(|_| Connection::open(old.listener).unwrap())
        .collect();
    // The old process has accepted them when it has answered one that came later, on every worker.
    for _ in 0..64 {
        assert_eq!(old.ask().status(), 200);
    }
    let new = site.take_over();
    old.logs(&["another process has taken over; draining"]);
    for mut connection in waiting {
        let answer = connection.get("/", "").unwrap();
        assert_eq!(answer.status(), 200);
    }
    assert_eq!(new.ask().status(), 200);
}

#[test]
fn documents_that_changed_take_effect_with_the_new_process() {
    let (mut site, old) = halfway(2);
    site.documents.proxy = "timeouts: {requestHeader: 100ms}".to_owned();
    site.rewrite();
    let new = renewed(&site, old);
    let mut slow = Connection::open(new.listener).unwrap();
    assert!(slow.is_closed(), "after 100 ms");
    site.ship("v3", Slot::Green, Behaviour::Good);
    new.until_view("v3 is under way", |view| view["phase"] == "Paused");
}

#[test]
fn a_takeover_that_cannot_be_changes_nothing() {
    let (site, old) = halfway(2);
    let good = fs::read_to_string(site.proxy_file()).unwrap();
    let bad = site.path("bad.yaml");
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap();
    let files = [bad.clone(), site.rollout_file()];
    for (text, words) in [
        (good.replace("workers: 2", "workers: -1"), "spec.workers"),
        (
            good.replace("127.0.0.1:0'}]", &format!("{taken}'}}]")),
            "cannot listen on",
        ),
        (
            good.replace("state.json", "elsewhere.json"),
            "elsewhere.json.takeover",
        ),
    ] {
        fs::write(&bad, &text).unwrap();
        let said = refused_with(&["--takeover"], &files);
        assert!(said.contains(words), "{words} is not in:\n{said}");
        assert_eq!(old.ask().status(), 200);
    }
    // A folder in the way of the state's new file.
    let blocked = site.path("state.json.new");
    fs::create_dir(&blocked).unwrap();
    let said = refused_with(&["--takeover"], &site.files());
    let words = "cannot take over: the state could not be written: ";
    assert!(said.contains(words), "{words} is not in:\n{said}");
    fs::remove_dir(&blocked).unwrap();
    old.until_phase("Paused", 50.0);
    let (status, said) = old.tell("promote", "{}");
    assert_eq!(status, 200, "{said}");
    drop(old);
    let said = refused_with(&["--takeover"], &site.files());
    assert!(
        said.contains("cannot take over: no process waits at "),
        "{said}"
    );
}

#[test]
fn a_new_process_that_vanishes_at_any_step_leaves_the_old_one_serving() {
    let site = Site::with_steps("setWeight: 50\npause: {}\nsetWeight: 60\npause: {}");
    let mut site = site;
    let process = site.start();
    site.ship("v2", Slot::Green, Behaviour::Good);
    process.until_phase("Paused", 50.0);
    let crowd = Crowd::start(process.listener, 4, 4);
    for step in [
        Impostor::connect as fn(&Site) -> Impostor,
        Impostor::greet,
        Impostor::make_ready,
    ] {
        drop(step(&site));
        process.logs(&["not taken over: the other process is gone; this process goes on"]);
        let (status, said) = until_answered(&process, "pause");
        assert_eq!(status, 200, "{said}");
        let (status, said) = until_answered(&process, "resume");
        assert!(status == 200 || status == 409, "{status} {said}");
        crowd.more(50);
    }
    // One that holds the state file for a while, and then is gone.
    let impostor = Impostor::make_ready(&site);
    let (status, said) = process.tell("pause", "{}");
    assert_eq!(status, 503, "{said}");
    let lock = impostor.lock(&site);
    drop(impostor);
    drop(lock);
    let (status, said) = until_answered(&process, "abort");
    assert_eq!(status, 200, "{said}");
    process.until_phase("Degraded", 0.0);
    let tally = crowd.end();
    assert!(tally.failures.is_empty(), "{:?}", tally.failures);
    assert_eq!(tally.torn, 0);
    // It can still be taken over from.
    renewed(&site, process).until_phase("Degraded", 0.0);
}

/// Tells `verb` until the rollouts are in the process's hand.
fn until_answered(process: &Process, verb: &str) -> (u16, serde_json::Value) {
    until("the verb is answered", || {
        let (status, said) = process.tell(verb, "{}");
        if status == 503 {
            return Err(said.to_string());
        }
        Ok((status, said))
    })
}

#[test]
fn a_new_process_that_is_killed_at_any_instant_leaves_one_that_can_go_on() {
    let mut random = Random::new(11);
    let (site, mut process) = halfway(2);
    let (mut gone_on, mut taken_over) = (0, 0);
    for round in 0..ROUNDS {
        let new = Process::spawn(&["--takeover"], &site.files());
        thread::sleep(random.between(Duration::ZERO, 20 * MS));
        let said = new.kill();
        // Whether it came as far as to be the one that serves is known when the old one has made up its mind.
        let end = until("the old process has made up its mind", || {
            let asked = process.log().contains("another process has taken over");
            match (asked, process.has_ended()) {
                (_, Some(status)) => Ok(Some(status)),
                // While it does not know, it refuses verbs; one that is on its way to its end may not answer at all.
                (false, None) => match process.try_tell("pause", "{}") {
                    Ok((503, said)) => Err(said.to_string()),
                    Ok(_) => Ok(None),
                    Err(error) => Err(error.to_string()),
                },
                (true, None) => Err(process.log()),
            }
        });
        match end {
            Some(status) => {
                assert_eq!(status.code(), Some(0), "round {round}: {}", process.log());
                taken_over += 1;
                process = site.start();
            }
            None => gone_on += 1,
        }
        println!("round {round}: {end:?}\n{said}");
        assert_eq!(process.ask().status(), 200, "round {round}");
        let (status, _) = until_answered(&process, "pause");
        assert!(status == 200 || status == 409, "round {round}: {status}");
        process.until_phase("Paused", 50.0);
    }
    println!("{gone_on} went on, {taken_over} had been taken over from");
    assert!(gone_on > 0);
}

#[test]
fn an_old_process_that_is_killed_at_any_instant_leaves_a_state_to_go_on_from() {
    let mut random = Random::new(13);
    let (site, mut process) = halfway(2);
    let mut alone = 0;
    for round in 0..ROUNDS {
        let mut new = Process::spawn(&["--takeover"], &site.files());
        thread::sleep(random.between(Duration::ZERO, 20 * MS));
        let old = process.kill();
        // The new one serves, or says that there is nobody to take over from.
        let serves = until("the new process has made up its mind", || {
            if new.log().contains("admin server at http://") {
                return Ok(true);
            }
            new.has_ended().map(|_| false).ok_or_else(|| new.log())
        });
        process = match serves {
            true => {
                alone += 1;
                new.serving()
            }
            false => {
                assert_eq!(new.ended().code(), Some(2), "{}", new.log());
                site.start()
            }
        };
        println!("round {round}: new serves: {serves}\n{old}");
        assert_eq!(process.ask().status(), 200, "round {round}");
        process.until_phase("Paused", 50.0);
        let (status, _) = until_answered(&process, "pause");
        assert!(status == 200 || status == 409, "round {round}: {status}");
    }
    println!("{alone} of {ROUNDS} went on alone or had taken over");
}

#[test]
fn an_old_process_that_dies_before_it_has_said_anything_is_not_gone_on_for() {
    let (site, process) = halfway(2);
    // Stopped, it cannot answer; the new process waits for it then.
    process.signal(Signal::STOP);
    let mut new = Process::spawn(&["--takeover"], &site.files());
    process.kill();
    // There are no sockets to go on with.
    assert_eq!(new.ended().code(), Some(2));
    new.logs(&["cannot take over: "]);
    site.start().until_phase("Paused", 50.0);
}

#[test]
fn sigusr2_begins_a_process_that_takes_over_and_the_service_manager_is_told() {
    let site = Site::new(Documents::default());
    let manager = UnixDatagram::bind(site.path("notify")).unwrap();
    manager
        .set_read_timeout(Some(crate::support::PATIENCE))
        .unwrap();
    let news = || {
        let mut text = [0; 256];
        let length = manager.recv(&mut text).unwrap();
        String::from_utf8(text[..length].to_vec()).unwrap()
    };
    let mut command = sluice();
    command
        .env("NOTIFY_SOCKET", site.path("notify"))
        .arg("run")
        .args(site.files());
    let mut old = Process::begin(command).serving();
    assert!(news().starts_with(&format!("READY=1\nMAINPID={}\n", old.id())));
    let crowd = Crowd::start(old.listener, 4, 4);
    crowd.more(100);
    // Documents that cannot be acted on.
    let good = fs::read_to_string(site.rollout_file()).unwrap();
    site.write_rollout("kind: Nothing");
    old.signal(Signal::USR2);
    assert!(news().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    assert!(news().starts_with(&format!("READY=1\nMAINPID={}\n", old.id())));
    old.logs(&["which was to take over, has ended: exit status: 2"]);
    site.write_rollout(&good);
    old.signal(Signal::USR2);
    assert!(news().starts_with("RELOADING=1\n"));
    let ready = news();
    let pid = ready
        .lines()
        .find_map(|line| line.strip_prefix("MAINPID="))
        .and_then(|pid| pid.parse().ok())
        .unwrap();
    assert_ne!(pid, i32::try_from(old.id()).unwrap());
    assert_eq!(old.ended().code(), Some(0));
    crowd.more(100);
    let tally = crowd.end();
    assert!(tally.failures.is_empty(), "{:?}", tally.failures);
    kill_process(Pid::from_raw(pid).unwrap(), Signal::TERM).unwrap();
    assert_eq!(news(), "STOPPING=1\nSTATUS=Draining");
}
