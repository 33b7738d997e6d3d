//! Events, for people and their tools. They are never waited for. Those of one Rollout are sent one after the other, and all of
//! them yield to what moves Rollouts.

#[cfg(test)]
mod tests;

use crate::{api::Server, key::Key, metrics::Counts, shared::Shared};
use controller::reconcile::Event;
use crds::Rollout;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::{
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{
        Semaphore,
        mpsc::{Receiver, Sender, channel},
    },
    task::JoinSet,
    time::timeout,
};

/// Who says so.
const COMPONENT: &str = "sluice-controller";
/// How many are sent at a time at most.
const LANES: usize = 4;
/// How many may wait to be sent in each lane: in all four times what a thousand Rollouts tell that are updated at once. Each takes
/// some 180 bytes, so that all of them take 12 MB.
const WAITING: usize = 16_384;
/// For how long what waits is sent when the process is asked to end.
const FAREWELL: Duration = Duration::from_secs(5);

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
struct Announcement {
    rollout: Key,
    uid: Arc<str>,
    event: Event,
    at: Timestamp,
}

impl Announcer {
    fn new(counts: Arc<Counts>) -> (Self, Vec<Receiver<Announcement>>) {
        let lanes = (0..LANES).map(|_| channel(WAITING));
        let (lanes, announcements) = lanes.unzip();
        let announcer = Self {
            lanes,
            counts,
            choice: RandomState::new(),
        };
        (announcer, announcements)
    }

    /// Takes events of a term, and has them sent through `server`, whose fence is not the term's: what was done may be told
    /// after it. `me` is the process that tells.
    pub(crate) fn begin(server: &Server, shared: &Arc<Shared>, me: &str) -> (Self, Tellers) {
        let (announcer, lanes) = Self::new(Arc::clone(&shared.counts));
        let gate = Arc::new(Semaphore::new(LANES));
        let mut tellers = JoinSet::new();
        for announcements in lanes {
            let teller = Teller {
                server: server.clone(),
                shared: Arc::clone(shared),
                gate: Arc::clone(&gate),
                me: me.to_owned(),
            };
            tellers.spawn(teller.send(announcements));
        }
        (announcer, Tellers { tellers, gate })
    }

    /// Has an event of a Rollout sent, unless too many wait. `uid` is its identity.
    pub(crate) fn announce(&self, rollout: &Key, uid: &Arc<str>, event: Event) {
        self.counts.event(&event);
        let announcement = Announcement {
            rollout: rollout.clone(),
            uid: Arc::clone(uid),
            event,
            at: Timestamp::now(),
        };
        let lane = self.choice.hash_one(rollout) as usize % LANES;
        let lane = self.lanes.get(lane);
        if lane.is_none_or(|lane| lane.try_send(announcement).is_err()) {
            self.counts.event_lost();
        }
    }
}

/// Those who send events. Dropping it ends them.
pub(crate) struct Tellers {
    tellers: JoinSet<()>,
    gate: Arc<Semaphore>,
}

impl Tellers {
    /// Returns when one has ended, which none does by itself as long as events may come.
    pub(crate) async fn ended(&mut self) {
        self.tellers.join_next().await;
    }

    /// Whether one has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.tellers.try_join_next().is_some()
    }

    /// Has what waits sent, for some seconds at most. To be called when nothing is announced any more.
    pub(crate) async fn finish(mut self) {
        // There is no work any more that they would yield to.
        self.gate.add_permits(LANES * LANES);
        let all = async { while self.tellers.join_next().await.is_some() {} };
        if timeout(FAREWELL, all).await.is_err() {
            tracing::warn!("ends before all events are sent");
        }
    }
}

/// Who sends the events of a lane.
struct Teller {
    server: Server,
    shared: Arc<Shared>,
    /// All lanes' places for requests.
    gate: Arc<Semaphore>,
    me: String,
}

impl Teller {
    async fn send(self, mut announcements: Receiver<Announcement>) {
        let mut last = 0;
        while let Some(announcement) = announcements.recv().await {
            let places = places(self.shared.is_busy(), announcements.len());
            // It is never closed.
            let _places = self.gate.acquire_many(places).await;
            let number = u128::try_from(announcement.at.as_nanosecond()).unwrap_or(0);
            // No two of a Rollout have the same, and those of processes before this one have lower ones.
            last = number.max(last + 1);
            let namespace = &announcement.rollout.namespace;
            let path = format!("/api/v1/namespaces/{namespace}/events");
            let object = object(&announcement, last, &self.me);
            let sent = self.server.create_at::<Value>("Event", path, &object);
            if let Err(failure) = sent.await {
                self.shared.counts.event_lost();
                let rollout = &announcement.rollout;
                tracing::warn!(%rollout, "an event is lost: {failure}");
            }
        }
    }
}

/// How many of all lanes' places the next event of a lane takes, behind which so many wait. While there is work at Rollouts it
/// takes all of them, so that one is sent at a time: the API server is what an update of many Rollouts waits for. Not so where a
/// lane is half full, as late is better than lost.
fn places(is_busy: bool, waiting: usize) -> u32 {
    match is_busy && waiting < WAITING / 2 {
        true => LANES as u32,
        false => 1,
    }
}

/// An Event of core/v1.
fn object(announcement: &Announcement, number: u128, me: &str) -> Value {
    let Announcement {
        rollout: Key { namespace, name },
        uid,
        event,
        at,
    } = announcement;
    let seconds = at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    json!({
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"namespace": **namespace, "name": format!("{name}.{number:x}")},
        "involvedObject": {
            "apiVersion": Rollout::API_VERSION, "kind": Rollout::KIND,
            "namespace": **namespace, "name": **name, "uid": **uid,
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
