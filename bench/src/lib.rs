//! What the proxy costs, and how well its guard decides.
//!
//! Two programs are built on this: `bench`, which compares what a forwarded request costs with other proxies
//! ([`rivals`]), shows how connections spread over workers ([`workers`]) and times verdicts over real sockets
//! ([`verdicts`]), and `micro`, which times the single steps of a request's way ([`micro`]). The tests are gates on what
//! can be counted exactly where times cannot: heap allocations, system calls, instructions.

pub mod client;
#[cfg(target_os = "linux")]
mod cores;
pub mod micro;
pub mod origin;
#[cfg(target_os = "linux")]
mod random;
pub mod relay;
mod requests;
#[cfg(target_os = "linux")]
pub mod rivals;
#[cfg(target_os = "linux")]
mod shipped;
pub mod sluice;
pub mod spread;
#[cfg(target_os = "linux")]
pub mod verdicts;
pub mod workers;
