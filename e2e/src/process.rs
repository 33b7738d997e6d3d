//! `sluice controller`, and other verbs, as processes, and what they need.

use crate::http;
use anyhow::{Context as _, Result, bail, ensure};
use bytes::Bytes;
use k8s_openapi::{
    api::{authentication::v1::TokenRequest, core::v1::ServiceAccount},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client,
    api::PostParams,
    core::ApiResource,
    runtime::wait::{await_condition, conditions},
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::{
    env, fs,
    io::Write as _,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
};
use tempfile::NamedTempFile;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, ChildStderr, Command},
    sync::watch,
};

/// A controller, or another process of the binary; it is killed when it is dropped.
pub struct Controller {
    process: Child,
    log: Arc<Mutex<String>>,
    /// How many lines there are, for whoever waits for one.
    lines: watch::Receiver<usize>,
}

impl Controller {
    /// Starts one with a kubeconfig and further arguments, with ports that nobody else has.
    ///
    /// # Errors
    /// When there is no such binary.
    pub fn start(kubeconfig: &Path, arguments: &[&str]) -> Result<Self> {
        let ports = ["controller", "--metrics-port=0", "--healthz-port=0"];
        Self::start_as(&ports, kubeconfig, arguments)
    }

    /// Starts the binary as what `verb`, with its own arguments, says.
    ///
    /// # Errors
    /// When there is no such binary.
    pub fn start_as(verb: &[&str], kubeconfig: &Path, arguments: &[&str]) -> Result<Self> {
        let binary = binary()?;
        let mut process = Command::new(&binary)
            .args(verb)
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .args(arguments)
            .env_remove("POD_NAMESPACE")
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| binary.display().to_string())?;
        let stderr = process.stderr.take().context("it was asked for")?;
        let log = Arc::<Mutex<String>>::default();
        let (sender, lines) = watch::channel(0);
        tokio::spawn(read(stderr, Arc::clone(&log), sender));
        Ok(Self {
            process,
            log,
            lines,
        })
    }

    /// What it has said.
    pub fn log(&self) -> String {
        self.log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Waits until it has said something; returns the line.
    ///
    /// # Errors
    /// When it ends without.
    pub async fn says(&self, what: &str) -> Result<String> {
        let mut lines = self.lines.clone();
        loop {
            let log = self.log();
            if let Some(line) = log.lines().find(|line| line.contains(what)) {
                return Ok(line.to_owned());
            }
            if lines.changed().await.is_err() {
                bail!("it ended without saying {what:?}:\n{log}");
            }
        }
    }

    /// Its metrics.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn metrics(&self) -> Result<String> {
        let answer = self.page("/metrics").await?;
        Ok(String::from_utf8(answer.to_vec())?)
    }

    /// A page of the port of its metrics.
    ///
    /// # Errors
    /// When there is no answer, or another status than 200.
    pub async fn page(&self, path: &str) -> Result<Bytes> {
        let line = self.says("metrics at http://").await?;
        let port = line.rsplit_once("]:").or_else(|| line.rsplit_once(':'));
        let port = port.and_then(|(_, rest)| rest.strip_suffix("/metrics"));
        let port = port.context("a port")?.parse()?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let answer = http::get(address, path).await?;
        ensure!(answer.status() == 200, "{path}: {answer:?}");
        Ok(answer.into_body())
    }

    /// How many writes it has made.
    pub fn writes(&self) -> usize {
        let log = self.log();
        let is_write = |line: &&str| line.contains("INFO") && line.contains(" rollout=");
        log.lines().filter(is_write).count()
    }

    /// Whether nothing was refused, and nothing had to be tried again.
    pub fn has_no_trouble(&self) -> bool {
        let is_trouble = |line: &str| line.contains("WARN") || line.contains("ERROR");
        // The API server says so for a moment after Rollouts were defined.
        let is_new = |line: &str| line.contains("storage is (re)initializing");
        let log = self.log();
        !log.lines().any(|line| is_trouble(line) && !is_new(line))
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.process.try_wait()?)
    }

    /// Kills it, and waits until all is read that it said.
    ///
    /// # Errors
    /// When the system does not let.
    pub async fn kill(&mut self) -> Result<()> {
        self.process.kill().await?;
        while self.lines.changed().await.is_ok() {}
        Ok(())
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// When it has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = self.process.id().context("it has ended")?;
        let pid = Pid::from_raw(pid.try_into()?).context("a process has a number above 0")?;
        Ok(kill_process(pid, signal)?)
    }

    /// Ends it, and waits until it has said all.
    ///
    /// # Errors
    /// When it ends with another code than 0.
    pub async fn ends(&mut self, signal: Signal) -> Result<()> {
        self.signal(signal)?;
        let status = self.process.wait().await?;
        while self.lines.changed().await.is_ok() {}
        ensure!(status.success(), "{status}:\n{}", self.log());
        Ok(())
    }
}

async fn read(stderr: ChildStderr, log: Arc<Mutex<String>>, lines: watch::Sender<usize>) {
    let mut read = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = read.next_line().await {
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        log.push_str(&line);
        log.push('\n');
        drop(log);
        lines.send_modify(|lines| *lines += 1);
    }
}

/// That of `SLUICE_BINARY`, else the one that was built last.
///
/// # Errors
/// When there is none.
pub fn binary() -> Result<PathBuf> {
    let built = || {
        let target = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
        let tree = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
        target.unwrap_or(tree).join("debug/sluice")
    };
    let binary = env::var_os("SLUICE_BINARY").map_or_else(built, PathBuf::from);
    let found = fs::canonicalize(&binary);
    found.with_context(|| format!("{}: build it with cargo build -p sluice", binary.display()))
}

/// Recomputes a verdict from its counts by the binary; fails where that does not agree.
///
/// # Errors
/// When they differ, or there is no binary.
pub async fn replay(verdict: &[u8]) -> Result<()> {
    let mut file = NamedTempFile::new()?;
    file.write_all(verdict)?;
    let mut explain = Command::new(binary()?);
    let ended = explain
        .args(["explain", "--replay"])
        .arg(file.path())
        .output()
        .await?;
    let said = String::from_utf8_lossy(&ended.stdout);
    ensure!(
        ended.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&ended.stderr)
    );
    Ok(())
}

/// Where the API server has Rollouts.
pub fn rollouts() -> ApiResource {
    ApiResource {
        group: "argoproj.io".into(),
        version: "v1alpha1".into(),
        api_version: "argoproj.io/v1alpha1".into(),
        kind: "Rollout".into(),
        plural: "rollouts".into(),
    }
}

/// Tells the API server what a Rollout is, unless it knows.
///
/// # Errors
/// What `kubectl` said.
pub async fn define_rollouts(client: &Client) -> Result<()> {
    let manifest = include_str!("../../crds/rollout.yaml");
    define(client, "rollouts.argoproj.io", manifest).await
}

/// Tells the API server what analyses and experiments are, unless it knows.
///
/// # Errors
/// What `kubectl` said.
pub async fn define_analyses(client: &Client) -> Result<()> {
    for (name, manifest) in [
        (
            "analysistemplates.argoproj.io",
            include_str!("../../crds/analysistemplate.yaml"),
        ),
        (
            "analysisruns.argoproj.io",
            include_str!("../../crds/analysisrun.yaml"),
        ),
        (
            "experiments.argoproj.io",
            include_str!("../../crds/experiment.yaml"),
        ),
    ] {
        define(client, name, manifest).await?;
    }
    Ok(())
}

async fn define(client: &Client, name: &str, manifest: &str) -> Result<()> {
    apply(manifest).await?;
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    await_condition(definitions, name, conditions::is_crd_established()).await?;
    Ok(())
}

/// Applies a manifest as the administrator.
///
/// # Errors
/// What `kubectl` said.
pub async fn apply(manifest: &str) -> Result<()> {
    let arguments = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
    run(&arguments, manifest.as_bytes()).await
}

/// Runs `kubectl` as the administrator.
///
/// # Errors
/// What `kubectl` said.
pub async fn kubectl(arguments: &[&str]) -> Result<()> {
    run(arguments, b"").await
}

async fn run(arguments: &[&str], input: &[u8]) -> Result<()> {
    let mut kubectl = Command::new("kubectl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("kubectl")?;
    let mut stdin = kubectl.stdin.take().context("it was asked for")?;
    stdin.write_all(input).await?;
    drop(stdin);
    let ended = kubectl.wait_with_output().await?;
    let said = String::from_utf8_lossy(&ended.stderr);
    ensure!(ended.status.success(), "kubectl {arguments:?}: {said}");
    Ok(())
}

/// A kubeconfig of the service account `name` of `namespace`.
///
/// # Errors
/// When there is no such account.
pub async fn account(client: &Client, namespace: &str, name: &str) -> Result<NamedTempFile> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let request = json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": []},
    });
    let token: TokenRequest = accounts
        .create_subresource("token", name, &PostParams::default(), &request)
        .await?;
    let token = token.status.context("a token")?.token;
    let admin = PathBuf::from(env::var_os("KUBECONFIG").context("KUBECONFIG")?);
    changed(&admin, |config| {
        config["users"][0]["user"] = json!({"token": token});
    })
}

/// A kubeconfig of the controller's account, with the rights that its manifest gives, applied as it is but for its Deployment.
///
/// # Errors
/// What `kubectl` said.
pub async fn controller_account(client: &Client) -> Result<NamedTempFile> {
    apply(include_str!("../../deploy/kubernetes/controller.yaml")).await?;
    kubectl(&["delete", "deployment", "-n", "sluice", "sluice-controller"]).await?;
    account(client, "sluice", "sluice-controller").await
}

/// A copy of a kubeconfig (in JSON) with something changed.
///
/// # Errors
/// When it cannot be read.
pub fn changed(kubeconfig: &Path, change: impl FnOnce(&mut Value)) -> Result<NamedTempFile> {
    let mut config: Value = serde_json::from_slice(&fs::read(kubeconfig)?)?;
    change(&mut config);
    let mut file = NamedTempFile::new()?;
    file.write_all(config.to_string().as_bytes())?;
    Ok(file)
}
