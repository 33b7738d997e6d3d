//! The documents of the program under test: one Proxy, and a Rollout for each cell.

use super::cell::Cell;
use std::{
    fmt::Write as _,
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// A folder with the documents.
#[derive(Debug)]
pub(crate) struct Site {
    folder: TempDir,
    /// Of every rollout's plugin, as YAML.
    options: String,
}

/// A cell's rollout: its name, which is its host too, and where its two versions are.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) cell: Cell,
    pub(crate) stable: SocketAddr,
    pub(crate) canary: SocketAddr,
}

impl Site {
    /// Writes what is needed for `places`, each at its version 1.
    pub(crate) fn new(places: &[Place], options: String) -> anyhow::Result<Self> {
        let site = Self {
            folder: tempfile::tempdir()?,
            options,
        };
        fs::write(site.path("proxy.yaml"), proxy(places))?;
        for place in places {
            site.ship(place, 1)?;
        }
        Ok(site)
    }

    pub(crate) fn files(&self, places: &[Place]) -> Vec<PathBuf> {
        let rollouts = places.iter().map(|place| self.rollout(place));
        std::iter::once(self.path("proxy.yaml"))
            .chain(rollouts)
            .collect()
    }

    /// Asks for another version, in one piece as editors do.
    pub(crate) fn ship(&self, place: &Place, version: usize) -> io::Result<()> {
        let fresh = self.path(format!("{}.fresh", place.name));
        fs::write(&fresh, rollout(place, version, &self.options))?;
        fs::rename(fresh, self.rollout(place))
    }

    fn rollout(&self, place: &Place) -> PathBuf {
        self.path(format!("{}.yaml", place.name))
    }

    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn proxy(places: &[Place]) -> String {
    let mut text = "apiVersion: sluice.dev/v1alpha1
kind: Proxy
metadata: {name: edge}
spec:
  listeners: [{name: http, address: '127.0.0.1:0'}]
  admin: {address: '127.0.0.1:0'}
  stateFile: state.json
  workers: 1
"
    .to_owned();
    let (mut services, mut routes) = (String::new(), String::new());
    for Place {
        name,
        stable,
        canary,
        ..
    } in places
    {
        // Writing to a string does not fail.
        let _ = write!(
            services,
            "  - {{name: {name}-blue, endpoints: ['{stable}']}}\n  - {{name: {name}-green, endpoints: ['{canary}']}}\n"
        );
        let _ = writeln!(
            routes,
            "  - {{name: {name}, hosts: [{name}], rollout: {name}}}"
        );
    }
    text += &format!("  services:\n{services}  routes:\n{routes}");
    text
}

fn rollout(place: &Place, version: usize, options: &str) -> String {
    let Place { name, cell, .. } = place;
    format!(
        "apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {{name: {name}}}
spec:
  template: {{spec: {{containers: [{{name: shop, image: 'shop:{version}'}}]}}}}
  strategy:
    canary:
      pingPong: {{pingService: {name}-blue, pongService: {name}-green}}
      trafficRouting: {{plugins: {{sluice/proxy: {options}}}}}
      steps:
      - setWeight: {}
      - pause: {{}}
",
        cell.weight
    )
}
