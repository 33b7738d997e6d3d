//! What may be wrong with the objects that the webhook needs.

use super::contents::Fault;
use crate::api::Failure;

/// What keeps the certificates from being as they should be, for the person who must act.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// Nobody asks.
    #[error(
        "there is no ValidatingWebhookConfiguration {0}, so that no API server asks this webhook: apply deploy/kubernetes/webhook.yaml, or name another by --webhook-configuration"
    )]
    NoConfiguration(String),
    /// Somebody else is asked.
    #[error(
        "ValidatingWebhookConfiguration {configuration}: {field}: found {found}, allowed {allowed}, as --webhook-service says: API servers do not find this webhook"
    )]
    Elsewhere {
        /// Of which configuration.
        configuration: String,
        /// The field.
        field: String,
        /// The Service that it names.
        found: String,
        /// That of this webhook.
        allowed: String,
    },
    /// Nobody is found.
    #[error(
        "there is no Service {0}, so that no API server finds this webhook: apply deploy/kubernetes/webhook.yaml, or name another by --webhook-service"
    )]
    NoService(String),
    /// The API server refuses, or does not answer.
    #[error(
        "the {kind} {name} cannot be {verb}: {why}; deploy/kubernetes/webhook.yaml has the rights that the webhook needs"
    )]
    Request {
        /// What was asked for.
        kind: &'static str,
        /// Which of them.
        name: String,
        /// What was to be done with it.
        verb: &'static str,
        /// Why it was not.
        why: Failure,
    },
    /// Somebody has changed it.
    #[error("the Secret {name} is no good, and is made anew: {why}")]
    Garbled {
        /// Which Secret.
        name: String,
        /// What is wrong with it.
        why: Fault,
    },
    /// The library that makes certificates fails.
    #[error("no certificate can be made: {0}")]
    Made(#[from] rcgen::Error),
    /// What was read cannot be used.
    #[error("the certificate cannot be served: {0}")]
    Served(#[from] rustls::Error),
    /// It did not come to write.
    #[error("others write at the same time, again and again")]
    Contended,
}
