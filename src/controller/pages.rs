//! What the controller shows over HTTP, without a token: `/metrics` with `/verdicts` and `/evidence`, and `/healthz`, a port
//! each.

use super::StartError;
use axum::{
    Json, Router,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use cluster::metrics::Metrics;
use serde::Serialize;
use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};
use tokio::net::TcpListener;

/// Serves `/metrics`, `/verdicts/NAMESPACE/NAME`, the last verdict of the guard, and `/evidence/NAMESPACE/NAME`, what it knows of
/// the canary on trial. Returns where.
pub(super) async fn serve_metrics(
    port: u16,
    metrics: Arc<Metrics>,
) -> Result<SocketAddr, StartError> {
    let pages = Router::new()
        .route("/metrics", get(render))
        .route("/verdicts/{namespace}/{name}", get(verdict))
        .route("/evidence/{namespace}/{name}", get(evidence))
        .with_state(metrics);
    serve(port, pages).await
}

type Named = Path<(String, String)>;

async fn verdict(State(metrics): State<Arc<Metrics>>, Path((namespace, name)): Named) -> Response {
    told(metrics.verdict(&namespace, &name), || {
        format!(
            "no canary of the Rollout {namespace}/{name} was convicted since this process leads, if it does\n"
        )
    })
}

async fn evidence(State(metrics): State<Arc<Metrics>>, Path((namespace, name)): Named) -> Response {
    told(metrics.evidence(&namespace, &name), || {
        format!(
            "no canary of the Rollout {namespace}/{name} is on trial, if this process leads it\n"
        )
    })
}

/// What is known, or why nothing is.
fn told<T: Serialize>(known: Option<T>, why: impl FnOnce() -> String) -> Response {
    match known {
        Some(known) => Json(known).into_response(),
        None => (StatusCode::NOT_FOUND, why()).into_response(),
    }
}

async fn render(State(metrics): State<Arc<Metrics>>) -> Response {
    match metrics.render() {
        Ok(text) => ([(header::CONTENT_TYPE, Metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be encoded");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Serves `/healthz`, on the thread that does all the work: it answers as long as that goes on. Returns where.
pub(super) async fn serve_health(port: u16) -> Result<SocketAddr, StartError> {
    let page = get(|| async { "ok\n" });
    serve(port, Router::new().route("/healthz", page)).await
}

async fn serve(port: u16, pages: Router) -> Result<SocketAddr, StartError> {
    let listener = listen(port)
        .await
        .map_err(|why| StartError::Port { port, why })?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, pages).await {
            tracing::error!("port {port}: {error}");
        }
    });
    Ok(address)
}

/// Listens on all addresses, of both families where there are both.
pub(super) async fn listen(port: u16) -> io::Result<TcpListener> {
    match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await {
        Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await
        }
        bound => bound,
    }
}
