//! The guard: is the canary worse than the stable, and is it good enough to get more traffic?
//!
//! Every tick of about 100 ms is a block of requests of both versions. A block yields an e-variable against "the canary
//! is no worse than the margins allow" ([`block`]); a mixture of their products over sizes and start times
//! ([`mixture`], [`onset`]) is evidence that may be looked at after every tick: the chance that it *ever* reaches
//! `1/alpha` for a canary that keeps within the margins is at most alpha. The same engine runs
//!
//! - the error test, on failed requests;
//! - the failure limit (`ceiling`), where one is set: on the canary's failed requests alone;
//! - the test of client errors (`client_errors`), which holds unless it is asked to convict;
//! - the request rate (`shortfall`), where the rollout may not lose traffic: on the arrivals of both versions together;
//! - the latency tests, on requests slower than the stable's usual quantiles;
//! - the acceptance test ([`acceptance`]), from the other side: the canary is *better* than what the next weight can
//!   bear.
//!
//! Alpha is shared out, so that by the union bound the parts of all tests sum to it: half of it goes to failures, the
//! other half in equal parts to the latency tests. Without latency tests failures have all of it. Where a failure limit,
//! a request rate or client errors may convict too, they and the error test have equal parts of what goes to failures.
//!
//! Requests count when they are sent and failures when they end, so that neither fast failures nor slow ones of a fresh
//! canary distort its ratio; a request that hangs counts as slow as soon as it is overdue. Guesses about the stable
//! come from earlier ticks only ([`baseline`]). A stable that fails by itself holds a rollout and convicts nobody, or lets
//! a sound canary pass without waiting (`cure`). A canary that nobody comes to is held.
//!
//! What the bound takes for granted is that the outcomes within one tick are independent given the version. A failure
//! that hits one endpoint for a moment breaks that, and is bounded by the burst window instead.
//!
//! [`Judge`] is the one entry: [`Judge::observe`] takes counters, [`Judge::reading`] tells all that follows from them,
//! and [`Judge::record`] holds the blocks that it follows from, for whoever wants to add them up again.

pub mod acceptance;
mod allowance;
pub mod baseline;
pub mod block;
mod blocks;
mod ceiling;
mod client_errors;
pub mod confidence;
pub mod config;
mod cure;
pub mod dispersion;
pub mod distribution;
mod errors;
pub mod eta;
mod history;
mod interval;
mod journal;
pub mod judge;
mod latency;
pub mod mixture;
pub mod onset;
mod pace;
pub mod reading;
pub mod record;
mod shortfall;
mod side;
mod trial;
mod users;
mod watch;

pub use acceptance::Target;
pub use baseline::Baseline;
pub use block::{Dispersion, Margin};
pub use config::{
    ClientErrorConfig, Config, LatencyConfig, OnClientErrors, OnLowRate, OnUnhealthyBaseline,
    OutOfRange, Parameters,
};
pub use judge::Judge;
pub use reading::{
    Acceptance, Judgement, Limit, Reading, Reason, Shortfall, Side, Test, TestReading,
};
pub use record::{Record, Tripped};
pub use users::PrePeriod;

#[cfg(test)]
mod simulation;
