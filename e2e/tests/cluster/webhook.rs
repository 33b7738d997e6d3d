//! The webhook of `sluice controller`, asked by a real API server: what is refused, what passes, and whom it trusts.

use crate::controller::{
    namespaced_account,
    process::{self, Controller},
    rollouts::{Rollouts, canary},
    rolls_through,
};
use anyhow::{Context as _, Result, bail, ensure};
use e2e::bed::{
    harness,
    objects::{apply, wait},
};
use k8s_openapi::api::core::v1::{Pod, Secret};
use kube::{
    Api, Client,
    api::{DynamicObject, Patch, PatchParams, PostParams},
};
use libtest_mimic::Trial;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const INSTANCE: &str = "webhook";
const MANIFEST: &str = include_str!("../../../deploy/kubernetes/webhook.yaml");
const REFUSED: &str = "admission webhook \"rollouts.sluice.dev\" denied the request: \
    spec.strategy.canary.steps[0].setWeight: found 101, allowed 0 to 100";

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        harness::test("webhook_refuses_what_would_be_held", refuses),
        harness::test("controller_goes_on_without_its_webhook", goes_on),
    ]
}

/// A Rollout that would be held.
fn bad(name: &str, instance: &str) -> Value {
    let mut rollout = canary(name, "blue", Some(instance));
    rollout["spec"]["strategy"]["canary"]["steps"] = json!([{"setWeight": 101}]);
    rollout
}

fn good(name: &str) -> Value {
    canary(name, "blue", Some(INSTANCE))
}

/// The Rollouts of a namespace, as `kubectl` writes them.
struct Asked(Api<DynamicObject>);

impl Asked {
    /// Why this is not created, if it is not. Nothing is kept of it.
    async fn refused(&self, rollout: &Value) -> Result<Option<String>> {
        let dry = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        let object = serde_json::from_value(rollout.clone())?;
        why(self.0.create(&dry, &object).await)
    }

    /// Why this change is not made, if it is not.
    async fn change(&self, name: &str, patch: Value) -> Result<Option<String>> {
        let as_user = PatchParams::default();
        why(self.0.patch(name, &as_user, &Patch::Merge(patch)).await)
    }
}

fn why<T>(answer: kube::Result<T>) -> Result<Option<String>> {
    match answer {
        Ok(_) => Ok(None),
        Err(kube::Error::Api(status)) => Ok(Some(status.message)),
        Err(error) => Err(error.into()),
    }
}

/// Two controllers, and a Pod for each that leads to it.
struct Replicas {
    controllers: [Controller; 2],
    pods: Api<Pod>,
}

impl Replicas {
    async fn start(client: &Client, namespace: &str) -> Result<Self> {
        let kubeconfig = process::controller_account(client).await?;
        process::apply(&lease_rights().to_string()).await?;
        process::apply(MANIFEST).await?;
        let own = [
            "--lease-namespace=sluice",
            &format!("--namespace={namespace}"),
            &format!("--instance-id={INSTANCE}"),
            "--webhook-service=sluice-webhook",
            "--webhook-port=0",
            "--webhook-certificate-life=15s",
        ];
        let start = || Controller::start(kubeconfig.path(), &own);
        let replicas = Self {
            controllers: [start()?, start()?],
            pods: Api::namespaced(client.clone(), "sluice"),
        };
        for (index, controller) in replicas.controllers.iter().enumerate() {
            controller.says("serves a certificate until").await?;
            let line = controller.says("webhook at https://").await?;
            let port = line
                .rsplit_once(':')
                .and_then(|(_, port)| port.strip_suffix("/validate"));
            let port: u16 = port.context("a port")?.parse()?;
            replicas.lead(index, port).await?;
        }
        Ok(replicas)
    }

    /// Makes a Pod of the Service. In the test bed its address is that of every process that listens on all addresses.
    async fn lead(&self, index: usize, port: u16) -> Result<()> {
        let name = format!("stands-for-{index}");
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "labels": {"app.kubernetes.io/name": "sluice-controller"}},
            "spec": {"terminationGracePeriodSeconds": 1, "containers": [{
                "name": "controller", "image": "sluice/idle:1",
                "ports": [{"name": "webhook", "containerPort": port}],
            }]},
        });
        apply(&self.pods, &pod).await?;
        let is_ready = |pod: Option<&Pod>| {
            let conditions = pod.and_then(|pod| pod.status.as_ref()?.conditions.as_ref());
            conditions.is_some_and(|all| {
                all.iter()
                    .any(|each| each.type_ == "Ready" && each.status == "True")
            })
        };
        wait(&self.pods, &name, is_ready).await?;
        Ok(())
    }

    /// How many requests they have had that came to this.
    async fn counted(&self, result: &str) -> Result<u64> {
        let start = format!("sluice_controller_webhook_requests_total{{result=\"{result}\"}} ");
        let mut all = 0;
        for controller in &self.controllers {
            let metrics = controller.metrics().await?;
            let counted = metrics.lines().find_map(|line| line.strip_prefix(&start));
            all += counted.map_or(Ok(0), str::parse::<u64>)?;
        }
        Ok(all)
    }
}

/// The instance has a Lease of its own, which the manifest says to name.
fn lease_rights() -> Value {
    let name = format!("sluice-controller-lock-{INSTANCE}");
    let metadata = json!({"name": name, "namespace": "sluice"});
    let account =
        json!({"kind": "ServiceAccount", "name": "sluice-controller", "namespace": "sluice"});
    let group = "rbac.authorization.k8s.io";
    json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": format!("{group}/v1"), "kind": "Role", "metadata": metadata, "rules": [{
            "apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "resourceNames": [name],
            "verbs": ["get", "update"],
        }]},
        {"apiVersion": format!("{group}/v1"), "kind": "RoleBinding", "metadata": metadata,
            "roleRef": {"apiGroup": group, "kind": "Role", "name": name}, "subjects": [account]},
    ]})
}

/// With the manifests as they are: what is refused and what passes, while certificates and authorities are renewed, and when
/// nobody serves the webhook any more.
async fn refuses(client: Client, namespace: String) -> Result<()> {
    let rollouts = Rollouts::of(&client, &namespace).await?;
    let api = Api::namespaced_with(client.clone(), &namespace, &process::rollouts());
    let asked = Asked(api);
    for name in ["mended", "deleted"] {
        rollouts.apply(&bad(name, INSTANCE)).await?;
    }
    let mut replicas = Replicas::start(&client, &namespace).await?;
    // The API server hears of the configuration and of the Pods a moment later.
    while asked.refused(&bad("shop", INSTANCE)).await?.as_deref() != Some(REFUSED) {}

    says_no_only_where_it_should(&asked, &rollouts, &replicas).await?;
    renews(&asked, &client).await?;
    for controller in &replicas.controllers {
        // Who does not lead may say so.
        let is_trouble = |line: &str| line.contains("WARN cluster::webhook");
        let log = controller.log();
        ensure!(!log.lines().any(is_trouble), "{log}");
    }
    for controller in &mut replicas.controllers {
        controller.kill().await?;
    }
    let refused = asked.refused(&bad("shop-2", INSTANCE)).await?;
    ensure!(refused.is_none(), "nobody is there: {refused:?}");
    for index in 0..2 {
        let name = format!("stands-for-{index}");
        process::kubectl(&["delete", "pod", "-n", "sluice", &name, "--wait=false"]).await?;
    }
    process::kubectl(&[
        "delete",
        "validatingwebhookconfiguration",
        "sluice-controller",
    ])
    .await
}

async fn says_no_only_where_it_should(
    asked: &Asked,
    rollouts: &Rollouts,
    replicas: &Replicas,
) -> Result<()> {
    rollouts.apply(&good("shop")).await?;
    rollouts.wait("shop", "Healthy", 1).await?;
    let steps =
        |weight: u32| json!({"spec": {"strategy": {"canary": {"steps": [{"setWeight": weight}]}}}});
    let refused = asked.change("shop", steps(101)).await?;
    ensure!(refused.as_deref() == Some(REFUSED), "{refused:?}");
    // One of somebody else.
    let refused = asked.refused(&bad("other", "somebody-else")).await?;
    ensure!(refused.is_none(), "{refused:?}");
    // One that was there before can be changed as before, step by step, and deleted.
    rollouts.wait_until_held("mended").await?;
    let counted = replicas.counted("allowed").await?;
    let annotation = json!({"metadata": {"annotations": {"a": "b"}}});
    let refused = asked.change("mended", annotation).await?;
    ensure!(refused.is_none(), "{refused:?}");
    rollouts
        .set_status("mended", &json!({"abort": true}))
        .await?;
    let after = replicas.counted("allowed").await?;
    ensure!(
        counted == after,
        "the API server asked, though the spec is the same"
    );
    for patch in [json!({"spec": {"replicas": 1}}), steps(20)] {
        let refused = asked.change("mended", patch).await?;
        ensure!(refused.is_none(), "{refused:?}");
    }
    // It asks once more where a write of the controller's came in between.
    ensure!(replicas.counted("allowed").await? >= counted + 2);
    let refused = asked.change("mended", steps(101)).await?;
    ensure!(refused.as_deref() == Some(REFUSED), "{refused:?}");
    rollouts.delete("deleted").await?;
    ensure!(replicas.counted("denied").await? >= 3);
    ensure!(replicas.counted("unreadable").await? == 0);
    Ok(())
}

/// Asks until an authority has been renewed, and all that it signed before.
async fn renews(asked: &Asked, client: &Client) -> Result<()> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), "sluice");
    let (mut authorities, mut certificates) = (BTreeSet::new(), BTreeSet::new());
    let mut times = 0;
    while authorities.len() < 2 || certificates.len() < 6 {
        let secret = secrets.get("sluice-webhook-certs").await?;
        let mut data = secret.data.context("certificates")?;
        authorities.insert(data.remove("ca.crt").context("ca.crt")?.0);
        certificates.insert(data.remove("tls.crt").context("tls.crt")?.0);
        // A handshake that fails would let it pass.
        let refused = asked.refused(&bad("shop-2", INSTANCE)).await?;
        ensure!(
            refused.as_deref() == Some(REFUSED),
            "after {times}: {refused:?}"
        );
        let refused = asked.refused(&good("shop-2")).await?;
        ensure!(refused.is_none(), "after {times}: {refused:?}");
        times += 1;
    }
    println!("{times} times, {} certificates", certificates.len());
    Ok(())
}

/// Without the rights that the webhook needs, and without its Service, the controller says what to do, once, and does its work.
async fn goes_on(client: Client, namespace: String) -> Result<()> {
    let rollouts = Rollouts::of(&client, &namespace).await?;
    let instance = "hookless";
    let kubeconfig = namespaced_account(&client, &namespace, instance).await?;
    let own = [
        &*format!("--namespace={namespace}"),
        &format!("--lease-namespace={namespace}"),
        &format!("--instance-id={instance}"),
        "--webhook-service=sluice-webhook",
        "--webhook-port=0",
        // It looks often.
        "--webhook-certificate-life=10s",
    ];
    let mut controller = Controller::start(kubeconfig.path(), &own)?;
    rolls_through(&rollouts, Some(instance)).await?;
    let secret = format!("the Secret {namespace}/sluice-webhook-certs cannot be read");
    controller.says(&secret).await?;
    controller.ends(Signal::TERM).await?;
    let log = controller.log();
    let service = format!("there is no Service {namespace}/sluice-webhook");
    let configuration = "the ValidatingWebhookConfiguration sluice-controller cannot be read";
    for said in [&*secret, &service, configuration] {
        let lines: Vec<_> = log.lines().filter(|line| line.contains(said)).collect();
        match lines.as_slice() {
            [line] if line.contains("deploy/kubernetes/webhook.yaml") => {}
            _ => bail!("{said}: {lines:?}"),
        }
    }
    Ok(())
}
