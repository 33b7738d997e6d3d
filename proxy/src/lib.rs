//! The data plane: listeners, forwarding, pools, metrics. Knows hyper, knows no Kubernetes.
