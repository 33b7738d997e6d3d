//! Asking proxies for their reports.

use crate::{key::Key, metrics::Counts};
use controller::fleet::{PATH, Report, RolloutReport, Told};
use futures_util::future::join_all;
use http::{StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::Duration,
};

/// The longest that a proxy's answer is waited for. All are asked at the same time, and judging waits for the last.
const PATIENCE: Duration = Duration::from_millis(500);
/// And one with histories, which is asked for once.
const PATIENCE_FOR_HISTORIES: Duration = Duration::from_secs(2);
/// No report is larger: some 10,000 Rollouts'.
const LARGEST: usize = 256 << 20;
/// About more Rollouts than this a proxy is not asked by name: it tells of all.
const NAMED: usize = 64;

/// Asks proxies, over connections that are kept.
pub(super) struct Asker(Client<HttpConnector, Empty<&'static [u8]>>);

/// What one proxy told.
#[derive(Debug)]
pub(super) struct Heard {
    process: String,
    at: Duration,
    rollouts: BTreeMap<String, RolloutReport>,
}

/// Why a proxy's report is not known.
#[derive(Debug, thiserror::Error)]
enum Silence {
    #[error("no answer within {0:?}")]
    Late(Duration),
    #[error("{0}")]
    Unreachable(#[from] hyper_util::client::legacy::Error),
    #[error("the answer broke off, or was larger than {LARGEST} bytes: {0}")]
    Broken(Box<dyn std::error::Error + Send + Sync>),
    #[error("answered {0}, allowed 200")]
    Refused(StatusCode),
    #[error("no report: {0}")]
    Unreadable(#[from] serde_json::Error),
    #[error("at: found {0}, allowed the seconds since the process began")]
    Timeless(f64),
    #[error("{0}")]
    Nowhere(#[from] http::uri::InvalidUri),
}

impl Asker {
    pub(super) fn new() -> Self {
        Self(Client::builder(TokioExecutor::new()).build_http())
    }

    /// Asks `proxies` about `rollouts`. One without a report has nothing.
    pub(super) async fn ask(
        &self,
        proxies: &BTreeSet<SocketAddr>,
        rollouts: &[Key],
        counts: &Counts,
    ) -> BTreeMap<SocketAddr, Option<Heard>> {
        self.ask_for(proxies, &query(rollouts), PATIENCE, counts)
            .await
    }

    /// Asks `proxies` about `rollouts`, with what they remember. One without a report has nothing.
    pub(super) async fn ask_for_histories(
        &self,
        proxies: &BTreeSet<SocketAddr>,
        rollouts: &[Key],
        counts: &Counts,
    ) -> BTreeMap<SocketAddr, Option<Heard>> {
        let mut query = query(rollouts);
        for key in rollouts {
            query += &format!("&history={key}");
        }
        self.ask_for(proxies, &query, PATIENCE_FOR_HISTORIES, counts)
            .await
    }

    async fn ask_for(
        &self,
        proxies: &BTreeSet<SocketAddr>,
        query: &str,
        patience: Duration,
        counts: &Counts,
    ) -> BTreeMap<SocketAddr, Option<Heard>> {
        let asked = proxies.iter();
        let asked = asked.map(|proxy| self.ask_one(*proxy, query, patience));
        let heard = join_all(asked).await;
        let told = proxies.iter().zip(heard).map(|(proxy, heard)| {
            counts.asked_proxy(heard.is_ok());
            let heard =
                heard.map_err(|why| tracing::debug!(%proxy, "does not tell what it counts: {why}"));
            (*proxy, heard.ok())
        });
        told.collect()
    }

    async fn ask_one(
        &self,
        proxy: SocketAddr,
        query: &str,
        patience: Duration,
    ) -> Result<Heard, Silence> {
        let answer = tokio::time::timeout(patience, self.read(proxy, query));
        answer.await.map_err(|_| Silence::Late(patience))?
    }

    async fn read(&self, proxy: SocketAddr, query: &str) -> Result<Heard, Silence> {
        let uri: Uri = format!("http://{proxy}{PATH}{query}").parse()?;
        let answer = self.0.get(uri).await?;
        if answer.status() != StatusCode::OK {
            return Err(Silence::Refused(answer.status()));
        }
        let body = Limited::new(answer.into_body(), LARGEST).collect().await;
        let body = body.map_err(Silence::Broken)?.to_bytes();
        Heard::of(serde_json::from_slice(&body)?)
    }
}

impl Heard {
    fn of(report: Report) -> Result<Self, Silence> {
        let at = Duration::try_from_secs_f64(report.at);
        Ok(Self {
            process: report.process,
            at: at.map_err(|_| Silence::Timeless(report.at))?,
            rollouts: report.rollouts,
        })
    }

    /// What was told of the Rollout `NAMESPACE/NAME`, if something was.
    pub(super) fn told_of(&self, rollout: &str) -> Option<Told> {
        Some(Told {
            process: self.process.clone(),
            at: self.at,
            report: self.rollouts.get(rollout)?.clone(),
        })
    }
}

fn query(rollouts: &[Key]) -> String {
    if rollouts.len() > NAMED {
        return String::new();
    }
    // Names of Kubernetes need no escaping in a query.
    let named = rollouts.iter().map(|key| format!("rollout={key}"));
    format!("?{}", named.collect::<Vec<_>>().join("&"))
}
