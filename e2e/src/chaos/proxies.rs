//! The proxies, one of which is killed now and then. Each reaches the API server on a way of its own, on which requests fail.

use super::{Faults, kept::Kept, observer::Observer, ship::insist, through};
use crate::{
    bed::{objects, supervise::client},
    process,
    proxy::Proxy,
};
use anyhow::{Context as _, Result};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::{Api, Client};
use serde_json::json;
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};
use tempfile::NamedTempFile;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

/// Where they are: addresses of Pods that no node gives away.
const ADDRESSES: [Ipv4Addr; 2] = [
    Ipv4Addr::new(10, 244, 250, 1),
    Ipv4Addr::new(10, 244, 250, 2),
];
/// Where requests come in, and where they tell of themselves.
const PORTS: [u16; 2] = [8080, 9091];
/// What they look at.
const RESOURCES: [&str; 3] = ["rollouts", "services", "endpointslices"];
/// Between two deaths of proxies, in milliseconds.
const DEATHS: Range<u64> = 8_000..25_000;
/// For how long one that was killed is away before it is started again, in milliseconds.
const AWAY: Range<u64> = 300..4_000;
/// The longest that one may take to know all that it has to.
const PATIENCE: Duration = Duration::from_secs(300);
/// Between two questions whether it does.
const AGAIN: Duration = Duration::from_millis(100);

/// The proxies, until this is dropped.
pub(super) struct Proxies {
    places: Vec<Arc<Place>>,
    killed: Arc<AtomicU32>,
    _tasks: JoinSet<()>,
}

/// Where a proxy is, whichever process that is.
pub(super) struct Place {
    pub(super) number: usize,
    /// Where requests come in.
    pub(super) requests: SocketAddr,
    admin: SocketAddr,
    faults: Faults,
    kubeconfig: NamedTempFile,
    slices: Api<EndpointSlice>,
    life: watch::Sender<Life>,
}

/// A process after the other.
#[derive(Clone, Copy, Debug, Default)]
struct Life {
    number: u32,
    is_ready: bool,
}

impl Place {
    /// The number of the process that is there and ready, if one is.
    pub(super) fn life(&self) -> Option<u32> {
        let life = *self.life.borrow();
        life.is_ready.then_some(life.number)
    }

    /// Since when the proxy has been told of all changes without a break, if it is.
    pub(super) fn reads_since(&self) -> Option<Instant> {
        self.faults.watched_since(&RESOURCES)
    }

    /// Starts a process, and waits until it is ready; then users and controllers are told.
    async fn start(&self) -> Result<Kept> {
        let listen = [self.requests, self.admin];
        let proxy = Proxy::start(listen, 1, self.kubeconfig.path(), &[]).await?;
        let name = format!("proxy-{}-{}", self.number, self.life.borrow().number + 1);
        let is_ready = async {
            while !proxy
                .page("/readyz")
                .await
                .is_ok_and(|status| status == 200)
            {
                sleep(AGAIN).await;
            }
        };
        let waited = timeout(PATIENCE, is_ready).await;
        let kept = Kept::new(proxy.process, &name)?;
        waited.context("a proxy is not ready")?;
        self.publish(true).await?;
        self.life.send_modify(|life| {
            life.number += 1;
            life.is_ready = true;
        });
        Ok(kept)
    }

    /// Kills a process; users are told before.
    async fn kill(&self, proxy: Kept) -> Result<()> {
        self.life.send_modify(|life| life.is_ready = false);
        proxy.kill().await?;
        self.publish(false).await
    }

    /// What controllers are told: the EndpointSlice that there would be if it were a Pod.
    async fn publish(&self, is_ready: bool) -> Result<()> {
        let slice = json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {
                "name": format!("sluice-proxy-{}", self.number),
                "labels": {"kubernetes.io/service-name": "sluice-proxy"},
            },
            "ports": [{"name": "admin", "port": self.admin.port()}],
            "endpoints": [{"addresses": [self.admin.ip().to_string()], "conditions": {"ready": is_ready}}],
        });
        insist(|| objects::apply(&self.slices, &slice)).await?;
        Ok(())
    }
}

impl Proxies {
    /// Starts them; their requests to the API server fail as those on `beside` do. What is found to be broken is told to
    /// `observer`.
    pub(super) async fn begin(
        admin: &Client,
        beside: &Faults,
        observer: &Observer,
        seed: u64,
    ) -> Result<Self> {
        process::apply(include_str!("../../../deploy/kubernetes/proxy.yaml")).await?;
        process::kubectl(&["delete", "deployment", "-n", "sluice", "sluice-proxy"]).await?;
        let account = process::account(admin, "sluice", "sluice-proxy").await?;
        let mut random = fastrand::Rng::with_seed(seed.rotate_left(32));
        let mut places = Vec::new();
        for (number, address) in ADDRESSES.into_iter().enumerate() {
            let client = client(account.path()).await?;
            let faults = beside.beside(client, random.u64(..)).await?;
            let [requests, own] = PORTS.map(|port| SocketAddr::new(IpAddr::from(address), port));
            places.push(Arc::new(Place {
                number,
                requests,
                admin: own,
                kubeconfig: through(&faults)?,
                faults,
                slices: Api::namespaced(admin.clone(), "sluice"),
                life: watch::Sender::default(),
            }));
        }
        let killed = Arc::<AtomicU32>::default();
        let (told, all, counter) = (observer.clone(), places.clone(), Arc::clone(&killed));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            if let Err(error) = live_and_die(&all, random, &counter).await {
                told.tell(&format!("{error:?}"));
            }
        });
        Ok(Self {
            places,
            killed,
            _tasks: tasks,
        })
    }

    pub(super) fn places(&self) -> &[Arc<Place>] {
        &self.places
    }

    /// In words, what there was.
    pub(super) fn told(&self) -> String {
        format!("{} proxies killed", self.killed.load(Relaxed))
    }
}

/// Starts all, and then kills one after the other and starts it again, for ever.
async fn live_and_die(
    places: &[Arc<Place>],
    mut random: fastrand::Rng,
    killed: &AtomicU32,
) -> Result<()> {
    let mut running = Vec::new();
    for place in places {
        running.push(place.start().await?);
    }
    loop {
        sleep(Duration::from_millis(random.u64(DEATHS))).await;
        let which = random.usize(..running.len());
        let place = &places[which];
        place.kill(running.swap_remove(which)).await?;
        killed.fetch_add(1, Relaxed);
        sleep(Duration::from_millis(random.u64(AWAY))).await;
        running.push(place.start().await?);
        let last = running.len() - 1;
        running.swap(which, last);
    }
}
