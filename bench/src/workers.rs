//! How long-lived connections spread over workers. Each stays with the worker that it began on, so a worker that gets none
//! has nothing to do, and one that gets many is where requests wait.

use crate::{
    client::Client,
    origin,
    sluice::{HOST, Shop},
    spread::Spread,
};
use anyhow::Context as _;
use std::{
    fmt::Write as _,
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroUsize,
    sync::Arc,
};
use tokio::net::TcpListener;

/// How many workers and how many connections.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// The proxy's workers.
    pub workers: NonZeroUsize,
    /// Client connections, opened one after the other and kept.
    pub connections: usize,
}

/// The cases that are measured: 2 and 4 workers, 8 and 32 connections.
pub fn cases() -> impl Iterator<Item = Case> {
    [2, 4]
        .into_iter()
        .filter_map(NonZeroUsize::new)
        .flat_map(|workers| {
            [8, 32].map(|connections| Case {
                workers,
                connections,
            })
        })
}

/// Starts a proxy and connects, `repeats` times for each case, and tells in Markdown how many connections the workers
/// got. One request is sent on each connection, so that it has surely been accepted.
///
/// # Errors
/// When the proxy does not start or a request fails.
pub fn run(repeats: usize) -> anyhow::Result<String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let endpoint = listener.local_addr()?;
        tokio::spawn(origin::serve(listener, 0, Arc::default()));
        let mut text = HEAD.to_owned();
        for case in cases() {
            let mut shares = Vec::new();
            for _ in 0..repeats {
                shares.push(connect(case, endpoint).await?);
            }
            text += &line(case, &shares);
        }
        Ok(text)
    })
}

const HEAD: &str = "| workers | connections | busiest worker's, mean (least to most) | idlest worker's | fair share | \
                    runs with an idle worker |\n|---:|---:|---:|---:|---:|---:|\n";

/// The connections that each worker got.
async fn connect(case: Case, endpoint: SocketAddr) -> anyhow::Result<Vec<u64>> {
    let sluice = Shop {
        workers: case.workers,
        ..Shop::new(endpoint, endpoint)
    }
    .start()?;
    let address = sluice.address().context("the proxy listens nowhere")?;
    let request = format!("GET / HTTP/1.1\r\nhost: {HOST}\r\n\r\n");
    let mut clients = Vec::new();
    for _ in 0..case.connections {
        let mut client = Client::connect(address, &request).await?;
        client.exchange().await?;
        clients.push(client);
    }
    let counters = sluice.proxy.counters();
    Ok(counters.by_worker().map(|worker| worker.open).collect())
}

fn line(case: Case, shares: &[Vec<u64>]) -> String {
    let most = shares.iter().filter_map(|shares| shares.iter().max());
    let least = shares.iter().filter_map(|shares| shares.iter().min());
    let idle = least.clone().filter(|least| **least == 0).count();
    let mean = |values: &mut dyn Iterator<Item = &u64>| {
        values.sum::<u64>() as f64 / shares.len().max(1) as f64
    };
    let ends = Spread::of(most.clone().map(|most| *most as f64));
    let (from, to) = ends.map_or((0.0, 0.0), |ends| (ends.least, ends.most));
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = writeln!(
        text,
        "| {} | {} | {:.1} ({from} to {to}) | {:.1} | {:.1} | {:.0} % |",
        case.workers,
        case.connections,
        mean(&mut most.into_iter()),
        mean(&mut least.into_iter()),
        case.connections as f64 / case.workers.get() as f64,
        idle as f64 * 100.0 / shares.len().max(1) as f64,
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_worker_has_its_fair_share() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let endpoint = listener.local_addr().unwrap();
        tokio::spawn(origin::serve(listener, 0, Arc::default()));
        for case in cases() {
            let shares = connect(case, endpoint).await.unwrap();
            let workers = case.workers.get();
            let fair = case.connections / workers;
            assert_eq!(shares, vec![fair as u64; workers]);
        }
    }

    #[test]
    fn a_line_tells_who_had_most_and_who_had_nothing() {
        let case = Case {
            workers: NonZeroUsize::new(2).unwrap(),
            connections: 8,
        };
        assert_eq!(
            line(case, &[vec![4, 4], vec![8, 0]]),
            "| 2 | 8 | 6.0 (4 to 8) | 2.0 | 4.0 | 50 % |\n"
        );
    }
}
