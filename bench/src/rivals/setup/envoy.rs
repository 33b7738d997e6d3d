//! Envoy. It counts requests, status classes and a latency histogram of each version, always.

use super::{Setup, Written, weights};
use crate::{
    rivals::{
        case::USER,
        tls::{CHAIN, KEY},
    },
    sluice::HOST,
};
use serde_json::{Value, json};
use std::net::SocketAddr;

/// Request ids, which it makes by default and nobody else does, are off.
pub(crate) fn envoy(setup: &Setup<'_>) -> Written {
    let mut chain = json!({"filters": [{
        "name": "http",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.\
                      HttpConnectionManager",
            "stat_prefix": "shop",
            "codec_type": "AUTO",
            "use_remote_address": true,
            "generate_request_id": false,
            "route_config": routes(setup),
            "http_filters": [{
                "name": "router",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
                    "suppress_envoy_headers": true,
                },
            }],
        },
    }]});
    if setup.is_tls() {
        chain["transport_socket"] = tls(setup);
    }
    let config = json!({"static_resources": {
        "listeners": [{"name": "shop", "address": address(setup.listen), "filter_chains": [chain]}],
        "clusters": [cluster("stable", setup.stable), cluster("canary", setup.canary)],
    }});
    let arguments = [
        "--concurrency",
        "1",
        "--disable-hot-restart",
        "-l",
        "error",
        "-c",
    ];
    let arguments = arguments.map(str::to_owned).into_iter();
    Written {
        files: vec![("envoy.json", config.to_string())],
        arguments: arguments.chain([setup.file("envoy.json")]).collect(),
    }
}

fn routes(setup: &Setup<'_>) -> Value {
    let [stable, canary] = weights();
    let split = json!({
        "clusters": [{"name": "stable", "weight": stable}, {"name": "canary", "weight": canary}],
        "use_hash_policy": setup.case.is_sticky,
    });
    let mut action = json!({"weighted_clusters": split});
    if setup.case.is_sticky {
        action["hash_policy"] = json!([{"header": {"header_name": USER}}]);
    }
    let route = |prefix: String| json!({"match": {"prefix": prefix}, "route": action});
    let prefixes = setup.case.prefixes().chain(["/".to_owned()]);
    json!({
        "virtual_hosts": [{"name": "shop", "domains": [HOST], "routes": prefixes.map(route).collect::<Vec<_>>()}],
        "request_headers_to_add": [{
            "header": {"key": "x-forwarded-host", "value": "%REQ(:AUTHORITY)%"},
            "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
        }],
    })
}

fn tls(setup: &Setup<'_>) -> Value {
    json!({
        "name": "tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": {
                "alpn_protocols": ["http/1.1"],
                "tls_certificates": [{
                    "certificate_chain": {"filename": setup.file(CHAIN)},
                    "private_key": {"filename": setup.file(KEY)},
                }],
            },
        },
    })
}

fn cluster(name: &str, endpoint: SocketAddr) -> Value {
    let endpoint = json!({"endpoint": {"address": address(endpoint)}});
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "2s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    })
}

fn address(of: SocketAddr) -> Value {
    json!({"socket_address": {"address": of.ip().to_string(), "port_value": of.port()}})
}
