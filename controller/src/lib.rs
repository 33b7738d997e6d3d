//! The control plane: documents in, decisions, a route table out. Never on a request's path.
//!
//! [`document`] and [`spec`] turn text into what is asked for, [`compile`] turns that and the rollouts' states into a
//! route table, and [`engine`] goes round: observe, decide, publish, keep. It knows nothing of sockets or HTTP, and
//! the proxy knows nothing of it.

pub mod compile;
pub mod document;
pub mod engine;
pub mod files;
pub mod fleet;
pub mod reconcile;
pub mod spec;
pub mod store;
pub mod verbs;
pub mod view;
pub mod window;

mod template;
mod words;
