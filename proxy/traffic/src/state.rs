//! What a process knows at run time of Services and routes. It is shared by all workers and outlives route tables.

pub mod backend;
mod bucket;
mod route;

pub use backend::BackendState;
pub use route::{MirrorCounts, Permit, RouteState};
