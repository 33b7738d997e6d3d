//! Files for a cluster: Rollouts among whatever else is applied with them.

use std::sync::Arc;

use crds::Rollout;
use serde_json::Value;

use super::report::Report;
use super::{Finding, Location, Severity, Strictness, read_typed, source, yaml};
use crate::reconcile;

/// Checks the Rollouts of a file by the rules of the controller of a cluster, as far as they can be checked without one.
/// `file` is its name in messages; `text` is YAML or JSON. Other objects are passed over.
///
/// Returns what there is to tell, in the order of lines, and how many Rollouts there are.
pub fn check_cluster(file: &str, text: &str) -> (Vec<Finding>, usize) {
    let file: Arc<str> = file.into();
    let stream = yaml::read(text);
    let mut findings = problems(&file, stream.problems);
    let mut rollouts = 0;
    for root in stream.roots {
        let (value, source) = source::split(Arc::clone(&file), root);
        if value["apiVersion"] == Rollout::API_VERSION && value["kind"] == Rollout::KIND {
            rollouts += 1;
            let mut report = Report::new(&source);
            check(&value, &mut report);
            findings.extend(report.findings);
        }
    }
    findings.sort_by_key(|finding| (finding.location.line, finding.location.column));
    (findings, rollouts)
}

/// What keeps a file from being read.
pub(super) fn problems(file: &Arc<str>, problems: Vec<yaml::Problem>) -> Vec<Finding> {
    let told = |problem: yaml::Problem| Finding {
        severity: Severity::Error,
        location: Location::new(file, problem.at),
        path: String::new(),
        message: problem.message,
    };
    problems.into_iter().map(told).collect()
}

/// The objects of a file, in their order. `file` is its name in messages; `text` is YAML or JSON.
///
/// # Errors
/// All that cannot be read.
pub fn objects(file: &str, text: &str) -> Result<Vec<Value>, Vec<Finding>> {
    let file: Arc<str> = file.into();
    let stream = yaml::read(text);
    let problems = problems(&file, stream.problems);
    if !problems.is_empty() {
        return Err(problems);
    }
    let roots = stream.roots.into_iter();
    Ok(roots
        .map(|root| source::split(Arc::clone(&file), root).0)
        .collect())
}

fn check(value: &Value, report: &mut Report<'_>) {
    let Some(rollout) = read_typed::<Rollout>(value, "", Strictness::Lint, report) else {
        return;
    };
    if let Err(why) = reconcile::lint(&rollout) {
        let (path, message) = match why.split_once(": ") {
            Some((path, message)) if path.starts_with("spec.") => (path, message),
            _ => ("", &*why),
        };
        report.error(path, message);
    }
}

#[cfg(test)]
mod tests {
    use super::check_cluster;

    #[test]
    fn rollouts_are_checked_where_they_are_written() {
        let service = "apiVersion: v1\nkind: Service\nmetadata: {name: shop}\n---\n";
        let rollout = |steps: &str| {
            format!(
                "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {{name: shop}}\nspec:\n\
                 \x20 selector: {{matchLabels: {{app: shop}}}}\n\
                 \x20 template: {{metadata: {{labels: {{app: shop}}}}, spec: {{containers: []}}}}\n\
                 \x20 strategy:\n    canary:\n      steps:\n{steps}"
            )
        };
        for (text, rollouts, expected) in [
            (service.to_owned(), 0, &[][..]),
            (rollout("      - setWeight: 20\n"), 1, &[]),
            (
                service.to_owned() + &rollout("      - setWeight: 20\n      - setWeight: 120\n"),
                1,
                &[
                    "f:15:9: error: spec.strategy.canary.steps[1].setWeight: found 120, allowed 0 to 100",
                ],
            ),
            (
                rollout("      - setWeigth: 20\n"),
                1,
                &["f:10:9: error: spec.strategy.canary.steps[0].setWeigth: is no known field"],
            ),
            (rollout("      - setWeight: [\n"), 0, &["f:11:1: error: "]),
        ] {
            let (findings, found) = check_cluster("f", &text);
            assert_eq!(found, rollouts, "{text}");
            let lines: Vec<_> = findings.iter().map(ToString::to_string).collect();
            for (place, start) in expected.iter().enumerate() {
                let is_there = lines.get(place).is_some_and(|line| line.starts_with(start));
                assert!(is_there, "{lines:#?}");
            }
            assert_eq!(lines.is_empty(), expected.is_empty(), "{lines:#?}");
        }
    }
}
