//! Traces of what the controller does, where they are asked for: OTLP over HTTP with protobuf
//! (<https://opentelemetry.io/docs/specs/otlp/#otlphttp>).
//!
//! A trace is one Rollout's turns until nothing is left to write, with a span for each request to the API server; what the
//! log says of it are its events.

use http::{Request, Response};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{Bytes, HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use std::{env, pin::Pin, time::Duration};
use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{Layer, filter::Targets, registry::LookupSpan};

/// How long one request to the collector may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most of a collector's answer that is read, in bytes.
const MOST: u64 = 64 * 1024;

/// Why there are no traces.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoTraces {
    /// There is no way to the collector.
    #[error("{0}")]
    Way(#[from] ::proxy::TraceError),
    /// What the environment says of them cannot be followed.
    #[error("traces: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
}

/// Sends the spans that wait when it is dropped.
#[derive(Debug)]
pub(crate) struct Traces(SdkTracerProvider);

impl Drop for Traces {
    fn drop(&mut self) {
        if let Err(error) = self.0.shutdown() {
            tracing::warn!("traces: the last spans are lost: {error}");
        }
    }
}

/// Where spans go: to the collector that is `given`, or else named by the variables that OpenTelemetry has for it
/// (<https://opentelemetry.io/docs/specs/otel/protocol/exporter/>). Nowhere when neither says.
pub(crate) fn endpoint(given: Option<String>) -> Option<String> {
    let named = |name| env::var(name).ok().filter(|value| !value.is_empty());
    let of_all = || {
        let base = named("OTEL_EXPORTER_OTLP_ENDPOINT")?;
        Some(format!("{}/v1/traces", base.trim_end_matches('/')))
    };
    given
        .or_else(|| named("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"))
        .or_else(of_all)
}

/// What sends spans to the collector at `endpoint`: a layer for the log, and what must live as long as it.
///
/// # Errors
/// No spans can be sent there.
pub(crate) fn layer<S>(endpoint: &str) -> Result<(impl Layer<S> + use<S>, Traces), NoTraces>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
{
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(Collector(::proxy::collector_agent(endpoint, PATIENCE)?))
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(endpoint)
        .build()?;
    let mut resource = Resource::builder();
    if env::var_os("OTEL_SERVICE_NAME").is_none() {
        resource = resource.with_service_name("sluice-controller");
    }
    let provider = SdkTracerProvider::builder()
        .with_resource(resource.build())
        .with_batch_exporter(exporter)
        .build();
    let layer = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("sluice"))
        .with_location(false)
        .with_threads(false)
        .with_filter(
            Targets::new()
                .with_target(cluster::SPANS, LevelFilter::INFO)
                .with_target("cluster", LevelFilter::INFO),
        );
    Ok((layer, Traces(provider)))
}

/// The way to the collector. The exporter has a thread of its own, which this holds up.
#[derive(Debug)]
struct Collector(ureq::Agent);

impl HttpClient for Collector {
    fn send_bytes<'c, 'f>(
        &'c self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'f>>
    where
        'c: 'f,
    {
        Box::pin(async move { self.send(request) })
    }
}

impl Collector {
    fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (head, body) = request.into_parts();
        let mut answer = self.0.run(Request::from_parts(head, &*body))?;
        let body = answer.body_mut().with_config().limit(MOST).read_to_vec()?;
        let (head, _) = answer.into_parts();
        Ok(Response::from_parts(head, body.into()))
    }
}

#[cfg(test)]
mod tests;
