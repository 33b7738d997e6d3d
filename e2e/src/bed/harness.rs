//! The `main` of test programs whose tests run in a test bed.

use super::{RunDirectory, down, inside, supervise::client, up};
use anyhow::{Context as _, Result};
use kube::Client;
use libtest_mimic::{Arguments, Trial};
use std::{
    env,
    future::Future,
    io::{self, Write as _},
    path::Path,
    process::{self, ExitCode},
    time::Duration,
};
use tokio::time::timeout;

/// Set to `1`, it asks for the tests.
const ASKED: &str = "SLUICE_E2E_TESTS";
/// Set for this program when it runs inside of the test bed.
const INSIDE: &str = "SLUICE_E2E_INSIDE";
/// The longest that one test may take, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// Runs `tests` in a test bed of their own, which `program` (this package's binary) supervises, when they are asked for.
/// Otherwise says how to. `command` is how these tests are run.
///
/// This program runs once more inside of the test bed.
pub fn run(program: &Path, command: &str, tests: Vec<Trial>) -> ExitCode {
    let arguments = Arguments::from_args();
    if is_inside() || arguments.list {
        return libtest_mimic::run(&arguments, tests).exit_code();
    }
    if !is_asked_for(command) {
        return ExitCode::SUCCESS;
    }
    match again_inside(program) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether tests that need a test bed are asked for. Otherwise says how to: `command` is how these are run.
pub fn is_asked_for(command: &str) -> bool {
    let is_asked = env::var_os(ASKED).is_some_and(|value| value == "1");
    if !is_asked {
        // Past the harness, which would keep it to itself. Where nobody reads it, nothing is lost.
        let line = format!("SKIPPED: not asked for; run it with {ASKED}=1 {command}\n");
        let _ = io::stderr().write_all(line.as_bytes());
    }
    is_asked
}

/// Whether this program runs in a test bed, by [`again_inside`].
pub fn is_inside() -> bool {
    env::var_os(INSIDE).is_some()
}

/// Runs this program once more, with its arguments, inside of a new test bed, which `program` (this package's binary)
/// supervises. Its first thread is in that network already.
///
/// # Errors
/// When the test bed cannot be brought up, or does not end.
pub fn again_inside(program: &Path) -> Result<ExitCode> {
    let made = tempfile::Builder::new().prefix("sluice-e2e-").tempdir()?;
    let directory = RunDirectory::new(made.path())?;
    if let Err(error) = up(program, &directory, process::id()) {
        // What it says of logs is to be found.
        return Err(error.context(format!("kept in {}", made.keep().display())));
    }
    let again = inside(&directory, &env::current_exe()?)?
        .args(env::args_os().skip(1))
        .env(INSIDE, "1")
        .status();
    down(&directory)?;
    match again?.success() {
        true => Ok(ExitCode::SUCCESS),
        false => {
            eprintln!(
                "the test bed's logs are kept in {}/logs",
                made.keep().display()
            );
            Ok(ExitCode::FAILURE)
        }
    }
}

/// The test `name`, which gets a client of the test bed's administrator and a namespace of its own.
pub fn test<T, F>(name: &'static str, test: T) -> Trial
where
    T: FnOnce(Client, String) -> F + Send + 'static,
    F: Future<Output = Result<()>>,
{
    Trial::test(name, move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let result = runtime.block_on(async {
            let kubeconfig = env::var_os("KUBECONFIG").context("KUBECONFIG")?;
            let client = client(Path::new(&kubeconfig)).await?;
            let namespace =
                super::objects::namespace(&client, &name.replace(['_', ' '], "-")).await?;
            timeout(PATIENCE, test(client, namespace))
                .await
                .context("it takes too long")?
        });
        // With what it was made of, which a plain conversion would leave out.
        result.map_err(|error: anyhow::Error| format!("{error:?}").into())
    })
}
