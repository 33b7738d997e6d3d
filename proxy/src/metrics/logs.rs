//! What became of what is written down of requests: lines of the access log, and spans.

use super::encode::{About, counter};
use crate::{LogCounters, LogRead, TraceCounters, TraceRead};
use prometheus_client::{collector::Collector, encoding::DescriptorEncoder};
use std::{
    fmt,
    sync::{Arc, OnceLock},
};

/// Shows the access log; zeros while there is none.
#[derive(Clone, Debug, Default)]
pub(super) struct AccessLog(Arc<OnceLock<Arc<LogCounters>>>);

impl AccessLog {
    /// Shows these counters from now on. The first call counts.
    pub(super) fn set(&self, counters: Arc<LogCounters>) {
        let _ = self.0.set(counters);
    }

    fn read(&self) -> LogRead {
        self.0.get().map(|c| c.read()).unwrap_or_default()
    }
}

/// Shows the traces; zeros while there are none.
#[derive(Clone, Debug, Default)]
pub(super) struct Traces(Arc<OnceLock<Arc<TraceCounters>>>);

impl Traces {
    /// Shows these counters from now on. The first call counts.
    pub(super) fn set(&self, counters: Arc<TraceCounters>) {
        let _ = self.0.set(counters);
    }

    fn read(&self) -> TraceRead {
        self.0.get().map(|c| c.read()).unwrap_or_default()
    }
}

const fn about(name: &'static str, help: &'static str) -> About {
    About {
        name,
        unit: None,
        help,
    }
}

const LINES: About = about(
    "sluice_access_log_lines",
    "Lines that were written to the access log",
);
const LINES_DROPPED: About = about(
    "sluice_access_log_dropped",
    "Lines that there was no room for, or that the file did not take",
);
const ERRORS: About = about(
    "sluice_access_log_errors",
    "Failures to write to the access log or to open it",
);
const EXPORTED: About = about(
    "sluice_trace_spans_exported",
    "Spans that the collector took",
);
const SPANS_DROPPED: About = about(
    "sluice_trace_spans_dropped",
    "Spans that there was no room for",
);
const FAILED: About = about(
    "sluice_trace_spans_failed",
    "Spans that the collector refused, or that could not be sent to it in time",
);

impl Collector for AccessLog {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let read = self.read();
        counter(&mut encoder, &LINES, &read.written)?;
        counter(&mut encoder, &LINES_DROPPED, &read.dropped)?;
        counter(&mut encoder, &ERRORS, &read.errors)
    }
}

impl Collector for Traces {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let read = self.read();
        counter(&mut encoder, &EXPORTED, &read.exported)?;
        counter(&mut encoder, &SPANS_DROPPED, &read.dropped)?;
        counter(&mut encoder, &FAILED, &read.failed)
    }
}
