//! Traces: which of them a request belongs to (W3C Trace Context), and its spans, sent to a collector by OTLP.
//!
//! A worker writes each span in its final encoding into its slot of a [`Spool`]; a thread of its own sends them. A
//! collector that is slow or away costs spans, which are counted, and never a request's time.

#[cfg(test)]
mod collector;
mod context;
mod export;
mod protobuf;
mod span;

pub(crate) use context::{Context, SpanId, TraceId};
pub use export::collector_agent;
pub(crate) use span::Attempt;

use crate::{
    Tracing,
    entry::Entry,
    spool::{Capacity, Drainer, Inlet, Spool},
};
use export::{Exporter, Pace};
use http::HeaderMap;
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// Bytes that may wait for each span that may, on average. One with long values takes the room of several.
const SPAN_BYTES: usize = 2048;

/// Why there are no traces.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The endpoint is none that spans can be sent to.
    #[error("tracing endpoint `{endpoint}`: {why}")]
    Endpoint {
        /// What was given.
        endpoint: Box<str>,
        /// What is wrong with it.
        why: &'static str,
    },
    /// TLS cannot be spoken.
    #[error("tracing endpoint: no TLS: {0}")]
    Tls(Box<str>),
    /// The system gives no thread.
    #[error("no thread for traces: {0}")]
    Thread(io::Error),
}

/// The traces of a process. Dropping it sends what waits, and does not wait for it; [`Tracer::finish`] does.
#[derive(Debug)]
pub(crate) struct Tracer {
    spool: Arc<Spool>,
    drainer: Drainer,
    sampler: Sampler,
    counters: Arc<TraceCounters>,
}

/// What became of the spans.
#[derive(Debug)]
pub struct TraceCounters {
    spool: Arc<Spool>,
    exported: AtomicU64,
    failed: AtomicU64,
}

/// What became of the spans since the process began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TraceRead {
    /// Spans that the collector took.
    pub exported: u64,
    /// Spans that there was no room for.
    pub dropped: u64,
    /// Spans that the collector refused, or could not be sent to in time.
    pub failed: u64,
}

impl TraceCounters {
    /// Counters at zero, beside what `spool` drops.
    pub(crate) fn new(spool: Arc<Spool>) -> Arc<Self> {
        Arc::new(Self {
            spool,
            exported: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        })
    }

    /// The numbers as they are.
    pub fn read(&self) -> TraceRead {
        TraceRead {
            exported: self.exported.load(Relaxed),
            dropped: self.spool.dropped(),
            failed: self.failed.load(Relaxed),
        }
    }
}

impl Tracer {
    /// Begins to send traces to where `config` says, for `workers` workers. The collector need not be there yet.
    ///
    /// # Errors
    /// The endpoint is no URL of HTTP.
    pub(crate) fn start(config: &Tracing, workers: usize) -> Result<Self, TraceError> {
        Self::start_with(config, workers, Pace::default())
    }

    fn start_with(config: &Tracing, workers: usize, pace: Pace) -> Result<Self, TraceError> {
        let records = config.buffer.div_ceil(workers.max(1));
        let capacity = Capacity {
            records,
            bytes: records.saturating_mul(SPAN_BYTES),
        };
        let spool = Spool::new(workers, capacity);
        let counters = TraceCounters::new(Arc::clone(&spool));
        let exporter = Exporter::new(config, pace, Arc::clone(&counters))?;
        let drainer = Drainer::start("traces", Arc::clone(&spool), |spool| exporter.run(spool))
            .map_err(TraceError::Thread)?;
        Ok(Self {
            spool,
            drainer,
            sampler: Sampler::new(config.sample),
            counters,
        })
    }

    /// The side of worker `worker`, from 0.
    pub(crate) fn worker(&self, worker: usize) -> WorkerTracer {
        WorkerTracer {
            inlet: Inlet::new(&self.spool, worker),
            sampler: self.sampler,
        }
    }

    /// What became of the spans.
    pub(crate) fn counters(&self) -> Arc<TraceCounters> {
        Arc::clone(&self.counters)
    }

    /// Sends what waits, for `deadline` at most and without repeating what fails. To be called when the workers have
    /// ended. Whether all of it could be dealt with in that time.
    pub(crate) fn finish(self, deadline: Duration) -> bool {
        self.drainer.finish(deadline)
    }
}

/// One worker's side of the traces.
#[derive(Debug)]
pub(crate) struct WorkerTracer {
    inlet: Inlet,
    sampler: Sampler,
}

impl WorkerTracer {
    /// The trace of the request with these headers, with ids of numbers drawn from `random`. To be called once for
    /// each request; then, for each attempt, [`SpanId::new`] and [`Context::inject`].
    pub(crate) fn begin(&self, request: &HeaderMap, random: impl FnMut() -> u64) -> Context {
        Context::begin(request, self.sampler, random)
    }

    /// Keeps the span of an attempt that has ended, when the trace is recorded. Never waits.
    pub(crate) fn end_attempt(&self, context: &Context, attempt: &Attempt<'_>) {
        if context.is_recorded() {
            self.inlet.put(|out| span::client(out, context, attempt));
        }
    }

    /// Keeps the span of a request that has ended, when the trace is recorded. Never waits.
    pub(crate) fn end(&self, context: &Context, entry: &Entry<'_>) {
        if context.is_recorded() {
            self.inlet.put(|out| span::server(out, context, entry));
        }
    }
}

/// Picks a share of all traces. It looks at the trace's id alone, so that all proxies with the same share agree.
#[derive(Clone, Copy, Debug)]
struct Sampler {
    /// Ids whose lowest 56 bits are below it are not picked, as OpenTelemetry's samplers have it.
    threshold: u64,
}

impl Sampler {
    const BITS: u32 = 56;

    /// Picks the share `share`: nothing at 0 and below (or when it is no number), all at 1 and above.
    fn new(share: f64) -> Self {
        let all = 1u64 << Self::BITS;
        // A cast from a float ends at the bounds of the integer.
        let picked = (share * all as f64) as u64;
        Self {
            threshold: all.saturating_sub(picked),
        }
    }

    const fn picks(self, trace: TraceId) -> bool {
        let lowest = trace.get() as u64 & ((1 << Self::BITS) - 1);
        lowest >= self.threshold
    }
}

#[cfg(test)]
mod tests;
