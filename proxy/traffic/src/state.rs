//! What a process knows at run time of Services and routes. It is shared by all workers and outlives route tables.

pub mod backend;

pub use backend::BackendState;

/// What is known of a route: how many requests are under way, and the buckets of its rate limit.
#[derive(Debug, Default)]
pub struct RouteState {}
