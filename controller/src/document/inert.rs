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

/// A field, how bad it is that it does not act, and why it does not.
const INERT: [(&str, Severity, &str); 36] = [
    (
        "status",
        Warning,
        "has no effect here: the state file holds the state",
    ),
    ("spec.replicas", Warning, NO_PODS),
    ("spec.selector", Warning, NO_PODS),
    (
        "spec.workloadRef",
        Warning,
        "has no effect here: a standalone process reads no workloads, so that no change of one \
         starts a rollout",
    ),
    ("spec.minReadySeconds", Warning, NO_PODS),
    (
        "spec.rollbackWindow",
        Warning,
        "does not act yet: going back to an older revision goes through all steps",
    ),
    ("spec.revisionHistoryLimit", Warning, NO_PODS),
    ("spec.progressDeadlineSeconds", Warning, NO_PODS),
    ("spec.progressDeadlineAbort", Warning, NO_PODS),
    ("spec.restartAt", Warning, NO_PODS),
    (
        "spec.analysis",
        Warning,
        "does not act yet: there are no analysis runs to keep",
    ),
    (
        "spec.strategy.blueGreen",
        Error,
        "does not act yet: allowed is canary",
    ),
    ("spec.strategy.canary.maxUnavailable", Warning, NO_PODS),
    ("spec.strategy.canary.maxSurge", Warning, NO_PODS),
    ("spec.strategy.canary.analysis", Error, LESS_SAFE),
    ("spec.strategy.canary.antiAffinity", Warning, NO_PODS),
    ("spec.strategy.canary.canaryMetadata", Warning, NO_PODS),
    ("spec.strategy.canary.stableMetadata", Warning, NO_PODS),
    (
        "spec.strategy.canary.scaleDownDelaySeconds",
        Warning,
        NO_PODS,
    ),
    (
        "spec.strategy.canary.scaleDownDelayRevisionLimit",
        Warning,
        NO_PODS,
    ),
    (
        "spec.strategy.canary.abortScaleDownDelaySeconds",
        Warning,
        NO_PODS,
    ),
    ("spec.strategy.canary.dynamicStableScale", Warning, NO_PODS),
    (
        "spec.strategy.canary.minPodsPerReplicaSet",
        Warning,
        NO_PODS,
    ),
    (
        "spec.strategy.canary.replicaProgressThreshold",
        Warning,
        NO_PODS,
    ),
    (
        "spec.strategy.canary.trafficRouting.istio",
        Warning,
        NOT_THE_ROUTER,
    ),
    (
        "spec.strategy.canary.trafficRouting.nginx",
        Warning,
        NOT_THE_ROUTER,
    ),
    (
        "spec.strategy.canary.trafficRouting.alb",
        Warning,
        NOT_THE_ROUTER,
    ),
    (
        "spec.strategy.canary.trafficRouting.smi",
        Warning,
        NOT_THE_ROUTER,
    ),
    (
        "spec.strategy.canary.trafficRouting.ambassador",
        Warning,
        NOT_THE_ROUTER,
    ),
    (
        "spec.strategy.canary.trafficRouting.appMesh",
        Warning,
        NOT_THE_ROUTER,
    ),
    (
        "spec.strategy.canary.trafficRouting.traefik",
        Warning,
        NOT_THE_ROUTER,
    ),
    (
        "spec.strategy.canary.trafficRouting.apisix",
        Warning,
        NOT_THE_ROUTER,
    ),
    ("spec.strategy.canary.steps[*].analysis", Error, LESS_SAFE),
    ("spec.strategy.canary.steps[*].experiment", Error, LESS_SAFE),
    (
        "spec.strategy.canary.steps[*].setMirrorRoute",
        Error,
        LESS_SAFE,
    ),
    (
        "spec.strategy.canary.steps[*].setCanaryScale",
        Warning,
        NO_PODS,
    ),
];

/// Tells every field of a Rollout that is set and does not act.
pub(super) fn check(document: &Value, report: &mut Report<'_>) {
    for (pattern, severity, why) in INERT {
        for path in matches(document, pattern) {
            report.add(severity, path, why.to_owned());
        }
    }
    if document
        .pointer("/spec/paused")
        .is_some_and(|paused| is_set(paused) && *paused != Value::Bool(false))
    {
        report.error(
            "spec.paused",
            format!("{LESS_SAFE}: pause the running rollout in its place"),
        );
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
