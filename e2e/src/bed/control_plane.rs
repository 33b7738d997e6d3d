//! The programs of a control plane and how each is run. No check is left out for speed: users have certificates, service
//! accounts signed tokens, and RBAC and the node authorizer decide.

use std::path::Path;

/// A program of the control plane.
#[derive(Debug, PartialEq)]
pub struct Member {
    /// Its file's name.
    pub program: &'static str,
    /// Its arguments.
    pub arguments: Vec<String>,
}

/// Addresses of Services. Nothing answers there: requests go to Pods.
const SERVICE_RANGE: &str = "10.96.0.0/16";
const ETCD: &str = "http://127.0.0.1:2379";
const ETCD_PEER: &str = "http://127.0.0.1:2380";

/// The store. Its data need not survive this machine.
pub fn etcd(directory: &Path) -> Member {
    Member {
        program: "etcd",
        arguments: vec![
            flag("data-dir", &path(directory, "etcd")),
            "--unsafe-no-fsync".to_owned(),
            flag("log-level", "warn"),
            flag("listen-client-urls", ETCD),
            flag("advertise-client-urls", ETCD),
            flag("listen-peer-urls", ETCD_PEER),
            flag("initial-advertise-peer-urls", ETCD_PEER),
            flag("initial-cluster", &format!("default={ETCD_PEER}")),
        ],
    }
}

/// The API server.
pub fn api_server(directory: &Path) -> Member {
    let pki = |file: &str| path(directory, &format!("pki/{file}"));
    Member {
        program: "kube-apiserver",
        arguments: vec![
            flag("etcd-servers", ETCD),
            flag("bind-address", "127.0.0.1"),
            flag("advertise-address", "127.0.0.1"),
            flag("secure-port", "6443"),
            // The Service `kubernetes` would need an address that is not of 127.0.0.0/8.
            flag("endpoint-reconciler-type", "none"),
            flag("tls-cert-file", &pki("apiserver.crt")),
            flag("tls-private-key-file", &pki("apiserver.key")),
            flag("client-ca-file", &pki("ca.crt")),
            flag("authorization-mode", "Node,RBAC"),
            flag("enable-admission-plugins", "NodeRestriction"),
            flag("allow-privileged", "true"),
            flag("service-cluster-ip-range", SERVICE_RANGE),
            // Webhooks are asked at the Pods behind their Service, as its own address leads nowhere.
            "--enable-aggregator-routing".to_owned(),
            flag(
                "service-account-issuer",
                "https://kubernetes.default.svc.cluster.local",
            ),
            flag(
                "service-account-signing-key-file",
                &pki("service-accounts.key"),
            ),
            flag("service-account-key-file", &pki("service-accounts.pub")),
        ],
    }
}

/// The controllers of Deployments, Jobs, EndpointSlices, and the rest. Gives each node its share of the pod range.
pub fn controller_manager(directory: &Path, pod_range: &str) -> Member {
    let pki = |file: &str| path(directory, &format!("pki/{file}"));
    let mut arguments = as_client(directory, "controller-manager");
    arguments.extend([
        flag("secure-port", "10257"),
        "--use-service-account-credentials".to_owned(),
        flag(
            "service-account-private-key-file",
            &pki("service-accounts.key"),
        ),
        flag("root-ca-file", &pki("ca.crt")),
        flag("cluster-signing-cert-file", &pki("ca.crt")),
        flag("cluster-signing-key-file", &pki("ca.key")),
        flag("allocate-node-cidrs", "true"),
        flag("cluster-cidr", pod_range),
        // Some 4,000 Pods for each of at most 16 nodes.
        flag("node-cidr-mask-size", "20"),
        flag("service-cluster-ip-range", SERVICE_RANGE),
    ]);
    Member {
        program: "kube-controller-manager",
        arguments,
    }
}

/// The scheduler.
pub fn scheduler(directory: &Path) -> Member {
    let mut arguments = as_client(directory, "scheduler");
    arguments.push(flag("secure-port", "10259"));
    Member {
        program: "kube-scheduler",
        arguments,
    }
}

/// What the two clients of the API server have in common. They are alone, so that there is nothing to be elected; and at
/// their default of 20 and 50 requests a second they would be what tests wait for.
fn as_client(directory: &Path, name: &str) -> Vec<String> {
    let kubeconfig = path(directory, &format!("pki/{name}.kubeconfig"));
    vec![
        flag("kubeconfig", &kubeconfig),
        flag("authentication-kubeconfig", &kubeconfig),
        flag("authorization-kubeconfig", &kubeconfig),
        flag("bind-address", "127.0.0.1"),
        flag("cert-dir", &path(directory, &format!("pki/{name}"))),
        flag("leader-elect", "false"),
        flag("kube-api-qps", "200"),
        flag("kube-api-burst", "400"),
    ]
}

fn flag(name: &str, value: &str) -> String {
    format!("--{name}={value}")
}

fn path(directory: &Path, file: &str) -> String {
    directory.join(file).to_string_lossy().into_owned()
}
