//! The verbs that keep looking: `get --watch` and `status --watch`.

use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::follow::{Update, follow};
use super::http::{Client, Error};
use super::{Exit, Failure, standing};
use crate::api::RolloutView;
use crate::cli::{GetArgs, Output};
use crate::view::{self, Changes, Key, Live, Palette, Screen};

/// How often the live view looks for a key.
const KEY_INTERVAL: Duration = Duration::from_millis(50);

/// `get --watch`: until the person has seen enough.
pub(super) fn get(
    client: Client,
    first: RolloutView,
    args: &GetArgs,
    out: &mut impl Write,
) -> Result<Exit, Failure> {
    let updates = follow(client)?;
    match args.output {
        Output::Json => json_lines(&updates, &first, out),
        Output::Text if args.plain || !io::stdout().is_terminal() => lines(&updates, &first, out),
        Output::Text => live(&updates, first),
    }
}

/// One JSON object per change and line.
fn json_lines(
    updates: &Receiver<Update>,
    wanted: &RolloutView,
    out: &mut impl Write,
) -> Result<Exit, Failure> {
    for update in updates {
        match update {
            Update::View(view) if same(&view, wanted) => {
                let text = serde_json::to_string(&view).map_err(|error| {
                    Failure::unusable(format!("cannot print this as JSON: {error}"))
                })?;
                writeln!(out, "{text}")?;
                out.flush()?;
            }
            Update::View(_) => {}
            Update::Lost(error) => eprintln!("sluice: {error}; trying again"),
        }
    }
    Ok(Exit::Done)
}

/// One line per change that a person would call one.
fn lines(
    updates: &Receiver<Update>,
    wanted: &RolloutView,
    out: &mut impl Write,
) -> Result<Exit, Failure> {
    let mut changes = Changes::since(wanted.at);
    for update in updates {
        match update {
            Update::View(view) if same(&view, wanted) => {
                for line in changes.lines(&view) {
                    writeln!(out, "{line}")?;
                }
                out.flush()?;
            }
            Update::View(_) => {}
            Update::Lost(error) => eprintln!("sluice: {error}; trying again"),
        }
    }
    Ok(Exit::Done)
}

/// The live view, until `q` or Ctrl-C.
fn live(updates: &Receiver<Update>, first: RolloutView) -> Result<Exit, Failure> {
    let palette = Palette::of_environment();
    let mut screen = Screen::open()?;
    let mut shown = first;
    let mut lost: Option<Error> = None;
    loop {
        let notice = lost.as_ref().map(|error| format!("{error}; trying again"));
        screen.draw(&Live {
            view: &shown,
            palette,
            caption: &[],
            notice: notice.as_deref(),
        })?;
        if screen.key(KEY_INTERVAL)? == Some(Key::Quit) {
            return Ok(Exit::Done);
        }
        for update in updates.try_iter() {
            match update {
                Update::View(view) if same(&view, &shown) => {
                    shown = *view;
                    lost = None;
                }
                Update::View(_) => {}
                Update::Lost(error) => lost = Some(error),
            }
        }
    }
}

/// `status --watch`: until the rollout is Healthy or Degraded, or the time is over.
pub(super) fn status(
    client: Client,
    first: &RolloutView,
    timeout: Option<Duration>,
    out: &mut impl Write,
) -> Result<Exit, Failure> {
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let updates = follow(client)?;
    let mut changes = Changes::since(first.at);
    let mut last = first.clone();
    loop {
        for line in changes.lines(&last) {
            writeln!(out, "{line}")?;
        }
        out.flush()?;
        let exit = standing(&last);
        if exit != Exit::Unfinished {
            return Ok(exit);
        }
        match next(&updates, &last, deadline) {
            Some(view) => last = view,
            None => {
                let message = format!("timed out: {}", view::headline(&last));
                return Err(Failure {
                    exit: Exit::Unfinished,
                    message: Some(message),
                });
            }
        }
    }
}

/// The next view of the rollout that `wanted` shows, or nothing when `deadline` comes first.
fn next(
    updates: &Receiver<Update>,
    wanted: &RolloutView,
    deadline: Option<Instant>,
) -> Option<RolloutView> {
    /// Stands for "never" where a wait needs a bound.
    const LONG: Duration = Duration::from_secs(3600);
    loop {
        let left = deadline.map_or(LONG, |deadline| {
            deadline.saturating_duration_since(Instant::now())
        });
        match updates.recv_timeout(left) {
            Ok(Update::View(view)) if same(&view, wanted) => return Some(*view),
            Ok(Update::View(_)) => {}
            Ok(Update::Lost(error)) => eprintln!("sluice: {error}; trying again"),
            Err(RecvTimeoutError::Timeout) if deadline.is_none() => {}
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
        }
        // Views of other rollouts may come faster than the time runs out.
        if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return None;
        }
    }
}

fn same(a: &RolloutView, b: &RolloutView) -> bool {
    a.namespace == b.namespace && a.name == b.name
}
