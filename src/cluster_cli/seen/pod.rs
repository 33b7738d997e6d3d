//! A pod in one line, in the words of `kubectl get pods`.

use super::{text, time};
use jiff::Timestamp;
use serde_json::Value;

/// A pod of a ReplicaSet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pod {
    pub(crate) name: String,
    pub(crate) created: Timestamp,
    /// `Running`, or what keeps it from that: `CrashLoopBackOff`, `Init:0/1`, `Terminating`.
    pub(crate) state: String,
    /// How many containers are ready, of how many.
    pub(crate) ready: (usize, usize),
    /// How often its containers were restarted.
    pub(crate) restarts: i64,
}

impl Pod {
    pub(super) fn read(object: &Value) -> Self {
        let (meta, status) = (&object["metadata"], &object["status"]);
        let containers = list(&status["containerStatuses"]);
        let inits = list(&status["initContainerStatuses"]);
        let ready = containers.iter().filter(|each| each["ready"] == true);
        let restarts = containers.iter().chain(inits);
        let restarts = restarts.filter_map(|each| each["restartCount"].as_i64());
        Self {
            name: text(&meta["name"]),
            created: time(&meta["creationTimestamp"]),
            state: state(object),
            ready: (ready.count(), list(&object["spec"]["containers"]).len()),
            restarts: restarts.sum(),
        }
    }

    /// Whether it is as it is to be.
    pub(crate) fn is_well(&self) -> bool {
        self.state == "Running" && self.ready.0 == self.ready.1
    }

    /// Whether nothing comes of it by waiting.
    pub(crate) fn is_failing(&self) -> bool {
        let state = self.state.trim_start_matches("Init:");
        let words = [
            "Error",
            "Err",
            "BackOff",
            "Failed",
            "Evicted",
            "InvalidImageName",
        ];
        words.iter().any(|word| state.contains(word))
            || state.starts_with("ExitCode:")
            || state.starts_with("Signal:")
    }
}

fn state(object: &Value) -> String {
    let status = &object["status"];
    if object["metadata"]["deletionTimestamp"].is_string() {
        return match status["reason"].as_str() {
            Some("NodeLost") => "Unknown".to_owned(),
            _ => "Terminating".to_owned(),
        };
    }
    if let Some(state) = initializing(object) {
        return format!("Init:{state}");
    }
    let containers = list(&status["containerStatuses"]);
    if let Some(state) = containers.iter().find_map(stopped)
        && !(state == "Completed" && containers.iter().any(is_running))
    {
        return state;
    }
    let phase = || text(&status["phase"]);
    status["reason"].as_str().map_or_else(phase, str::to_owned)
}

/// What the first container that must end or start before the others does; nothing when they are through.
fn initializing(object: &Value) -> Option<String> {
    let specs = list(&object["spec"]["initContainers"]);
    let statuses = list(&object["status"]["initContainerStatuses"]);
    let is_sidecar = |name: &Value| {
        let mut own = specs.iter().filter(|spec| spec["name"] == *name);
        own.any(|spec| spec["restartPolicy"] == "Always")
    };
    let is_through = |status: &Value| {
        let ended = &status["state"]["terminated"]["exitCode"];
        *ended == 0 || is_sidecar(&status["name"]) && status["started"] == true
    };
    let place = statuses.iter().position(|status| !is_through(status))?;
    let why = stopped(statuses.get(place)?);
    let why = why.filter(|why| why != "PodInitializing");
    Some(why.unwrap_or_else(|| format!("{place}/{}", specs.len())))
}

/// Why a container does not run.
fn stopped(status: &Value) -> Option<String> {
    let state = &status["state"];
    if let Some(reason) = state["waiting"]["reason"].as_str() {
        return Some(reason.to_owned());
    }
    let ended = state.get("terminated")?;
    let reason = ended["reason"].as_str().filter(|reason| !reason.is_empty());
    Some(match (reason, ended["signal"].as_i64().unwrap_or(0)) {
        (Some(reason), _) => reason.to_owned(),
        (None, 0) => format!("ExitCode:{}", ended["exitCode"]),
        (None, signal) => format!("Signal:{signal}"),
    })
}

fn is_running(status: &Value) -> bool {
    status["ready"] == true && status["state"]["running"].is_object()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::Pod;
    use serde_json::{Value, json};

    #[test]
    fn a_pod_is_told_as_kubectl_tells_it() {
        let running = json!({"ready": true, "restartCount": 2, "state": {"running": {}}});
        let waiting = |reason: &str| json!({"state": {"waiting": {"reason": reason}}});
        let ended = |ended: Value| json!({"state": {"terminated": ended}});
        let all = |statuses: Value| json!({"phase": "Running", "containerStatuses": statuses});
        let init = |status: &Value| json!({"phase": "Pending", "initContainerStatuses": [status]});
        for (status, state, well, failing) in [
            (all(json!([running])), "Running", true, false),
            (json!({"phase": "Pending"}), "Pending", false, false),
            (
                json!({"phase": "Failed", "reason": "Evicted"}),
                "Evicted",
                false,
                true,
            ),
            (
                all(json!([waiting("CrashLoopBackOff")])),
                "CrashLoopBackOff",
                false,
                true,
            ),
            (
                all(json!([waiting("ContainerCreating")])),
                "ContainerCreating",
                false,
                false,
            ),
            (
                all(json!([ended(json!({"exitCode": 3}))])),
                "ExitCode:3",
                false,
                true,
            ),
            (
                all(json!([ended(json!({"exitCode": 1, "reason": "Error"}))])),
                "Error",
                false,
                true,
            ),
            (
                all(json!([ended(json!({"exitCode": 137, "signal": 9}))])),
                "Signal:9",
                false,
                true,
            ),
            (
                all(json!([
                    ended(json!({"exitCode": 0, "reason": "Completed"})),
                    running
                ])),
                "Running",
                true,
                false,
            ),
            (init(&waiting("PodInitializing")), "Init:0/1", false, false),
            (
                init(&waiting("ErrImagePull")),
                "Init:ErrImagePull",
                false,
                true,
            ),
            (
                init(&ended(json!({"exitCode": 2}))),
                "Init:ExitCode:2",
                false,
                true,
            ),
            (
                init(&ended(json!({"exitCode": 0}))),
                "Pending",
                false,
                false,
            ),
        ] {
            let object = json!({
                "metadata": {"name": "shop-1"},
                "spec": {"initContainers": [{"name": "init"}], "containers": [{"name": "app"}]},
                "status": status,
            });
            let pod = Pod::read(&object);
            let found = (pod.state.as_str(), pod.is_well(), pod.is_failing());
            assert_eq!(found, (state, well, failing), "{status}");
        }
    }

    #[test]
    fn one_that_is_deleted_goes() {
        let object = json!({
            "metadata": {"name": "shop-1", "deletionTimestamp": "2026-11-29T01:02:03Z"},
            "status": {"phase": "Running"},
        });
        assert_eq!(Pod::read(&object).state, "Terminating");
    }
}
