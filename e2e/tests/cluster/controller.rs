//! `sluice controller` itself, as processes: what it makes of Rollouts, with what rights, and who of two writes.

#[path = "controller/late_bytes.rs"]
pub(crate) mod late_bytes;
#[path = "controller/requests.rs"]
mod requests;
#[path = "controller/rollouts.rs"]
pub(crate) mod rollouts;
#[path = "controller/shards.rs"]
mod shards;
#[path = "controller/verbs.rs"]
mod verbs;

use anyhow::{Context as _, Result, bail, ensure};
use cluster::{Instance, Proxies, Scope, Settings, Shards, metrics::Metrics};
use controller::reconcile::{Turn, World};
use e2e::bed::harness;
pub(crate) use e2e::process;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use late_bytes::Way;
use libtest_mimic::Trial;
use process::Controller;
use rollouts::{Rollouts, canary};
use rustix::process::Signal;
use serde_json::json;
use std::{future::pending, num::NonZeroUsize};
use tempfile::NamedTempFile;

pub(crate) fn tests() -> Vec<Trial> {
    let own = vec![
        harness::test("controller_has_the_rights_it_needs", has_its_rights),
        harness::test("controller_of_a_namespace", is_of_a_namespace),
        harness::test("rollout_whose_turns_panic_stops_no_other", survives_poison),
        harness::test(
            "leader_that_was_stopped_writes_nothing_more",
            stops_and_goes_on,
        ),
    ];
    own.into_iter()
        .chain(requests::tests())
        .chain(shards::tests())
        .chain(verbs::tests())
        .collect()
}

/// Applied as it is, the manifest is enough, and a Rollout goes through its steps.
async fn has_its_rights(client: Client, namespace: String) -> Result<()> {
    let rollouts = Rollouts::of(&client, &namespace).await?;
    let kubeconfig = process::controller_account(&client).await?;
    let mut controller = Controller::start(kubeconfig.path(), &["--lease-namespace=sluice"])?;
    rolls_through(&rollouts, None).await?;
    let metrics = controller.metrics().await?;
    let info = format!(
        r#"rollout_info{{namespace="{namespace}",name="shop",phase="Healthy",strategy="canary",traffic_router=""}} 1"#
    );
    ensure!(metrics.contains("sluice_controller_leader 1"), "{metrics}");
    // The API server knows of the last write before the controller hears of it.
    while !controller.metrics().await?.contains(&info) {}
    let leases: Api<Lease> = Api::namespaced(client, "sluice");
    let name = "sluice-controller-lock";
    // As by a renewal that is on its way when it is asked to end, and whose answer it does not wait for.
    controller.signal(Signal::STOP)?;
    let late = Patch::Merge(json!({"metadata": {"annotations": {"renewed": "late"}}}));
    leases.patch(name, &PatchParams::default(), &late).await?;
    controller.signal(Signal::TERM)?;
    controller.ends(Signal::CONT).await?;
    ensure!(controller.has_no_trouble(), "{}", controller.log());
    let lease = leases.get(name).await?;
    let holder = lease.spec.and_then(|spec| spec.holder_identity);
    ensure!(
        holder.as_deref() == Some(""),
        "it was not given back: {holder:?}"
    );
    Ok(())
}

/// The same with rights in one namespace only.
async fn is_of_a_namespace(client: Client, namespace: String) -> Result<()> {
    let rollouts = Rollouts::of(&client, &namespace).await?;
    let kubeconfig = namespaced_account(&client, &namespace, "namespaced").await?;
    let own = [
        &format!("--namespace={namespace}"),
        &format!("--lease-namespace={namespace}"),
        "--instance-id=namespaced",
    ];
    let mut controller =
        Controller::start(kubeconfig.path(), &own.map(|argument| argument as &str))?;
    rolls_through(&rollouts, Some("namespaced")).await?;
    controller.ends(Signal::TERM).await?;
    ensure!(controller.has_no_trouble(), "{}", controller.log());
    Ok(())
}

/// A kubeconfig of an account with the rights that the manifest for one namespace gives, applied as it is but for its Deployment
/// and the name of the Lease, which is that of an instance.
pub(crate) async fn namespaced_account(
    client: &Client,
    namespace: &str,
    instance: &str,
) -> Result<NamedTempFile> {
    let manifest = include_str!("../../../deploy/kubernetes/controller-namespaced.yaml");
    let lease = format!("[sluice-controller-lock-{instance}]");
    let manifest = manifest
        .replace("NAMESPACE", namespace)
        .replace("[sluice-controller-lock]", &lease);
    process::apply(&manifest).await?;
    let deployment = ["delete", "deployment", "-n", namespace, "sluice-controller"];
    process::kubectl(&deployment).await?;
    process::account(client, namespace, "sluice-controller").await
}

/// A first version, then a second one with a pause.
pub(crate) async fn rolls_through(rollouts: &Rollouts, instance: Option<&str>) -> Result<()> {
    rollouts.apply(&canary("shop", "blue", instance)).await?;
    rollouts.wait("shop", "Healthy", 1).await?;
    let applied = rollouts.apply(&canary("shop", "green", instance)).await?;
    rollouts.wait("shop", "Paused", 2).await?;
    rollouts.promote("shop").await?;
    rollouts.wait("shop", "Healthy", 2).await?;
    let found = rollouts.get("shop").await?;
    ensure!(
        found.metadata.generation == applied.metadata.generation,
        "{found:?}"
    );
    ensure!(
        rollouts.pods("green").await? == 2 && rollouts.pods("blue").await? == 0,
        "{found:?}"
    );
    Ok(())
}

/// A turn that panics, again and again, for one Rollout.
fn poisoned(world: &World, now: Timestamp) -> Turn {
    assert_ne!(
        world.rollout.metadata.name.as_deref(),
        Some("poison"),
        "as it is to be"
    );
    controller::reconcile::turn(world, now)
}

/// A Rollout whose turns panic stops no other, and is tried again.
async fn survives_poison(client: Client, namespace: String) -> Result<()> {
    let rollouts = Rollouts::of(&client, &namespace).await?;
    for name in ["poison", "shop"] {
        rollouts
            .apply(&canary(name, "blue", Some("poison")))
            .await?;
    }
    let settings = Settings {
        scope: Scope {
            namespace: Some(namespace.clone()),
            instance: Instance::named("poison")?,
            ..Scope::default()
        },
        proxies: Proxies {
            namespace,
            service: "none".to_owned(),
        },
        election: None,
        me: "test".to_owned(),
        concurrency: NonZeroUsize::MIN,
    };
    let metrics = Metrics::new("test", Shards::ONE);
    let running = cluster::run(&settings, client, poisoned, &metrics, pending());
    tokio::select! {
        () = running => bail!("it ended"),
        settled = rollouts.wait("shop", "Healthy", 1) => settled?,
    }
    let failed = metrics.render()?;
    let failed = failed
        .lines()
        .find_map(|line| line.strip_prefix("rollout_reconcile_error_total "));
    let failed: u64 = failed.context("a counter")?.parse()?;
    ensure!(failed > 1, "it was tried {failed} times");
    Ok(())
}

/// The leader is stopped while writes of its are on their way, and goes on when another leads. What was on its way
/// comes to the API server only then.
async fn stops_and_goes_on(client: Client, namespace: String) -> Result<()> {
    let rollouts = Rollouts::of(&client, &namespace).await?;
    let instance = Some("stopped");
    let admin = std::env::var("KUBECONFIG").context("KUBECONFIG")?;
    let way = Way::to("127.0.0.1:6443").await?;
    let kubeconfig = way.kubeconfig(admin.as_ref())?;
    let own = [
        &format!("--lease-namespace={namespace}"),
        "--instance-id=stopped",
        "--lease-duration=4s",
        "--renew-deadline=3s",
        "--retry-period=500ms",
    ];
    let own = own.map(|argument| argument as &str);
    let mut old = Controller::start(kubeconfig.path(), &own)?;
    rollouts.apply(&canary("shop", "blue", instance)).await?;
    rollouts.wait("shop", "Healthy", 1).await?;
    let mut new = Controller::start(admin.as_ref(), &own)?;

    way.hold();
    let asked = rollouts.scale("shop", 3);
    let stopped = async {
        // Of these one at most is a renewal of the lease.
        way.held(2).await;
        old.signal(Signal::STOP)
    };
    let (asked, stopped) = tokio::join!(asked, stopped);
    asked.and(stopped)?;
    ensure!(new.writes() > 0, "{}", new.log());
    // What was on its way is wrong by now.
    rollouts.scale("shop", 1).await?;
    let (before, written) = (rollouts.written().await?, old.writes());

    way.release();
    old.signal(Signal::CONT)?;
    old.says("does not lead any more").await?;
    way.is_quiet().await;
    let after = rollouts.written().await?;
    ensure!(
        after == before,
        "written by the old leader: {before:#?} became {after:#?}"
    );
    // It stands by, and the new one is not disturbed.
    rollouts.scale("shop", 2).await?;
    ensure!(old.writes() == written, "{}", old.log());
    for controller in [&mut new, &mut old] {
        controller.ends(Signal::TERM).await?;
    }
    Ok(())
}
