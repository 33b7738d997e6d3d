//! The documents of a test in a folder of their own, and the two origins that they name.

use super::{
    origin::{Behaviour, Origin},
    process::Process,
};
use std::{fs, path::PathBuf};
use tempfile::TempDir;

/// Options of the guard that let evidence come within a second or two instead of minutes. Response times are left out,
/// as those of a busy machine would decide otherwise, and so is the proxy, which may come before the guard.
pub(crate) const QUICK: &str =
    "guard: {dwell: 0s, burstWindow: 100ms, harmBudget: 0.1, latency: off, trip: false}";

/// The same, with response times from the first request on.
pub(crate) const QUICK_AND_TIMED: &str =
    "guard: {dwell: 0s, burstWindow: 100ms, harmBudget: 0.1, warmUp: 0s}";

/// What a test's documents say.
#[derive(Clone, Debug)]
pub(crate) struct Documents {
    /// The steps, one on each line.
    pub(crate) steps: String,
    /// What stands under `sluice/proxy`, in flow style.
    pub(crate) options: String,
    /// The header route that steps may set.
    pub(crate) managed_route: Option<&'static str>,
    /// More fields of the Proxy, one on each line.
    pub(crate) proxy: String,
    /// The version that the template asks for.
    pub(crate) version: String,
    /// How many workers serve.
    pub(crate) workers: usize,
}

impl Default for Documents {
    fn default() -> Self {
        Self {
            steps: "setWeight: 50\npause: {}".to_owned(),
            options: QUICK.to_owned(),
            managed_route: None,
            proxy: String::new(),
            version: "v1".to_owned(),
            workers: 2,
        }
    }
}

/// A folder with documents, and the origins behind. The process is started apart, and may be again and again.
#[derive(Debug)]
pub(crate) struct Site {
    folder: TempDir,
    pub(crate) documents: Documents,
    /// The two slots' origins; the first holds stable to begin with.
    pub(crate) blue: Origin,
    pub(crate) green: Origin,
}

impl Site {
    pub(crate) fn new(documents: Documents) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (blue, green) = (Origin::start("v1"), Origin::start("none"));
        let site = Self {
            folder,
            documents,
            blue,
            green,
        };
        site.rewrite();
        site
    }

    /// A site whose rollout has these steps, one on each line.
    pub(crate) fn with_steps(steps: &str) -> Self {
        Self::new(Documents {
            steps: steps.to_owned(),
            ..Documents::default()
        })
    }

    /// Writes the documents as they are.
    pub(crate) fn rewrite(&self) {
        fs::write(self.proxy_file(), self.proxy_text()).unwrap();
        self.write_rollout(&self.rollout_text());
    }

    /// Puts `text` in the place of the rollout's file at once, as editors do.
    pub(crate) fn write_rollout(&self, text: &str) {
        let fresh = self.path("rollout.yaml.fresh");
        fs::write(&fresh, text).unwrap();
        fs::rename(fresh, self.rollout_file()).unwrap();
    }

    /// Puts `version`, which does `behaviour`, into `slot`, and asks for it.
    pub(crate) fn ship(&mut self, version: &str, slot: Slot, behaviour: Behaviour) {
        match slot {
            Slot::Blue => self.blue.deploy(version, behaviour),
            Slot::Green => self.green.deploy(version, behaviour),
        }
        self.ask_for(version);
    }

    /// Changes the template to `version`.
    pub(crate) fn ask_for(&mut self, version: &str) {
        version.clone_into(&mut self.documents.version);
        self.write_rollout(&self.rollout_text());
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn proxy_file(&self) -> PathBuf {
        self.path("proxy.yaml")
    }

    pub(crate) fn rollout_file(&self) -> PathBuf {
        self.path("rollout.yaml")
    }

    pub(crate) fn state_file(&self) -> PathBuf {
        self.path("state.json")
    }

    pub(crate) fn files(&self) -> [PathBuf; 2] {
        [self.proxy_file(), self.rollout_file()]
    }

    /// Starts the process.
    pub(crate) fn start(&self) -> Process {
        Process::start(&self.files())
    }

    /// Starts a process that takes over from the one that runs.
    pub(crate) fn take_over(&self) -> Process {
        Process::take_over(&self.files())
    }

    fn proxy_text(&self) -> String {
        let mut fields = self.documents.proxy.clone();
        if !fields.contains("admin:") {
            fields += "\nadmin: {address: '127.0.0.1:0'}";
        }
        format!(
            "apiVersion: sluice.dev/v1alpha1
kind: Proxy
metadata: {{name: edge}}
spec:
  listeners: [{{name: http, address: '127.0.0.1:0'}}]
  stateFile: state.json
  workers: {}
  services:
  - {{name: blue, endpoints: ['{}']}}
  - {{name: green, endpoints: ['{}']}}
{}",
            self.documents.workers,
            self.blue.address,
            self.green.address,
            indented(&fields, "  ")
        )
    }

    pub(crate) fn rollout_text(&self) -> String {
        let Documents {
            steps,
            options,
            managed_route,
            version,
            ..
        } = &self.documents;
        let managed = managed_route
            .map(|name| format!("managedRoutes: [{{name: {name}}}], "))
            .unwrap_or_default();
        format!(
            "apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {{name: shop}}
spec:
  template: {{spec: {{containers: [{{name: shop, image: 'shop:{version}'}}]}}}}
  strategy:
    canary:
      pingPong: {{pingService: blue, pongService: green}}
      trafficRouting: {{{managed}plugins: {{sluice/proxy: {{{options}}}}}}}
      steps:
{}",
            indented(steps, "      - ")
        )
    }
}

/// One of the two places that versions run in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    Blue,
    Green,
}

fn indented(lines: &str, by: &str) -> String {
    lines
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| format!("{by}{line}\n"))
        .collect()
}
