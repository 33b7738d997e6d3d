//! `sluice migrate --check`: what would change if `sluice controller` took over from another controller now.

use super::args::Connection;
use crate::cli::ending::{Exit, Failure, ended};
use ::cluster::{Instance, Outlook, Scope, Surveyed, survey};
use clap::Args;
use jiff::Timestamp;
use std::{fmt::Write as _, io::Write, process::ExitCode};

/// The arguments of `migrate`.
#[derive(Debug, Args)]
pub(crate) struct MigrateArgs {
    /// Only say what would change; nothing else can be asked for
    #[arg(long, required = true)]
    check: bool,
    /// Look at the Rollouts of all namespaces
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    all_namespaces: bool,
    /// Look at the Rollouts that `sluice controller --instance-id NAME` would look after [default: those without the label]
    #[arg(long, value_name = "NAME", value_parser = Instance::named)]
    instance_id: Option<Instance>,
    #[command(flatten)]
    connection: Connection,
}

/// Says what would change, and fails when something would.
pub(crate) fn migrate(args: &MigrateArgs, out: &mut impl Write) -> ExitCode {
    let ran = super::blocking(async {
        let (client, own) = super::connect(&args.connection).await?;
        let namespace = args.connection.namespace.clone().unwrap_or(own);
        let scope = Scope {
            namespace: (!args.all_namespaces).then_some(namespace),
            instance: args.instance_id.clone().unwrap_or_default(),
            ..Scope::default()
        };
        let turn = controller::reconcile::turn;
        let surveyed = survey(&client, &scope, turn, Timestamp::now()).await;
        let surveyed = surveyed.map_err(|why| Failure::unusable(why.to_string()))?;
        write!(out, "{}", report(&surveyed))?;
        let is_calm = |each: &Surveyed| each.outlook == Outlook::Unchanged;
        Ok(match surveyed.iter().all(is_calm) {
            true => Exit::Done,
            false => Exit::Failed,
        })
    });
    ended(ran)
}

/// What would become of each Rollout, and a sum.
fn report(surveyed: &[Surveyed]) -> String {
    let mut text = String::new();
    let mut counts = [0_usize; 3];
    for Surveyed { rollout, outlook } in surveyed {
        // Writing to a text does not fail.
        let _ = match outlook {
            Outlook::Unchanged => {
                counts[0] += 1;
                writeln!(text, "{rollout}: nothing would be written")
            }
            Outlook::Held(why) => {
                counts[2] += 1;
                writeln!(
                    text,
                    "{rollout}: would be held as invalid, and left as it is: {why}"
                )
            }
            Outlook::Unreadable(why) => {
                counts[2] += 1;
                writeln!(
                    text,
                    "{rollout}: would be left alone, as it cannot be read: {why}"
                )
            }
            Outlook::Writes(writes) => {
                counts[1] += 1;
                let writes = writes.join("\n  ");
                writeln!(text, "{rollout}: would be written at once:\n  {writes}")
            }
        };
    }
    let [same, written, held] = counts;
    let _ = writeln!(
        text,
        "{} Rollouts: {same} unchanged, {written} written, {held} held",
        surveyed.len()
    );
    text
}

#[cfg(test)]
mod tests {
    use super::report;
    use ::cluster::{Outlook, Surveyed};

    #[test]
    fn each_rollout_is_told_of_and_all_are_counted() {
        let surveyed = |rollout: &str, outlook| Surveyed {
            rollout: rollout.to_owned(),
            outlook,
        };
        let writes = ["patch status: phase=\"Healthy\"", "delete ReplicaSet d-1"];
        let all = [
            surveyed("prod/a", Outlook::Unchanged),
            surveyed(
                "prod/b",
                Outlook::Held("service \"b\" not found".to_owned()),
            ),
            surveyed(
                "prod/c",
                Outlook::Unreadable("spec.replicas: found \"two\"".to_owned()),
            ),
            surveyed(
                "prod/d",
                Outlook::Writes(writes.map(str::to_owned).to_vec()),
            ),
        ];
        let expected = "\
prod/a: nothing would be written
prod/b: would be held as invalid, and left as it is: service \"b\" not found
prod/c: would be left alone, as it cannot be read: spec.replicas: found \"two\"
prod/d: would be written at once:
  patch status: phase=\"Healthy\"
  delete ReplicaSet d-1
4 Rollouts: 1 unchanged, 1 written, 2 held
";
        assert_eq!(report(&all), expected);
        assert_eq!(report(&[]), "0 Rollouts: 0 unchanged, 0 written, 0 held\n");
    }
}
