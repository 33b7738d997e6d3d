//! What a process knows at run time of Services and routes. It is shared by all workers and outlives route tables.

/// What is known of a Service: how much is under way there, and the health of its endpoints.
#[derive(Debug, Default)]
pub struct BackendState {}

/// What is known of a route: how many requests are under way, and the buckets of its rate limit.
#[derive(Debug, Default)]
pub struct RouteState {}
