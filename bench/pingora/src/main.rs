//! Pingora as a contender of `bench rivals`: one thread, requests split over two endpoints with keep-alive connections,
//! `X-Forwarded-*` set, no log, no counts.

use async_trait::async_trait;
use clap::Parser;
use pingora::{
    apps::HttpServerOptions,
    http::RequestHeader,
    prelude::{Error, HttpPeer, ProxyHttp, Result, Server, Session, http_proxy_service},
    server::configuration::ServerConf,
};
use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    net::SocketAddr,
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

/// Serves until it is killed.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    #[arg(long)]
    listen: SocketAddr,
    /// The only host that is served.
    #[arg(long)]
    host: String,
    #[arg(long)]
    stable: SocketAddr,
    #[arg(long)]
    canary: SocketAddr,
    /// The canary's share, of 100.
    #[arg(long)]
    share: u64,
    /// This header, and not chance, decides which version a request goes to.
    #[arg(long)]
    sticky: Option<String>,
    /// Paths that are looked at first, one after the other.
    #[arg(long)]
    prefix: Vec<String>,
    /// A certificate and its key, as PEM files, to speak TLS.
    #[arg(long, num_args = 2)]
    tls: Vec<PathBuf>,
    /// HTTP/2 by prior knowledge.
    #[arg(long)]
    http2: bool,
}

struct Shop {
    args: Args,
    /// Requests so far: every hundred of them holds the canary's share.
    turns: AtomicU64,
}

impl Shop {
    /// 0 to 99.
    fn point(&self, head: &RequestHeader) -> u64 {
        let user = self
            .args
            .sticky
            .as_ref()
            .and_then(|name| head.headers.get(name));
        match user {
            Some(user) => {
                let mut hasher = DefaultHasher::new();
                user.as_bytes().hash(&mut hasher);
                hasher.finish() % 100
            }
            // A step that has no divisor in common with 100, so that the canary's turns are spread.
            None => self.turns.fetch_add(1, Relaxed).wrapping_mul(37) % 100,
        }
    }
}

#[async_trait]
impl ProxyHttp for Shop {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(&self, session: &mut Session, (): &mut ()) -> Result<Box<HttpPeer>> {
        let head = session.req_header();
        let host = head.headers.get("host").map(|host| host.as_bytes());
        let host = host.or_else(|| head.uri.host().map(str::as_bytes));
        if host != Some(self.args.host.as_bytes()) {
            return Err(Error::new(pingora::ErrorType::HTTPStatus(404)));
        }
        // All of them lead to the same place; what is measured is to find out.
        let path = head.uri.path();
        let _ = std::hint::black_box(
            self.args
                .prefix
                .iter()
                .position(|prefix| path.starts_with(prefix)),
        );
        let endpoint = match self.point(head) < self.args.share {
            true => self.args.canary,
            false => self.args.stable,
        };
        Ok(Box::new(HttpPeer::new(endpoint, false, String::new())))
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        (): &mut (),
    ) -> Result<()> {
        let client = session.client_addr().and_then(|client| client.as_inet());
        if let Some(client) = client {
            request.append_header("x-forwarded-for", client.ip().to_string())?;
        }
        request.insert_header("x-forwarded-host", self.args.host.as_str())?;
        let scheme = if self.args.tls.is_empty() {
            "http"
        } else {
            "https"
        };
        request.insert_header("x-forwarded-proto", scheme)
    }
}

fn main() -> Result<()> {
    let args = Args::parse();
    // The cheapest that there is for one core: one thread, and a runtime that steals no work.
    let conf = ServerConf {
        threads: 1,
        work_stealing: false,
        upstream_keepalive_pool_size: 512,
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let listen = args.listen.to_string();
    let (http2, tls) = (args.http2, args.tls.clone());
    let shop = Shop {
        args,
        turns: AtomicU64::new(0),
    };
    let mut service = http_proxy_service(&server.configuration, shop);
    if let Some(proxy) = service.app_logic_mut() {
        let mut options = HttpServerOptions::default();
        options.h2c = http2;
        proxy.server_options = Some(options);
    }
    match tls.as_slice() {
        [chain, key] => {
            service.add_tls(
                &listen,
                &chain.display().to_string(),
                &key.display().to_string(),
            )?;
        }
        _ => service.add_tcp(&listen),
    }
    server.add_service(service);
    server.run_forever()
}
