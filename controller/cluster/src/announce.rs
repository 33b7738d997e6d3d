//! Events, for people and their tools. They are sent one after the other by one task, and never waited for.

#[cfg(test)]
mod tests;

use crate::{api::Server, metrics::Counts};
use controller::reconcile::Event;
use crds::Rollout;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Who says so.
const COMPONENT: &str = "sluice-controller";
/// How many may wait to be sent. More than this come only when the API server takes none.
const WAITING: usize = 1024;

/// Takes events, to be sent.
#[derive(Clone)]
pub(crate) struct Announcer {
    waiting: Sender<Announcement>,
    counts: Arc<Counts>,
}

/// An event that waits to be sent.
#[derive(Debug)]
pub(crate) struct Announcement {
    involved: Value,
    namespace: String,
    name: String,
    event: Event,
    at: Timestamp,
}

impl Announcer {
    /// Takes events, and hands them on to [`announce`].
    pub(crate) fn new(counts: Arc<Counts>) -> (Self, Receiver<Announcement>) {
        let (waiting, announcements) = channel(WAITING);
        (Self { waiting, counts }, announcements)
    }

    /// Has an event of `rollout` sent, unless too many wait.
    pub(crate) fn announce(&self, rollout: &Rollout, event: Event) {
        let meta = &rollout.metadata;
        self.counts.event(&event);
        let announcement = Announcement {
            involved: json!({
                "apiVersion": Rollout::API_VERSION, "kind": Rollout::KIND,
                "namespace": meta.namespace(), "name": meta.name, "uid": meta.uid,
            }),
            namespace: meta.namespace().to_owned(),
            name: meta.name.clone().unwrap_or_default(),
            event,
            at: Timestamp::now(),
        };
        if self.waiting.try_send(announcement).is_err() {
            self.counts.event_lost();
        }
    }
}

/// Sends what was announced. `me` is the process that does.
pub(crate) async fn send(
    mut announcements: Receiver<Announcement>,
    server: Server,
    counts: Arc<Counts>,
    me: String,
) {
    let mut last = 0;
    while let Some(announcement) = announcements.recv().await {
        let number = u128::try_from(announcement.at.as_nanosecond()).unwrap_or(0);
        // No two of this process have the same, and those of processes before it have lower ones.
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
        involved,
        namespace,
        name,
        event,
        at,
    } = announcement;
    let seconds = at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    json!({
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"namespace": namespace, "name": format!("{name}.{number:x}")},
        "involvedObject": involved,
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
