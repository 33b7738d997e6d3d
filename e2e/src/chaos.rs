//! Rollouts while everything around them fails: controllers and proxies are killed, requests and watches are cut, the API server
//! and its store go away. What must hold at every moment is watched, users ask all the time, and how each rollout must end is
//! known.

mod faults;
mod kept;
mod kind;
mod observer;
mod proxies;
mod report;
mod ship;
mod trouble;
mod users;
mod version;

use crate::{
    bed::{harness, objects, supervise::client},
    process,
};
use anyhow::{Context as _, Result, bail};
use clap::Args;
use faults::Faults;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use kube::Client;
use observer::Observer;
use proxies::Proxies;
use report::Report;
use serde_json::json;
use ship::Shop;
use std::{
    env,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};
use tokio::time::timeout;
use trouble::Trouble;

/// The namespace that the Rollouts are in.
const NAMESPACE: &str = "chaos";
/// The longest that all of it may take.
const PATIENCE: Duration = Duration::from_secs(3600);

/// What is done.
#[derive(Clone, Debug, Args)]
pub struct Arguments {
    /// How many Rollouts there are, all at once: of four, two are canaries by pods, one a canary behind proxies with users, and one
    /// blue-green
    #[arg(long, default_value_t = 40)]
    rollouts: usize,
    /// How many versions each of them ships after the first, one after the other
    #[arg(long, default_value_t = 5)]
    updates: u32,
    /// What chance begins with. When what happens is a matter of other processes, too, the same is only likely to come again
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Into how many shards the controllers have them divided
    #[arg(long, default_value_t = 1)]
    shards: u16,
}

/// Does `arguments` in a test bed of its own, and tells on standard output what failed meanwhile.
///
/// # Errors
/// When something that it needs is missing, when a rollout does not end as it must, or when something is seen that must
/// never be.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    process::binary()?;
    if !harness::is_inside() {
        return harness::again_inside(&env::current_exe()?);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let all = timeout(PATIENCE, endure(arguments)).await;
        all.context("not all rollouts come to their end")?
    })?;
    Ok(ExitCode::SUCCESS)
}

async fn endure(arguments: &Arguments) -> Result<()> {
    let begun = Instant::now();
    let admin = PathBuf::from(env::var_os("KUBECONFIG").context("KUBECONFIG")?);
    let admin = client(&admin).await?;
    let faults = serve_controllers(&admin, arguments.seed).await?;
    objects::namespace(&admin, NAMESPACE).await?;
    let observer = Observer::begin(&admin);
    let trouble = Trouble::begin(&faults, &observer, arguments)?;
    let proxies = Proxies::begin(&admin, &faults, &observer, arguments.seed).await?;
    let shops = (0..arguments.rollouts)
        .map(|index| Shop::new(&admin, &observer, &proxies, index, arguments.seed))
        .map(|shop| shop.ship_all(arguments.updates));
    let all = stream::iter(shops).buffer_unordered(arguments.rollouts);
    let all: Vec<_> = tokio::select! {
        all = all.try_collect() => all?,
        broken = observer.is_broken() => bail!("{}", broken?),
    };
    let report = Report::of(&all);
    println!("{report}, in {:.0} s", begun.elapsed().as_secs_f64());
    println!(
        "meanwhile: {}, {}; {}",
        proxies.told(),
        trouble.told(),
        faults.told()
    );
    println!("{}", observer.told());
    println!("{}", report.users());
    Ok(())
}

/// What controllers need, and the way to the API server that fails them.
async fn serve_controllers(admin: &Client, seed: u64) -> Result<Faults> {
    process::define_rollouts(admin).await?;
    let account = process::controller_account(admin).await?;
    Faults::serve(client(account.path()).await?, seed).await
}

/// A kubeconfig by which everything goes through `faults`.
fn through(faults: &Faults) -> Result<tempfile::NamedTempFile> {
    let admin = PathBuf::from(env::var_os("KUBECONFIG").context("KUBECONFIG")?);
    process::changed(&admin, |config| {
        config["clusters"][0]["cluster"] = json!({"server": format!("http://{}", faults.address)});
        config["users"][0]["user"] = json!({});
    })
}
