//! What the proxy costs, and how well its guard decides.
//!
//! Two programs are built on this: `bench`, which compares the CPU time of a forwarded request with other proxies
//! ([`forward`]) and times verdicts over real sockets ([`verdicts`]), and `micro`, which times the single steps of a request's way ([`micro`]). The tests are gates on
//! heap allocations, which can be counted exactly where times cannot.

pub mod client;
#[cfg(target_os = "linux")]
pub mod forward;
pub mod micro;
pub mod origin;
pub mod relay;
pub mod sluice;
pub mod spread;
#[cfg(target_os = "linux")]
pub mod verdicts;
