//! Starts: those that must be refused, with exit code 2 and words that tell what to do, and those that must not.

use crate::support::{
    process::refused,
    site::{Documents, Site},
    until,
};
use std::{fs, net::TcpListener};

#[test]
fn documents_that_cannot_be_acted_on() {
    let site = Site::with_steps("setWeight: 500\npause: {duration: soon}");
    let said = refused(&site.files());
    let file = site.rollout_file();
    for (place, field) in [
        ("11:9", "steps[0].setWeight"),
        ("12:17", "steps[1].pause.duration"),
    ] {
        let begin = format!(
            "{}:{place}: error: spec.strategy.canary.{field}: found ",
            file.display()
        );
        assert!(said.contains(&begin), "{begin} is not in:\n{said}");
    }
    let missing = site.path("missing.yaml");
    let said = refused(&[site.proxy_file(), missing.clone()]);
    assert!(
        said.contains(&format!("{}: No such file or directory", missing.display())),
        "{said}"
    );
    let said = refused(&[site.rollout_file()]);
    assert!(
        said.contains("found no Proxy in any document, allowed exactly one"),
        "{said}"
    );
    assert!(!site.state_file().exists(), "nothing is left behind");
}

#[test]
fn a_state_file_that_is_none() {
    let site = Site::new(Documents::default());
    for (text, words) in [
        (
            "{\"layout\":1,\"rollouts\":[",
            "is no state file of Sluice: ",
        ),
        ("", "is no state file of Sluice: "),
        (
            "{\"layout\":99,\"rollouts\":[]}",
            "has layout 99, and this version reads layout 1",
        ),
    ] {
        fs::write(site.state_file(), text).unwrap();
        let said = refused(&site.files());
        let begin = format!(
            "sluice: state file {}: {words}",
            site.state_file().display()
        );
        assert!(said.contains(&begin), "{begin} is not in:\n{said}");
        assert!(
            said.contains("Move it away to begin with all rollouts at the template of their file"),
            "{said}"
        );
        assert_eq!(
            fs::read_to_string(site.state_file()).unwrap(),
            text,
            "it is left as it was"
        );
    }
    fs::remove_file(site.state_file()).unwrap();
    site.start();
}

#[test]
fn what_a_kill_left_beside_the_state_file_is_no_obstacle() {
    let site = Site::new(Documents::default());
    let process = site.start();
    let state = until("the state is kept", || {
        fs::read_to_string(site.state_file()).map_err(|error| error.to_string())
    });
    drop(process);
    fs::write(site.path("state.json.new"), &state[..state.len() / 2]).unwrap();
    let process = site.start();
    assert_eq!(
        process.view()["decisions"].as_array().unwrap().len(),
        1,
        "deployed once and for all"
    );
}

#[test]
fn a_state_file_that_another_process_uses() {
    let site = Site::new(Documents::default());
    let first = site.start();
    let said = refused(&site.files());
    assert!(
        said.contains(&format!(
            "{} is in use by another process",
            site.state_file().display()
        )),
        "{said}"
    );
    assert_eq!(first.ask().version(), "v1", "the first is not disturbed");
    drop(first);
    site.start();
}

#[test]
fn an_admin_server_beyond_loopback_without_a_token() {
    let site = |admin: &str| {
        Site::new(Documents {
            proxy: format!("admin: {{{admin}}}"),
            ..Documents::default()
        })
    };
    let open = site("address: '0.0.0.0:0'");
    let said = refused(&open.files());
    let words = "error: spec.admin.tokenFile: is missing: 0.0.0.0:0 ";
    assert!(said.contains(words), "{words} is not in:\n{said}");
    let with_token = site("address: '0.0.0.0:0', tokenFile: token");
    let said = refused(&with_token.files());
    assert!(
        said.contains(&format!(
            "token file {}: No such file",
            with_token.path("token").display()
        )),
        "{said}"
    );
    fs::write(with_token.path("token"), " \n").unwrap();
    let said = refused(&with_token.files());
    assert!(
        said.contains("is empty; it must hold the token on one line"),
        "{said}"
    );
}

#[test]
fn addresses_that_are_taken() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let mut site = Site::new(Documents {
        proxy: format!("admin: {{address: '{address}'}}"),
        ..Documents::default()
    });
    let said = refused(&site.files());
    assert!(
        said.contains(&format!("sluice: admin server at {address}: ")),
        "{said}"
    );
    site.documents.proxy.clear();
    site.rewrite();
    let text = fs::read_to_string(site.proxy_file()).unwrap();
    fs::write(
        site.proxy_file(),
        text.replacen("127.0.0.1:0", &address.to_string(), 1),
    )
    .unwrap();
    let said = refused(&site.files());
    assert!(
        said.contains(&format!("sluice: cannot listen on {address}")),
        "{said}"
    );
}
