//! nginx. It counts nothing per version.

use super::{IDLE, Setup, Written, weights};
use crate::{
    rivals::tls::{CHAIN, KEY},
    sluice::HOST,
};

/// Without a master, the process that is started is the one that works. `proxy_max_temp_file_size` keeps it from writing
/// bodies to disk.
pub(crate) fn nginx(setup: &Setup<'_>) -> Written {
    let [stable_weight, canary_weight] = weights();
    let (stable, canary, listen) = (setup.stable, setup.canary, setup.listen);
    let here = setup.directory.display();
    let hash = match setup.case.is_sticky {
        true => "hash $http_x_user consistent;",
        false => "",
    };
    let tls = match setup.is_tls() {
        true => format!(
            "ssl_certificate {here}/{CHAIN};
    ssl_certificate_key {here}/{KEY};
    ssl_protocols TLSv1.3;"
        ),
        false => String::new(),
    };
    let how = match (setup.is_tls(), setup.is_http2()) {
        (true, _) => " ssl",
        (false, true) => " http2",
        (false, false) => "",
    };
    let areas: String = setup
        .case
        .prefixes()
        .map(|prefix| format!("    location {prefix} {{ proxy_pass http://shop; }}\n"))
        .collect();
    let text = format!(
        "daemon off;
master_process off;
worker_processes 1;
pid {here}/nginx.pid;
error_log {here}/nginx.log error;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  server_tokens off;
  tcp_nodelay on;
  keepalive_timeout 75s;
  keepalive_requests 1000000000;
  client_body_temp_path {here}/client;
  proxy_temp_path {here}/proxy;
  fastcgi_temp_path {here}/fastcgi;
  uwsgi_temp_path {here}/uwsgi;
  scgi_temp_path {here}/scgi;
  upstream shop {{
    {hash}
    server {stable} weight={stable_weight};
    server {canary} weight={canary_weight};
    keepalive {IDLE};
    keepalive_requests 1000000000;
  }}
  server {{
    listen {listen}{how};
    {tls}
    server_name {HOST};
    proxy_http_version 1.1;
    proxy_max_temp_file_size 0;
    proxy_set_header Connection \"\";
    proxy_set_header Host $host;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Host $host;
    proxy_set_header X-Forwarded-Proto $scheme;
{areas}    location / {{ proxy_pass http://shop; }}
  }}
}}
"
    );
    Written {
        files: vec![("nginx.conf", text)],
        arguments: vec![
            "-e".to_owned(),
            setup.file("nginx.log"),
            "-c".to_owned(),
            setup.file("nginx.conf"),
        ],
    }
}
