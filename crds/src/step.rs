//! The steps of a canary.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::analysis::Analysis;
use crate::crd::FreeObject;
use crate::duration::{self, ParseError};
use crate::experiment::ExperimentStep;
use crate::lenient;
use crate::{IntOrString, StringMatch};

/// One step of a canary. Exactly one field is to be set; [`CanaryStep::action`] tells which.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CanaryStep {
    /// The canary's share of the traffic in percent, 0 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set_weight: Option<i32>,
    /// Waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pause: Option<Pause>,
    /// Runs short-lived versions beside the canary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub experiment: Option<ExperimentStep>,
    /// Runs an analysis and waits for its verdict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub analysis: Option<Analysis>,
    /// Sets how many pods the canary has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set_canary_scale: Option<SetCanaryScale>,
    /// Sends all requests with certain headers to the canary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set_header_route: Option<SetHeaderRoute>,
    /// Sends copies of certain requests to the canary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set_mirror_route: Option<SetMirrorRoute>,
    /// Something else, by the name of what does it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin: Option<PluginStep>,
}

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum StepAction<'s> {
    /// The canary's share of the traffic in percent.
    SetWeight(i32),
    /// Waits.
    Pause(&'s Pause),
    /// Runs short-lived versions beside the canary.
    Experiment(&'s ExperimentStep),
    /// Runs an analysis and waits for its verdict.
    Analysis(&'s Analysis),
    /// Sets how many pods the canary has.
    SetCanaryScale(&'s SetCanaryScale),
    /// Sends all requests with certain headers to the canary.
    SetHeaderRoute(&'s SetHeaderRoute),
    /// Sends copies of certain requests to the canary.
    SetMirrorRoute(&'s SetMirrorRoute),
    /// Something else, by the name of what does it.
    Plugin(&'s PluginStep),
}

impl StepAction<'_> {
    /// Every name a step's field can have.
    pub const NAMES: [&'static str; 8] = [
        "setWeight",
        "pause",
        "experiment",
        "analysis",
        "setCanaryScale",
        "setHeaderRoute",
        "setMirrorRoute",
        "plugin",
    ];

    /// The name of the step's field.
    pub fn name(&self) -> &'static str {
        match self {
            Self::SetWeight(_) => "setWeight",
            Self::Pause(_) => "pause",
            Self::Experiment(_) => "experiment",
            Self::Analysis(_) => "analysis",
            Self::SetCanaryScale(_) => "setCanaryScale",
            Self::SetHeaderRoute(_) => "setHeaderRoute",
            Self::SetMirrorRoute(_) => "setMirrorRoute",
            Self::Plugin(_) => "plugin",
        }
    }
}

/// A step that does not do exactly one thing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("found {}, allowed exactly one of {}", found_names(.found), StepAction::NAMES.join(", "))]
pub struct NotOneAction {
    /// The names of the fields that are set.
    pub found: Vec<&'static str>,
}

fn found_names(found: &[&str]) -> String {
    if found.is_empty() {
        "none".to_owned()
    } else {
        found.join(", ")
    }
}

impl CanaryStep {
    /// The one thing this step does.
    ///
    /// # Errors
    /// When no field is set, or more than one.
    pub fn action(&self) -> Result<StepAction<'_>, NotOneAction> {
        let actions = self.actions();
        match actions.as_slice() {
            [action] => Ok(*action),
            _ => Err(NotOneAction {
                found: actions.iter().map(StepAction::name).collect(),
            }),
        }
    }

    fn actions(&self) -> Vec<StepAction<'_>> {
        [
            self.set_weight.map(StepAction::SetWeight),
            self.pause.as_ref().map(StepAction::Pause),
            self.experiment.as_ref().map(StepAction::Experiment),
            self.analysis.as_ref().map(StepAction::Analysis),
            self.set_canary_scale
                .as_ref()
                .map(StepAction::SetCanaryScale),
            self.set_header_route
                .as_ref()
                .map(StepAction::SetHeaderRoute),
            self.set_mirror_route
                .as_ref()
                .map(StepAction::SetMirrorRoute),
            self.plugin.as_ref().map(StepAction::Plugin),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// Waits for a time, or until the rollout is promoted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Pause {
    /// How long: seconds as a number or a text, or a text with a unit such as `5m` or `1h`.
    /// Absent means until promoted. [`Pause::duration`] reads it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<IntOrString>,
}

impl Pause {
    /// How long to wait; `None` means until promoted.
    ///
    /// # Errors
    /// When the text is no duration, or is negative.
    pub fn duration(&self) -> Result<Option<Duration>, ParseError> {
        let Some(written) = &self.duration else {
            return Ok(None);
        };
        let seconds = match written {
            IntOrString::Int(number) => u64::try_from(*number).ok().map(Duration::from_secs),
            IntOrString::String(text) => match text.parse::<i32>() {
                Ok(number) => u64::try_from(number).ok().map(Duration::from_secs),
                Err(_) => duration::parse(text).ok(),
            },
        };
        seconds.map(Some).ok_or_else(|| ParseError {
            found: written.to_string(),
            allowed: "seconds as in 30, or a duration such as 30s, 5m or 1h",
        })
    }
}

/// Sets how many pods the canary has. One of the three is to be set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SetCanaryScale {
    /// In percent of the wanted pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<i32>,
    /// In pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// As the weight of the traffic asks for.
    #[serde(default, deserialize_with = "lenient::flag")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub match_traffic_weight: Option<bool>,
}

/// Sends all requests with certain headers to the canary.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SetHeaderRoute {
    /// The route's name, which must be one of `trafficRouting.managedRoutes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The headers. A request needs to match only one entry. None removes the route.
    #[serde(rename = "match", default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub matches: Vec<HeaderMatch>,
}

/// A header and how its value must look.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HeaderMatch {
    /// The header's name, in any case.
    pub header_name: String,
    /// How its value must look.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header_value: Option<StringMatch>,
}

/// Sends copies of certain requests to the canary.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SetMirrorRoute {
    /// The route's name, which must be one of `trafficRouting.managedRoutes`.
    pub name: String,
    /// Which requests. A request needs to match only one entry. None removes the route.
    #[serde(rename = "match", default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub matches: Vec<MirrorMatch>,
    /// The share of those requests in percent; default 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percentage: Option<i32>,
}

/// Which requests are copied. All conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MirrorMatch {
    /// The method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<StringMatch>,
    /// The path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<StringMatch>,
    /// The headers, by name.
    #[serde(default, deserialize_with = "lenient::or_default")]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, StringMatch>,
}

/// A step that something else than the rollout controller does.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PluginStep {
    /// What does it, such as `sluice/evidence`.
    pub name: String,
    /// What it needs to know; its own business.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<FreeObject>")]
    pub config: Option<Value>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(value: Value) -> CanaryStep {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_pause_is_read_as_the_api_reads_it() {
        let seconds = |n| Ok(Some(Duration::from_secs(n)));
        let refused = |found: &str| {
            Err(format!(
                "found {found}, allowed seconds as in 30, or a duration such as 30s, 5m or 1h"
            ))
        };
        let cases = [
            (serde_json::json!({}), Ok(None)),
            (serde_json::json!({"duration": null}), Ok(None)),
            (serde_json::json!({"duration": 30}), seconds(30)),
            (serde_json::json!({"duration": "30"}), seconds(30)),
            (serde_json::json!({"duration": "30s"}), seconds(30)),
            (serde_json::json!({"duration": "5m"}), seconds(300)),
            (serde_json::json!({"duration": "1h"}), seconds(3600)),
            (serde_json::json!({"duration": 0}), seconds(0)),
            (serde_json::json!({"duration": -1}), refused("-1")),
            (serde_json::json!({"duration": "-1"}), refused("\"-1\"")),
            (serde_json::json!({"duration": "-1s"}), refused("\"-1s\"")),
            (serde_json::json!({"duration": "soon"}), refused("\"soon\"")),
            (serde_json::json!({"duration": ""}), refused("\"\"")),
            (
                serde_json::json!({"duration": "99999999999"}),
                refused("\"99999999999\""),
            ),
        ];
        for (value, expected) in cases {
            let pause: Pause = serde_json::from_value(value.clone()).unwrap();
            assert_eq!(
                pause.duration().map_err(|e| e.to_string()),
                expected,
                "{value}"
            );
        }
    }

    #[test]
    fn a_step_does_exactly_one_thing() {
        let pause = step(serde_json::json!({"pause": {}}));
        assert_eq!(pause.action().map(|action| action.name()), Ok("pause"));
        let none = step(serde_json::json!({}))
            .action()
            .unwrap_err()
            .to_string();
        assert!(
            none.starts_with("found none, allowed exactly one of setWeight, pause, "),
            "{none}"
        );
        let both = step(serde_json::json!({"pause": {}, "setWeight": 5}));
        assert_eq!(both.action().unwrap_err().found, ["setWeight", "pause"]);
    }
}
