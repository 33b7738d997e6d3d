use super::*;
use crate::plan::{HeaderMatch, MirrorMatch, OnInconclusive, TextMatch};

fn weight(percent: u8) -> Step {
    Step::SetWeight(Weight::from_percent(percent).unwrap())
}

fn route(name: &str, values: &[&str]) -> Step {
    Step::SetHeaderRoute(HeaderRoute {
        name: name.to_owned(),
        matches: values
            .iter()
            .map(|value| HeaderMatch {
                name: "x-beta".to_owned(),
                value: TextMatch::Exact((*value).to_owned()),
            })
            .collect(),
    })
}

fn evidence() -> EvidenceStep {
    EvidenceStep {
        harm_budget: 0.005,
        beta: 0.05,
        min_duration: Duration::ZERO,
        max_duration: Duration::from_secs(900),
        on_inconclusive: OnInconclusive::Hold,
    }
}

fn check_faults(steps: Vec<Step>, expected: &[&str]) {
    let found: Vec<_> = match Steps::new(steps, "hash") {
        Ok(_) => Vec::new(),
        Err(faults) => faults.iter().map(Fault::to_string).collect(),
    };
    assert_eq!(found, expected);
}

#[test]
fn evidence_out_of_range_is_refused_with_what_is_allowed() {
    check_faults(vec![weight(5), Step::Evidence(evidence())], &[]);
    check_faults(
        vec![
            weight(5),
            Step::Evidence(EvidenceStep {
                harm_budget: 1.5,
                beta: f64::NAN,
                min_duration: Duration::from_secs(90),
                max_duration: Duration::from_secs(60),
                ..evidence()
            }),
        ],
        &[
            "steps[1].harmBudget: found 1.5, allowed above 0, at most 1",
            "steps[1].confidence: found NaN, allowed above 0, at most 0.5",
            "steps[1].maxDuration: found 1m, allowed above 0, not below minDuration (1m 30s)",
        ],
    );
}

#[test]
fn evidence_of_a_canary_without_traffic_is_refused() {
    let refused = "steps[0].plugin: found an evidence step for a canary without traffic, \
                   allowed after a setWeight above 0 or a setHeaderRoute";
    check_faults(vec![Step::Evidence(evidence()), weight(5)], &[refused]);
    check_faults(
        vec![route("beta", &["yes"]), Step::Evidence(evidence())],
        &[],
    );
    check_faults(
        vec![weight(5), weight(0), Step::Evidence(evidence())],
        &[&refused.replace("steps[0]", "steps[2]")],
    );
}

#[test]
fn a_header_route_without_names_is_refused() {
    let nameless = Step::SetHeaderRoute(HeaderRoute {
        name: String::new(),
        matches: vec![HeaderMatch {
            name: String::new(),
            value: TextMatch::Prefix("a".to_owned()),
        }],
    });
    check_faults(
        vec![nameless],
        &[
            "steps[0].setHeaderRoute.name: found no name, allowed the name of a managed route",
            "steps[0].setHeaderRoute.match: found no name, allowed the name of a header",
        ],
    );
}

#[test]
fn a_place_has_what_the_steps_up_to_it_have_set() {
    let steps = vec![
        route("beta", &["yes"]),
        weight(5),
        route("staff", &["1", "2"]),
        route("beta", &["no"]),
        Step::Pause(None),
        route("beta", &[]),
        weight(50),
    ];
    let steps = Steps::new(steps, "hash").unwrap();
    let places = [Place::Start]
        .into_iter()
        .chain((0..steps.len()).map(Place::Step))
        .chain([Place::End]);
    let found: Vec<_> = places
        .map(|place| {
            let share = steps.share(place);
            let routes: Vec<_> = share
                .header_routes
                .iter()
                .map(HeaderRoute::to_string)
                .collect();
            format!("{} {}", share.weight, routes.join(", "))
        })
        .collect();
    let staff = r#"staff: x-beta = "1" or x-beta = "2""#;
    assert_eq!(
        found,
        [
            "0% ".to_owned(),
            r#"0% beta: x-beta = "yes""#.to_owned(),
            r#"5% beta: x-beta = "yes""#.to_owned(),
            format!(r#"5% beta: x-beta = "yes", {staff}"#),
            format!(r#"5% beta: x-beta = "no", {staff}"#),
            format!(r#"5% beta: x-beta = "no", {staff}"#),
            format!("5% {staff}"),
            format!("50% {staff}"),
            format!("100% {staff}"),
        ]
    );
}

#[test]
fn the_next_weight_is_what_the_evidence_must_allow() {
    let check = |weights: &[u8], index: usize, expected: u8| {
        let steps = Steps::new(weights.iter().map(|w| weight(*w)).collect(), "hash").unwrap();
        let expected = Weight::from_percent(expected).unwrap();
        assert_eq!(
            steps.next_weight(index),
            expected,
            "{weights:?} after {index}"
        );
    };
    check(&[5, 25], 0, 25);
    check(&[5, 25], 1, 100);
    check(&[50, 25], 0, 50);
    check(&[0, 0, 10], 0, 10);
    check(&[], 0, 100);
}

#[test]
fn steps_read_as_people_write_them() {
    let cases = [
        (weight(25), "set weight 25%"),
        (Step::Pause(None), "pause until resumed"),
        (Step::Pause(Some(Duration::from_secs(5400))), "pause 1h 30m"),
        (
            route("beta", &["yes"]),
            r#"set header route beta: x-beta = "yes""#,
        ),
        (route("beta", &[]), "remove header route beta"),
        (
            Step::Evidence(evidence()),
            "evidence for a harm budget of 0.5%, 15m at most",
        ),
        (
            Step::NoEffect {
                name: "setCanaryScale".to_owned(),
            },
            "setCanaryScale (no effect here)",
        ),
    ];
    for (step, expected) in cases {
        assert_eq!(step.to_string(), expected);
    }
}

#[test]
fn a_name_is_one_route_of_whichever_kind() {
    let mirror = |name: &str, percent: u8, paths: &[&str]| {
        Step::SetMirrorRoute(MirrorRoute {
            name: name.to_owned(),
            matches: paths
                .iter()
                .map(|path| MirrorMatch {
                    path: Some(TextMatch::Prefix((*path).to_owned())),
                    ..MirrorMatch::default()
                })
                .collect(),
            share: Weight::from_percent(percent).unwrap(),
        })
    };
    let all = vec![
        mirror("a", 10, &["/"]),
        route("b", &["1"]),
        mirror("a", 20, &["/x", "/y"]),
        route("a", &["2"]),
        mirror("a", 30, &["/"]),
        mirror("a", 30, &[]),
        mirror("b", 5, &[]),
    ];
    let steps = Steps::new(all, "hash").unwrap();
    let check = |index, expected: &[&str]| {
        let share = steps.share(Place::Step(index));
        let by_header = share.header_routes.iter().map(ToString::to_string);
        let mirrored = share.mirror_routes.iter().map(ToString::to_string);
        let found: Vec<_> = by_header.chain(mirrored).collect();
        assert_eq!(found, expected, "{index}");
    };
    let b = "b: x-beta = \"1\"";
    check(0, &["a: 10% of path begins with \"/\""]);
    check(1, &[b, "a: 10% of path begins with \"/\""]);
    let both = "a: 20% of path begins with \"/x\" or path begins with \"/y\"";
    check(2, &[b, both]);
    check(3, &[b, "a: x-beta = \"2\""]);
    check(4, &[b, "a: 30% of path begins with \"/\""]);
    check(5, &[b]);
    check(6, &[]);
    let nameless = vec![mirror("", 5, &["/"])];
    check_faults(
        nameless,
        &["steps[0].setMirrorRoute.name: found no name, allowed the name of a managed route"],
    );
    // A canary with nothing but copies has no traffic to be judged by.
    let copies = vec![mirror("a", 5, &["/"]), Step::Evidence(evidence())];
    assert_eq!(Steps::new(copies, "hash").unwrap_err().len(), 1);
}
