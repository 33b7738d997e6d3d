//! Who gets which version: rules, header routes and sticky users, through real steps.

use crate::support::{
    origin::Behaviour,
    process::Process,
    site::{Documents, QUICK, Site, Slot},
    wire::Connection,
};

/// The version that answers a request like this.
fn version(process: &Process, path: &str, headers: &str) -> String {
    let answer = Connection::open(process.listener)
        .unwrap()
        .get(path, headers)
        .unwrap();
    assert_eq!(answer.status(), 200);
    answer.version().to_owned()
}

fn check(process: &Process, requests: &[(&str, &str, &str)]) {
    for (path, headers, expected) in requests {
        for _ in 0..5 {
            assert_eq!(
                version(process, path, headers),
                *expected,
                "{path} {headers}"
            );
        }
    }
}

fn promote(process: &Process) {
    let (status, said) = process.tell("promote", "{}");
    assert_eq!(status, 200, "{said}");
}

#[test]
fn rules_come_before_the_weight() {
    let options = format!(
        "rules: [{{name: old, match: [{{headers: [{{name: x-old, type: Present}}]}}], to: stable}}, \
         {{name: beta, match: [{{headers: [{{name: x-beta, value: '1'}}]}}, {{cookies: [{{name: group, type: Prefix, value: be}}]}}, \
         {{queryParams: [{{name: beta, type: RegularExpression, value: 'y(es)?'}}]}}], to: canary}}], {QUICK}"
    );
    let steps = "setWeight: 0\npause: {}\nsetWeight: 100\npause: {}";
    let mut site = Site::new(Documents {
        steps: steps.to_owned(),
        options,
        ..Documents::default()
    });
    let process = site.start();
    let beta = "x-beta: 1";
    check(&process, &[("/", "", "v1"), ("/", beta, "v1")]);
    site.ship("v2", Slot::Green, Behaviour::Good);
    process.until_view("the first pause", |view| {
        view["message"] == "CanaryPauseStep"
    });
    check(
        &process,
        &[
            ("/", "", "v1"),
            ("/", beta, "v2"),
            ("/", "X-Beta: 2", "v1"),
            ("/", "cookie: a=b; group=beta", "v2"),
            ("/", "cookie: group=alpha", "v1"),
            ("/?a=b&beta=yes", "", "v2"),
            ("/?beta=yesterday", "", "v1"),
            ("/?beta=y", "x-old: any", "v1"),
        ],
    );
    promote(&process);
    process.until_phase("Paused", 100.0);
    check(
        &process,
        &[
            ("/", "", "v2"),
            ("/", beta, "v2"),
            ("/", "x-old: 1", "v1"),
            ("/", "x-old: 1\nx-beta: 1", "v1"),
        ],
    );
    process.tell("abort", "{}");
    process.until_phase("Degraded", 0.0);
    check(
        &process,
        &[("/", "", "v1"), ("/", beta, "v1"), ("/?beta=y", "", "v1")],
    );
}

#[test]
fn a_header_route_holds_from_its_step_to_the_step_that_takes_it_away() {
    let steps = "\
setWeight: 0
pause: {}
setHeaderRoute: {name: staff, match: [{headerName: x-staff, headerValue: {exact: 'yes'}}]}
pause: {}
setHeaderRoute: {name: staff}
pause: {}";
    let mut site = Site::new(Documents {
        steps: steps.to_owned(),
        managed_route: Some("staff"),
        ..Documents::default()
    });
    let process = site.start();
    site.ship("v2", Slot::Green, Behaviour::Good);
    let at = |step: usize| {
        process.until_view("the next pause", |view| {
            view["steps"][step]["progress"] == "current" && view["acknowledged"] == true
        })
    };
    let staff = "x-staff: yes";
    at(1);
    check(&process, &[("/", "", "v1"), ("/", staff, "v1")]);
    promote(&process);
    at(3);
    check(
        &process,
        &[
            ("/", "", "v1"),
            ("/", staff, "v2"),
            ("/", "x-staff: no", "v1"),
        ],
    );
    promote(&process);
    at(5);
    check(&process, &[("/", "", "v1"), ("/", staff, "v1")]);
}

/// A user of the product's whole life: one cookie, one version at a time.
struct User {
    cookie: String,
    version: String,
}

#[test]
fn no_user_moves_back_to_stable_while_the_weight_rises() {
    const USERS: usize = 200;
    let mut site = Site::new(Documents {
        steps: [5, 25, 50, 100]
            .map(|weight| format!("setWeight: {weight}\npause: {{}}\n"))
            .concat(),
        options: format!("sticky: [{{cookie: {{name: bucket}}}}], {QUICK}"),
        ..Documents::default()
    });
    let process = site.start();
    site.ship("v2", Slot::Green, Behaviour::Good);
    process.until_phase("Paused", 5.0);
    let mut connection = Connection::open(process.listener).unwrap();
    let mut arrive = |_| {
        let answer = connection.get("/", "").unwrap();
        let (cookie, _) = answer
            .header("set-cookie")
            .unwrap()
            .split_once(';')
            .unwrap();
        assert!(
            cookie.starts_with("bucket=") && !cookie.contains("v1") && !cookie.contains("v2"),
            "{cookie}"
        );
        User {
            cookie: format!("cookie: {cookie}"),
            version: answer.version().to_owned(),
        }
    };
    let mut users: Vec<User> = (0..USERS).map(&mut arrive).collect();
    // Of 200 users within five standard deviations of the share, on either side.
    for (weight, least, most) in [
        (5.0, 0, 26),
        (25.0, 19, 81),
        (50.0, 64, 136),
        (100.0, USERS, USERS),
    ] {
        if weight > 5.0 {
            promote(&process);
            process.until_phase("Paused", weight);
        }
        for user in &mut users {
            for _ in 0..2 {
                let answer = connection.get("/", &user.cookie).unwrap();
                assert_eq!(
                    answer.header("set-cookie"),
                    None,
                    "a user who has a bucket keeps it"
                );
                assert!(
                    user.version == "v1" || answer.version() == "v2",
                    "{} moved back at {weight} %",
                    user.cookie
                );
                answer.version().clone_into(&mut user.version);
            }
        }
        let on_canary = users.iter().filter(|user| user.version == "v2").count();
        assert!(
            (least..=most).contains(&on_canary),
            "{on_canary} of {USERS} users at {weight} %"
        );
    }
    promote(&process);
    process.until_phase("Healthy", 0.0);
    for user in &users {
        assert_eq!(connection.get("/", &user.cookie).unwrap().version(), "v2");
    }
}
