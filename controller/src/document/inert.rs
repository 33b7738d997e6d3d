//! Fields of the rollout API that a standalone process knows and does not act on.
//!
//! Nothing of what an operator wrote is ignored in silence: each such field is told. Where a
//! rollout without the field would be less safe than the one that was written, it is an error.

use serde_json::Value;

use super::Severity::{self, Error, Warning};
use super::report::Report;

const NO_PODS: &str = "has no effect here: a standalone process runs no pods";
const NOT_THE_ROUTER: &str = "does not act here: this process itself shifts the traffic";
const LESS_SAFE: &str =
    "does not act yet, and without it the rollout would be less safe than it is written";

/// How bad it is that fields do not act, why they do not, and which fields.
const INERT: [(Severity, &str, &[&str]); 6] = [
    (
        Warning,
        NO_PODS,
        &[
            "spec.replicas",
            "spec.selector",
            "spec.minReadySeconds",
            "spec.revisionHistoryLimit",
            "spec.restartAt",
            "spec.strategy.canary.maxUnavailable",
            "spec.strategy.canary.maxSurge",
            "spec.strategy.canary.antiAffinity",
            "spec.strategy.canary.canaryMetadata",
            "spec.strategy.canary.stableMetadata",
            "spec.strategy.canary.scaleDownDelayRevisionLimit",
            "spec.strategy.canary.abortScaleDownDelaySeconds",
            "spec.strategy.canary.dynamicStableScale",
            "spec.strategy.canary.minPodsPerReplicaSet",
            "spec.strategy.canary.replicaProgressThreshold",
            "spec.strategy.canary.steps[*].setCanaryScale",
            "spec.strategy.blueGreen.previewReplicaCount",
            "spec.strategy.blueGreen.maxUnavailable",
            "spec.strategy.blueGreen.scaleDownDelayRevisionLimit",
            "spec.strategy.blueGreen.antiAffinity",
            "spec.strategy.blueGreen.previewMetadata",
            "spec.strategy.blueGreen.activeMetadata",
            "spec.strategy.blueGreen.abortScaleDownDelaySeconds",
        ],
    ),
    (
        Warning,
        NOT_THE_ROUTER,
        &[
            "spec.strategy.canary.trafficRouting.istio",
            "spec.strategy.canary.trafficRouting.nginx",
            "spec.strategy.canary.trafficRouting.alb",
            "spec.strategy.canary.trafficRouting.smi",
            "spec.strategy.canary.trafficRouting.ambassador",
            "spec.strategy.canary.trafficRouting.appMesh",
            "spec.strategy.canary.trafficRouting.traefik",
            "spec.strategy.canary.trafficRouting.apisix",
        ],
    ),
    (
        Error,
        LESS_SAFE,
        &[
            "spec.strategy.canary.analysis",
            "spec.strategy.canary.steps[*].analysis",
            "spec.strategy.canary.steps[*].experiment",
            "spec.strategy.blueGreen.prePromotionAnalysis",
            "spec.strategy.blueGreen.postPromotionAnalysis",
        ],
    ),
    (
        Warning,
        "does not act yet: there are no analysis runs to keep",
        &["spec.analysis"],
    ),
    (
        Warning,
        "has no effect here: a standalone process reads no workloads, so that no change of one \
         starts a rollout",
        &["spec.workloadRef"],
    ),
    (
        Warning,
        "has no effect here: the state file holds the state",
        &["status"],
    ),
];

/// Tells every field of a Rollout that is set and does not act.
pub(super) fn check(document: &Value, report: &mut Report<'_>) {
    for (severity, why, patterns) in INERT {
        for path in patterns
            .iter()
            .flat_map(|pattern| matches(document, pattern))
        {
            report.add(severity, path, why.to_owned());
        }
    }
    let plugins = document.pointer("/spec/strategy/canary/trafficRouting/plugins");
    for name in plugins
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(|plugins| plugins.keys())
    {
        if name != crds::sluice::PROXY {
            let path =
                crds::FieldPath::parse("spec.strategy.canary.trafficRouting.plugins").key(name);
            report.warning(path.to_string(), NOT_THE_ROUTER);
        }
    }
}

/// The paths of the fields that are set and match; `[*]` stands for each item of a list.
fn matches(document: &Value, pattern: &str) -> Vec<String> {
    let is_set_at = |document: &Value, path: &str| {
        let pointer = format!("/{}", path.replace('.', "/"));
        document.pointer(&pointer).is_some_and(is_set)
    };
    let Some((list, field)) = pattern.split_once("[*].") else {
        return is_set_at(document, pattern)
            .then(|| pattern.to_owned())
            .into_iter()
            .collect();
    };
    let items = document.pointer(&format!("/{}", list.replace('.', "/")));
    let items = items.and_then(Value::as_array).into_iter().flatten();
    items
        .enumerate()
        .filter(|(_, item)| is_set_at(item, field))
        .map(|(index, _)| format!("{list}[{index}].{field}"))
        .collect()
}

fn is_set(value: &Value) -> bool {
    !value.is_null()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every field of the API, as the types are tested with.
    const FIELDS: [&str; 2] = [
        include_str!("../../../crds/tests/fields/canary.json"),
        include_str!("../../../crds/tests/fields/blue-green.json"),
    ];

    const ACTS: [&str; 26] = [
        "spec.template",
        "spec.paused",
        "spec.rollbackWindow",
        "spec.progressDeadlineSeconds",
        "spec.progressDeadlineAbort",
        "spec.strategy",
        "spec.strategy.canary",
        "spec.strategy.canary.scaleDownDelaySeconds",
        "spec.strategy.blueGreen",
        "spec.strategy.blueGreen.activeService",
        "spec.strategy.blueGreen.previewService",
        "spec.strategy.blueGreen.autoPromotionEnabled",
        "spec.strategy.blueGreen.autoPromotionSeconds",
        "spec.strategy.blueGreen.scaleDownDelaySeconds",
        "spec.strategy.canary.canaryService",
        "spec.strategy.canary.stableService",
        "spec.strategy.canary.pingPong",
        "spec.strategy.canary.steps",
        "spec.strategy.canary.steps[*].setWeight",
        "spec.strategy.canary.steps[*].pause",
        "spec.strategy.canary.steps[*].setHeaderRoute",
        "spec.strategy.canary.steps[*].setMirrorRoute",
        "spec.strategy.canary.trafficRouting",
        "spec.strategy.canary.trafficRouting.managedRoutes",
        // These act or are told by their own values.
        "spec.strategy.canary.trafficRouting.plugins",
        "spec.strategy.canary.trafficRouting.maxTrafficWeight",
    ];

    fn fields_of<'v>(value: &'v Value, path: &str) -> impl Iterator<Item = String> + 'v {
        let path = path.to_owned();
        let fields = value
            .as_object()
            .into_iter()
            .flat_map(|fields| fields.keys());
        fields.map(move |field| format!("{path}.{field}"))
    }

    #[test]
    fn every_field_of_the_api_acts_or_is_told() {
        let mut fields = BTreeSet::new();
        for text in FIELDS {
            let document: Value = serde_json::from_str(text).unwrap();
            fields.extend(fields_of(&document["spec"], "spec"));
            fields.extend(fields_of(&document["spec"]["strategy"], "spec.strategy"));
            let blue_green = &document["spec"]["strategy"]["blueGreen"];
            fields.extend(fields_of(blue_green, "spec.strategy.blueGreen"));
            let canary = &document["spec"]["strategy"]["canary"];
            let path = "spec.strategy.canary";
            fields.extend(fields_of(canary, path));
            fields.extend(fields_of(
                &canary["trafficRouting"],
                &format!("{path}.trafficRouting"),
            ));
            for step in canary["steps"].as_array().into_iter().flatten() {
                fields.extend(fields_of(step, &format!("{path}.steps[*]")));
            }
        }
        // A plugin step acts or is told by its name.
        fields.remove("spec.strategy.canary.steps[*].plugin");
        let told = INERT.iter().flat_map(|(.., paths)| *paths).copied();
        let known = told.filter(|path| *path != "status").chain(ACTS);
        let known: BTreeSet<_> = known.map(str::to_owned).collect();
        assert_eq!(fields, known);
    }
}
