//! How a verb ends: with an exit code, and a complaint where there is one.

use std::io;
use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It was done, or the rollout is Healthy.
    Done = 0,
    /// The process refused, or the rollout is Degraded.
    Failed = 1,
    /// Nothing could be asked: wrong usage, no such rollout, nobody there.
    Unusable = 2,
    /// The rollout is not there yet.
    Unfinished = 3,
}

/// Why a command ended early.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) message: Option<String>,
}

impl Failure {
    /// Nothing could be asked, for this reason.
    pub(crate) fn unusable(message: String) -> Self {
        Self {
            exit: Exit::Unusable,
            message: Some(message),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        // The reader of a pipe has seen enough: no fault, and nobody left to tell.
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self {
                exit: Exit::Done,
                message: None,
            };
        }
        Self::unusable(format!("cannot write the output: {error}"))
    }
}

/// The exit code of a verb; its complaint goes to the standard error.
pub(crate) fn ended(result: Result<Exit, Failure>) -> ExitCode {
    let exit = result.unwrap_or_else(|failure| {
        if let Some(message) = failure.message {
            eprintln!("sluice: {message}");
        }
        failure.exit
    });
    ExitCode::from(exit as u8)
}
