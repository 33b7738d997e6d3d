//! What a proxy of a cluster shows on its admin port, to whoever asks: nothing here is secret, and nothing can be done.

use super::watching::{Pulse, millis};
use crate::admin::{refuse, render};
use axum::{
    Json, Router,
    extract::{RawQuery, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::get,
};
use controller::{
    engine::TICK,
    fleet::{self, Publisher},
};
use proxy::{Clock, metrics::Exporter};
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use traffic::RolloutId;

/// After how many turns left out the thread that watches the cluster counts as stuck.
const STUCK: u32 = 50;

/// What the pages show.
#[derive(Clone)]
pub(super) struct Pages {
    pub(super) publisher: Arc<Publisher>,
    pub(super) exporter: Arc<Exporter>,
    pub(super) clock: Clock,
    pub(super) pulse: Pulse,
    pub(super) is_draining: Arc<AtomicBool>,
}

pub(super) fn router(pages: Pages) -> Router {
    Router::new()
        .route("/healthz", get(healthy))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route(fleet::PATH, get(report))
        .fallback(nothing_here)
        .with_state(pages)
}

async fn nothing_here() -> Response {
    let pages = format!(
        "no such page: there are /metrics, /healthz, /readyz and {}",
        fleet::PATH
    );
    refuse(StatusCode::NOT_FOUND, pages)
}

/// Alive: the cluster is watched, be the API server there or not.
async fn healthy(State(pages): State<Pages>) -> Response {
    let last = pages.pulse.load(Ordering::Relaxed);
    let idle = Duration::from_millis(millis(pages.clock.elapsed()).saturating_sub(last));
    if idle > TICK * STUCK {
        let why = format!("the thread that watches the cluster stands still for {idle:.1?}");
        return refuse(StatusCode::SERVICE_UNAVAILABLE, why);
    }
    "ok\n".into_response()
}

/// Ready: every worker serves a table that was made of what the cluster said, and will go on doing so.
async fn ready(State(pages): State<Pages>) -> Response {
    let why = if pages.is_draining.load(Ordering::Relaxed) {
        "the process drains, and will end"
    } else if !pages.publisher.is_served() {
        "the Rollouts, Services and EndpointSlices are not known yet, or not served by every worker"
    } else {
        return "ok\n".into_response();
    };
    refuse(StatusCode::SERVICE_UNAVAILABLE, why.to_owned())
}

async fn metrics(State(pages): State<Pages>, headers: HeaderMap) -> Response {
    render(pages.exporter, &headers).await
}

async fn report(State(pages): State<Pages>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let (wanted, recalled) = (named(&query, "rollout"), named(&query, "history"));
    let report = move || {
        let is_wanted = |id: &RolloutId| wanted.is_empty() || wanted.contains(&id.to_string());
        let is_recalled = |id: &RolloutId| recalled.contains(&id.to_string());
        let now = pages.clock.elapsed();
        let report = pages.publisher.report(is_wanted, is_recalled, now);
        Json(report).into_response()
    };
    // One of many Rollouts takes long, and health must be told meanwhile.
    match tokio::task::spawn_blocking(report).await {
        Ok(response) => response,
        Err(error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

/// The Rollouts that a query has as values of `key`. Their names need no escapes but for the slash.
fn named(query: &str, key: &str) -> BTreeSet<String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let names = pairs.filter(|(name, _)| *name == key);
    names
        .map(|(_, rollout)| rollout.replace("%2F", "/").replace("%2f", "/"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn a_query_names_rollouts() {
        for (query, rollouts, histories) in [
            ("", &[][..], &[][..]),
            ("rollout=prod/shop", &["prod/shop"], &[]),
            (
                "rollout=prod%2Fshop&x=y&rollout=a/b",
                &["a/b", "prod/shop"],
                &[],
            ),
            (
                "rollout=prod/shop&history=prod/shop",
                &["prod/shop"],
                &["prod/shop"],
            ),
        ] {
            assert_eq!(Vec::from_iter(named(query, "rollout")), rollouts, "{query}");
            assert_eq!(
                Vec::from_iter(named(query, "history")),
                histories,
                "{query}"
            );
        }
    }
}
