//! One process takes over from another: its listening sockets and its rollouts, without a refused connection.
//!
//! Every running process waits on a Unix socket beside the state file. The new process has read and checked its
//! documents before it connects there. Then they speak, each waiting for the other:
//!
//! | new | old |
//! |---|---|
//! | `hello` | checks that both are of one user and speak one version |
//! | | `sockets`, followed by the descriptors |
//! | binds what is new in its documents; `ready` | takes no decision any more; writes the last state; lets the state file go |
//! | | `released`: it still serves, with the table that it has |
//! | opens the state file, starts its workers on the sockets; `serving` | stops its admin server |
//! | | `goodbye`: it stops accepting, finishes what it has, and ends |
//! | starts its admin server and its loop | |
//!
//! A connection that waits to be accepted is never lost, as it waits on a socket that both have. Until `goodbye` the old
//! process can go on as if nothing had happened, and does so whenever the new one vanishes, refuses or is late: it
//! decides alone, and says so by `refused`. The new one gives up when it is refused. When the old one vanishes without a
//! word, it was killed, and the new one goes on alone.

mod giving;
mod taking;
mod wire;

pub(super) use giving::{give, refuse};
pub(super) use taking::Taking;

use proxy::SocketGroup;
use std::{
    ffi::OsString,
    fs, io,
    os::unix::{fs::PermissionsExt as _, net::UnixListener},
    path::{Path, PathBuf},
    time::Duration,
};

/// The version of what the processes say to each other.
const VERSION: u32 = 1;
/// How long one waits for the other's next word. Everything slow is done before the first.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the old process, which does nothing else meanwhile, waits for the first word of whoever connects.
const FIRST_WORD: Duration = Duration::from_secs(2);

/// What is handed on.
#[derive(Debug)]
pub(super) struct Sockets {
    /// Where requests come in, by listener.
    pub(super) listeners: Vec<SocketGroup>,
    /// Where operators come in.
    pub(super) admin: SocketGroup,
}

/// Why a takeover did not come about.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    /// The other process did not take part, and says why.
    #[error("{0}")]
    Refused(String),
    /// What was said, or what was not.
    #[error(transparent)]
    Wire(#[from] wire::Broken),
    /// Nobody is there.
    #[error("no process waits at {}: {why}", path.display())]
    Nobody {
        /// The socket.
        path: PathBuf,
        /// What the system says.
        why: io::Error,
    },
}

/// Where the process that uses `state_file` waits for its successor.
pub(super) fn path(state_file: &Path) -> PathBuf {
    let mut path = OsString::from(state_file);
    path.push(".takeover");
    path.into()
}

/// Begins to wait at `path`, which only this user may connect to. Who holds the state file's lock is the only one that
/// may wait there: what an earlier process left is replaced.
///
/// # Errors
/// Those of the file system; a path of more than some hundred bytes is too long for a socket.
pub(super) fn listen(path: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    // Whoever is quicker than this is found out by its user id.
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

#[cfg(test)]
mod tests;
