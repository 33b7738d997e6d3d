//! The loop closed: a controller, two proxies, pods that answer, and users who ask all the time.

use crate::{
    controller::{
        process::{self, Controller},
        rollouts::Rollouts,
    },
    proxy::{self, Reports as _},
};
use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use e2e::{app::VERSION_HEADER, bed::harness, http, proxy::Proxy};
use hyper::Response;
use k8s_openapi::api::core::v1::Service;
use kube::{Api, Client};
use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    env,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::task::AbortHandle;

/// Where the proxies are: addresses of Pods that no node gives away.
const PROXIES: [Ipv4Addr; 2] = [
    Ipv4Addr::new(10, 244, 250, 1),
    Ipv4Addr::new(10, 244, 250, 2),
];
/// Between two requests of the users.
const PACE: Duration = Duration::from_millis(5);

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        harness::test("bad_canary_loses_its_traffic_and_is_aborted", convicts),
        harness::test("dead_canary_loses_its_traffic_while_nobody_leads", trips),
        harness::test("good_canary_is_promoted_and_no_request_fails", promotes),
        harness::test("services_take_turns_and_no_request_fails", takes_turns),
    ]
}

/// A controller, proxies, and users.
pub(crate) struct Scene {
    /// Whether the Services take turns.
    turns: bool,
    pub(crate) rollouts: Rollouts,
    pub(crate) namespace: String,
    instance: String,
    kubeconfig: PathBuf,
    pub(crate) controller: Controller,
    pub(crate) proxies: Vec<Proxy>,
    users: Users,
}

impl Scene {
    /// With a first version that serves.
    pub(crate) async fn new(client: &Client, namespace: String) -> Result<Self> {
        Self::of(client, namespace, false).await
    }

    /// With a first version that serves, and with Services that take turns or do not.
    async fn of(client: &Client, namespace: String, turns: bool) -> Result<Self> {
        let rollouts = Rollouts::of(client, &namespace).await?;
        let instance = namespace.clone();
        process::apply(&services(&namespace)).await?;
        let kubeconfig = PathBuf::from(env::var_os("KUBECONFIG").context("KUBECONFIG")?);
        let own = format!("--namespace={namespace}");
        let mut proxies = Vec::new();
        for address in PROXIES {
            proxies.push(proxy::start_at(address, 1, &kubeconfig, &[&own]).await?);
        }
        process::apply(&slices(&namespace, &proxies)).await?;
        let controller = controller(&kubeconfig, &namespace, &[])?;
        let mut scene = Self {
            turns,
            users: Users::none(),
            rollouts,
            namespace,
            instance,
            kubeconfig,
            controller,
            proxies,
        };
        scene.ship("blue", 0.0).await?;
        scene.rollouts.wait("shop", "Healthy", 1).await?;
        // Its endpoints come to the proxies a moment later.
        for proxy in &scene.proxies {
            while proxy.ask(scene.host()).await? != "blue" {}
        }
        scene.admit_users();
        Ok(scene)
    }

    /// Kills the controller, and has another one lead at once.
    pub(crate) async fn change_leaders(&mut self) -> Result<()> {
        self.controller.kill().await?;
        let alone = ["--leader-elect=false"];
        self.controller = controller(&self.kubeconfig, &self.namespace, &alone)?;
        Ok(())
    }

    fn admit_users(&mut self) {
        self.users = Users::of(&self.proxies, self.host());
    }

    /// The name by which users ask. Those of Services that take turns are each side's in turn.
    fn host(&self) -> &'static str {
        match self.turns {
            // Nobody else's: a proxy of all namespaces, as another test has one, routes it too.
            true => "turns.example",
            false => "shop",
        }
    }

    /// Ships a version that fails this share of its requests.
    async fn ship(&self, version: &str, failures: f64) -> Result<()> {
        self.ship_by(version, failures, None).await
    }

    /// The same, by these steps.
    pub(crate) async fn ship_by(
        &self,
        version: &str,
        failures: f64,
        steps: Option<Value>,
    ) -> Result<()> {
        let mut rollout = rollout(version, failures);
        let label = "argo-rollouts.argoproj.io/controller-instance-id";
        rollout["metadata"]["labels"] = json!({label: self.instance});
        let canary = &mut rollout["spec"]["strategy"]["canary"];
        if let Some(steps) = steps {
            canary["steps"] = steps;
        }
        match self.turns {
            true => {
                canary["pingPong"] = json!({"pingService": "shop", "pongService": "shop-canary"});
                let options = json!({"hosts": [self.host()]});
                canary["trafficRouting"]["plugins"]["sluice/proxy"] = options;
            }
            false => {
                canary["stableService"] = json!("shop");
                canary["canaryService"] = json!("shop-canary");
            }
        }
        self.rollouts.apply(&rollout).await.map(drop)
    }

    /// Waits until all proxies give the canary so much, in basis points.
    pub(crate) async fn serve(&self, weight: u16) -> Result<()> {
        let id = format!("{}/shop", self.namespace);
        for proxy in &self.proxies {
            proxy.serves(&id, weight).await?;
        }
        Ok(())
    }

    /// Checks that each proxy sends everybody to `version`.
    async fn send_all_to(&self, version: &str) -> Result<()> {
        for proxy in &self.proxies {
            let answered = proxy.share(self.host(), 50).await?;
            ensure!(
                answered == BTreeMap::from([(version.to_owned(), 50)]),
                "{answered:?}"
            );
        }
        Ok(())
    }

    /// Adds the last verdict up again, as a person can.
    async fn replay(&self) -> Result<()> {
        let path = format!("/verdicts/{}/shop", self.namespace);
        process::replay(&self.controller.page(&path).await?).await
    }

    async fn status(&self) -> Result<Value> {
        Ok(self.rollouts.get("shop").await?.data["status"].clone())
    }

    pub(crate) async fn end(mut self) -> Result<()> {
        self.users.stop();
        self.controller.ends(Signal::TERM).await?;
        ensure!(
            self.controller.has_no_trouble(),
            "{}",
            self.controller.log()
        );
        for proxy in &mut self.proxies {
            proxy.process.ends(Signal::TERM).await?;
            ensure!(proxy.process.has_no_trouble(), "{}", proxy.process.log());
        }
        Ok(())
    }
}

/// A controller of `namespace`, whose instance has that name.
fn controller(kubeconfig: &Path, namespace: &str, more: &[&str]) -> Result<Controller> {
    let own = [
        format!("--namespace={namespace}"),
        format!("--lease-namespace={namespace}"),
        format!("--instance-id={namespace}"),
        format!("--proxies={namespace}/sluice-proxy"),
    ];
    let own = own.iter().map(String::as_str);
    let arguments: Vec<&str> = own.chain(more.iter().copied()).collect();
    Controller::start(kubeconfig, &arguments)
}

/// Users who ask both proxies in turn, and wait for nobody. They stop when this is dropped.
struct Users {
    task: Option<AbortHandle>,
    answers: Arc<Mutex<Vec<(Instant, String)>>>,
}

impl Users {
    fn none() -> Self {
        Self {
            task: None,
            answers: Arc::default(),
        }
    }

    /// Who ask for `host`.
    fn of(proxies: &[Proxy], host: &'static str) -> Self {
        let addresses: Vec<_> = proxies.iter().map(|proxy| proxy.requests).collect();
        let answers = Arc::<Mutex<Vec<(Instant, String)>>>::default();
        let told = Arc::clone(&answers);
        let task = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(PACE);
            for address in addresses.into_iter().cycle() {
                ticks.tick().await;
                let told = Arc::clone(&told);
                tokio::spawn(async move {
                    let answer = match http::get_of(address, host, "/").await {
                        Ok(answer) => said(&answer),
                        Err(error) => format!("{error:#}"),
                    };
                    let answer = (Instant::now(), answer);
                    told.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(answer);
                });
            }
        });
        Self {
            task: Some(task.abort_handle()),
            answers,
        }
    }

    /// What they got so far.
    fn answers(&self) -> Vec<(Instant, String)> {
        self.answers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn stop(&self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl Drop for Users {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The version that answered, and with which status if that is no good one.
fn said(answer: &Response<Bytes>) -> String {
    let version = answer.headers().get(VERSION_HEADER);
    let version = version.map_or("nobody", |version| version.to_str().unwrap_or("?"));
    match answer.status().is_success() {
        true => version.to_owned(),
        false => format!("{version} {}", answer.status().as_u16()),
    }
}

fn services(namespace: &str) -> String {
    let service = |name: &str| {
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace},
            "spec": {"selector": {"app": "shop"}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]},
        })
    };
    list(&[service("shop"), service("shop-canary")])
}

/// The proxies' Service, as its EndpointSlices would be if they were Pods.
fn slices(namespace: &str, proxies: &[Proxy]) -> String {
    let slice = |(index, proxy): (usize, &Proxy)| {
        json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {
                "name": format!("sluice-proxy-{index}"), "namespace": namespace,
                "labels": {"kubernetes.io/service-name": "sluice-proxy"},
            },
            "ports": [{"name": "admin", "port": proxy.admin.port()}],
            "endpoints": [{"addresses": [proxy.admin.ip().to_string()], "conditions": {"ready": true}}],
        })
    };
    let slices: Vec<Value> = proxies.iter().enumerate().map(slice).collect();
    list(&slices)
}

fn list(items: &[Value]) -> String {
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}

fn rollout(version: &str, failures: f64) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "shop"},
        "spec": {
            "replicas": 2, "selector": {"matchLabels": {"app": "shop"}},
            "template": {"metadata": {"labels": {"app": "shop"}}, "spec": {
                "terminationGracePeriodSeconds": 5,
                "containers": [{
                    "name": "app", "image": format!("sluice/demo:{version}"),
                    "env": [{"name": "DEMO_FAILURES", "value": failures.to_string()}],
                    "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1},
                }],
            }},
            "strategy": {"canary": {
                "trafficRouting": {"plugins": {"sluice/proxy": {}}},
                "scaleDownDelaySeconds": 2, "abortScaleDownDelaySeconds": 2,
                "steps": [{"setWeight": 20}, {"pause": {"duration": "2s"}}, {"setWeight": 60}, {"pause": {}}],
            }},
        },
    })
}

/// A version that fails everything: the guard convicts it by what both proxies counted, and a person can check that.
async fn convicts(client: Client, namespace: String) -> Result<()> {
    let scene = Scene::new(&client, namespace).await?;
    scene.ship("red", 1.0).await?;
    scene.rollouts.wait("shop", "Degraded", 2).await?;
    scene.serve(0).await?;
    let status = scene.status().await?;
    let message = status["message"].as_str().unwrap_or_default();
    ensure!(message.starts_with("RolloutAborted: "), "{status}");
    ensure!(message.contains("canary requests failed"), "{status}");
    ensure!(
        status["canary"]["weights"]["canary"]["weight"] == 0,
        "{status}"
    );
    scene.send_all_to("blue").await?;
    let answers = scene.users.answers();
    let failed: Vec<_> = answers
        .iter()
        .filter(|(_, answer)| answer != "blue")
        .collect();
    let (first, last) = (
        failed.first().context("it had requests")?,
        failed.last().context("as well")?,
    );
    ensure!(
        failed.iter().all(|(_, answer)| answer == "red 500"),
        "{failed:?}"
    );
    // For information: what it cost.
    println!(
        "{} of {} requests failed, within {:?}",
        failed.len(),
        answers.len(),
        last.0.duration_since(first.0)
    );
    scene.replay().await?;
    scene.ship("blue", 0.0).await?;
    scene.rollouts.wait("shop", "Healthy", 3).await?;
    scene.end().await
}

/// The controller is stopped when the canary has its weight and nobody has asked yet: each proxy takes the traffic away by
/// itself, and the Rollout is aborted as soon as somebody leads again.
async fn trips(client: Client, namespace: String) -> Result<()> {
    let mut scene = Scene::new(&client, namespace).await?;
    scene.users.stop();
    scene.ship("red", 1.0).await?;
    scene.serve(2000).await?;
    scene.controller.signal(Signal::STOP)?;
    scene.admit_users();
    let id = format!("{}/shop", scene.namespace);
    for proxy in &scene.proxies {
        let report = proxy.trips(&id).await?;
        // By its weight, which it keeps.
        let weight = report.serving.context("it serves")?.weight;
        ensure!(weight.basis_points() == 2000, "{weight}");
    }
    scene.send_all_to("blue").await?;
    let answers = scene.users.answers();
    let failed = answers.iter().filter(|(_, answer)| answer != "blue");
    let failed = failed.count();
    // 12 on each where nothing of stable is under way.
    ensure!((24..=100).contains(&failed), "{failed} failed");
    println!("{failed} of {} requests failed", answers.len());
    scene.controller.signal(Signal::CONT)?;
    scene.rollouts.wait("shop", "Degraded", 2).await?;
    scene.serve(0).await?;
    let status = scene.status().await?;
    let message = status["message"].as_str().unwrap_or_default();
    let why = "RolloutAborted: Rollout aborted update to revision 2: at proxy 10.244.250.";
    ensure!(message.starts_with(why), "{status}");
    scene.replay().await
}

/// A good version gets all traffic step by step, and nobody notices. The proxies go on without the controller.
async fn promotes(client: Client, namespace: String) -> Result<()> {
    let scene = Scene::new(&client, namespace).await?;
    scene.ship("green", 0.0).await?;
    scene.rollouts.wait_for_pause("shop", 3).await?;
    scene.serve(6000).await?;
    let answered = scene.proxies[0].share("shop", 200).await?;
    let green = answered.get("green").copied().unwrap_or_default();
    // Users ask meanwhile, so that these are not every fifth exactly.
    ensure!((90..=150).contains(&green), "{answered:?}");
    scene.rollouts.promote("shop").await?;
    scene.rollouts.wait("shop", "Healthy", 2).await?;
    scene.serve(0).await?;
    // The old version's pods go after their delay.
    scene.rollouts.wait_for_pods("shop", 2).await?;
    let answered = scene.proxies[1].share("shop", 50).await?;
    ensure!(
        answered == BTreeMap::from([("green".to_owned(), 50)]),
        "{answered:?}"
    );
    let answers = scene.users.answers();
    let failed: Vec<_> = answers
        .iter()
        .filter(|(_, answer)| answer != "blue" && answer != "green")
        .collect();
    ensure!(
        failed.is_empty(),
        "{} of {} failed: {failed:?}",
        failed.len(),
        answers.len()
    );
    let is_any = |version: &str| answers.iter().any(|(_, answer)| answer == version);
    ensure!(is_any("blue") && is_any("green"));
    // Without the Rollout, its Services are as they were before it.
    scene.users.stop();
    scene.rollouts.delete("shop").await?;
    let services: Api<Service> = Api::namespaced(client, &scene.namespace);
    for name in ["shop", "shop-canary"] {
        e2e::bed::objects::wait(&services, name, |service: Option<&Service>| {
            let spec = service.and_then(|service| service.spec.as_ref());
            let selector = spec.and_then(|spec| spec.selector.as_ref());
            selector == Some(&BTreeMap::from([("app".to_owned(), "shop".to_owned())]))
        })
        .await?;
    }
    scene.end().await
}

/// Two rollouts in a row, by which the Services come back to their sides. Nobody notices, and once a version is stable
/// nobody gets the one before it.
async fn takes_turns(client: Client, namespace: String) -> Result<()> {
    let scene = Scene::of(&client, namespace, true).await?;
    let rollouts = [(2, "blue", "green", "pong"), (3, "green", "red", "ping")];
    for (revision, old, new, slot) in rollouts {
        let begun = Instant::now();
        scene.ship(new, 0.0).await?;
        scene.rollouts.wait_for_pause("shop", 3).await?;
        scene.serve(6000).await?;
        scene.rollouts.promote("shop").await?;
        scene.rollouts.wait("shop", "Healthy", revision).await?;
        scene.serve(0).await?;
        let promoted = Instant::now();
        let status = scene.status().await?;
        ensure!(status["canary"]["stablePingPong"] == slot, "{status}");
        ensure!(
            status["canary"]["weights"]["canary"]["weight"] == 0,
            "{status}"
        );
        scene.send_all_to(new).await?;
        scene.rollouts.wait_for_pods("shop", 2).await?;
        let answers = scene.users.answers();
        let answers = answers.iter().filter(|(at, _)| *at >= begun);
        let wrong: Vec<_> = answers
            .clone()
            .filter(|(at, answer)| answer != new && (answer != old || *at > promoted))
            .collect();
        ensure!(wrong.is_empty(), "{new}: {wrong:?}");
        let is_any = |version: &str| answers.clone().any(|(_, answer)| answer == version);
        ensure!(is_any(old) && is_any(new));
    }
    scene.end().await
}
