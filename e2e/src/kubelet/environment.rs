//! A container's environment and command line, as its process gets them.

use k8s_openapi::api::core::v1::{EnvVar, Pod};
use std::{collections::BTreeMap, net::Ipv4Addr};

/// What a container finds on every machine.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A container's environment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Environment(pub(super) BTreeMap<String, String>);

impl Environment {
    /// Of a container with the variables `declared`, in `pod` at `ip`. References to fields of the Pod are followed; those to
    /// other objects are empty.
    pub(super) fn new(pod: &Pod, ip: Ipv4Addr, declared: &[EnvVar]) -> Self {
        let mut variables = Self::default();
        variables.set("PATH", PATH.to_owned());
        variables.set("HOSTNAME", pod.metadata.name.clone().unwrap_or_default());
        for variable in declared {
            let field = || {
                let source = variable.value_from.as_ref()?.field_ref.as_ref()?;
                field(pod, ip, &source.field_path)
            };
            let value = match &variable.value {
                Some(value) => variables.expand(value),
                None => field().unwrap_or_default(),
            };
            variables.set(&variable.name, value);
        }
        variables
    }

    fn set(&mut self, name: &str, value: String) {
        self.0.insert(name.to_owned(), value);
    }

    /// `text` with `$(NAME)` replaced by what NAME is, if it is anything; `$$` stands for `$`.
    pub(super) fn expand(&self, text: &str) -> String {
        let mut expanded = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            expanded += before;
            let known = after
                .strip_prefix('(')
                .and_then(|inner| inner.split_once(')'));
            let known = known.and_then(|(name, after)| Some((self.0.get(name)?, after)));
            rest = match (known, after.strip_prefix('$')) {
                (Some((value, after)), _) => {
                    expanded += value;
                    after
                }
                (None, after_second) => {
                    expanded.push('$');
                    after_second.unwrap_or(after)
                }
            };
        }
        expanded + rest
    }
}

/// The field `path` of `pod`, as the downward API knows fields.
fn field(pod: &Pod, ip: Ipv4Addr, path: &str) -> Option<String> {
    let metadata = &pod.metadata;
    let in_map = |map: &Option<BTreeMap<String, String>>, prefix: &str| {
        let key = path
            .strip_prefix(prefix)?
            .strip_prefix("['")?
            .strip_suffix("']")?;
        map.as_ref()?.get(key).cloned()
    };
    match path {
        "metadata.name" => metadata.name.clone(),
        "metadata.namespace" => metadata.namespace.clone(),
        "metadata.uid" => metadata.uid.clone(),
        "spec.nodeName" => pod.spec.as_ref()?.node_name.clone(),
        "spec.serviceAccountName" => pod.spec.as_ref()?.service_account_name.clone(),
        "status.podIP" => Some(ip.to_string()),
        _ => in_map(&metadata.labels, "metadata.labels")
            .or_else(|| in_map(&metadata.annotations, "metadata.annotations")),
    }
}

#[cfg(test)]
mod tests {
    use super::Environment;
    use k8s_openapi::api::core::v1::Pod;
    use serde_json::json;
    use std::net::Ipv4Addr;

    #[test]
    fn references_are_followed() {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "web-1", "labels": {"app": "web"}},
            "spec": {"containers": [{"name": "main", "env": [
                {"name": "WHO", "value": "world"},
                {"name": "GREETING", "value": "hello $(WHO)"},
                {"name": "APP", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
                {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
            ]}]},
        }))
        .unwrap();
        let declared = pod.spec.as_ref().unwrap().containers[0]
            .env
            .clone()
            .unwrap();
        let found = Environment::new(&pod, Ipv4Addr::new(10, 244, 0, 1), &declared);
        let check = |text: &str, expected: &str| assert_eq!(found.expand(text), expected, "{text}");
        check("$(GREETING)!", "hello world!");
        check(
            "$(HOSTNAME) $(APP) $(IP) [$(SECRET)]",
            "web-1 web 10.244.0.1 []",
        );
        check("$(NOBODY) $WHO $", "$(NOBODY) $WHO $");
        check("$$(WHO) 5$$", "$(WHO) 5$");
        check("", "");
    }
}
