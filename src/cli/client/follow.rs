//! Following the stream of changes across restarts of the process that sends it.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use super::http::{Client, Error, Events};
use crate::api::RolloutView;

/// How long to wait before another attempt to reconnect.
const RECONNECT_AFTER: Duration = Duration::from_millis(500);
/// Changes that may wait for a slow reader before the stream itself has to wait.
const BACKLOG: usize = 64;

/// What became known.
#[derive(Debug)]
pub(crate) enum Update {
    /// A rollout, as it is now.
    View(Box<RolloutView>),
    /// The process went away; the stream goes on when it is back.
    Lost(Error),
}

/// Follows all rollouts from a thread of its own, until the receiver is dropped.
///
/// # Errors
/// When the process cannot be reached to begin with.
pub(crate) fn follow(client: Client) -> Result<Receiver<Update>, Error> {
    let events = client.events()?;
    let (sender, receiver) = sync_channel(BACKLOG);
    thread::spawn(move || pump(&client, events, &sender));
    Ok(receiver)
}

fn pump(client: &Client, events: Events, sender: &SyncSender<Update>) {
    let mut connection = Some(events);
    loop {
        let lost = match connection.take() {
            Some(events) => match forward(events, sender) {
                Some(lost) => Some(lost),
                None => return,
            },
            None => None,
        };
        if let Some(lost) = lost
            && sender.send(Update::Lost(lost)).is_err()
        {
            return;
        }
        thread::sleep(RECONNECT_AFTER);
        connection = client.events().ok();
    }
}

/// Why the stream ended, or nothing when nobody listens any more.
fn forward(events: Events, sender: &SyncSender<Update>) -> Option<Error> {
    for view in events {
        match view {
            Ok(view) => sender.send(Update::View(Box::new(view))).ok()?,
            Err(lost) => return Some(lost),
        }
    }
    Some(Error::Unreachable(
        "the process closed the connection".into(),
    ))
}
