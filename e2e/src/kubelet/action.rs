//! Probes and hooks, carried out.

use super::environment::Environment;
use crate::{http, pod::plan::Action};
use std::{
    net::{Ipv4Addr, SocketAddr},
    process::Stdio,
};
use tokio::{net::TcpStream, process::Command, time::sleep};

/// Does `action` for a container with `environment` at `ip`; whether it succeeded.
pub(super) async fn act(action: &Action, environment: &Environment, ip: Ipv4Addr) -> bool {
    match action {
        Action::Exec(command) => exec(command, environment).await,
        Action::Http { port, path } => {
            let answer = http::get(SocketAddr::from((ip, *port)), path).await;
            answer.is_ok_and(|answer| {
                answer.status().is_success() || answer.status().is_redirection()
            })
        }
        Action::Tcp { port } => TcpStream::connect((ip, *port)).await.is_ok(),
        Action::Sleep(duration) => {
            sleep(*duration).await;
            true
        }
        Action::Unsupported => false,
    }
}

async fn exec(command: &[String], environment: &Environment) -> bool {
    let Some((program, arguments)) = command.split_first() else {
        return false;
    };
    let status = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(&environment.0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // What takes too long is dropped.
        .kill_on_drop(true)
        .status();
    status.await.is_ok_and(|status| status.success())
}
