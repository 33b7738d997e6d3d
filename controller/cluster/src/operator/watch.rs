//! Looking on while Rollouts change.

use super::{Operator, OperatorError, Picture, error, pod, replica_set, selector};
use crate::objects::{Kind as _, Read};
use crds::Rollout;
use futures_util::{Stream, StreamExt as _};
use kube::{
    core::{ApiResource, DynamicObject},
    runtime::{
        WatchStreamExt as _,
        watcher::{self, Event, watcher},
    },
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
};

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kinds<'r> {
    /// All Rollouts.
    Rollouts,
    /// One Rollout, as it was read.
    Rollout(&'r Value),
    /// One Rollout, as it was read, with ReplicaSets and pods; those of others may be among them.
    WithPods(&'r Value),
}

/// What a watch has to tell.
#[derive(Clone, Debug, PartialEq)]
pub enum Tidings {
    /// Something may have changed.
    Changed(Picture),
    /// The API server cannot be asked for now, for this reason. It is asked again.
    Lost(String),
}

type Events = Pin<Box<dyn Stream<Item = watcher::Result<Event<DynamicObject>>> + Send>>;

/// Looks at objects for as long as it is asked.
pub struct Watch {
    feeds: Vec<Feed>,
    /// What was told last is not all that is known.
    is_news: bool,
}

/// The objects of a kind.
struct Feed {
    kind: &'static str,
    events: Events,
    known: Known,
}

/// What is known of the objects of a kind.
#[derive(Default)]
struct Known {
    objects: BTreeMap<(String, String), Value>,
    /// Those of a list that has not ended yet.
    coming: BTreeMap<(String, String), Value>,
    is_complete: bool,
}

impl Watch {
    /// Looks at `kinds` with the rights of `operator`.
    pub fn new(operator: &Operator, kinds: Kinds<'_>) -> Self {
        let feed = |kind, resource: &ApiResource, config| Feed {
            kind,
            events: Box::pin(watcher(operator.api(resource), config).default_backoff()),
            known: Known::default(),
        };
        let all = watcher::Config::default();
        let rollouts = |config| feed(Rollout::KIND, &Read::resource(), config);
        let named = |rollout: &Value| {
            let name = rollout["metadata"]["name"].as_str().unwrap_or_default();
            rollouts(watcher::Config::default().fields(&format!("metadata.name={name}")))
        };
        let feeds = match kinds {
            Kinds::Rollouts => vec![rollouts(all)],
            Kinds::Rollout(rollout) => vec![named(rollout)],
            Kinds::WithPods(rollout) => {
                let own = all.labels(&selector(rollout));
                vec![
                    named(rollout),
                    feed("ReplicaSet", &replica_set(), own.clone()),
                    feed("Pod", &pod(), own),
                ]
            }
        };
        Self {
            feeds,
            is_news: false,
        }
    }

    /// Waits until something has changed. At first, that is what there is. Changes that come together are one.
    ///
    /// # Errors
    /// At first, that the API server does not tell.
    pub async fn next(&mut self) -> Result<Tidings, OperatorError> {
        loop {
            let is_complete = self.feeds.iter().all(|feed| feed.known.is_complete);
            if is_complete && self.is_news {
                self.is_news = false;
                return Ok(Tidings::Changed(self.picture()));
            }
            let Some((kind, why)) = poll_fn(|context| self.note(context)).await else {
                continue;
            };
            let why = error::causes(&why);
            if is_complete {
                return Ok(Tidings::Lost(format!("{kind}s cannot be watched: {why}")));
            }
            let about = format!("{kind}s");
            return Err(OperatorError::Unreachable { about, why });
        }
    }

    /// Ready when something was told, after all that was; with what failed, where something did.
    fn note(&mut self, context: &mut Context<'_>) -> Poll<Option<(&'static str, watcher::Error)>> {
        let mut noted = Poll::Pending;
        for feed in &mut self.feeds {
            while let Poll::Ready(Some(event)) = feed.events.poll_next_unpin(context) {
                match event {
                    Ok(event) => feed.known.note(event),
                    Err(why) => return Poll::Ready(Some((feed.kind, why))),
                }
                self.is_news = true;
                noted = Poll::Ready(None);
            }
        }
        noted
    }

    fn picture(&self) -> Picture {
        let of = |kind: usize| {
            let feed = self.feeds.get(kind);
            let objects = feed
                .into_iter()
                .flat_map(|feed| feed.known.objects.values());
            objects.cloned().collect()
        };
        Picture {
            rollouts: of(0),
            replica_sets: of(1),
            pods: of(2),
        }
    }
}

impl Known {
    fn note(&mut self, event: Event<DynamicObject>) {
        match event {
            Event::Apply(object) => put(&mut self.objects, &object),
            Event::Delete(object) => {
                self.objects.remove(&key(&object));
            }
            Event::Init => self.coming.clear(),
            Event::InitApply(object) => put(&mut self.coming, &object),
            Event::InitDone => {
                self.objects = std::mem::take(&mut self.coming);
                self.is_complete = true;
            }
        }
    }
}

fn put(objects: &mut BTreeMap<(String, String), Value>, object: &DynamicObject) {
    // What came as JSON can be written as such.
    if let Ok(value) = serde_json::to_value(object) {
        objects.insert(key(object), value);
    }
}

fn key(object: &DynamicObject) -> (String, String) {
    let meta = &object.metadata;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    (text(&meta.namespace), text(&meta.name))
}

#[cfg(test)]
mod tests {
    use super::{Event, Known};
    use serde_json::json;

    #[test]
    fn what_is_known_is_what_was_told_last() {
        let object = |name: &str, version: &str| {
            let meta = json!({"name": name, "namespace": "prod", "resourceVersion": version});
            serde_json::from_value(json!({"metadata": meta})).unwrap()
        };
        let mut known = Known::default();
        for (event, expected) in [
            (Event::Init, None),
            (Event::InitApply(object("a", "1")), None),
            (Event::InitApply(object("b", "1")), None),
            (Event::InitDone, Some("a1 b1")),
            (Event::Apply(object("a", "2")), Some("a2 b1")),
            (Event::Delete(object("b", "3")), Some("a2")),
            (Event::Init, Some("a2")),
            (Event::InitApply(object("c", "4")), Some("a2")),
            (Event::InitDone, Some("c4")),
        ] {
            known.note(event);
            let text = |object: &serde_json::Value| {
                let meta = &object["metadata"];
                let part = |field: &str| meta[field].as_str().unwrap().to_owned();
                part("name") + &part("resourceVersion")
            };
            let all: Vec<String> = known.objects.values().map(text).collect();
            assert_eq!(
                known.is_complete.then(|| all.join(" ")).as_deref(),
                expected
            );
        }
    }
}
