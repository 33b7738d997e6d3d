//! The shared vocabulary of proxy and controller, and the seam between them.
//!
//! The controller compiles a [`RouteTable`] and publishes it through [`Routes`]; each worker of the proxy reads it
//! through its own [`Reader`], matches and splits requests with it, and counts their outcomes in its own shard of
//! [`Series`]. The controller reads the counters as [`Snapshot`]s.
//!
//! This crate is pure: it knows no runtime, no socket, no HTTP implementation, no Kubernetes, and it reads no clock.
//! Time comes in as an offset from an epoch that the process chose, randomness as a number.

pub mod action;
pub mod handle;
pub mod histogram;
pub mod log_template;
pub mod matches;
pub mod name;
pub mod policy;
pub mod request;
pub mod route;
pub mod snapshot;
pub mod split;
pub mod state;
pub mod stats;
pub mod sticky;
pub mod trip;
pub mod weight;

pub use action::Actions;
pub use handle::{Generation, Reader, Routes, View};
pub use histogram::{Bucket, HalfOctave, HalfOctaves, Histogram};
pub use log_template::LogTemplate;
pub use name::{BackendId, Role, RolloutId};
pub use policy::BackendPolicy;
pub use request::{Head, Headers};
pub use route::{Backend, Found, Route, RouteTable, Target};
pub use snapshot::{Counts, EndpointCounts, SECTORS, SectorCounts, Snapshot, UserCounts};
pub use split::{Choice, CopyRule, Split, SplitRule};
pub use state::{BackendState, MirrorCounts, Permit, RouteState};
pub use stats::{
    Armed, Arming, Counted, Counting, Failure, FailureRule, GrpcCode, Outcome, Series, Stake,
    Stats, Trip,
};
pub use sticky::{Sticky, StickyKey};
pub use trip::{Margins, TripCounts};
pub use weight::Weight;
