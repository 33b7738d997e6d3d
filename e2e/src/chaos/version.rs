//! A version of a Rollout: how it behaves, and so how it must end.

use super::kind::Kind;
use serde_json::{Value, json};

/// How long a version without a ready pod may take, in seconds.
const DEADLINE: u32 = 12;
/// The step of canaries at which those wait for a person that are to be aborted by one.
pub(super) const WAITS_AT: i64 = 3;

/// How a version ends at the first try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// All pods are of it.
    Promoted,
    /// It is a good one, but somebody aborts it in the middle.
    Aborted,
    /// Its pods never become ready, so that its time passes.
    Late,
    /// Its answers fail, so that it is convicted by what its users got.
    Convicted,
}

/// A version.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Version {
    /// Its number, which is that of the Rollout's revision.
    pub(super) revision: u32,
    pub(super) end: End,
    /// Whether somebody tries it once more after it was aborted.
    pub(super) is_retried: bool,
    /// Whether evidence decides when its steps are over, and not time.
    is_paced: bool,
    /// The share of its answers that fail.
    failures: f64,
}

impl Version {
    /// The first one of a Rollout, which nothing is compared with.
    pub(super) const fn first() -> Self {
        Self {
            revision: 1,
            end: End::Promoted,
            is_retried: false,
            is_paced: false,
            failures: 0.0,
        }
    }

    /// One of a Rollout of this kind.
    pub(super) fn drawn(revision: u32, kind: Kind, random: &mut fastrand::Rng) -> Self {
        let end = match (random.u32(..10), kind) {
            (0..4, _) => End::Promoted,
            (4..6, Kind::Routed) => End::Convicted,
            (4..6, _) => End::Promoted,
            (6..8, _) => End::Aborted,
            (8, Kind::Routed) => End::Convicted,
            _ => End::Late,
        };
        Self {
            revision,
            end,
            is_retried: end != End::Promoted && random.bool(),
            is_paced: random.bool(),
            failures: match end {
                End::Convicted => [0.5, 0.75, 1.0][random.usize(..3)],
                _ => 0.0,
            },
        }
    }

    /// Whether it is stable in the end.
    pub(super) fn is_promoted(&self) -> bool {
        match self.end {
            End::Promoted => true,
            End::Aborted => self.is_retried,
            End::Late | End::Convicted => false,
        }
    }

    /// Its name, which says how it ends. It is what its pods answer with.
    pub(super) fn name(&self) -> String {
        let word = match (self.end, self.is_retried) {
            (End::Promoted, _) => "good",
            (End::Aborted, false) => "aborted",
            (End::Aborted, true) => "retried",
            (End::Late, _) => "late",
            (End::Convicted, _) => "convicted",
        };
        format!("{word}-{}", self.revision)
    }

    fn image(&self, kind: Kind) -> String {
        let name = self.name();
        match (self.end, kind) {
            (End::Late, _) => format!("sluice/{name}:missing"),
            (_, Kind::Routed) => format!("sluice/{name}/demo:{name}"),
            _ => format!("sluice/{name}:1"),
        }
    }

    /// The Rollout `name` with this version.
    pub(super) fn object(&self, name: &str) -> Value {
        let kind = Kind::of(name);
        let deadline = match self.end {
            End::Late => DEADLINE,
            End::Promoted | End::Aborted | End::Convicted => 600,
        };
        json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": name},
            "spec": {
                "replicas": kind.replicas(),
                "progressDeadlineSeconds": deadline,
                "progressDeadlineAbort": true,
                "selector": {"matchLabels": {"app": name}},
                "strategy": self.strategy(name),
                "template": {"metadata": {"labels": {"app": name}}, "spec": self.pod(kind)},
            },
        })
    }

    fn pod(&self, kind: Kind) -> Value {
        let mut container = json!({"name": "app", "image": self.image(kind)});
        if kind == Kind::Routed {
            container["env"] =
                json!([{"name": "DEMO_FAILURES", "value": self.failures.to_string()}]);
            // A pod that was ready stays so, however busy the machine is.
            container["readinessProbe"] = json!({
                "httpGet": {"path": "/healthz", "port": 8080},
                "periodSeconds": 1, "timeoutSeconds": 10, "failureThreshold": 30,
            });
        }
        json!({"terminationGracePeriodSeconds": 1, "containers": [container]})
    }

    fn strategy(&self, name: &str) -> Value {
        let waits = self.end == End::Aborted;
        match Kind::of(name) {
            Kind::BlueGreen => json!({"blueGreen": {
                "activeService": name, "autoPromotionEnabled": !waits,
                "scaleDownDelaySeconds": 1, "abortScaleDownDelaySeconds": 1,
            }}),
            Kind::Canary => {
                let pause = match waits {
                    true => json!({"pause": {}}),
                    false => json!({"pause": {"duration": "1s"}}),
                };
                json!({"canary": {"maxSurge": 1, "maxUnavailable": 0, "steps": [
                    {"setWeight": 25}, {"pause": {"duration": "1s"}}, {"setWeight": 50}, pause, {"setWeight": 75},
                ]}})
            }
            Kind::Routed => {
                let step = match self.is_paced {
                    true => {
                        json!({"plugin": {"name": "sluice/evidence", "config": {"harmBudget": 0.2}}})
                    }
                    false => json!({"pause": {"duration": "3s"}}),
                };
                let last = match waits {
                    true => json!({"pause": {}}),
                    false => step.clone(),
                };
                json!({"canary": {
                    "stableService": name, "canaryService": canary_service(name),
                    "trafficRouting": {"plugins": {"sluice/proxy": {"hosts": [host(name)]}}},
                    "scaleDownDelaySeconds": 2, "abortScaleDownDelaySeconds": 2,
                    "steps": [{"setWeight": 20}, step, {"setWeight": 60}, last],
                }})
            }
        }
    }
}

/// The name by which users ask for the Rollout `name`.
pub(super) fn host(name: &str) -> String {
    format!("{name}.example")
}

/// The Service of the canary of the Rollout `name`. That of stable has the Rollout's name.
pub(super) fn canary_service(name: &str) -> String {
    format!("{name}-canary")
}

/// Whether the version `name` is one whose answers fail.
pub(super) fn may_fail(name: &str) -> bool {
    name.starts_with("convicted-")
}

/// What speaks for making a version stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Merit {
    /// It is good.
    Good,
    /// It is good once somebody has tried it again.
    GoodWhenRetried,
    /// Nothing.
    None,
}

impl Merit {
    /// That of the version with an image.
    pub(super) fn of(image: &str) -> Self {
        let name = image.strip_prefix("sluice/").unwrap_or_default();
        match name.split_once('-') {
            Some(("good", _)) => Self::Good,
            Some(("retried", _)) => Self::GoodWhenRetried,
            _ => Self::None,
        }
    }
}
