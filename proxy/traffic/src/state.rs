//! What a process knows at run time of Services and routes. It is shared by all workers and outlives route tables.

mod bucket;
mod route;

pub use route::{MirrorCounts, Permit, RouteState};

/// What is known of a Service: how much is under way there, and the health of its endpoints.
#[derive(Debug, Default)]
pub struct BackendState {}
