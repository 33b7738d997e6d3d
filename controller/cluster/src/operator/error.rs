//! Why a person's request brings nothing.

use super::PATIENCE;
use crds::Rollout;
use kube::core::{DynamicObject, Status, response::reason};
use serde_json::Value;
use std::fmt;

/// Why a request brings nothing. Says which object, and what to do where that is known.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// There is no such object, or no such kind of objects.
    #[error("{about} is not there{hint}")]
    Missing {
        /// Which object.
        about: String,
        /// Where to look.
        hint: &'static str,
    },
    /// The object was changed since it was read.
    #[error("{about} is being changed by others; try again")]
    Conflict {
        /// Which object.
        about: String,
    },
    /// The API server does not allow it.
    #[error("{about}: the API server refuses: {why}")]
    Refused {
        /// Which object.
        about: String,
        /// In its words.
        why: String,
    },
    /// What there is does not fit what was asked for.
    #[error("{about}: {why}")]
    Unfit {
        /// Which object.
        about: String,
        /// What was found, and what is allowed.
        why: String,
    },
    /// Nobody answers, or nobody who is an API server.
    #[error("{about}: the API server cannot be reached: {why}")]
    Unreachable {
        /// Which object.
        about: String,
        /// Why.
        why: String,
    },
}

impl OperatorError {
    /// Whether the object was changed since it was read: it can be read and told again.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict { .. })
    }
}

/// Which object a request is about: one by name, or all of a kind.
#[derive(Clone, Debug)]
pub(crate) struct About {
    pub(crate) kind: &'static str,
    /// Empty for all.
    pub(crate) name: String,
    pub(crate) namespace: Option<String>,
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.as_str() {
            "" => write!(f, "{}s", self.kind)?,
            name => write!(f, "{} {name:?}", self.kind)?,
        }
        match &self.namespace {
            Some(namespace) => write!(f, " of namespace {namespace:?}"),
            None => f.write_str(" of all namespaces"),
        }
    }
}

impl About {
    /// An object that was read.
    pub(super) fn value(
        &self,
        read: Result<DynamicObject, Option<kube::Error>>,
    ) -> Result<Value, OperatorError> {
        let object = read.map_err(|why| self.failed(why))?;
        serde_json::to_value(object).map_err(|why| self.unfit(&why))
    }

    pub(crate) fn unfit(&self, why: &dyn fmt::Display) -> OperatorError {
        OperatorError::Unfit {
            about: self.to_string(),
            why: why.to_string(),
        }
    }

    /// Why there is no answer, or which; none is that nobody answered in time.
    pub(crate) fn failed(&self, why: Option<kube::Error>) -> OperatorError {
        match why {
            Some(kube::Error::Api(status)) => self.answered(&status),
            Some(why) => self.unreachable(causes(&why)),
            None => self.unreachable(format!("no answer within {PATIENCE:?}")),
        }
    }

    fn unreachable(&self, why: String) -> OperatorError {
        OperatorError::Unreachable {
            about: self.to_string(),
            why,
        }
    }

    fn answered(&self, status: &Status) -> OperatorError {
        let about = self.to_string();
        let is_named = !self.name.is_empty();
        match status.code {
            404 if is_named && status.reason == reason::NOT_FOUND => OperatorError::Missing {
                about,
                hint: match self.kind {
                    Rollout::KIND => "; `list rollouts -A` shows which Rollouts are",
                    _ => "",
                },
            },
            404 => OperatorError::Missing {
                about,
                hint: ": the cluster does not know that kind; `kubectl apply --server-side -f crds/` teaches it",
            },
            409 if status.reason == reason::ALREADY_EXISTS => OperatorError::Refused {
                about,
                why: "it is there already".to_owned(),
            },
            409 => OperatorError::Conflict { about },
            _ => OperatorError::Refused {
                about,
                why: status.message.clone(),
            },
        }
    }
}

/// An error with what caused it, each once.
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text += ": ";
            text += &said;
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::About;
    use kube::core::Status;

    #[test]
    fn who_reads_it_knows_which_object_and_what_to_do() {
        let about = |name: &str, namespace: Option<&str>| About {
            kind: "Rollout",
            name: name.to_owned(),
            namespace: namespace.map(str::to_owned),
        };
        let answer = |code: u16, reason: &str| {
            let status = Status::failure("no such rights", reason).with_code(code);
            Some(kube::Error::Api(Box::new(status)))
        };
        let shop = || about("shop", Some("prod"));
        for (about, why, expected) in [
            (
                shop(),
                answer(404, "NotFound"),
                "Rollout \"shop\" of namespace \"prod\" is not there; `list rollouts -A` shows which Rollouts are",
            ),
            (
                about("", None),
                answer(404, "NotFound"),
                "Rollouts of all namespaces is not there: the cluster does not know that kind; \
                 `kubectl apply --server-side -f crds/` teaches it",
            ),
            (
                shop(),
                answer(409, "Conflict"),
                "Rollout \"shop\" of namespace \"prod\" is being changed by others; try again",
            ),
            (
                shop(),
                answer(409, "AlreadyExists"),
                "Rollout \"shop\" of namespace \"prod\": the API server refuses: it is there already",
            ),
            (
                shop(),
                answer(403, "Forbidden"),
                "Rollout \"shop\" of namespace \"prod\": the API server refuses: no such rights",
            ),
            (
                shop(),
                None,
                "Rollout \"shop\" of namespace \"prod\": the API server cannot be reached: no answer within 10s",
            ),
        ] {
            assert_eq!(about.failed(why).to_string(), expected);
        }
    }
}
