//! Which rollout a person means.

use std::fmt;
use std::str::FromStr;

use crate::api::RolloutView;

/// A rollout as named on the command line: `name` or `namespace/name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    namespace: Option<String>,
    name: String,
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (namespace, name) = match text.split_once('/') {
            Some((namespace, name)) => (Some(namespace), name),
            None => (None, text),
        };
        if !namespace.is_none_or(is_object_name) || !is_object_name(name) {
            return Err(
                "allowed is NAME or NAMESPACE/NAME, of letters, digits, `-` and `.`".into(),
            );
        }
        Ok(Self {
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(namespace) = &self.namespace {
            write!(f, "{namespace}/")?;
        }
        f.write_str(&self.name)
    }
}

/// Also keeps what was typed from changing the path of a URL.
fn is_object_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-._".contains(c))
        && !text.starts_with('.')
}

/// The one rollout of `all` that is meant, looking only in `namespace` when one is given.
///
/// # Errors
/// In words for the person who typed it: none is there, or more than one is.
pub(crate) fn choose<'a>(
    all: &'a [RolloutView],
    target: Option<&Target>,
    namespace: Option<&str>,
) -> Result<&'a RolloutView, String> {
    let mentioned = target.and_then(|target| target.namespace.as_deref());
    if let (Some(mentioned), Some(namespace)) = (mentioned, namespace)
        && mentioned != namespace
    {
        return Err(format!(
            "the rollout is said to be in namespace {mentioned}, but --namespace is {namespace}"
        ));
    }
    let namespace = mentioned.or(namespace);
    let candidates: Vec<&RolloutView> = all
        .iter()
        .filter(|view| namespace.is_none_or(|namespace| view.namespace == namespace))
        .filter(|view| target.is_none_or(|target| view.name == target.name))
        .collect();
    match (candidates.as_slice(), target) {
        ([one], _) => Ok(one),
        ([], None) => Err("no rollout is there".into()),
        ([], Some(target)) => Err(format!(
            "no rollout {target}; there {}",
            inventory(all.iter())
        )),
        (several, None) => Err(format!(
            "say which rollout: there {}",
            inventory(several.iter().copied())
        )),
        (several, Some(target)) => Err(format!(
            "{target} is not clear: there {}; say namespace/name",
            inventory(several.iter().copied())
        )),
    }
}

/// `is default/a`, `are default/a, default/b`, and no more of them than fit a line.
fn inventory<'a>(views: impl Iterator<Item = &'a RolloutView>) -> String {
    const SHOWN: usize = 5;
    let names: Vec<String> = views
        .map(|view| format!("{}/{}", view.namespace, view.name))
        .collect();
    let verb = if names.len() == 1 { "is" } else { "are" };
    match names.len() {
        0 => "is none".into(),
        n if n > SHOWN => format!(
            "{verb} {} and {} more",
            names[..SHOWN].join(", "),
            n - SHOWN
        ),
        _ => format!("{verb} {}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests;
