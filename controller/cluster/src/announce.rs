//! Events, for people and their tools. They are never waited for. Those of one Rollout are sent one after the other.

#[cfg(test)]
mod tests;

use crate::{api::Server, metrics::Counts};
use controller::reconcile::Event;
use crds::Rollout;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::{
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Who says so.
const COMPONENT: &str = "sluice-controller";
/// How many are sent at a time.
const LANES: usize = 4;
/// How many may wait to be sent in each lane: together some megabytes, which a thousand Rollouts that are updated at once
/// come near to.
const WAITING: usize = 4096;

/// Takes events, to be sent.
#[derive(Clone)]
pub(crate) struct Announcer {
    lanes: Vec<Sender<Announcement>>,
    counts: Arc<Counts>,
    /// Says which lane a Rollout's events take.
    choice: RandomState,
}

/// An event that waits to be sent.
#[derive(Debug)]
pub(crate) struct Announcement {
    namespace: String,
    name: String,
    uid: Option<String>,
    event: Event,
    at: Timestamp,
}

impl Announcer {
    /// Takes events, and hands them on to as many [`send`] as there are lanes.
    pub(crate) fn new(counts: Arc<Counts>) -> (Self, Vec<Receiver<Announcement>>) {
        let lanes = (0..LANES).map(|_| channel(WAITING));
        let (lanes, announcements) = lanes.unzip();
        let announcer = Self {
            lanes,
            counts,
            choice: RandomState::new(),
        };
        (announcer, announcements)
    }

    /// Has an event of `rollout` sent, unless too many wait.
    pub(crate) fn announce(&self, rollout: &Rollout, event: Event) {
        let meta = &rollout.metadata;
        self.counts.event(&event);
        let announcement = Announcement {
            namespace: meta.namespace().to_owned(),
            name: meta.name.clone().unwrap_or_default(),
            uid: meta.uid.clone(),
            event,
            at: Timestamp::now(),
        };
        let lane = self.choice.hash_one(&announcement.name) as usize % LANES;
        let lane = self.lanes.get(lane);
        if lane.is_none_or(|lane| lane.try_send(announcement).is_err()) {
            self.counts.event_lost();
        }
    }
}

/// Sends what was announced in a lane. `me` is the process that does.
pub(crate) async fn send(
    mut announcements: Receiver<Announcement>,
    server: Server,
    counts: Arc<Counts>,
    me: String,
) {
    let mut last = 0;
    while let Some(announcement) = announcements.recv().await {
        let number = u128::try_from(announcement.at.as_nanosecond()).unwrap_or(0);
        // No two of a Rollout have the same, and those of processes before this one have lower ones.
        last = number.max(last + 1);
        let path = format!("/api/v1/namespaces/{}/events", announcement.namespace);
        let object = object(&announcement, last, &me);
        if let Err(failure) = server.create_at::<Value>("Event", path, &object).await {
            counts.event_lost();
            let rollout = &announcement.name;
            tracing::warn!(
                namespace = announcement.namespace,
                rollout,
                "an event is lost: {failure}"
            );
        }
    }
}

/// An Event of core/v1.
fn object(announcement: &Announcement, number: u128, me: &str) -> Value {
    let Announcement {
        namespace,
        name,
        uid,
        event,
        at,
    } = announcement;
    let seconds = at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    json!({
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"namespace": namespace, "name": format!("{name}.{number:x}")},
        "involvedObject": {
            "apiVersion": Rollout::API_VERSION, "kind": Rollout::KIND,
            "namespace": namespace, "name": name, "uid": uid,
        },
        "type": if event.warns { "Warning" } else { "Normal" },
        "reason": event.reason,
        "message": event.message,
        "count": 1,
        "firstTimestamp": seconds,
        "lastTimestamp": seconds,
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "reportingInstance": me,
    })
}
