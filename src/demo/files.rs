//! The documents of the demo: real files, edited as a user would edit them.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::scenario::Scenario;

/// The rollout's name; it is in the namespace `default`.
pub(crate) const ROLLOUT: &str = "checkout";
/// The two slots' Services; the first holds stable to begin with.
pub(crate) const SERVICES: [&str; 2] = ["checkout-blue", "checkout-green"];

/// A directory with the documents. Dropping it removes it.
#[derive(Debug)]
pub(crate) struct Files {
    directory: TempDir,
}

impl Files {
    /// Writes the documents of `scenario`, with the slots' apps at `endpoints` and `version` as the first.
    ///
    /// # Errors
    /// When the directory for temporary files cannot be written.
    pub(crate) fn write(
        scenario: &Scenario,
        endpoints: [SocketAddr; 2],
        version: &str,
    ) -> io::Result<Self> {
        let directory = tempfile::Builder::new().prefix("sluice-demo-").tempdir()?;
        let files = Self { directory };
        fs::write(files.proxy(), proxy(endpoints))?;
        fs::write(files.rollout(), rollout(scenario, version))?;
        Ok(files)
    }

    /// The file with the `Proxy`.
    pub(crate) fn proxy(&self) -> PathBuf {
        self.directory.path().join("proxy.yaml")
    }

    /// The file with the `Rollout`.
    pub(crate) fn rollout(&self) -> PathBuf {
        self.directory.path().join("rollout.yaml")
    }

    /// Puts another version into the rollout's template, as an editor would: a new file takes the old one's place.
    ///
    /// # Errors
    /// When the file cannot be read or written, or has no image any more.
    pub(crate) fn ship(&self, version: &str) -> io::Result<()> {
        let file = self.rollout();
        let text = fs::read_to_string(&file)?;
        let line = image_line(&text).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{}: no line `image:` is left", file.display()),
            )
        })?;
        replace(&file, &text.replace(line, &image(version)))
    }

    /// The version that the rollout's template asks for now.
    pub(crate) fn version(&self) -> Option<String> {
        let text = fs::read_to_string(self.rollout()).ok()?;
        let (_, version) = image_line(&text)?.rsplit_once(':')?;
        Some(version.trim().to_owned())
    }
}

fn replace(file: &Path, text: &str) -> io::Result<()> {
    let fresh = file.with_extension("yaml.new");
    fs::write(&fresh, text)?;
    fs::rename(fresh, file)
}

fn image(version: &str) -> String {
    format!("image: registry.example/checkout:{version}")
}

/// `image: …` without what stands before and behind it on its line.
fn image_line(text: &str) -> Option<&str> {
    text.lines()
        .map(str::trim)
        .find_map(|line| line.find("image:").map(|start| &line[start..]))
}

fn proxy([blue, green]: [SocketAddr; 2]) -> String {
    let [blue_service, green_service] = SERVICES;
    format!(
        "\
apiVersion: sluice.dev/v1alpha1
kind: Proxy
metadata:
  name: demo
spec:
  listeners:
  - name: http
    address: 127.0.0.1:0
  admin:
    address: 127.0.0.1:0
  stateFile: sluice-state.json
  timeouts:
    responseHeader: 2s
    drain: 1s
  services:
  - name: {blue_service}
    endpoints: [\"{blue}\"]
  - name: {green_service}
    endpoints: [\"{green}\"]
"
    )
}

fn rollout(scenario: &Scenario, version: &str) -> String {
    let [blue, green] = SERVICES;
    let image = image(version);
    let patience = scenario.patience.as_secs();
    let mut steps = String::new();
    for weight in scenario.weights {
        steps += &format!(
            "      - setWeight: {weight}
      - plugin:
          name: sluice/evidence
          config:
            maxDuration: {patience}s
"
        );
    }
    format!(
        "\
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata:
  name: {ROLLOUT}
spec:
  strategy:
    canary:
      pingPong:
        pingService: {blue}
        pongService: {green}
      steps:
{steps}  template:
    spec:
      containers:
      - name: checkout
        {image}
"
    )
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::Files;
    use crate::demo::scenario::Name;

    #[test]
    fn shipping_changes_the_template_and_nothing_else() {
        let endpoints = [
            "127.0.0.1:1".parse().unwrap(),
            "127.0.0.1:2".parse().unwrap(),
        ];
        let files = Files::write(&Name::Default.scenario(), endpoints, "v1").unwrap();
        let before = fs::read_to_string(files.rollout()).unwrap();
        assert_eq!(files.version().as_deref(), Some("v1"));
        files.ship("v2").unwrap();
        let after = fs::read_to_string(files.rollout()).unwrap();
        assert_eq!(files.version().as_deref(), Some("v2"));
        assert_eq!(before.replace("checkout:v1", "checkout:v2"), after);
        assert_ne!(before, after);

        fs::write(files.rollout(), "kind: Rollout\n").unwrap();
        assert!(
            files
                .ship("v3")
                .unwrap_err()
                .to_string()
                .ends_with("no line `image:` is left")
        );
    }
}
