//! The rollout API as Rust types.
