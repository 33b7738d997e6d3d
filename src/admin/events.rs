//! Rollouts as they change, as server-sent events (WHATWG HTML, section 9.2).

use super::{Pages, Shared, stopped};
use axum::{
    body::{Body, Bytes},
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use futures_util::stream;
use jiff::Timestamp;
use std::{convert::Infallible, time::Duration};

/// How often a listener is looked after: no change is told later than this.
const LOOK: Duration = Duration::from_millis(100);
/// At every how many looks all rollouts are told, changed or not, since rates change all the time.
const REFRESH: u32 = 5;

/// Follows all rollouts until the listener goes away or the server stops.
pub(super) async fn follow(State(pages): State<Pages>) -> Response {
    let mut interval = tokio::time::interval(LOOK);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let start = (pages, interval, None, 0u32);
    let events = stream::unfold(start, |(pages, mut interval, seen, mut looks)| async move {
        loop {
            tokio::select! {
                _ = interval.tick() => {}
                () = stopped(pages.stop.clone()) => return None,
            }
            looks = looks.wrapping_add(1);
            let changes = pages.engine().changes();
            if seen == Some(changes) && !looks.is_multiple_of(REFRESH) {
                continue;
            }
            let bytes = Bytes::from(render(&pages.shared));
            return Some((
                Ok::<_, Infallible>(bytes),
                (pages, interval, Some(changes), looks),
            ));
        }
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, Body::from_stream(events)).into_response()
}

fn render(shared: &Shared) -> String {
    let views = shared
        .engine()
        .views(Timestamp::now(), shared.clock.elapsed());
    let mut text = String::new();
    for view in views {
        // A view holds plain values only, which always have a JSON form.
        let json = serde_json::to_string(&view).unwrap_or_default();
        text.push_str("event: rollout\ndata: ");
        text.push_str(&json);
        text.push_str("\n\n");
    }
    if text.is_empty() {
        // A comment keeps the connection from looking dead where there is no rollout.
        text.push_str(":\n\n");
    }
    text
}
