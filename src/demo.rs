//! `sluice demo`: two versions of a small app, the real proxy and controller before them, users, and a story.
//!
//! Nothing is staged: the apps are HTTP servers, the load comes over sockets, the rollout is started by editing its
//! file, and what is shown comes from the admin API.

mod app;
mod behaviour;
mod drive;
mod files;
mod interactive;
mod interrupt;
mod load;
mod random;
mod scenario;
mod stage;
mod summary;
mod world;

use std::process::ExitCode;
use std::sync::mpsc::{Receiver, TryRecvError};

use anyhow::{anyhow, bail};
use clap::Args;
use jiff::{SignedDuration, Timestamp};

use self::drive::{Act, Drive};
use self::interrupt::Interrupt;
use self::scenario::{Name, Scenario};
use self::stage::Stage;
use self::summary::{Told, summary};
use self::world::World;
use crate::api::RolloutView;
use crate::cli::client::follow::{Update, follow};
use crate::cli::client::http::Client;

/// The arguments of `demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Which story to tell
    #[arg(long, value_enum, default_value_t)]
    scenario: Name,
    /// Tell no story: keep everything running, to break and promote by hand from another terminal
    #[arg(long)]
    interactive: bool,
    /// Requests per second [default: as the story needs]
    #[arg(long, value_name = "N", value_parser = rps)]
    rps: Option<f64>,
    /// Lines instead of the live view, also on a terminal
    #[arg(long)]
    plain: bool,
}

/// Runs the demo. Exit code 0 only when every rollout ended as the story says.
pub(crate) fn run(args: &DemoArgs) -> ExitCode {
    let mut scenario = args.scenario.scenario();
    scenario.rps = args.rps.unwrap_or(scenario.rps);
    let told = Interrupt::listen()
        .map_err(anyhow::Error::from)
        .and_then(|interrupt| {
            if args.interactive {
                return interactive::run(&scenario, &interrupt).map(|()| true);
            }
            tell(scenario, args.plain, &interrupt)
        });
    match told {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("sluice demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Tells the story; whether it went as it should.
fn tell(scenario: Scenario, plain: bool, interrupt: &Interrupt) -> anyhow::Result<bool> {
    let start = Timestamp::now();
    let world = World::start(&scenario)?;
    let client = Client::new(&world.connection()).map_err(anyhow::Error::msg)?;
    let updates = follow(client).map_err(|error| anyhow!("{error}"))?;
    let mut play = Play {
        scenario,
        start,
        stage: Stage::open(plain, start)?,
        drive: Drive::new(scenario),
        view: None,
        told: Vec::new(),
    };
    let played = play.play(&world, &updates, interrupt);
    let Play {
        stage,
        drive,
        mut told,
        ..
    } = play;
    // The terminal must be itself again before anything is printed to it.
    drop(stage);
    // What became known of an ending a moment later.
    for (told, ended) in told.iter_mut().zip(drive.endings()) {
        told.ended = ended.clone();
    }
    let took = Timestamp::now().duration_since(start).as_secs_f64();
    let totals = world.end();
    let (text, as_expected) = summary(&scenario, &told, &totals, took);
    print!("\n{text}");
    played?;
    Ok(as_expected)
}

/// A story being told.
struct Play {
    scenario: Scenario,
    start: Timestamp,
    stage: Stage,
    drive: Drive,
    view: Option<RolloutView>,
    told: Vec<Told>,
}

impl Play {
    /// Until the story is over.
    fn play(
        &mut self,
        world: &World,
        updates: &Receiver<Update>,
        interrupt: &Interrupt,
    ) -> anyhow::Result<()> {
        let deadline = self.start + SignedDuration::try_from(self.scenario.deadline)?;
        let rps = self.scenario.rps;
        self.stage
            .say(&format!("v1 is stable and takes {rps} requests per second"))?;
        if !self.stage.is_live() {
            let address = world.connection().address;
            self.stage.say(&format!(
                "look closer with: sluice get --watch --address {address}"
            ))?;
        }
        loop {
            if self.take_in(world, updates)? {
                return Ok(());
            }
            if interrupt.asked() || self.stage.wait(self.view.as_ref(), &world.load.totals())? {
                bail!("stopped before the story was over");
            }
            if Timestamp::now() > deadline {
                let standing = self
                    .view
                    .as_ref()
                    .map(crate::view::headline)
                    .unwrap_or_default();
                bail!(
                    "the story was not over after {:?}; {standing}",
                    self.scenario.deadline
                );
            }
        }
    }

    /// Takes in what became known; whether the story is over.
    fn take_in(&mut self, world: &World, updates: &Receiver<Update>) -> anyhow::Result<bool> {
        loop {
            match updates.try_recv() {
                Ok(Update::View(view)) => {
                    self.stage.show(&view)?;
                    self.view = Some(*view);
                }
                Ok(Update::Lost(error)) => bail!("{error}"),
                Err(TryRecvError::Disconnected) => bail!("the stream of changes ended"),
                Err(TryRecvError::Empty) => break,
            }
            if self.act(world)? {
                return Ok(true);
            }
        }
        // Some acts wait for the time and not for a change.
        self.act(world)
    }

    /// Does what the story asks for now; whether it is over.
    fn act(&mut self, world: &World) -> anyhow::Result<bool> {
        let Some(view) = &self.view else {
            return Ok(false);
        };
        match self.drive.see(view, Timestamp::now()) {
            Some(Act::Ship { release, stable }) => {
                let release = &self.scenario.releases[release];
                world
                    .free_slot(&stable)
                    .deploy(release.version, release.behaviour);
                world.files.ship(release.version)?;
                self.stage.say(&format!("shipped {}", release.story))?;
            }
            Some(Act::Tell { release }) => self.tell(world, release)?,
            Some(Act::Finish) => return Ok(true),
            None => {}
        }
        Ok(false)
    }

    /// Says how a rollout ended.
    fn tell(&mut self, world: &World, release: usize) -> anyhow::Result<()> {
        let Some(ended) = self.drive.endings().get(release).cloned() else {
            return Ok(());
        };
        let version = self.scenario.releases[release].version;
        let slots = world.slots.iter().map(app::App::deployed);
        let first_request = slots
            .filter(|slot| slot.version == version)
            .find_map(|slot| slot.first_request);
        self.stage.say(&format!("{version} was {}", ended.ending))?;
        self.told.push(Told {
            ended,
            first_request,
        });
        Ok(())
    }
}

fn rps(text: &str) -> Result<f64, String> {
    const ALLOWED: std::ops::RangeInclusive<f64> = 0.1..=50_000.0;
    text.parse()
        .ok()
        .filter(|rps| ALLOWED.contains(rps))
        .ok_or_else(|| {
            format!(
                "found `{text}`, allowed is {} to {}",
                ALLOWED.start(),
                ALLOWED.end()
            )
        })
}

#[cfg(test)]
mod tests;
