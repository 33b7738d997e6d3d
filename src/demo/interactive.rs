//! The demo that keeps running, for a person to play with from another terminal.

use std::sync::mpsc::TryRecvError;

use jiff::Timestamp;

use super::behaviour::Behaviour;
use super::interrupt::Interrupt;
use super::scenario::Scenario;
use super::stage::Stage;
use super::world::World;
use crate::api::RolloutView;
use crate::cli::client::follow::{Update, follow};
use crate::cli::client::http::Client;

/// Runs until a signal comes.
pub(crate) fn run(scenario: &Scenario, interrupt: &Interrupt) -> anyhow::Result<()> {
    let start = Timestamp::now();
    let world = World::start(scenario)?;
    let client = Client::new(&world.connection()).map_err(anyhow::Error::msg)?;
    let updates = follow(client).map_err(anyhow::Error::msg)?;
    print!("{}", instructions(&world, scenario));
    let mut stage = Stage::open(true, start)?;
    let mut deployed = None;
    while !interrupt.asked() {
        match updates.try_recv() {
            Ok(Update::View(view)) => {
                deploy(&world, &view, &mut deployed, &mut stage)?;
                stage.show(&view)?;
            }
            Ok(Update::Lost(error)) => stage.say(&error.to_string())?,
            Err(TryRecvError::Empty) => {
                stage.wait(None, &world.load.totals())?;
            }
            Err(TryRecvError::Disconnected) => break,
        }
    }
    let totals = world.end();
    println!(
        "Users sent {} requests, {} failed.",
        totals.ok + totals.failed,
        totals.failed
    );
    Ok(())
}

/// Puts the version that the file asks for into the canary's slot, as a cluster would, when a rollout has begun.
fn deploy(
    world: &World,
    view: &RolloutView,
    deployed: &mut Option<String>,
    stage: &mut Stage,
) -> anyhow::Result<()> {
    let Some(canary) = &view.canary else {
        return Ok(());
    };
    if deployed.as_ref() == Some(&canary.revision) {
        return Ok(());
    }
    *deployed = Some(canary.revision.clone());
    let (Some(slot), Some(version)) = (world.slot(&canary.service), world.files.version()) else {
        return Ok(());
    };
    slot.deploy(&version, Behaviour::STEADY);
    stage.say(&format!(
        "{version} runs at {} now; break it with: curl -X POST 'http://{}/behave?failures=0.3'",
        canary.service,
        slot.address()
    ))?;
    Ok(())
}

fn instructions(world: &World, scenario: &Scenario) -> String {
    let address = world.connection().address;
    let file = world.files.rollout();
    let file = file.display();
    let [blue, green] = [world.slots[0].address(), world.slots[1].address()];
    let rps = scenario.rps;
    let front = world.front();
    format!(
        "\
Users send {rps} requests per second to {front}. This runs until Ctrl-C. In another terminal:

  export SLUICE_ADDRESS={address}

  # look
  sluice get --watch

  # ship a version: any change of the template does
  sed -i 's/checkout:v.*/checkout:v2/' {file}

  # break the second slot, which is the canary at first; then ask why it was rolled back
  curl -X POST 'http://{green}/behave?failures=0.3'
  sluice explain

  # slow the first slot down; there are also hangs=0.1 and spread=0.5
  curl -X POST 'http://{blue}/behave?latency=200ms'

  # take over: promote (also --full), pause, resume, abort, retry
  sluice promote

"
    )
}
