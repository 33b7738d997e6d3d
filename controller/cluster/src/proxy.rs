//! What a proxy sees of a cluster, and the tables that follow. It writes nothing.

mod known;
mod objects;

use crate::watch::{Scope, changes, follow};
use controller::fleet::{Finding, Names, Outline, Service};
use known::{Known, Noted};
use kube::Client;
use objects::{Asking, Sliced};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::Notify,
    task::JoinSet,
    time::{Instant, sleep},
};

/// The least time between two tables. What changes meanwhile makes one table.
const GAP: Duration = Duration::from_millis(5);
/// Before watches that ended begin anew.
const AGAIN: Duration = Duration::from_secs(1);

/// Where outlines go.
pub type Published = Arc<dyn Fn(Outline) + Send + Sync>;

/// Watches the Rollouts, Services and EndpointSlices of a namespace, or of all, for ever. What follows is `published`, for
/// the first time when all of them have been listed, and then within moments of each change. While the API server is away
/// nothing is published, and what was goes on.
pub async fn watch(client: Client, names: Names, published: Published) {
    loop {
        let news = Arc::new(News::default());
        let scope = Scope {
            namespace: names.namespace.as_deref().map(str::to_owned),
            ..Scope::default()
        };
        let mut parts = JoinSet::new();
        parts.spawn(note::<Asking>(
            client.clone(),
            scope.clone(),
            Arc::clone(&news),
        ));
        parts.spawn(note::<Arc<Service>>(
            client.clone(),
            scope.clone(),
            Arc::clone(&news),
        ));
        parts.spawn(note::<Sliced>(client.clone(), scope, Arc::clone(&news)));
        parts.spawn(publish(news, names.clone(), Arc::clone(&published)));
        // None of them ends by itself; one that panicked takes the others with it.
        parts.join_next().await;
        drop(parts);
        tracing::error!("a watch of the cluster ended, which none should; all begin anew");
        sleep(AGAIN).await;
    }
}

/// What is known, and whether there is something new.
#[derive(Debug, Default)]
struct News {
    known: Mutex<Known>,
    bell: Notify,
}

impl News {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn note<K: Noted>(client: Client, scope: Scope, news: Arc<News>) {
    let told = |event| {
        let mut known = news.known();
        let was_complete = known.is_complete();
        let changes = changes::<K>(K::mirror(&mut known), event, &scope);
        let is_news = known.follow(changes);
        if known.is_complete() && (is_news || !was_complete) {
            news.bell.notify_one();
        }
    };
    follow::<K>(client, &scope, told, || {}).await;
}

/// Publishes what follows from what is known, whenever that is news.
async fn publish(news: Arc<News>, names: Names, published: Published) {
    let mut told = BTreeSet::new();
    loop {
        news.bell.notified().await;
        let began = Instant::now();
        let seen = news.known().look();
        let outline = Outline::of(&seen, &names);
        told = tell(&told, outline.findings());
        published(outline);
        // Half of the time at most, however large the cluster is.
        sleep(began.elapsed().max(GAP)).await;
    }
}

/// Logs the findings that were not `told` yet; returns all that there are.
fn tell(told: &BTreeSet<Finding>, findings: &[Finding]) -> BTreeSet<Finding> {
    let now: BTreeSet<Finding> = findings.iter().cloned().collect();
    for finding in now.difference(told) {
        tracing::warn!("{finding}");
    }
    now
}
