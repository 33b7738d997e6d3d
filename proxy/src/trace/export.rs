//! The thread that sends spans to a collector: OTLP over HTTP with protobuf
//! (<https://opentelemetry.io/docs/specs/otlp/#otlphttp>).

use super::{
    TraceCounters, TraceError,
    protobuf::{self, Value, message},
    span,
};
use crate::{
    Tracing,
    spool::{Batch, Spool},
};
use http::Uri;
use rustls::pki_types::CertificateDer;
use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};
use ureq::{
    Agent,
    tls::{Certificate, RootCerts, TlsConfig},
};

/// The most spans of one request.
const MAX_SPANS: usize = 512;

/// The most of an answer that is read.
const MAX_ANSWER: u64 = 64 * 1024;

/// How often trouble is told of.
const COMPLAINT: Duration = Duration::from_secs(60);

/// The times of the exporter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// How long spans wait to be sent together.
    pub(super) round: Duration,
    /// How long one request may take.
    pub(super) request: Duration,
    /// The wait before the first repetition; each further one is twice as long.
    pub(super) first_wait: Duration,
    /// The longest wait, also when the collector asks for more.
    pub(super) longest_wait: Duration,
    /// How many times a request is sent in all.
    pub(super) attempts: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            round: Duration::from_secs(1),
            request: Duration::from_secs(10),
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(30),
            attempts: 5,
        }
    }
}

impl Pace {
    /// The wait after `sent` attempts that failed, when the collector asked for `asked`; none when that was the last.
    /// `random` shortens it by up to a half, so that many proxies do not come back at the same moment.
    fn wait(&self, sent: u32, asked: Option<Duration>, random: u64) -> Option<Duration> {
        if sent >= self.attempts {
            return None;
        }
        if let Some(asked) = asked {
            return Some(asked.min(self.longest_wait));
        }
        let doubled = self.first_wait.saturating_mul(1 << (sent - 1).min(16));
        let longest = doubled.min(self.longest_wait);
        let spared = (random % 1024) as u32;
        Some(longest - longest * spared / 2048)
    }
}

/// What a collector made of a request.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    /// It took all spans but so many.
    Taken { rejected: u64 },
    /// It will never take them.
    Refused(String),
    /// It may take them later: after the time that it asks for, if it does.
    Later(String, Option<Duration>),
}

/// Takes spans out of the spool and sends them.
#[derive(Debug)]
pub(super) struct Exporter {
    agent: Agent,
    endpoint: Uri,
    resource: Vec<u8>,
    scope: Vec<u8>,
    pace: Pace,
    counters: Arc<TraceCounters>,
    complained: Option<Instant>,
    random: u64,
}

impl Exporter {
    /// An exporter to where `config` says.
    ///
    /// # Errors
    /// The endpoint is no URL of HTTP, or its TLS cannot be spoken.
    pub(super) fn new(
        config: &Tracing,
        pace: Pace,
        counters: Arc<TraceCounters>,
    ) -> Result<Self, TraceError> {
        let endpoint = endpoint(&config.endpoint)?;
        let (resource, scope) = span::resource(&config.service_name);
        Ok(Self {
            agent: agent_for(&endpoint, pace.request)?,
            endpoint,
            resource,
            scope,
            pace,
            counters,
            complained: None,
            random: 0,
        })
    }

    /// Sends until the spool ends.
    pub(super) fn run(mut self, spool: &Spool) {
        let (mut batch, mut spans) = (Batch::default(), Vec::new());
        loop {
            let is_last = spool.is_ending();
            for slot in 0..spool.slots() {
                spool.take(slot, &mut batch);
                spans.extend_from_slice(&batch.bytes);
                batch.clear();
            }
            let mut rest = &*spans;
            while let Some((chunk, n)) = chunk(&mut rest) {
                self.deliver(chunk, n, spool);
            }
            spans = Vec::new();
            if is_last {
                return;
            }
            spool.rest(self.pace.round);
        }
    }

    /// Sends `n` spans until the collector takes them, refuses them, or they are given up.
    fn deliver(&mut self, spans: &[u8], n: u64, spool: &Spool) {
        let body = self.body(spans);
        for sent in 1.. {
            // A process that ends waits for nothing: this is the only attempt.
            let is_ending = spool.is_ending();
            let (reason, asked) = match self.post(&body) {
                Answer::Taken { rejected } => {
                    let rejected = rejected.min(n);
                    self.counters.exported.fetch_add(n - rejected, Relaxed);
                    if rejected > 0 {
                        self.fail(rejected, "the collector rejected some spans of a request");
                    }
                    return;
                }
                Answer::Refused(reason) => return self.fail(n, &reason),
                Answer::Later(reason, asked) => (reason, asked),
            };
            self.random = self
                .random
                .wrapping_mul(0x5851_F42D_4C95_7F2D)
                .wrapping_add(n | 1);
            match self.pace.wait(sent, asked, self.random >> 32) {
                Some(wait) if !is_ending => spool.pause(wait),
                _ => return self.fail(n, &reason),
            }
        }
    }

    /// An `ExportTraceServiceRequest` of `spans`.
    fn body(&self, spans: &[u8]) -> Vec<u8> {
        let mut body = Vec::with_capacity(spans.len() + self.resource.len() + 128);
        message(&mut body, 1, |out| {
            out.extend_from_slice(&self.resource);
            message(out, 2, |out| {
                out.extend_from_slice(&self.scope);
                out.extend_from_slice(spans);
            });
        });
        body
    }

    fn post(&self, body: &[u8]) -> Answer {
        let request = self
            .agent
            .post(self.endpoint.clone())
            .content_type("application/x-protobuf");
        let mut response = match request.send(body) {
            Ok(response) => response,
            Err(error) => return Answer::Later(error.to_string(), None),
        };
        let asked = response
            .headers()
            .get(http::header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.trim().parse().ok())
            .map(Duration::from_secs);
        let answer = response
            .body_mut()
            .with_config()
            .limit(MAX_ANSWER)
            .read_to_vec();
        let reason = || format!("the collector answered {}", response.status());
        match response.status().as_u16() {
            // What cannot be read of the answer is no reason to send the spans again: they have been taken.
            200..=299 => Answer::Taken {
                rejected: rejected(&answer.unwrap_or_default()),
            },
            429 | 502 | 503 | 504 => Answer::Later(reason(), asked),
            _ => Answer::Refused(reason()),
        }
    }

    /// Counts spans that are lost, and tells of them once a minute.
    fn fail(&mut self, n: u64, reason: &str) {
        self.counters.failed.fetch_add(n, Relaxed);
        if self.complained.is_some_and(|at| at.elapsed() < COMPLAINT) {
            return;
        }
        self.complained = Some(Instant::now());
        let lost = self.counters.read();
        tracing::error!(
            "traces to {}: {reason}; {} spans have been lost so far",
            // Not the whole URL, which may hold a password.
            self.endpoint.host().unwrap_or_default(),
            lost.failed + lost.dropped
        );
    }
}

/// Takes up to [`MAX_SPANS`] spans off `spans`, and says how many they are.
fn chunk<'a>(spans: &mut &'a [u8]) -> Option<(&'a [u8], u64)> {
    let (whole, mut n) = (*spans, 0);
    while n < MAX_SPANS && protobuf::next(spans).is_some() {
        n += 1;
    }
    let taken = &whole[..whole.len() - spans.len()];
    (n > 0).then_some((taken, n as u64))
}

/// How many spans an `ExportTraceServiceResponse` says were rejected: `partial_success.rejected_spans`.
fn rejected(mut response: &[u8]) -> u64 {
    while let Some((field, value)) = protobuf::next(&mut response) {
        let (1, Value::Bytes(mut partial)) = (field, value) else {
            continue;
        };
        while let Some((field, value)) = protobuf::next(&mut partial) {
            if let (1, Value::Number(rejected)) = (field, value) {
                return rejected;
            }
        }
    }
    0
}

fn endpoint(endpoint: &str) -> Result<Uri, TraceError> {
    let refused = |why| TraceError::Endpoint {
        endpoint: endpoint.into(),
        why,
    };
    let uri: Uri = endpoint
        .parse()
        .map_err(|_| refused("is no URL; such as `http://127.0.0.1:4318/v1/traces` is expected"))?;
    match uri.scheme_str() {
        Some("http" | "https") => Ok(uri),
        _ => Err(refused("must begin with `http://` or `https://`")),
    }
}

/// The way to the collector at `endpoint`, with TLS where its URL says so. A request takes no longer than `patience`; what
/// the collector answers is no error, whatever its status.
///
/// # Errors
/// The endpoint is no URL of HTTP, or its TLS cannot be spoken.
pub fn collector_agent(at: &str, patience: Duration) -> Result<Agent, TraceError> {
    agent_for(&endpoint(at)?, patience)
}

fn agent_for(endpoint: &Uri, patience: Duration) -> Result<Agent, TraceError> {
    let tls = match endpoint.scheme_str() {
        Some("https") => Some(tls(&roots()?)),
        _ => None,
    };
    Ok(agent(patience, tls))
}

fn agent(patience: Duration, tls: Option<TlsConfig>) -> Agent {
    let settings = Agent::config_builder()
        .timeout_global(Some(patience))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        // A proxy in the environment is for the way to the internet, where no collector is.
        .proxy(None)
        .user_agent(concat!("sluice/", env!("CARGO_PKG_VERSION")));
    match tls {
        Some(tls) => settings.tls_config(tls).build().new_agent(),
        None => settings.build().new_agent(),
    }
}

/// The authorities that the system trusts.
fn roots() -> Result<Vec<CertificateDer<'static>>, TraceError> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        return Err(TraceError::Tls("the system trusts no authority".into()));
    }
    Ok(found.certs)
}

/// TLS with these authorities.
fn tls(roots: &[CertificateDer<'static>]) -> TlsConfig {
    let roots = roots.iter();
    let roots = roots.map(|der| Certificate::from_der(der).to_owned());
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    TlsConfig::builder()
        .root_certs(RootCerts::Specific(Arc::new(roots.collect())))
        .unversioned_rustls_crypto_provider(Arc::new(provider))
        .build()
}

#[cfg(test)]
mod tests;
