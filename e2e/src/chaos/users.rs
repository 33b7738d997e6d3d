//! Users who ask every proxy for a Rollout all the time, and what they get.
//!
//! What may be claimed of their answers, whatever else fails:
//!
//! - A proxy that runs, and was ready once, answers each request by a version. It needs neither a controller nor the API server
//!   for that. It is not ready before it knows all; while it is killed, nobody asks it. Only where it was cut off from the API server
//!   within the last [`GRACE`] may it ask pods that are not there any more.
//! - Only a version that is made to fail fails, and so often only as it takes: [`MOST`] times at one try.
//! - A version that was aborted, convicted, or followed by another one gets no requests any more from a proxy that can know
//!   that: whose watches of all that it looks at have been open since then, for [`GRACE`]. A proxy that is cut off from the API
//!   server cannot, and goes on as it was told last; so nothing is said of it until its watches are open again.

mod heard;

use super::{
    observer::Observer,
    proxies::{Place, Proxies},
    version,
};
use crate::{app::VERSION_HEADER, http};
use anyhow::Result;
use heard::{Answer, Asked};
pub(super) use heard::{Damage, Told};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, timeout},
};

/// Between two requests of one Rollout to one proxy.
const PACE: Duration = Duration::from_millis(66);
/// The longest that an answer may take, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a proxy may take to serve what it could read, on a busy machine.
const GRACE: Duration = Duration::from_secs(5);
/// How many requests a bad version may fail at one try. Who leads convicts it within a second or two, but for some seconds nobody
/// does; meanwhile each proxy takes the traffic of one that fails nearly all away by itself, and forgets that when it is killed.
const MOST: u32 = 200;
/// So many answers in a row, at each proxy, show that all requests go to a version which had part of them.
const ALL: u32 = 20;

/// The users of one Rollout, until this is dropped.
pub(super) struct Users {
    proxies: usize,
    told: watch::Sender<Told>,
    _asking: JoinSet<()>,
}

impl Users {
    /// They ask each proxy, and heed its answers from when it first gave one by a version. What must never be is told to
    /// `observer`.
    pub(super) fn begin(name: &str, proxies: &Proxies, observer: &Observer) -> Self {
        let told = watch::Sender::new(Told::default());
        let mut asking = JoinSet::new();
        for place in proxies.places() {
            let user = User {
                rollout: name.to_owned(),
                host: version::host(name),
                place: Arc::clone(place),
                told: told.clone(),
                observer: observer.clone(),
            };
            asking.spawn(user.ask_for_ever());
        }
        Self {
            proxies: proxies.places().len(),
            told,
            _asking: asking,
        }
    }

    /// From now on, nobody is to get this version.
    pub(super) fn bar(&self, version: &str) {
        self.told
            .send_modify(|told| told.bar(version, Instant::now()));
    }

    /// This version is tried again.
    pub(super) fn allow(&self, version: &str) {
        self.told.send_modify(|told| told.allow(version));
    }

    /// Waits until all answers are of this version, whichever proxy is asked.
    pub(super) async fn all_get(&self, version: &str) -> Result<()> {
        self.told.send_modify(Told::count_rows_anew);
        let mut told = self.told.subscribe();
        told.wait_for(|told| told.has_rows_of(version, ALL, self.proxies))
            .await?;
        Ok(())
    }

    /// What they got so far.
    pub(super) fn told(&self) -> Told {
        self.told.borrow().clone()
    }
}

/// Who asks one proxy.
struct User {
    rollout: String,
    host: String,
    place: Arc<Place>,
    told: watch::Sender<Told>,
    observer: Observer,
}

impl User {
    async fn ask_for_ever(self) {
        let mut ticks = interval(PACE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            // Nobody is sent to a proxy that is not ready.
            let Some(life) = self.place.life() else {
                continue;
            };
            let at = Instant::now();
            let answer = self.ask().await;
            if self.place.life() != Some(life) {
                // It was killed meanwhile.
                continue;
            }
            let knows_since = self.place.reads_since();
            let asked = Asked {
                proxy: self.place.number,
                at,
                knows_since,
            };
            let mut wrong = None;
            self.told
                .send_modify(|told| wrong = told.take(asked, answer, Instant::now()));
            if let Some(wrong) = wrong {
                let knows = knows_since.map(|since| since.elapsed());
                let proxy = self.place.requests;
                let wrong = format!("the proxy {proxy}, which knows all for {knows:?}: {wrong}");
                self.observer.tell_of(&self.rollout, &wrong);
            }
        }
    }

    async fn ask(&self) -> Answer {
        let asked = http::get_of(self.place.requests, &self.host, "/");
        let answer = match timeout(PATIENCE, asked).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Answer::None(format!("{error:#}")),
            Err(_) => return Answer::None(format!("nothing within {PATIENCE:?}")),
        };
        let status = answer.status().as_u16();
        let version = answer.headers().get(VERSION_HEADER);
        match version.and_then(|version| version.to_str().ok()) {
            Some(version) => Answer::Of(version.to_owned(), status),
            None => Answer::Proxy(status, String::from_utf8_lossy(answer.body()).into_owned()),
        }
    }
}
