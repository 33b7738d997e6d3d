//! The log: to standard error, from `info` on unless `SLUICE_LOG` says otherwise.

use std::io::{self, IsTerminal as _};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::{
    EnvFilter, Layer, Registry, filter::Directive, fmt, layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

const VARIABLE: &str = "SLUICE_LOG";

/// Begins to log.
pub(crate) fn begin() {
    fmt()
        .with_env_filter(filter())
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr)
        // Told on standard error, too, that it takes nothing would end in a panic of whoever logs.
        .log_internal_errors(false)
        .init();
}

/// Begins to log, and has `traces` made, too.
pub(crate) fn begin_with(traces: impl Layer<Registry> + Send + Sync) {
    let log = fmt::layer()
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr)
        // As above.
        .log_internal_errors(false)
        .with_filter(filter());
    tracing_subscriber::registry().with(traces).with(log).init();
}

/// What is logged. Spans are for traces: they would stand before each line.
fn filter() -> EnvFilter {
    let filter = match std::env::var_os(VARIABLE) {
        None => EnvFilter::new("info"),
        Some(_) => EnvFilter::builder().with_env_var(VARIABLE).from_env_lossy(),
    };
    let no_spans = format!("{}={}", cluster::SPANS, LevelFilter::OFF).parse::<Directive>();
    match no_spans {
        Ok(no_spans) => filter.add_directive(no_spans),
        Err(_) => filter,
    }
}
