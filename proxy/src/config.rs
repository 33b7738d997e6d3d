//! What the proxy is told at its start.

use std::{net::SocketAddr, num::NonZeroUsize, time::Duration};

/// The proxy's settings. They hold for its whole life; what changes meanwhile is the route table.
#[derive(Clone, Debug)]
pub struct Config {
    /// The addresses to listen on. Port 0 picks a free one, see [`Proxy::addresses`](crate::Proxy::addresses).
    pub listeners: Vec<SocketAddr>,
    /// How many workers serve, each on a thread of its own. One for each core is best.
    pub workers: NonZeroUsize,
    /// How long each part of an exchange may take.
    pub timeouts: Timeouts,
    /// How many connections to endpoints are kept for reuse.
    pub pool: PoolLimits,
    /// The largest head of a request or a response, in bytes: start line and headers. A larger request gets a 431, a
    /// larger response counts as no valid HTTP. More than 100 headers are treated the same.
    pub max_head_bytes: usize,
}

impl Config {
    /// The default settings with these addresses and workers.
    pub fn new(listeners: Vec<SocketAddr>, workers: NonZeroUsize) -> Self {
        Self {
            listeners,
            workers,
            timeouts: Timeouts::default(),
            pool: PoolLimits::default(),
            // Room for large cookies; four times what most servers take by default.
            max_head_bytes: 64 * 1024,
        }
    }
}

/// How long each part of an exchange may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection to an endpoint. Default 2 s.
    pub connect: Duration,
    /// From the last byte of the request to the head of its response. Default 30 s.
    pub response_header: Duration,
    /// For which nothing may move on a body or on a tunnel. Default 5 min.
    pub idle: Duration,
    /// For which a client's connection may lie idle between two requests. Default 75 s.
    pub keep_alive: Duration,
    /// From a request's first byte to the end of its head; for the first request, from the connection's beginning.
    /// Default 30 s.
    pub request_header: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(2),
            response_header: Duration::from_secs(30),
            idle: Duration::from_secs(5 * 60),
            keep_alive: Duration::from_secs(75),
            request_header: Duration::from_secs(30),
        }
    }
}

/// How many connections to endpoints are kept for reuse. Every worker keeps its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolLimits {
    /// The most idle connections to one endpoint that one worker keeps. Default 128.
    pub idle_per_endpoint: usize,
    /// How long a connection is kept idle. Default 4 s: a server that closes a connection in the moment in which a
    /// request is sent on it makes that request fail, and 5 s is the shortest idle timeout that common servers have
    /// by default (Node.js, Apache, uvicorn).
    pub idle_time: Duration,
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self {
            idle_per_endpoint: 128,
            idle_time: Duration::from_secs(4),
        }
    }
}
