//! The Service by which an API server finds the webhook.

use std::{fmt, str::FromStr};

/// A Service's name, and its namespace where that is said: `NAMESPACE/NAME` or `NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceName {
    namespace: Option<String>,
    name: String,
}

/// What is no Service's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "found {0:?}, allowed NAMESPACE/NAME or NAME, each of 1 to 63 small letters, digits and `-`, the first and the last no `-`"
)]
pub struct NoServiceName(String);

impl FromStr for ServiceName {
    type Err = NoServiceName;

    fn from_str(written: &str) -> Result<Self, NoServiceName> {
        let (namespace, name) = match written.split_once('/') {
            Some((namespace, name)) => (Some(namespace), name),
            None => (None, written),
        };
        if !is_label(name) || namespace.is_some_and(|namespace| !is_label(namespace)) {
            return Err(NoServiceName(written.to_owned()));
        }
        Ok(Self {
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
        })
    }
}

impl ServiceName {
    /// The Service: that of the namespace `default`, where none is said.
    pub fn within(self, default: &str) -> Service {
        Service {
            namespace: self.namespace.unwrap_or_else(|| default.to_owned()),
            name: self.name,
        }
    }
}

/// The Service of the webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its namespace, where the Secret is, too.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for Service {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{}/{}", self.namespace, self.name)
    }
}

impl Service {
    /// The Secret that all processes share.
    pub(super) fn secret(&self) -> String {
        format!("{}-certs", self.name)
    }

    /// What an API server calls it by, the first of them as it does by itself.
    pub(super) fn hosts(&self) -> [String; 2] {
        let Self { namespace, name } = self;
        [
            format!("{name}.{namespace}.svc"),
            format!("{name}.{namespace}.svc.cluster.local"),
        ]
    }
}

/// Whether it is a label of a host name (RFC 1123), as names of Services and namespaces are.
fn is_label(text: &str) -> bool {
    let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=63).contains(&text.len())
        && text.chars().all(is_inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::ServiceName;

    #[test]
    fn services_are_named_with_or_without_a_namespace() {
        for (written, expected) in [
            ("hook", Some("hook.here.svc")),
            ("sluice/hook-2", Some("hook-2.sluice.svc")),
            ("", None),
            ("/hook", None),
            ("sluice/", None),
            ("a/b/c", None),
            ("Hook", None),
            ("-hook", None),
            ("hook.sluice", None),
            (&"a".repeat(64), None),
        ] {
            let read = written.parse::<ServiceName>().ok();
            let host = read.map(|name| name.within("here").hosts()[0].clone());
            assert_eq!(host.as_deref(), expected, "{written}");
        }
    }
}
