//! The verbs that only look: `get`, `list`, `status`.

use super::args::{GetRollout, List, Status};
use super::seen::{self, Seen};
use crate::cli::ending::{Exit, Failure};
use crate::view::{Palette, cluster as view};
use ::cluster::operator::{Kinds, Operator, Picture, Tidings, Watch};
use controller::verbs::Standing;
use crds::status::RolloutPhase;
use crossterm::{
    cursor::MoveTo,
    queue,
    terminal::{Clear, ClearType},
};
use jiff::Timestamp;
use std::{
    io::{self, IsTerminal as _, Write},
    time::Duration,
};

/// How often ages are shown anew.
const REFRESH: Duration = Duration::from_secs(1);
/// The least time between two pictures: more often is only flicker.
const CALM: Duration = Duration::from_millis(200);

/// `get rollout`.
pub(super) async fn get(
    operator: &Operator,
    args: &GetRollout,
    out: &mut impl Write,
) -> Result<Exit, Failure> {
    let picture = operator.picture(&args.rollout, true).await?;
    let first = read(&picture)?;
    let is_terminal = io::stdout().is_terminal();
    let palette = (is_terminal && !args.no_color).then(Palette::of_environment);
    if !args.watch {
        let lines = view::rollout(&first, Timestamp::now(), palette.unwrap_or(Palette::PLAIN));
        view::print(&lines, palette.is_some(), out)?;
        return Ok(Exit::Done);
    }
    let object = picture.rollouts.first().unwrap_or(&serde_json::Value::Null);
    let watch = Watch::new(operator, Kinds::WithPods(object));
    match is_terminal {
        true => redraw(watch, first, palette, out).await,
        false => append(watch, &first, out).await,
    }
}

/// Shows the Rollout anew whenever it has changed, and every second, as ages do.
async fn redraw(
    mut watch: Watch,
    first: Seen,
    palette: Option<Palette>,
    out: &mut impl Write,
) -> Result<Exit, Failure> {
    let mut shown = first;
    let mut notice = None;
    loop {
        let mut lines = view::rollout(&shown, Timestamp::now(), palette.unwrap_or(Palette::PLAIN));
        lines.extend(notice.as_ref().map(|notice: &String| notice.clone().into()));
        queue!(out, MoveTo(0, 0), Clear(ClearType::All))?;
        view::print(&lines, palette.is_some(), out)?;
        out.flush()?;
        match tokio::time::timeout(REFRESH, watch.next()).await {
            Err(_) => {}
            Ok(Ok(Tidings::Changed(picture))) if picture.rollouts.is_empty() => {
                return Err(gone(&shown));
            }
            Ok(Ok(Tidings::Changed(picture))) => {
                shown = read(&picture)?;
                notice = None;
                tokio::time::sleep(CALM).await;
            }
            Ok(Ok(Tidings::Lost(why))) => notice = Some(format!("{why}; trying again")),
            Ok(Err(why)) => return Err(why.into()),
        }
    }
}

/// Shows the Rollout once, and then a line for each change of how it stands.
async fn append(mut watch: Watch, first: &Seen, out: &mut impl Write) -> Result<Exit, Failure> {
    let lines = view::rollout(first, Timestamp::now(), Palette::PLAIN);
    view::print(&lines, false, out)?;
    writeln!(out)?;
    let mut last = view::headline(first);
    loop {
        out.flush()?;
        let Some(picture) = next(&mut watch).await? else {
            continue;
        };
        if picture.rollouts.is_empty() {
            return Err(gone(first));
        }
        let line = view::headline(&read(&picture)?);
        if line != last {
            writeln!(out, "{line}")?;
            last = line;
        }
    }
}

/// `list rollouts`.
pub(super) async fn list(
    operator: &Operator,
    args: &List,
    out: &mut impl Write,
) -> Result<Exit, Failure> {
    let found = all(operator.list().await?.iter())?;
    if found.is_empty() && !args.watch {
        eprintln!("no Rollouts");
        return Ok(Exit::Done);
    }
    let mut table = view::Table::new(&found, args.all_namespaces);
    write!(out, "{}", table.text())?;
    if !args.watch {
        return Ok(Exit::Done);
    }
    let mut watch = Watch::new(operator, Kinds::Rollouts);
    loop {
        out.flush()?;
        let Some(picture) = next(&mut watch).await? else {
            continue;
        };
        for line in table.changes(&all(picture.rollouts.iter())?) {
            writeln!(out, "{line}")?;
        }
    }
}

/// `status`.
pub(super) async fn status(
    operator: &Operator,
    args: &Status,
    out: &mut impl Write,
) -> Result<Exit, Failure> {
    let object = operator.get(&args.rollout).await?;
    let seen = Seen::read(&object, &Picture::default()).map_err(Failure::unusable)?;
    if !args.watch {
        writeln!(out, "{}", view::standing(&seen.standing))?;
        return Ok(exit(&seen.standing));
    }
    let watch = Watch::new(operator, Kinds::Rollout(&object));
    let mut last = seen;
    if args.timeout.is_zero() {
        return settle(watch, &mut last, out).await;
    }
    let settled = tokio::time::timeout(args.timeout, settle(watch, &mut last, out)).await;
    settled.unwrap_or_else(|_| {
        let (key, standing) = (seen::key(&last.rollout), view::standing(&last.standing));
        Err(Failure {
            exit: Exit::Unfinished,
            message: Some(format!("{key}: after {:?}: {standing}", args.timeout)),
        })
    })
}

/// Waits until a Rollout is Healthy or Degraded, with a line for each change.
async fn settle(mut watch: Watch, last: &mut Seen, out: &mut impl Write) -> Result<Exit, Failure> {
    writeln!(out, "{}", view::standing(&last.standing))?;
    loop {
        out.flush()?;
        let exit = exit(&last.standing);
        if exit != Exit::Unfinished {
            return Ok(exit);
        }
        let Some(picture) = next(&mut watch).await? else {
            continue;
        };
        if picture.rollouts.is_empty() {
            return Err(gone(last));
        }
        let seen = read(&picture)?;
        if seen.standing != last.standing {
            writeln!(out, "{}", view::standing(&seen.standing))?;
        }
        *last = seen;
    }
}

/// What is there now; nothing when it cannot be seen for the moment, which is told.
async fn next(watch: &mut Watch) -> Result<Option<Picture>, Failure> {
    match watch.next().await? {
        Tidings::Changed(picture) => Ok(Some(picture)),
        Tidings::Lost(why) => {
            eprintln!("sluice: {why}; trying again");
            Ok(None)
        }
    }
}

/// How a Rollout stands, as an exit code.
fn exit(standing: &Standing) -> Exit {
    match &standing.phase {
        RolloutPhase::Healthy => Exit::Done,
        RolloutPhase::Degraded => Exit::Failed,
        RolloutPhase::Progressing | RolloutPhase::Paused | RolloutPhase::Other(_) => {
            Exit::Unfinished
        }
    }
}

fn read(picture: &Picture) -> Result<Seen, Failure> {
    let object = picture.rollouts.first().unwrap_or(&serde_json::Value::Null);
    Seen::read(object, picture).map_err(Failure::unusable)
}

fn all<'v>(objects: impl Iterator<Item = &'v serde_json::Value>) -> Result<Vec<Seen>, Failure> {
    let none = Picture::default();
    objects
        .map(|object| Seen::read(object, &none).map_err(Failure::unusable))
        .collect()
}

fn gone(seen: &Seen) -> Failure {
    Failure::unusable(format!("Rollout {} was deleted", seen::key(&seen.rollout)))
}
