//! The admin API over HTTP: one call per verb, and the stream of changes.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Duration;

use serde::de::DeserializeOwned;
use ureq::http::{Response, header};
use ureq::{Agent, Body, BodyReader};

use super::sse;
use crate::api::{Refusal, RolloutView, VerbRequest};
use crate::cli::Connection;

/// Long enough for a busy machine, short enough for a person who waits.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// An event stream that is silent for so long, comments included, has lost its server.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(60);
/// Room for some ten thousand rollouts in one answer.
const ANSWER_LIMIT: u64 = 256 << 20;

/// Speaks to the admin API of one process.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    agent: Agent,
    base: String,
    authorization: Option<String>,
}

/// Why a call to the API brought nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Error {
    /// The process understood and said no.
    Refused(String),
    /// Nobody answered, or somebody who does not speak this API.
    Unreachable(String),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(why) | Self::Unreachable(why) => f.write_str(why),
        }
    }
}

/// What an operator can tell a rollout to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Promote { full: bool },
    Abort,
    Retry,
    Pause,
    Resume,
    Undo { to: Option<String> },
}

impl Verb {
    /// The last part of the verb's path.
    fn path(&self) -> &'static str {
        match self {
            Self::Promote { .. } => "promote",
            Self::Abort => "abort",
            Self::Retry => "retry",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Undo { .. } => "undo",
        }
    }
}

impl Client {
    /// A client for the process at `connection`; does not connect yet.
    ///
    /// # Errors
    /// When the address is no HTTP address or the token file cannot be read.
    pub(crate) fn new(connection: &Connection) -> Result<Self, String> {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // A proxy of the environment is for the way out of this network, not for the way to an admin port.
            .proxy(None)
            .timeout_connect(Some(ANSWER_TIMEOUT))
            .timeout_recv_response(Some(ANSWER_TIMEOUT))
            .timeout_per_read(Some(SILENCE_TIMEOUT))
            .build();
        let authorization = connection.token_file.as_deref().map(bearer).transpose()?;
        Ok(Self {
            agent: config.into(),
            base: base_url(&connection.address)?,
            authorization,
        })
    }

    /// All rollouts.
    ///
    /// # Errors
    /// When the process cannot be reached or refuses.
    pub(crate) fn list(&self) -> Result<Vec<RolloutView>, Error> {
        self.read(self.get("/api/v1/rollouts")?)
    }

    /// The rollout `namespace/name` with what its verdicts were made of.
    ///
    /// # Errors
    /// When the process cannot be reached or refuses.
    pub(crate) fn record(&self, namespace: &str, name: &str) -> Result<RolloutView, Error> {
        self.read(self.get(&format!("/api/v1/rollouts/{namespace}/{name}/record"))?)
    }

    /// Carries `verb` out on the rollout `namespace/name` and brings back what it looks like then.
    ///
    /// # Errors
    /// When the process cannot be reached or refuses.
    pub(crate) fn verb(
        &self,
        namespace: &str,
        name: &str,
        verb: Verb,
    ) -> Result<RolloutView, Error> {
        let url = format!(
            "{}/api/v1/rollouts/{namespace}/{name}/{}",
            self.base,
            verb.path()
        );
        let mut request = self.agent.post(&url);
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let body = VerbRequest {
            full: verb == Verb::Promote { full: true },
            to: match verb {
                Verb::Undo { to } => to,
                _ => None,
            },
        };
        let response = request
            .send_json(body)
            .map_err(|error| self.unreachable(&error))?;
        self.read(self.accepted(response)?)
    }

    /// The stream of changes: each rollout once at first, then each change.
    ///
    /// # Errors
    /// When the process cannot be reached or refuses.
    pub(crate) fn events(&self) -> Result<Events, Error> {
        let response = self.get("/api/v1/events")?;
        let lines = BufReader::new(response.into_body().into_reader());
        Ok(Events {
            lines,
            parser: sse::Parser::default(),
            client: self.clone(),
        })
    }

    fn get(&self, path: &str) -> Result<Response<Body>, Error> {
        let mut request = self.agent.get(format!("{}{path}", self.base));
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let response = request.call().map_err(|error| self.unreachable(&error))?;
        self.accepted(response)
    }

    /// Turns an answer that says no into the error that it means.
    fn accepted(&self, mut response: Response<Body>) -> Result<Response<Body>, Error> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let text = response.body_mut().read_to_string().unwrap_or_default();
        let refusal = serde_json::from_str::<Refusal>(&text).ok();
        Err(match (status.as_u16(), refusal) {
            (401, _) => Error::Unreachable(format!(
                "{} wants a bearer token ({status}): give the file that holds it with --token-file",
                self.base
            )),
            (403, Some(Refusal { error })) => Error::Unreachable(error),
            (_, Some(Refusal { error })) => Error::Refused(error),
            (_, None) => Error::Unreachable(format!(
                "{} answered {status}, as no admin API of sluice does: is --address right?",
                self.base
            )),
        })
    }

    fn read<T: DeserializeOwned>(&self, response: Response<Body>) -> Result<T, Error> {
        let body = response.into_body().into_with_config().limit(ANSWER_LIMIT);
        body.read_json()
            .map_err(|error| self.unintelligible(&error))
    }

    fn unreachable(&self, error: &ureq::Error) -> Error {
        let base = &self.base;
        Error::Unreachable(format!(
            "cannot reach the admin API at {base}: {error}; is `sluice run` running there? if it is elsewhere, say where with --address"
        ))
    }

    fn unintelligible(&self, error: &dyn std::fmt::Display) -> Error {
        let base = &self.base;
        Error::Unreachable(format!(
            "{base} answered what this version of sluice does not understand ({error}): is --address right, and are both of one version?"
        ))
    }
}

/// The stream of changes, as it arrives. Ends when the process ends it.
pub(crate) struct Events {
    lines: BufReader<BodyReader<'static>>,
    parser: sse::Parser,
    client: Client,
}

impl Iterator for Events {
    type Item = Result<RolloutView, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let mut line = String::new();
            match self.lines.read_line(&mut line) {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) => {
                    let base = &self.client.base;
                    return Some(Err(Error::Unreachable(format!(
                        "lost the connection to {base}: {error}"
                    ))));
                }
            }
            let Some(event) = self.parser.line(line.trim_end_matches(['\r', '\n'])) else {
                continue;
            };
            if event.name == "rollout" {
                let view = serde_json::from_str(&event.data);
                return Some(view.map_err(|error| self.client.unintelligible(&error)));
            }
        }
    }
}

/// `http://host:port` of what was given, with or without the scheme.
fn base_url(address: &str) -> Result<String, String> {
    let host = address
        .strip_prefix("http://")
        .unwrap_or(address)
        .trim_end_matches('/');
    if host.is_empty() || host.contains("://") || host.contains('/') {
        return Err(format!(
            "--address: found `{address}`, allowed is host:port or http://host:port"
        ));
    }
    Ok(format!("http://{host}"))
}

/// The `Authorization` header for the token in `file`.
fn bearer(file: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("--token-file: cannot read {}: {error}", file.display()))?;
    let token = text.trim();
    if token.is_empty() || !token.chars().all(|c| c.is_ascii_graphic()) {
        return Err(format!(
            "--token-file: {} holds no token of printable ASCII characters",
            file.display()
        ));
    }
    Ok(format!("Bearer {token}"))
}

#[cfg(test)]
mod tests;
