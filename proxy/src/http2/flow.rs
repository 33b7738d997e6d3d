//! Room for bodies (RFC 9113 section 5.2): what a client may send, and what it takes.

use super::{
    frame::{MOST, WINDOW_UPDATE, put_number},
    session::Session,
};
use crate::http1::Piece;
use std::task::Context;

impl Session {
    /// Bytes that came will not be read, or were.
    pub(super) fn let_go(&mut self, bytes: u64) {
        self.held = self.held.saturating_sub(bytes);
        self.tell_window();
    }

    /// Tells the client of room on the connection, if it is worth a frame.
    pub(super) fn tell_window(&mut self) {
        let room = self.target as i64 - self.held as i64;
        let more = room - self.receive_window;
        let is_worth_it = more > 0 && more >= (self.target / 2).min(room.max(0) as u64) as i64;
        let most = i64::from(MOST) - self.receive_window;
        if is_worth_it && let Ok(more @ 1..) = u32::try_from(more.min(most)) {
            self.receive_window += i64::from(more);
            put_number(self.out(), WINDOW_UPDATE, 0, more);
            self.wake();
        }
    }

    /// Takes the next piece of the body of `id`: nothing if none has come.
    pub(super) fn take_piece(&mut self, id: u32) -> Option<Piece> {
        let window = self.limits.stream_window.min(MOST);
        let stream = self.streams.get(id)?;
        let piece = stream.body.take()?;
        let Piece::Data(data) = &piece else {
            return Some(piece);
        };
        let bytes = data.len() as u32;
        stream.owed += bytes;
        let is_worth_it = stream.owed >= window / 2;
        if is_worth_it && !stream.has_come && stream.reset.is_none() {
            let owed = std::mem::take(&mut stream.owed);
            stream.receive_window += i64::from(owed);
            put_number(self.out(), WINDOW_UPDATE, id, owed);
            self.wake();
        }
        self.let_go(bytes.into());
        Some(piece)
    }

    /// Bytes that may be sent on stream `id` now; none if it has ended. The task of `context` is woken when it is worth asking
    /// again.
    pub(super) fn room(&mut self, id: u32, context: &Context<'_>) -> Option<usize> {
        let is_full = !self.queue.has_room() || self.send_window <= 0;
        let connection = self.send_window;
        let stream = self.streams.get(id)?;
        if stream.reset.is_some() {
            return None;
        }
        let room = stream.send_window.min(connection);
        if room > 0 && !is_full {
            return usize::try_from(room).ok();
        }
        stream.watch(context);
        stream.wants_room = true;
        if stream.send_window > 0 {
            if !std::mem::replace(&mut stream.is_queued, true) {
                self.blocked.push_back(id);
            }
        } else if !is_full {
            // Its turn is somebody else's.
            self.pass_on();
        }
        Some(0)
    }

    /// Wakes the next of those that wait for room on the connection, if there is some.
    pub(super) fn pass_on(&mut self) {
        while self.queue.has_room()
            && self.send_window > 0
            && let Some(id) = self.blocked.pop_front()
        {
            let Some(stream) = self.streams.get(id) else {
                continue;
            };
            stream.is_queued = false;
            if stream.wants_room && stream.send_window > 0 {
                stream.has_room();
                return;
            }
        }
    }
}
