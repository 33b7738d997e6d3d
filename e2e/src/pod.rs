//! What becomes of a Pod on a node, as pure decisions: what its spec asks for ([`plan`]), what is to be done next
//! ([`machine`]), and what its status says ([`status`]). Processes, probes and time are told from outside.
//!
//! Rules are those of the kubelet of Kubernetes 1.36, where they can be seen through the API.

mod container;
pub mod image;
pub mod machine;
pub mod plan;
mod probe;
pub mod status;

#[cfg(test)]
mod tests;
