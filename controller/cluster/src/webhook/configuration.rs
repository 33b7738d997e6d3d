//! What is read of a ValidatingWebhookConfiguration, and written to it. Pure.

use super::{certificate::Certificate, contents::read_bundle, names::Service};
use k8s_openapi::{
    ByteString,
    api::admissionregistration::v1::{ValidatingWebhook, ValidatingWebhookConfiguration},
};
use serde_json::{Value, json};

/// A configuration, as it was seen.
#[derive(Debug)]
pub(super) struct Configuration {
    webhooks: Vec<ValidatingWebhook>,
    version: Option<String>,
}

impl Configuration {
    pub(super) fn of(seen: ValidatingWebhookConfiguration) -> Self {
        Self {
            webhooks: seen.webhooks.unwrap_or_default(),
            version: seen.metadata.resource_version,
        }
    }

    /// The authorities that all of its webhooks name.
    pub(super) fn bundle(&self) -> Vec<Certificate> {
        let mut bundles = self.webhooks.iter().map(|webhook| {
            // One that cannot be read is none, and written anew.
            read_bundle(written(webhook)).unwrap_or_default()
        });
        let mut named = bundles.next().unwrap_or_default();
        for bundle in bundles {
            named.retain(|each| bundle.contains(each));
        }
        named
    }

    /// What is to be written so that its webhooks have this bundle (in PEM); none when they do.
    ///
    /// A strategic merge patch: webhooks are told apart by their names, and nothing else of them is touched. With the
    /// version, as otherwise one that was taken away meanwhile would come back.
    pub(super) fn patch(&self, bundle: &str) -> Option<Value> {
        let is_there = |webhook| written(webhook) == bundle.as_bytes();
        if self.webhooks.iter().all(is_there) {
            return None;
        }
        let bundle = ByteString(bundle.as_bytes().to_vec());
        let webhooks = self
            .webhooks
            .iter()
            .map(|webhook| json!({"name": webhook.name, "clientConfig": {"caBundle": bundle}}));
        Some(json!({
            "metadata": {"resourceVersion": self.version},
            "webhooks": webhooks.collect::<Vec<_>>(),
        }))
    }

    /// The first webhook that leads elsewhere, and where to.
    pub(super) fn leads_elsewhere(&self, service: &Service) -> Option<(String, String)> {
        self.webhooks.iter().find_map(|webhook| {
            let named = webhook.client_config.service.as_ref()?;
            let is_it = named.name == service.name && named.namespace == service.namespace;
            (!is_it).then(|| {
                let field = format!("webhooks[{:?}].clientConfig.service", webhook.name);
                (field, format!("{}/{}", named.namespace, named.name))
            })
        })
    }
}

fn written(webhook: &ValidatingWebhook) -> &[u8] {
    let bundle = webhook.client_config.ca_bundle.as_ref();
    bundle.map_or(&[], |ByteString(bundle)| bundle)
}

#[cfg(test)]
mod tests {
    use super::{Certificate, Configuration, Service};
    use crate::webhook::certificate::Pair;
    use k8s_openapi::ByteString;
    use serde_json::{Value, json};
    use std::time::Duration;

    fn authority() -> Certificate {
        let begin = Duration::from_secs(1_800_000_000);
        Pair::authority(begin, begin * 2).unwrap().certificate
    }

    /// One with webhooks that have these bundles.
    fn configuration(bundles: &[&str]) -> Configuration {
        let webhooks = bundles.iter().enumerate().map(|(index, bundle)| {
            json!({
                "name": format!("w{index}.example"), "admissionReviewVersions": ["v1"], "sideEffects": "None",
                "clientConfig": {
                    "service": {"namespace": "sluice", "name": "hook"},
                    "caBundle": ByteString(bundle.as_bytes().to_vec()),
                },
            })
        });
        let webhooks: Vec<Value> = webhooks.collect();
        let metadata = json!({"name": "c", "resourceVersion": "7"});
        let seen = json!({"metadata": metadata, "webhooks": webhooks});
        Configuration::of(serde_json::from_value(seen).unwrap())
    }

    #[test]
    fn authorities_are_those_that_all_name() {
        let (a, b) = (authority(), authority());
        let both = a.pem() + &b.pem();
        for (bundles, expected) in [
            (&[][..], &[][..]),
            (&[""], &[]),
            (&[&*both], &[&a, &b]),
            (&[&*both, &*b.pem()], &[&b]),
            (&[&*both, "garbage"], &[]),
            (
                &["-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----\n"],
                &[],
            ),
        ] {
            let found = configuration(bundles).bundle();
            assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{bundles:?}");
        }
    }

    #[test]
    fn what_differs_is_written_as_it_was_seen() {
        let patch = configuration(&["new", "old"]).patch("new").unwrap();
        let webhook = |name| json!({"name": name, "clientConfig": {"caBundle": "bmV3"}});
        let webhooks = [webhook("w0.example"), webhook("w1.example")];
        assert_eq!(
            patch,
            json!({"metadata": {"resourceVersion": "7"}, "webhooks": webhooks})
        );
        for bundles in [&[][..], &["new"], &["new", "new"]] {
            assert_eq!(configuration(bundles).patch("new"), None);
        }
    }

    #[test]
    fn who_leads_elsewhere_is_named() {
        let service = |namespace: &str| Service {
            namespace: namespace.to_owned(),
            name: "hook".to_owned(),
        };
        let configuration = configuration(&["a"]);
        assert_eq!(configuration.leads_elsewhere(&service("sluice")), None);
        let (field, found) = configuration.leads_elsewhere(&service("shop")).unwrap();
        assert_eq!(field, "webhooks[\"w0.example\"].clientConfig.service");
        assert_eq!(found, "sluice/hook");
    }
}
