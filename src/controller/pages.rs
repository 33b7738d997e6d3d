//! What the controller shows over HTTP, without a token: `/metrics` with `/verdicts`, and `/healthz`, a port each.

use super::StartError;
use axum::{
    Json, Router,
    extract::Path,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use cluster::metrics::Metrics;
use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};
use tokio::net::TcpListener;

/// Serves `/metrics`, and `/verdicts/NAMESPACE/NAME`: the last verdict of the guard. Returns where.
pub(super) async fn serve_metrics(
    port: u16,
    metrics: Arc<Metrics>,
) -> Result<SocketAddr, StartError> {
    let judged = Arc::clone(&metrics);
    let verdict = get(
        move |Path((namespace, name)): Path<(String, String)>| async move {
            verdict(&judged, &namespace, &name)
        },
    );
    let page = get(move || async move { render(&metrics) });
    let pages = Router::new()
        .route("/metrics", page)
        .route("/verdicts/{namespace}/{name}", verdict);
    serve(port, pages).await
}

fn verdict(metrics: &Metrics, namespace: &str, name: &str) -> Response {
    match metrics.verdict(namespace, name) {
        Some(verdict) => Json(verdict).into_response(),
        None => {
            let why = format!(
                "no canary of the Rollout {namespace}/{name} was convicted since this process leads, if it does\n"
            );
            (StatusCode::NOT_FOUND, why).into_response()
        }
    }
}

fn render(metrics: &Metrics) -> Response {
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
