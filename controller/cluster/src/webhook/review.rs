//! What is answered to an `AdmissionReview`. Pure.
//!
//! A Rollout is refused when the controller would hold it as `InvalidSpec`, and only where that would be news: what is
//! invalid already can be changed step by step, as each step leaves it as it is in effect.
//! <https://kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers/>

#[cfg(test)]
mod tests;

use crate::{objects, watch::Scope};
use controller::reconcile;
use kube::core::DynamicObject;
use serde::Deserialize;
use serde_json::{Value, json};

const API_VERSION: &str = "admission.k8s.io/v1";
const KIND: &str = "AdmissionReview";

/// A review, as far as it is looked at.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Review {
    api_version: String,
    kind: String,
    request: Request,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    uid: String,
    resource: Resource,
    #[serde(default)]
    sub_resource: String,
    #[serde(default)]
    namespace: String,
    operation: String,
    object: Option<DynamicObject>,
    old_object: Option<DynamicObject>,
}

#[derive(Debug, Deserialize)]
struct Resource {
    group: String,
    resource: String,
}

/// Why something is no review.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    /// It is no JSON, or lacks what a review has.
    #[error("no {KIND} of {API_VERSION}: {0}")]
    Json(#[from] serde_json::Error),
    /// It is something else.
    #[error("found {kind} of {api_version}, allowed {KIND} of {API_VERSION}")]
    Other {
        /// What it says that it is.
        kind: String,
        /// Of which version.
        api_version: String,
    },
    /// It is not said what is answered.
    #[error("request.uid: found \"\", allowed what an API server writes")]
    Nameless,
}

/// What is answered to a review.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    uid: String,
    /// What comes of it.
    pub(super) verdict: Verdict,
}

/// What comes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Allowed,
    /// It was invalid before and is still, for this reason.
    AllowedStill(String),
    /// For this reason.
    Denied(String),
}

/// Answers the review in `body`, for whom looks after the Rollouts of `scope`.
///
/// # Errors
/// When it is no review.
pub(super) fn answer(body: &[u8], scope: &Scope) -> Result<Answer, Unreadable> {
    let review: Review = serde_json::from_slice(body)?;
    if review.kind != KIND || review.api_version != API_VERSION {
        return Err(Unreadable::Other {
            kind: review.kind,
            api_version: review.api_version,
        });
    }
    if review.request.uid.is_empty() {
        return Err(Unreadable::Nameless);
    }
    Ok(Answer {
        uid: review.request.uid.clone(),
        verdict: judge(review.request, scope),
    })
}

fn judge(request: Request, scope: &Scope) -> Verdict {
    let is_looked_at = is_rollout(&request)
        && scope
            .namespace
            .as_ref()
            .is_none_or(|namespace| *namespace == request.namespace);
    let Some(new) = request.object.filter(|_| is_looked_at) else {
        return Verdict::Allowed;
    };
    let is_ours = scope.instance.looks_after(new.metadata.labels.as_ref());
    let old = match request.operation.as_str() {
        "CREATE" => None,
        "UPDATE" => request.old_object,
        _ => return Verdict::Allowed,
    };
    let is_same = old.as_ref().is_some_and(|old| spec(old) == spec(&new));
    if !is_ours || is_same || new.metadata.deletion_timestamp.is_some() {
        return Verdict::Allowed;
    }
    match (held(new), old.and_then(held)) {
        (None, _) => Verdict::Allowed,
        (Some(why), None) => Verdict::Denied(why),
        (Some(why), Some(_)) => Verdict::AllowedStill(why),
    }
}

fn is_rollout(request: &Request) -> bool {
    let Resource { group, resource } = &request.resource;
    group == "argoproj.io" && resource == "rollouts" && request.sub_resource.is_empty()
}

fn spec(object: &DynamicObject) -> Option<&Value> {
    object.data.get("spec")
}

/// Why the controller would leave a Rollout as it is, if it would.
fn held(object: DynamicObject) -> Option<String> {
    match objects::read(object) {
        Ok(rollout) => reconcile::lint(&rollout).err(),
        Err(why) => Some(why.to_string()),
    }
}

impl Answer {
    /// The answer, as a review.
    pub(super) fn review(&self) -> Value {
        let mut response = json!({"uid": self.uid, "allowed": true});
        match &self.verdict {
            Verdict::Allowed => {}
            Verdict::AllowedStill(why) => {
                response["warnings"] = json!([format!("still invalid: {why}")]);
            }
            Verdict::Denied(why) => {
                response["allowed"] = false.into();
                // As where the definition of Rollouts refuses one.
                response["status"] = json!({
                    "status": "Failure", "reason": "Invalid", "code": 422, "message": why,
                });
            }
        }
        json!({"apiVersion": API_VERSION, "kind": KIND, "response": response})
    }
}
