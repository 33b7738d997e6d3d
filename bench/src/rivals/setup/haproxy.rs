//! HAProxy. It counts requests, status classes and average times of each version, always.

use super::{Setup, Written, weights};
use crate::{
    rivals::{case::USER, tls::BOTH},
    sluice::HOST,
};

/// Rules are a map, as its manual advises where there are many. They all lead to one backend.
pub(crate) fn haproxy(setup: &Setup<'_>) -> Written {
    let [stable_weight, canary_weight] = weights();
    let (stable, canary, listen) = (setup.stable, setup.canary, setup.listen);
    let balance = match setup.case.is_sticky {
        true => format!("balance hdr({USER})\n  hash-type consistent"),
        false => "balance roundrobin".to_owned(),
    };
    let how = match (setup.is_tls(), setup.is_http2()) {
        (true, _) => format!(" ssl crt {} alpn http/1.1", setup.file(BOTH)),
        (false, true) => " proto h2".to_owned(),
        (false, false) => String::new(),
    };
    let backend = match setup.case.rules {
        ..=1 => "shop".to_owned(),
        _ => format!("%[path,map_beg({},shop)]", setup.file("rules.map")),
    };
    let rules = setup
        .case
        .prefixes()
        .map(|prefix| format!("{prefix} shop\n"))
        .collect();
    let scheme = setup.scheme();
    let text = format!(
        "global
  nbthread 1
  maxconn 4096
defaults
  mode http
  option http-keep-alive
  http-reuse always
  timeout connect 2s
  timeout client 5m
  timeout server 30s
  timeout http-request 30s
  timeout http-keep-alive 75s
frontend shop
  bind {listen}{how}
  option forwardfor
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request set-header X-Forwarded-Proto {scheme}
  use_backend {backend} if {{ hdr(host) -i {HOST} }}
backend shop
  {balance}
  server stable {stable} weight {stable_weight}
  server canary {canary} weight {canary_weight}
"
    );
    Written {
        files: vec![("haproxy.cfg", text), ("rules.map", rules)],
        arguments: vec!["-db".to_owned(), "-f".to_owned(), setup.file("haproxy.cfg")],
    }
}
