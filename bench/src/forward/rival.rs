//! Other proxies, set up to do what this one does: one thread, split 95 to 5 over keep-alive connections, tell the
//! endpoint who asked, write no log. Each does it in its own cheapest way: a weight per server, and no counts where
//! it has none.

use crate::sluice::{CANARY, HOST};
use anyhow::Context as _;
use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Command,
};
use traffic::Weight;

/// Where the program `name` is, if it is installed.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian keeps daemons where a user's PATH does not look.
    let further = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(further)
        .map(|directory| directory.join(name))
        .find(|program| program.is_file())
}

/// An address that nobody listens on; these programs cannot pick one and tell.
pub(super) fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// The version number that `program -v` tells.
pub(super) fn version(program: &Path) -> anyhow::Result<String> {
    let output = Command::new(program)
        .arg("-v")
        .output()
        .with_context(|| format!("cannot run {}", program.display()))?;
    let told = [output.stdout, output.stderr].concat();
    Ok(version_in(&String::from_utf8_lossy(&told))
        .unwrap_or("unknown")
        .to_owned())
}

/// `1.22.1` of `nginx version: nginx/1.22.1`, `2.6.12` of `HAProxy version 2.6.12-1+deb12u4 2026/10/17`.
fn version_in(told: &str) -> Option<&str> {
    let words = told.lines().next()?.split([' ', '/', '-']);
    words
        .into_iter()
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))
}

/// The weights of both servers.
fn weights() -> [u16; 2] {
    let canary = Weight::from_basis_points(CANARY).unwrap_or_default();
    [
        canary.complement().basis_points() / 100,
        canary.basis_points() / 100,
    ]
}

pub(super) fn nginx(
    program: &Path,
    directory: &Path,
    listen: SocketAddr,
    [stable, canary]: [SocketAddr; 2],
) -> anyhow::Result<Command> {
    let [stable_weight, canary_weight] = weights();
    let here = directory.display();
    // Without a master, the process that is started is the one that works. `proxy_max_temp_file_size` keeps it from
    // writing bodies to disk.
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
    server {stable} weight={stable_weight};
    server {canary} weight={canary_weight};
    keepalive 128;
    keepalive_requests 1000000000;
  }}
  server {{
    listen {listen};
    server_name {HOST};
    location / {{
      proxy_pass http://shop;
      proxy_http_version 1.1;
      proxy_max_temp_file_size 0;
      proxy_set_header Connection \"\";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Host $host;
      proxy_set_header X-Forwarded-Proto $scheme;
    }}
  }}
}}
"
    );
    let file = directory.join("nginx.conf");
    fs::write(&file, text)?;
    let mut command = Command::new(program);
    command
        .arg("-e")
        .arg(directory.join("nginx.log"))
        .arg("-c")
        .arg(file);
    Ok(command)
}

pub(super) fn haproxy(
    program: &Path,
    directory: &Path,
    listen: SocketAddr,
    [stable, canary]: [SocketAddr; 2],
) -> anyhow::Result<Command> {
    let [stable_weight, canary_weight] = weights();
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
  bind {listen}
  option forwardfor
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
  http-request set-header X-Forwarded-Proto http
  use_backend shop if {{ hdr(host) -i {HOST} }}
backend shop
  balance roundrobin
  server stable {stable} weight {stable_weight}
  server canary {canary} weight {canary_weight}
"
    );
    let file = directory.join("haproxy.cfg");
    fs::write(&file, text)?;
    let mut command = Command::new(program);
    command.arg("-db").arg("-f").arg(file);
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_in_different_words() {
        for (told, expected) in [
            ("nginx version: nginx/1.22.1\n", Some("1.22.1")),
            (
                "HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/\n",
                Some("2.6.12"),
            ),
            ("no idea\n", None),
            ("", None),
        ] {
            assert_eq!(version_in(told), expected, "{told}");
        }
    }

    #[test]
    fn rivals_split_as_the_proxy_does() {
        assert_eq!(weights(), [95, 5]);
    }
}
