//! The HTTPS server that API servers ask.

#[cfg(test)]
mod tests;

use super::review::{self, Verdict};
use crate::{
    metrics::{Counts, Reviewed},
    watch::Scope,
};
use arc_swap::ArcSwapOption;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::{
    body::{Body, Bytes},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use std::{convert::Infallible, error::Error, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

/// The path of reviews.
const PATH: &str = "/validate";
/// An update has the object twice, and etcd takes none above 1.5 MiB.
const LARGEST: usize = 4 << 20;
/// How long a handshake may take, and the body of a request.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// Between requests. API servers close what they have not used for 90 seconds, and should be the first to.
const IDLE: Duration = Duration::from_secs(120);
/// How many connections there are at most; further ones wait. An API server keeps 25 for the requests to come, and there may
/// be several.
const CONNECTIONS: usize = 256;
/// How many requests are read at a time, which bounds the memory for them.
const READING: usize = 16;

/// The certificate that is shown to whoever connects next; none at first.
#[derive(Debug, Default)]
pub(super) struct Shown(ArcSwapOption<CertifiedKey>);

impl Shown {
    pub(super) fn show(&self, certificate: CertifiedKey) {
        self.0.store(Some(Arc::new(certificate)));
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.load_full()
    }
}

/// How this server speaks TLS.
///
/// # Errors
/// When the library cannot do what it is built for.
pub(super) fn tls(shown: Arc<Shown>) -> Result<Arc<ServerConfig>, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(shown);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// What is to be known to answer.
#[derive(Debug)]
pub(super) struct Judge {
    scope: Scope,
    counts: Arc<Counts>,
    /// How long a client may take for what it has to say.
    patience: Duration,
    reading: Semaphore,
}

/// Serves for ever.
pub(super) async fn serve(listener: TcpListener, tls: Arc<ServerConfig>, judge: Arc<Judge>) {
    let acceptor = TlsAcceptor::from(tls);
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    // It is never closed.
    while let Ok(place) = Arc::clone(&room).acquire_owned().await {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!("the webhook accepts no connection for now: {error}");
                sleep(Duration::from_secs(1)).await;
                continue;
            }
        };
        let (acceptor, judge) = (acceptor.clone(), Arc::clone(&judge));
        tokio::spawn(async move {
            if let Err(error) = connection(stream, acceptor, judge).await {
                tracing::debug!("a connection to the webhook ended: {error}");
            }
            drop(place);
        });
    }
}

async fn connection(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    judge: Arc<Judge>,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let stream = timeout(judge.patience, acceptor.accept(stream)).await??;
    let answer = service_fn(|request| {
        let judge = Arc::clone(&judge);
        async move { Ok::<_, Infallible>(judge.answer(request).await) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .serve_connection(TokioIo::new(stream), answer)
        .await?;
    Ok(())
}

impl Judge {
    pub(super) fn new(scope: Scope, counts: Arc<Counts>, patience: Duration) -> Self {
        Self {
            scope,
            counts,
            patience,
            reading: Semaphore::new(READING),
        }
    }

    async fn answer<B>(&self, request: Request<B>) -> Response<Full<Bytes>>
    where
        B: Body,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        if request.uri().path() != PATH {
            return refuse(StatusCode::NOT_FOUND, &format!("allowed {PATH}"));
        }
        if request.method() != Method::POST {
            return refuse(StatusCode::METHOD_NOT_ALLOWED, "allowed POST");
        }
        match self.read(request.into_body()).await {
            Ok(body) => self.review(&body),
            Err((status, why)) => {
                self.counts.reviewed(Reviewed::Unreadable);
                refuse(status, &why)
            }
        }
    }

    async fn read<B>(&self, body: B) -> Result<Bytes, (StatusCode, String)>
    where
        B: Body,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let read = timeout(self.patience, async {
            let _place = self.reading.acquire().await;
            Limited::new(body, LARGEST).collect().await
        });
        let read = read.await;
        match read {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(why)) if why.is::<LengthLimitError>() => Err((
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("allowed {LARGEST} bytes"),
            )),
            Ok(Err(why)) => Err((StatusCode::BAD_REQUEST, why.to_string())),
            Err(_) => Err((
                StatusCode::REQUEST_TIMEOUT,
                format!("allowed {:?} for a request", self.patience),
            )),
        }
    }

    fn review(&self, body: &[u8]) -> Response<Full<Bytes>> {
        let answer = match review::answer(body, &self.scope) {
            Ok(answer) => answer,
            Err(why) => {
                self.counts.reviewed(Reviewed::Unreadable);
                tracing::debug!("the webhook was asked what it cannot read: {why}");
                return refuse(StatusCode::BAD_REQUEST, &why.to_string());
            }
        };
        self.counts.reviewed(match &answer.verdict {
            Verdict::Allowed | Verdict::AllowedStill(_) => Reviewed::Allowed,
            Verdict::Denied(_) => Reviewed::Denied,
        });
        let json = answer.review().to_string();
        respond(StatusCode::OK, "application/json", json)
    }
}

fn refuse(status: StatusCode, why: &str) -> Response<Full<Bytes>> {
    respond(status, "text/plain; charset=utf-8", format!("{why}\n"))
}

fn respond(status: StatusCode, kind: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    let kind = header::HeaderValue::from_static(kind);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
