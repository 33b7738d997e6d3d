//! The binary as a process of its own.

use super::{until, wire};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::{
    io::{self, BufRead, BufReader},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, ChildStderr, Command, ExitStatus, Output, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

/// The binary under test.
const SLUICE: &str = env!("CARGO_BIN_EXE_sluice");
/// The rollout of a [`Site`](super::site::Site) in the API.
pub(crate) const ROLLOUT: &str = "/api/v1/rollouts/default/shop";
/// What a verb's request says of its body.
pub(crate) const JSON: &str = "content-type: application/json";

/// A command of the binary, with nothing of this machine's environment that concerns it.
pub(crate) fn sluice() -> Command {
    let mut command = Command::new(SLUICE);
    for variable in ["SLUICE_ADDRESS", "SLUICE_TOKEN_FILE", "SLUICE_LOG"] {
        command.env_remove(variable);
    }
    command.env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

/// A running `sluice run`, killed when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    log: Arc<Mutex<String>>,
    reading: Option<thread::JoinHandle<()>>,
    /// Where requests come in.
    pub(crate) listener: SocketAddr,
    /// Where operators come in.
    pub(crate) admin: SocketAddr,
    /// Headers that every call to the admin API carries.
    pub(crate) headers: String,
}

impl Process {
    /// Begins the process with these options and files, and waits for nothing.
    pub(crate) fn spawn(options: &[&str], files: &[PathBuf]) -> Self {
        let mut command = sluice();
        command.arg("run").args(options).args(files);
        Self::begin(command)
    }

    /// Begins the process that `command` says, and waits for nothing.
    pub(crate) fn begin(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = child.stderr.take().unwrap();
        let log = Arc::<Mutex<String>>::default();
        let kept = Arc::clone(&log);
        let reading = Some(thread::spawn(move || keep(stderr, &kept)));
        let nowhere = SocketAddr::from(([0; 4], 0));
        Self {
            child,
            log,
            reading,
            listener: nowhere,
            admin: nowhere,
            headers: String::new(),
        }
    }

    /// Starts the process and waits until it says where it listens.
    pub(crate) fn start(files: &[PathBuf]) -> Self {
        Self::spawn(&[], files).serving()
    }

    /// Starts the process in the place of the one that runs, and waits until it says where it listens.
    pub(crate) fn take_over(files: &[PathBuf]) -> Self {
        Self::spawn(&["--takeover"], files).serving()
    }

    /// Waits until it says where it listens.
    pub(crate) fn serving(mut self) -> Self {
        let process = &mut self;
        (process.listener, process.admin) = until("the process says where it listens", || {
            let log = lock(&process.log).clone();
            if let Some(status) = process.child.try_wait().unwrap() {
                panic!("the process did not start, but ended with {status}:\n{log}");
            }
            let found = |what: &str| {
                log.lines()
                    .find_map(|line| line.split_once(what))
                    .and_then(|(_, address)| address.trim().parse().ok())
            };
            found("requests come in at http://")
                .zip(found("admin server at http://"))
                .ok_or_else(|| log.clone())
        });
        self
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        lock(&self.log).clone()
    }

    /// Waits until it logs a line that holds all of `parts`, and brings that.
    pub(crate) fn logs(&self, parts: &[&str]) -> String {
        until(&format!("the process logs {parts:?}"), || {
            let log = self.log();
            let found = log
                .lines()
                .find(|line| parts.iter().all(|part| line.contains(part)))
                .map(str::to_owned);
            found.ok_or(log)
        })
    }

    /// Asks the proxy as a user.
    pub(crate) fn ask(&self) -> wire::Message {
        wire::get(self.listener, "/", "").unwrap()
    }

    /// Asks the admin server.
    pub(crate) fn get(&self, path: &str) -> wire::Message {
        wire::get(self.admin, path, &self.headers).unwrap()
    }

    /// What the admin API has under `path`.
    pub(crate) fn api(&self, path: &str) -> Value {
        let answer = self.get(path);
        assert_eq!(answer.status(), 200, "{path}: {}", answer.text());
        serde_json::from_str(answer.text()).unwrap()
    }

    /// The rollout as operators see it.
    pub(crate) fn view(&self) -> Value {
        self.api(ROLLOUT)
    }

    /// Waits until the rollout is as `wanted` says, and brings what it looks like then.
    pub(crate) fn until_view(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        until(what, || {
            let view = self.view();
            if wanted(&view) {
                Ok(view)
            } else {
                Err(format!("{}\n{view:#}", self.log()))
            }
        })
    }

    /// Waits until the rollout is in `phase` with the canary at `weight`.
    pub(crate) fn until_phase(&self, phase: &str, weight: f64) -> Value {
        let what = format!("{phase} at weight {weight}");
        self.until_view(&what, |view| {
            view["phase"] == phase && view["weight"] == weight && view["acknowledged"] == true
        })
    }

    /// Tells the rollout to do something, as the command line does; brings the status and what was answered.
    pub(crate) fn tell(&self, verb: &str, body: &str) -> (u16, Value) {
        self.try_tell(verb, body).unwrap()
    }

    /// The same, of a process that may be ending.
    pub(crate) fn try_tell(&self, verb: &str, body: &str) -> io::Result<(u16, Value)> {
        let answer = wire::post(self.admin, &format!("{ROLLOUT}/{verb}"), JSON, body)?;
        let said = serde_json::from_str(answer.text())?;
        Ok((answer.status(), said))
    }

    /// Runs the command line against this process.
    pub(crate) fn cli(&self, arguments: &[&str]) -> Output {
        sluice()
            .args(arguments)
            .arg("--address")
            .arg(self.admin.to_string())
            .output()
            .unwrap()
    }

    /// Ends the process as a power cut would.
    pub(crate) fn kill(mut self) -> String {
        self.end();
        self.log()
    }

    /// Asks the process to end.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits until it has ended by itself.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        until("the process ends", || {
            self.child
                .try_wait()
                .unwrap()
                .ok_or_else(|| lock(&self.log).clone())
        })
    }

    /// The processes that it has begun to take over from it.
    fn successors(&self) -> Vec<Pid> {
        let id = |line: &str| {
            let (_, rest) = line.split_once("SIGUSR2; process ")?;
            Pid::from_raw(rest.split_once(' ')?.0.parse().ok()?)
        };
        self.log().lines().filter_map(id).collect()
    }

    fn end(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        // Those that it has begun itself write to the same log, which ends when all of them have.
        for successor in self.successors() {
            let _ = kill_process(successor, Signal::KILL);
        }
        if let Some(reading) = self.reading.take() {
            let _ = reading.join();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

fn lock(log: &Mutex<String>) -> MutexGuard<'_, String> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

fn keep(stderr: ChildStderr, log: &Mutex<String>) {
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        let mut log = lock(log);
        log.push_str(&line);
        log.push('\n');
    }
}

/// Runs `sluice run` on files that it must refuse, and brings what it says to that.
pub(crate) fn refused(files: &[PathBuf]) -> String {
    refused_with(&[], files)
}

/// As [`refused`], with options.
pub(crate) fn refused_with(options: &[&str], files: &[PathBuf]) -> String {
    let mut process = Process::spawn(options, files);
    let status = process.ended();
    let said = process.kill();
    assert_eq!(status.code(), Some(2), "{said}");
    said
}

/// What a command of the binary wrote to its standard output.
pub(crate) fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

/// What a command of the binary wrote to its standard error.
pub(crate) fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}
