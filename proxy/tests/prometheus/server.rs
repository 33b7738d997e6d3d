//! A Prometheus of the test's own, and promtool.

use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, ErrorKind, Write},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStderr, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Long enough for a machine with much else to do.
const PATIENCE: Duration = Duration::from_secs(60);

/// One sample of an answer: its labels and its value.
pub(crate) type Sample = (BTreeMap<String, String>, f64);

/// A running Prometheus on a loopback port of its own, killed when dropped.
pub(crate) struct Prometheus {
    child: Child,
    api: String,
    _directory: TempDir,
}

impl Prometheus {
    /// Scrapes `target` once a second in each format, and evaluates the rules of `alerts`.
    pub(crate) fn start(target: SocketAddr, alerts: &Path) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("prometheus.yml");
        fs::write(&config, configuration(target, alerts)).unwrap();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                directory.path().join("data").display()
            ))
            .arg("--web.listen-address=127.0.0.1:0")
            .arg("--enable-feature=native-histograms")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = installed("prometheus", child);
        let log = child.stderr.take().unwrap();
        // From here on the child is stopped whatever happens.
        let mut prometheus = Self {
            child,
            api: String::new(),
            _directory: directory,
        };
        let address = ready_address(log);
        prometheus.api = format!("http://{address}/api/v1");
        prometheus
    }

    fn get(&self, path: &str, query: Option<&str>) -> Value {
        let request = ureq::get(format!("{}/{path}", self.api))
            .config()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            .build()
            .query_pairs(query.map(|query| ("query", query)));
        let mut response = request.call().unwrap();
        let answer: Value = response.body_mut().read_json().unwrap();
        assert_eq!(answer["status"], "success", "{path} {query:?}: {answer}");
        answer["data"].clone()
    }

    /// What `query` finds now.
    pub(crate) fn query(&self, query: &str) -> Vec<Sample> {
        let data = self.get("query", Some(query));
        let sample = |found: &Value| {
            let labels = found["metric"].as_object().unwrap().iter();
            let labels =
                labels.map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned()));
            // A histogram has no value.
            let value = found["value"][1]
                .as_str()
                .map_or(f64::NAN, |value| value.parse().unwrap());
            (labels.collect(), value)
        };
        data["result"]
            .as_array()
            .unwrap()
            .iter()
            .map(sample)
            .collect()
    }

    /// The value of the one sample that `query` finds now.
    pub(crate) fn value(&self, query: &str) -> f64 {
        let found = self.query(query);
        assert_eq!(found.len(), 1, "{query}: {found:?}");
        found[0].1
    }

    /// Asks until `query` finds one sample whose value `is_reached` accepts.
    pub(crate) fn until(&self, what: &str, query: &str, is_reached: impl Fn(f64) -> bool) {
        poll(what, || {
            let found = self.query(query);
            let reached = found.len() == 1 && is_reached(found[0].1);
            if reached {
                Ok(())
            } else {
                Err(format!("{query}: {found:?}"))
            }
        });
    }

    /// Asks until every rule has been evaluated without an error.
    pub(crate) fn until_rules_are_healthy(&self) {
        poll("every rule was evaluated", || {
            let data = self.get("rules", None);
            let groups = data["groups"].as_array().unwrap();
            let mut rules = groups
                .iter()
                .flat_map(|group| group["rules"].as_array().unwrap());
            if !groups.is_empty() && rules.all(|rule| rule["health"] == "ok") {
                Ok(())
            } else {
                Err(data.to_string())
            }
        });
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may have ended by itself, which whoever waited for it has reported.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn configuration(target: SocketAddr, alerts: &Path) -> String {
    let mut text = format!(
        "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [\"{}\"]\nscrape_configs:\n",
        alerts.display()
    );
    for (job, path) in [
        ("sluice", "/metrics"),
        ("openmetrics", "/openmetrics"),
        ("text", "/text"),
    ] {
        text += &format!(
            "- {{job_name: {job}, metrics_path: {path}, static_configs: [{{targets: [\"{target}\"]}}]}}\n"
        );
    }
    text
}

/// Reads `log` until Prometheus is ready, and goes on emptying it after that. The answer is the address that it got.
fn ready_address(log: ChildStderr) -> String {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            // Nobody listens once Prometheus is ready.
            let _ = sender.send(line);
        }
    });
    let deadline = Instant::now() + PATIENCE;
    let mut log = String::new();
    let mut address = None;
    while let Ok(line) = lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        if let Some((_, found)) = line.split_once("msg=\"Listening on\" address=") {
            address = Some(found.trim().to_owned());
        }
        if line.contains("Server is ready to receive web requests")
            && let Some(address) = address
        {
            return address;
        }
        log += &line;
        log.push('\n');
    }
    panic!("Prometheus did not become ready; it said:\n{log}");
}

fn poll(what: &str, mut attempt: impl FnMut() -> Result<(), String>) {
    let deadline = Instant::now() + PATIENCE;
    while let Err(last) = attempt() {
        assert!(
            Instant::now() < deadline,
            "{what}: not within {PATIENCE:?}; last seen {last}"
        );
        thread::sleep(Duration::from_millis(100));
    }
}

/// Runs promtool with `input`, demands that it succeeds, and returns all that it printed.
pub(crate) fn promtool(arguments: &[&str], input: &[u8]) -> String {
    let child = Command::new("promtool")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = installed("promtool", child);
    // Dropped at once, which is the end of its input.
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    let printed = [output.stdout, output.stderr].concat();
    let printed = String::from_utf8_lossy(&printed).into_owned();
    assert!(output.status.success(), "promtool {arguments:?}: {printed}");
    printed
}

fn installed(program: &str, child: std::io::Result<Child>) -> Child {
    match child {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            panic!("{program} is not installed: apt-get install prometheus")
        }
        child => child.unwrap(),
    }
}
