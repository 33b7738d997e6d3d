//! The access log: one line for each request, in JSON or after a template.
//!
//! A worker writes the line into its slot of a [`Spool`]; a thread of the log's own appends it to the file. Nothing
//! that happens to the file can hold a request up: what does not fit is dropped and counted.

mod escape;
mod format;
mod time;
mod writer;

use crate::{
    AccessLog, LogFormat,
    entry::Entry,
    spool::{Capacity, Drainer, Inlet, Spool},
};
use format::Format;
use http::{HeaderMap, HeaderValue};
use std::{
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use time::SecondCache;
use traffic::log_template::{LogTemplate, TemplateError};
use writer::{Sink, Writer};

/// Bytes that may wait for each line that may, on average. Long lines take the room of several.
const LINE_BYTES: usize = 1024;

/// Why there is no access log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The template cannot be used.
    #[error("access log template: {0}")]
    Template(#[from] TemplateError),
    /// The file cannot be appended to.
    #[error("access log {}: cannot be opened for appending: {source}", file.display())]
    Open {
        /// The file.
        file: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The system gives no thread.
    #[error("no thread for the access log: {0}")]
    Thread(io::Error),
}

/// The access log of a process. Dropping it writes what waits, and does not wait for it; [`Log::finish`] does.
#[derive(Debug)]
pub(crate) struct Log {
    spool: Arc<Spool>,
    drainer: Drainer,
    format: Arc<Format>,
    threshold: Threshold,
    counters: Arc<LogCounters>,
    is_reopening: Arc<AtomicBool>,
}

/// What became of the lines.
#[derive(Debug)]
pub struct LogCounters {
    spool: Arc<Spool>,
    written: AtomicU64,
    lost: AtomicU64,
    errors: AtomicU64,
}

/// What became of the lines since the process began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogRead {
    /// Lines that were written.
    pub written: u64,
    /// Lines that there was no room for, or that the file did not take.
    pub dropped: u64,
    /// Times that the file could not be written to or opened.
    pub errors: u64,
}

impl LogCounters {
    /// Counters at zero, beside what `spool` drops.
    pub(crate) fn new(spool: Arc<Spool>) -> Arc<Self> {
        Arc::new(Self {
            spool,
            written: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            errors: AtomicU64::new(0),
        })
    }

    /// The numbers as they are.
    pub fn read(&self) -> LogRead {
        LogRead {
            written: self.written.load(Relaxed),
            dropped: self.spool.dropped() + self.lost.load(Relaxed),
            errors: self.errors.load(Relaxed),
        }
    }
}

impl Log {
    /// Opens the log that `config` asks for, for `workers` workers.
    ///
    /// # Errors
    /// The template or the file cannot be used.
    pub(crate) fn start(config: &AccessLog, workers: usize) -> Result<Self, LogError> {
        let format = match &config.format {
            LogFormat::Json => Format::json(),
            LogFormat::Template(template) => Format::template(&LogTemplate::parse(template)?),
        };
        let capacity = Capacity {
            records: config.buffer,
            bytes: config.buffer.saturating_mul(LINE_BYTES),
        };
        let spool = Spool::new(workers, capacity);
        let counters = LogCounters::new(Arc::clone(&spool));
        let sink = Sink::open(config.file.clone())?;
        let is_reopening = Arc::<AtomicBool>::default();
        let writer = Writer::new(sink, Arc::clone(&counters), Arc::clone(&is_reopening));
        let drainer = Drainer::start("access-log", Arc::clone(&spool), |spool| {
            writer.run(spool);
        })
        .map_err(LogError::Thread)?;
        Ok(Self {
            spool,
            drainer,
            format: Arc::new(format),
            threshold: Threshold::new(config.sample),
            counters,
            is_reopening,
        })
    }

    /// The side of worker `worker`, from 0.
    pub(crate) fn worker(&self, worker: usize) -> WorkerLog {
        WorkerLog {
            inlet: Inlet::new(&self.spool, worker),
            format: Arc::clone(&self.format),
            threshold: self.threshold,
            second: SecondCache::default(),
        }
    }

    /// What became of the lines.
    pub(crate) fn counters(&self) -> Arc<LogCounters> {
        Arc::clone(&self.counters)
    }

    /// Opens the file anew, soon. A file that was moved away is found within a second without it.
    pub(crate) fn reopen(&self) {
        self.is_reopening.store(true, Relaxed);
        self.drainer.wake();
    }

    /// Writes what waits, for `deadline` at most. To be called when the workers have ended. Whether all of it could be
    /// dealt with in that time.
    pub(crate) fn finish(self, deadline: Duration) -> bool {
        self.drainer.finish(deadline)
    }
}

/// One worker's side of the log.
#[derive(Debug)]
pub(crate) struct WorkerLog {
    inlet: Inlet,
    format: Arc<Format>,
    threshold: Threshold,
    second: SecondCache,
}

impl WorkerLog {
    /// Notes what lines tell of `request`'s headers. To be called before they are rewritten.
    pub(crate) fn note(&self, request: &HeaderMap) -> Noted {
        self.format.note(request)
    }

    /// Notes what lines tell of `response`'s headers. To be called when they are as the client gets them.
    pub(crate) fn note_response(&self, noted: &mut Noted, response: &HeaderMap) {
        self.format.note_response(noted, response);
    }

    /// Whether a request is written down that `has_failed` (the version or the proxy failed it), with a number drawn
    /// evenly from all.
    pub(crate) fn wants(&self, has_failed: bool, random: u64) -> bool {
        has_failed || self.threshold.admits(random)
    }

    /// Writes a line. Never waits.
    pub(crate) fn write(&self, entry: &Entry<'_>) {
        self.inlet
            .put(|bytes| self.format.write(bytes, entry, &self.second));
    }
}

/// The values of the headers that lines tell of. They share their memory with the message that they were in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Noted {
    /// One for each of the request's headers that the format names; the first of several lines.
    request: Box<[Option<HeaderValue>]>,
    /// The same of the response; empty while there is none.
    response: Box<[Option<HeaderValue>]>,
}

/// A share, for comparing with random numbers.
#[derive(Clone, Copy, Debug)]
enum Threshold {
    All,
    /// Numbers below it.
    Below(u64),
}

impl Threshold {
    /// The share `share` of all numbers: none of them at 0 and below (or when it is no number), all at 1 and above.
    fn new(share: f64) -> Self {
        if share >= 1.0 {
            Self::All
        } else {
            // A cast from a float ends at the bounds of the integer.
            Self::Below((share * (u64::MAX as f64)) as u64)
        }
    }

    /// Whether `number` is in the share.
    fn admits(self, number: u64) -> bool {
        match self {
            Self::All => true,
            Self::Below(bound) => number < bound,
        }
    }
}

#[cfg(test)]
mod tests;
