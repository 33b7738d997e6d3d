//! What a scrape shows. Names are those of Argo Rollouts where they mean the same (`docs/kubernetes.md`).

mod counts;
mod rollouts;
#[cfg(test)]
mod tests;

pub(crate) use counts::{Counts, Reviewed};

use crate::{
    fleet::{Evidence, Fleet, Verdict},
    key::Key,
    shard::{Shard, Shards},
    shared::Shared,
};
use prometheus_client::{encoding::text, metrics::info::Info, registry::Registry};
use rollouts::Rollouts;
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

/// All metrics of a controller.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    counts: Arc<Counts>,
    led: Arc<Led>,
}

/// What is known of each shard that this process leads.
#[derive(Debug, Default)]
struct Led(Mutex<BTreeMap<u16, Weak<Shared>>>);

impl Led {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u16, Weak<Shared>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self) -> BTreeMap<u16, Arc<Shared>> {
        let led = self.lock();
        let led = led.iter();
        led.filter_map(|(shard, shared)| Some((*shard, shared.upgrade()?)))
            .collect()
    }
}

/// As long as it is held, this process leads a shard.
pub(crate) struct Leading<'a> {
    led: &'a Led,
    shard: Shard,
}

impl Drop for Leading<'_> {
    fn drop(&mut self) {
        self.led.lock().remove(&self.shard.index());
    }
}

impl Metrics {
    /// Metrics of the build `version`, where Rollouts are divided into `shards`.
    pub fn new(version: &'static str, shards: Shards) -> Self {
        let counts = Arc::<Counts>::default();
        let led = Arc::<Led>::default();
        let mut registry = Registry::default();
        let build = Info::new([("version", version)]);
        registry.register("build", "The running build; always 1", build);
        counts.register(&mut registry);
        registry.register_collector(Box::new(Rollouts {
            led: Arc::clone(&led),
            shards,
        }));
        Self {
            registry,
            counts,
            led,
        }
    }

    /// The last verdict against a canary of the Rollout `name` in `namespace`, since this process leads.
    pub fn verdict(&self, namespace: &str, name: &str) -> Option<Verdict> {
        self.of(&Key::new(namespace, name), Fleet::verdict)
    }

    /// What is known of the canary of the Rollout `name` in `namespace`, if this process leads and one is on trial.
    pub fn evidence(&self, namespace: &str, name: &str) -> Option<Evidence> {
        self.of(&Key::new(namespace, name), Fleet::evidence)
    }

    fn of<T>(&self, key: &Key, what: fn(&Fleet, &Key) -> Option<T>) -> Option<T> {
        let led = self.led.get();
        led.values().find_map(|shared| what(&shared.fleet, key))
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

    /// This process leads a shard, and knows what is in `shared`.
    pub(crate) fn lead(&self, shard: Shard, shared: &Arc<Shared>) -> Leading<'_> {
        let led = &self.led;
        led.lock().insert(shard.index(), Arc::downgrade(shared));
        Leading { led, shard }
    }
}
