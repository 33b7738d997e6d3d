//! The controller on Kubernetes: what is seen of a cluster goes into its decisions, and their writes come out.
//!
//! What a Rollout is to become is decided by a turn ([`TurnFn`]), a pure function of what is known. Here is what is
//! around it: watches that keep what is known true, a queue of what is due, writes that are made only
//! if their object is still as it was seen, and only while this process leads.
//!
//! Only the leader watches, and each term begins with lists that the API server answers from all that was written
//! before. So no leader acts on less than what the one before it left, and those that wait cost nearly nothing. Several
//! processes lead at once where Rollouts are divided into shards: each shard has one leader, which knows no others.

mod announce;
mod api;
mod connect;
mod elect;
mod fence;
mod fleet;
mod instance;
mod key;
mod leader;
pub mod lease;
pub mod metrics;
mod mirror;
mod objects;
pub mod operator;
mod part;
mod proxy;
mod queue;
mod roll;
mod rounds;
mod shard;
mod shared;
mod spans;
mod survey;
mod term;
mod view;
mod watch;
pub mod webhook;
mod work;
mod writes;

pub use connect::{ConnectError, connect, connect_as};
pub use elect::Election;
pub use fleet::{Evidence, NoProxies, Proxies, Verdict};
pub use instance::{Instance, NoInstance};
/// A client of the API server.
pub use kube::Client;
pub use proxy::{Published, watch as watch_for_proxy};
pub use shard::{NoShards, Shard, Shards};
pub use spans::{SPANS, answered, request_span, turn_span};
pub use survey::{Outlook, Surveyed, survey};
pub use term::{Settings, run};
pub use watch::Scope;

use controller::reconcile::{Turn, World};
use jiff::Timestamp;
use std::hash::{BuildHasher as _, RandomState};

/// What follows from what is known of a Rollout, at a time.
pub type TurnFn = fn(&World, Timestamp) -> Turn;

/// Spreads what would otherwise come at once.
fn random() -> u32 {
    let [a, b, c, d, ..] = RandomState::new().hash_one(()).to_ne_bytes();
    u32::from_ne_bytes([a, b, c, d])
}
