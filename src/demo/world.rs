//! Everything that the demo runs: two slots with an app each, the real process before them, and users.

use std::time::Duration;

use anyhow::Context;

use super::app::App;
use super::behaviour::Behaviour;
use super::files::{Files, SERVICES};
use super::load::{self, Load};
use super::scenario::Scenario;
use crate::cli::Connection;
use crate::run::{self, Running};

/// How many requests of the demo's users may be under way: two seconds of the largest rate that makes sense here.
const IN_FLIGHT: usize = 4096;
/// When a user gives up: well after the proxy does.
const PATIENCE: Duration = Duration::from_secs(10);

/// The running demo.
pub(crate) struct World {
    /// The apps, by slot.
    pub(crate) slots: [App; 2],
    /// The documents.
    pub(crate) files: Files,
    /// The users.
    pub(crate) load: Load,
    running: Running,
}

impl World {
    /// Starts everything, with the first version in the first slot.
    pub(crate) fn start(scenario: &Scenario) -> anyhow::Result<Self> {
        let slots = [
            App::start("v1", scenario.first).context("cannot start the demo's app")?,
            App::start("(nothing)", Behaviour::STEADY).context("cannot start the demo's app")?,
        ];
        let endpoints = [slots[0].address(), slots[1].address()];
        let files =
            Files::write(scenario, endpoints, "v1").context("cannot write the demo's files")?;
        let running = run::start(&[files.proxy(), files.rollout()])?;
        let target = *running
            .listeners
            .first()
            .context("the demo's proxy has no listener")?;
        let load = Load::start(load::Config {
            target,
            rps: scenario.rps,
            in_flight: IN_FLIGHT,
            patience: PATIENCE,
        })
        .context("cannot start the demo's load")?;
        Ok(Self {
            slots,
            files,
            load,
            running,
        })
    }

    /// Where the admin API is.
    pub(crate) fn connection(&self) -> Connection {
        Connection {
            address: format!("http://{}", self.running.admin),
            token_file: None,
        }
    }

    /// Where users' requests go.
    pub(crate) fn front(&self) -> String {
        self.running
            .listeners
            .first()
            .map_or_else(String::new, |address| format!("http://{address}"))
    }

    /// The slot that holds the Service `service`.
    pub(crate) fn slot(&self, service: &str) -> Option<&App> {
        let place = SERVICES.iter().position(|name| *name == service)?;
        self.slots.get(place)
    }

    /// The slot that is free while `stable` holds the stable version.
    pub(crate) fn free_slot(&self, stable: &str) -> &App {
        match stable == SERVICES[0] {
            true => &self.slots[1],
            false => &self.slots[0],
        }
    }

    /// Ends the users first, so that nobody sees the process end.
    pub(crate) fn end(self) -> load::Totals {
        let totals = self.load.stop();
        self.running.shutdown();
        totals
    }
}
