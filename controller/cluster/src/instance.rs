//! Which Rollouts are looked after, where several controllers share a cluster.

use std::collections::BTreeMap;

/// The label that says which controller looks after a Rollout: that of Argo Rollouts.
const LABEL: &str = "argo-rollouts.argoproj.io/controller-instance-id";

/// The name of a controller among several. One without a name looks after the Rollouts that name none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Instance(Option<String>);

/// What cannot be the name of a controller.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "found `{0}`, allowed are 1 to 63 letters, digits, `-`, `_` and `.`, a letter or digit first and last"
)]
pub struct NoInstance(String);

impl Instance {
    /// The controller of that name. It must be the value of a label
    /// (<https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/>).
    ///
    /// # Errors
    /// When it cannot be.
    pub fn named(name: &str) -> Result<Self, NoInstance> {
        let is_inner = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let is_outer = |c: char| c.is_ascii_alphanumeric();
        let is_value = (1..=63).contains(&name.len())
            && name.chars().all(is_inner)
            && name.starts_with(is_outer)
            && name.ends_with(is_outer);
        match is_value {
            true => Ok(Self(Some(name.to_owned()))),
            false => Err(NoInstance(name.to_owned())),
        }
    }

    /// Its name, if it has one.
    pub fn name(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// The label by which objects are its own; none where those without a label are.
    pub fn label(&self) -> Option<(&'static str, &str)> {
        self.0.as_deref().map(|name| (LABEL, name))
    }

    /// Selects its Rollouts.
    pub(crate) fn selector(&self) -> String {
        match &self.0 {
            Some(name) => format!("{LABEL}={name}"),
            None => format!("!{LABEL}"),
        }
    }

    /// Whether it looks after a Rollout with these labels.
    pub(crate) fn looks_after(&self, labels: Option<&BTreeMap<String, String>>) -> bool {
        labels.and_then(|labels| labels.get(LABEL)) == self.0.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::{Instance, LABEL};
    use std::collections::BTreeMap;

    #[test]
    fn each_looks_after_its_own() {
        let labelled = BTreeMap::from([(LABEL.to_owned(), "blue".to_owned())]);
        let bare = BTreeMap::from([("app".to_owned(), "blue".to_owned())]);
        let (blue, green) = (
            Instance::named("blue").unwrap(),
            Instance::named("green").unwrap(),
        );
        for (instance, labels, expected) in [
            (&blue, Some(&labelled), true),
            (&green, Some(&labelled), false),
            (&blue, Some(&bare), false),
            (&blue, None, false),
            (&Instance::default(), Some(&labelled), false),
            (&Instance::default(), Some(&bare), true),
            (&Instance::default(), None, true),
        ] {
            assert_eq!(
                instance.looks_after(labels),
                expected,
                "{instance:?} {labels:?}"
            );
        }
    }

    #[test]
    fn names_are_values_of_labels() {
        for name in ["a", "argo-rollouts-e2e", "A.b_9"] {
            assert_eq!(Instance::named(name).unwrap().name(), Some(name));
        }
        for name in ["", "-a", "a-", "a b", "a,b", "ä", &"a".repeat(64)] {
            Instance::named(name).unwrap_err();
        }
    }
}
