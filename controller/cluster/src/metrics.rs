//! What a scrape shows. Names are those of Argo Rollouts where they mean the same (`docs/kubernetes.md`).

mod counts;
mod rollouts;
#[cfg(test)]
mod tests;

pub(crate) use counts::Counts;

use crate::{fleet::Verdict, key::Key, shared::Shared};
use prometheus_client::{encoding::text, metrics::info::Info, registry::Registry};
use rollouts::Rollouts;
use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, Weak},
};

/// All metrics of a controller.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    counts: Arc<Counts>,
    led: Arc<Led>,
}

/// What is known in the term of now, if this process leads.
#[derive(Debug, Default)]
struct Led(Mutex<Weak<Shared>>);

impl Led {
    fn set(&self, shared: Weak<Shared>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = shared;
    }

    fn get(&self) -> Option<Arc<Shared>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .upgrade()
    }
}

/// As long as it is held, this process leads.
pub(crate) struct Leading<'a>(&'a Led);

impl Drop for Leading<'_> {
    fn drop(&mut self) {
        self.0.set(Weak::new());
    }
}

impl Metrics {
    /// Metrics of the build `version`.
    pub fn new(version: &'static str) -> Self {
        let counts = Arc::<Counts>::default();
        let led = Arc::<Led>::default();
        let mut registry = Registry::default();
        let build = Info::new([("version", version)]);
        registry.register("build", "The running build; always 1", build);
        counts.register(&mut registry);
        registry.register_collector(Box::new(Rollouts(Arc::clone(&led))));
        Self {
            registry,
            counts,
            led,
        }
    }

    /// The last verdict against a canary of the Rollout `name` in `namespace`, since this process leads.
    pub fn verdict(&self, namespace: &str, name: &str) -> Option<Verdict> {
        let key = Key {
            namespace: namespace.into(),
            name: name.into(),
        };
        self.led.get()?.fleet.verdict(&key)
    }

    /// All of them in the format OpenMetrics 1.0.0, whose content type is [`Metrics::CONTENT_TYPE`].
    ///
    /// # Errors
    /// When one cannot be written.
    pub fn render(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }

    /// What [`Metrics::render`] returns.
    pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    pub(crate) fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.counts)
    }

    /// This process leads, and knows what is in `shared`.
    pub(crate) fn lead(&self, shared: &Arc<Shared>) -> Leading<'_> {
        self.led.set(Arc::downgrade(shared));
        Leading(&self.led)
    }
}
