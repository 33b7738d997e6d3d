use std::time::Duration;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use super::{Cli, ClientCommand, Command, duration};

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn verbs_take_their_arguments() {
    let parse = |line: &str| {
        Cli::try_parse_from(line.split_whitespace())
            .unwrap()
            .command
    };
    assert!(
        matches!(parse("sluice run a.yaml b.yaml"), Command::Run(args) if args.files.len() == 2)
    );
    assert!(matches!(parse("sluice lint a.yaml"), Command::Lint(args) if args.files.len() == 1));
    assert!(matches!(
        parse("sluice controller --instance-id blue --leader-elect false --lease-duration 30s"),
        Command::Controller(_)
    ));
    assert!(matches!(
        parse("sluice promote shop/checkout --full"),
        Command::Client(ClientCommand::Promote(args)) if args.full
    ));
    assert!(matches!(
        parse("sluice get --watch --plain"),
        Command::Client(ClientCommand::Get(args)) if args.plain && args.selection.rollout.is_none()
    ));
    assert!(matches!(
        parse("sluice status checkout -w --timeout 5m --address http://10.0.0.1:1"),
        Command::Client(ClientCommand::Status(args))
            if args.timeout == Some(Duration::from_secs(300)) && args.connection.address == "http://10.0.0.1:1"
    ));
}

#[test]
fn wrong_usage_is_refused() {
    let check = |line: &str, expected: ErrorKind| {
        let error = Cli::try_parse_from(line.split_whitespace()).unwrap_err();
        assert_eq!(error.kind(), expected, "{line}: {error}");
    };
    check("sluice run", ErrorKind::MissingRequiredArgument);
    check("sluice get a/b/c", ErrorKind::ValueValidation);
    check("sluice get ../x", ErrorKind::ValueValidation);
    check("sluice get --plain", ErrorKind::MissingRequiredArgument);
    check(
        "sluice status --timeout 5m",
        ErrorKind::MissingRequiredArgument,
    );
    check(
        "sluice status -w --timeout soon",
        ErrorKind::ValueValidation,
    );
    for wrong in [
        "--instance-id a,b",
        "--concurrency 0",
        "--retry-period 2",
        "--shards 0",
        "--shards 33",
    ] {
        check(
            &format!("sluice controller {wrong}"),
            ErrorKind::ValueValidation,
        );
    }
    check("sluice demo --rps 0", ErrorKind::ValueValidation);
    check("sluice demo --scenario none", ErrorKind::InvalidValue);
    check("sluice simulate", ErrorKind::MissingRequiredArgument);
    for wrong in ["--traffic rps=0", "--errors 200%", "--slower 1", "--runs 0"] {
        check(
            &format!("sluice simulate a.yaml {wrong}"),
            ErrorKind::ValueValidation,
        );
    }
    check(
        "sluice simulate a.yaml --traffic rps=1 --record a.csv",
        ErrorKind::ArgumentConflict,
    );
    check("sluice start", ErrorKind::InvalidSubcommand);
}

#[test]
fn durations_are_read_and_checked() {
    assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
    assert_eq!(duration("200ms"), Ok(Duration::from_millis(200)));
    assert_eq!(
        duration("-5s"),
        Err("found `-5s`, allowed is a duration that is not negative".into())
    );
    assert_eq!(
        duration("soon"),
        Err("found `soon`, allowed is a duration such as 200ms, 90s, 5m or 1h30m".into())
    );
}
