//! The verbs that change a Rollout.

use super::args::{Restart, Undo};
use super::seen;
use crate::cli::ending::{Exit, Failure};
use cluster::operator::{Operator, OperatorError, Workload};
use controller::verbs::{self, Back, Revision, Verb};
use crds::{Rollout, Time};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use std::io::Write;

/// How often it is tried to change a pod template that others change, too.
const TRIES: usize = 5;

/// A Rollout as it was read, and the workload that its pod template comes from.
struct Found {
    object: Value,
    rollout: Rollout,
    workload: Option<Workload>,
}

/// Tells a Rollout, and then says what it is now.
pub(super) async fn tell(
    operator: &Operator,
    name: &str,
    verb: &Verb,
    said: &str,
    out: &mut impl Write,
) -> Result<Exit, Failure> {
    let is_template = matches!(verb, Verb::SetImages(_));
    let mut tries = 0;
    loop {
        tries += 1;
        let found = find(operator, name, is_template).await?;
        match write(operator, &found, verb).await {
            Ok(0) => writeln!(
                out,
                "{}: nothing is left to promote",
                seen::key(&found.rollout)
            )?,
            Ok(_) => writeln!(out, "{}: {said}", seen::key(&found.rollout))?,
            Err(Trouble::Operator(why)) if why.is_conflict() && tries < TRIES => continue,
            Err(trouble) => return Err(trouble.into()),
        }
        return Ok(Exit::Done);
    }
}

/// `restart`: pods that are older than a time, now or later, are replaced then.
pub(super) async fn restart(
    operator: &Operator,
    args: &Restart,
    out: &mut impl Write,
) -> Result<Exit, Failure> {
    let later = args.r#in.unwrap_or_default();
    let too_late =
        || Failure::unusable(format!("--in: {later:?} from now is beyond all calendars"));
    let later = SignedDuration::try_from(later).map_err(|_| too_late())?;
    let at = Timestamp::now()
        .checked_add(later)
        .map_err(|_| too_late())?;
    let at = Time::from(at);
    let said = format!("pods that are older than {at} are replaced then");
    tell(operator, &args.rollout, &Verb::Restart(at), &said, out).await
}

/// `undo`: the pod template of an earlier revision.
pub(super) async fn undo(
    operator: &Operator,
    args: &Undo,
    out: &mut impl Write,
) -> Result<Exit, Failure> {
    let mut tries = 0;
    loop {
        tries += 1;
        let found = find(operator, &args.rollout, true).await?;
        let key = seen::key(&found.rollout);
        let sets = operator.picture(&args.rollout, false).await?.replica_sets;
        let workload = found.workload.as_ref().map(|workload| &workload.template);
        let current = verbs::template(&found.rollout, workload);
        let own = sets
            .iter()
            .filter(|set| seen::is_owned(set, &found.rollout));
        let revisions = own.filter_map(|set| Revision::of(set, current)).collect();
        let back = Revision::back(revisions, current, args.to_revision);
        let number = match back.map_err(|why| Trouble::Sense(format!("{key}: {why}")))? {
            Back::Already(number) => {
                writeln!(
                    out,
                    "{key}: has the pod template of revision {number} already"
                )?;
                return Ok(Exit::Done);
            }
            Back::To(revision) => {
                let verb = Verb::Undo(revision.template);
                match write(operator, &found, &verb).await {
                    Err(Trouble::Operator(why)) if why.is_conflict() && tries < TRIES => continue,
                    written => written.map(|_| revision.number)?,
                }
            }
        };
        writeln!(out, "{key}: goes back to revision {number}")?;
        return Ok(Exit::Done);
    }
}

async fn find(operator: &Operator, name: &str, with_template: bool) -> Result<Found, Failure> {
    let object = operator.get(name).await?;
    let rollout = seen::rollout(&object).map_err(Trouble::Sense)?;
    let workload = match with_template {
        true => operator.workload(&rollout).await?,
        false => None,
    };
    Ok(Found {
        object,
        rollout,
        workload,
    })
}

/// Makes the patches of a verb. How many there were.
async fn write(operator: &Operator, found: &Found, verb: &Verb) -> Result<usize, Trouble> {
    let workload = found.workload.as_ref();
    let template = workload.map(|workload| &workload.template);
    let patches = verbs::patches(verb, &found.rollout, template)
        .map_err(|why| Trouble::Sense(format!("{}: {why}", seen::key(&found.rollout))))?;
    for patch in &patches {
        operator.tell(&found.object, workload, patch).await?;
    }
    Ok(patches.len())
}

/// Why a Rollout was not told.
enum Trouble {
    /// What was asked for makes no sense for it.
    Sense(String),
    /// It could not be read or written.
    Operator(OperatorError),
}

impl From<OperatorError> for Trouble {
    fn from(why: OperatorError) -> Self {
        Self::Operator(why)
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Operator(why) => why.into(),
            Trouble::Sense(why) => Self {
                exit: Exit::Failed,
                message: Some(why),
            },
        }
    }
}
