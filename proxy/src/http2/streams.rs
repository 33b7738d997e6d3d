//! The streams that are open on a connection, and those that were.

use super::{body::Body, frame::MOST};
use h2::Reason;
use std::{
    collections::VecDeque,
    task::{Context, Waker},
};

/// How many of the streams that have ended are remembered.
const REMEMBERED: usize = 128;

/// The bit of a remembered stream that tells that it was reset from here. No number of a stream has it.
const RESET_HERE: u32 = MOST + 1;

/// The open streams of which a connection without any keeps the memory.
const KEPT: usize = 4;

/// A stream: a request and its answer.
#[derive(Debug)]
pub(super) struct Stream {
    /// Bytes that the client takes of the answer; fewer than none when it made its windows smaller.
    pub(super) send_window: i64,
    /// Bytes that the client may still send of the request.
    pub(super) receive_window: i64,
    /// Bytes that were read of the request and that the client was not told to send more for.
    pub(super) owed: u32,
    /// What has come of the request's body.
    pub(super) body: Body,
    /// Bytes that are yet to come of the body, where its length was announced.
    pub(super) length: Option<u64>,
    /// Whether the request has come whole.
    pub(super) has_come: bool,
    /// Whether the answer was sent whole.
    pub(super) is_answered: bool,
    /// Why it ended before, on whichever side.
    pub(super) reset: Option<Reason>,
    /// Whether it was reset from here.
    pub(super) is_reset_here: bool,
    /// Whether somebody waits for more of the request.
    pub(super) wants_body: bool,
    /// Whether somebody waits to send more of the answer.
    pub(super) wants_room: bool,
    /// Whether it stands in the queue of those who wait for room on the connection.
    pub(super) is_queued: bool,
    /// Who answers it.
    waker: Option<Waker>,
}

impl Stream {
    pub(super) fn new(send_window: i64, receive_window: i64) -> Self {
        Self {
            send_window,
            receive_window,
            owed: 0,
            body: Body::default(),
            length: None,
            has_come: false,
            is_answered: false,
            reset: None,
            is_reset_here: false,
            wants_body: false,
            wants_room: false,
            is_queued: false,
            waker: None,
        }
    }

    /// Has the task of `context` be woken from now on.
    pub(super) fn watch(&mut self, context: &Context<'_>) {
        match &mut self.waker {
            Some(waker) => waker.clone_from(context.waker()),
            waker => *waker = Some(context.waker().clone()),
        }
    }

    pub(super) fn wake(&self) {
        if let Some(waker) = &self.waker {
            waker.wake_by_ref();
        }
    }

    /// Tells who waits for more of the request that it is there.
    pub(super) fn has_more(&mut self) {
        if std::mem::take(&mut self.wants_body) {
            self.wake();
        }
    }

    /// Tells who waits for room that there is some.
    pub(super) fn has_room(&mut self) {
        if std::mem::take(&mut self.wants_room) {
            self.wake();
        }
    }

    /// Ends it for `reason`.
    pub(super) fn give_up(&mut self, reason: Reason) {
        self.reset.get_or_insert(reason);
        self.wake();
    }

    /// The same, from here.
    pub(super) fn reset_here(&mut self, reason: Reason) {
        self.is_reset_here = true;
        self.give_up(reason);
    }

    /// Whether it goes on as far as the client knows.
    pub(super) fn is_open(&self) -> bool {
        self.reset.is_none() && !(self.has_come && self.is_answered)
    }
}

/// How a stream was when it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Past {
    /// Both sides were done, or the client reset it.
    Ended,
    /// It was reset from here: what the client had sent before it knew is still to come.
    ResetHere,
    /// Nobody knows any more.
    Forgotten,
}

/// The streams of a connection.
#[derive(Debug, Default)]
pub(super) struct Streams {
    /// Their numbers, in the order of `all`.
    ids: Vec<u32>,
    all: Vec<Stream>,
    /// Those that ended last.
    past: VecDeque<u32>,
}

impl Streams {
    pub(super) fn add(&mut self, id: u32, stream: Stream) {
        self.ids.push(id);
        self.all.push(stream);
    }

    pub(super) fn get(&mut self, id: u32) -> Option<&mut Stream> {
        let at = self.ids.iter().position(|known| *known == id)?;
        self.all.get_mut(at)
    }

    /// Removes `id`, and remembers whether it was reset from here.
    pub(super) fn remove(&mut self, id: u32, is_reset_here: bool) -> Option<Stream> {
        let at = self.ids.iter().position(|known| *known == id)?;
        self.ids.swap_remove(at);
        let stream = self.all.swap_remove(at);
        self.remember(id, is_reset_here);
        if self.ids.is_empty() && self.all.capacity() > KEPT {
            (self.ids, self.all) = (Vec::new(), Vec::new());
        }
        Some(stream)
    }

    /// Remembers that `id`, which is not open, has ended.
    pub(super) fn remember(&mut self, id: u32, is_reset_here: bool) {
        if self.past.len() == REMEMBERED {
            self.past.pop_front();
        }
        let mark = if is_reset_here { RESET_HERE } else { 0 };
        self.past.push_back(id | mark);
    }

    /// How `id`, which was open once, ended.
    pub(super) fn past(&self, id: u32) -> Past {
        if self.past.contains(&(id | RESET_HERE)) {
            Past::ResetHere
        } else if self.past.contains(&id) {
            Past::Ended
        } else {
            Past::Forgotten
        }
    }

    /// Those that go on as far as the client knows.
    pub(super) fn open(&self) -> usize {
        self.all.iter().filter(|stream| stream.is_open()).count()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) fn each(&mut self) -> impl Iterator<Item = &mut Stream> {
        self.all.iter_mut()
    }
}
