//! The test bed: a real control plane of Kubernetes, nodes that are simulated, and Pods that are processes, all in a
//! network namespace of its own. `README.md` says how to use it, and where it is not like a cluster.

pub mod app;
pub mod bed;
pub mod binaries;
pub mod chaos;
pub mod http;
pub mod kubelet;
pub mod pod;
pub mod process;
pub mod proxy;
pub mod scale;
