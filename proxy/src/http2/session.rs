//! The state of a connection: what both sides know of it, without I/O.

use super::{
    Broken,
    frame::{MOST, RST_STREAM, put_goaway, put_number, put_ping, put_settings},
    head::Head,
    queue::Queue,
    receive::Block,
    streams::Streams,
};
use crate::{
    config::Http2Limits,
    hpack::{Decoder, Encoder},
    spares::Spares,
    stream,
};
use h2::Reason;
use std::{
    collections::VecDeque,
    io,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

/// The window of a stream, and of a connection, before anything is said of it (RFC 9113 section 6.9.2).
pub(super) const WINDOW: u32 = 65_535;

/// SETTINGS_HEADER_TABLE_SIZE where nothing is said of it.
const TABLE: usize = 4096;

/// What the PING says that is sent to learn when the client knows that the connection ends.
const FAREWELL: [u8; 8] = *b"farewell";

/// The span that control frames are counted in.
const SPAN: Duration = Duration::from_secs(10);

/// Bytes sent to the client that pay for one control frame: more than the answer to a PING or to SETTINGS has.
const PAYS: usize = 32;

/// How far the end of a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It goes on.
    Open,
    /// The client was told that it ends. What it had sent before it knew is still taken.
    Told,
    /// The client knows. Streams beyond this one are not taken.
    Known(u32),
    /// It broke, or is closed.
    Broken,
}

/// The requests that have come at once for which a connection without any keeps room.
const KEPT: usize = 4;

/// A request that has come.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) stream: u32,
    pub(crate) head: Head,
    /// Whether a body follows.
    pub(crate) has_body: bool,
}

/// A connection with a client.
#[derive(Debug)]
pub(crate) struct Session {
    pub(super) limits: Http2Limits,
    /// The most bytes that the fields of a head may have.
    pub(super) head_bytes: usize,
    pub(super) decoder: Decoder,
    pub(super) encoder: Encoder,
    /// A head that goes on in the next frame.
    pub(super) block: Option<Box<Block>>,
    pub(super) streams: Streams,
    /// The last stream that the client began.
    pub(super) last: u32,
    /// Whether the preface, and the client's first SETTINGS, have come.
    pub(super) begun: Begun,
    /// Whether the client has our SETTINGS.
    pub(super) is_acknowledged: bool,
    /// The window that the client gives a new stream.
    pub(super) send_initial: u32,
    /// Bytes that the client takes on the whole connection.
    pub(super) send_window: i64,
    /// Bytes that the client may still send on the whole connection.
    pub(super) receive_window: i64,
    /// How many it may have sent that were not read.
    pub(super) target: u64,
    /// Bytes that have come and were not read.
    pub(super) held: u64,
    /// Bytes of bodies, with padding, that have come so far.
    pub(super) came: u64,
    /// Streams that wait for room on the connection, in order.
    pub(super) blocked: VecDeque<u32>,
    pub(super) arrived: VecDeque<Arrived>,
    /// Streams that the client reset before they were taken since these were taken last.
    pub(super) pending_resets: usize,
    /// Streams that the client made us reset.
    local_resets: usize,
    controls: Controls,
    /// When what comes was read.
    pub(super) now: Duration,
    pub(super) end: End,
    pub(super) queue: Queue,
    pub(super) spares: Rc<Spares>,
    driver: Option<Waker>,
    /// Whether the driver runs soon, and needs no waking.
    is_driven: bool,
}

/// What has come of a connection's beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begun {
    Nothing,
    Preface,
    Settings,
}

/// Frames that carry no part of a message. They cost the sender nothing and the receiver work, and some an answer each.
///
/// Clients that measure their path (gRPC's do) send a PING for every few answers, so answers pay for control frames: a
/// flood is what comes without getting anything in return.
#[derive(Debug, Default)]
struct Controls {
    count: u32,
    /// Bytes that were sent to the client meanwhile.
    sent: usize,
    since: Duration,
}

impl Session {
    /// A connection that begins, with what it says first.
    pub(crate) fn new(
        limits: Http2Limits,
        head_bytes: usize,
        spares: Rc<Spares>,
        now: Duration,
    ) -> Self {
        let mut session = Self {
            limits,
            head_bytes,
            decoder: Decoder::new(TABLE),
            encoder: Encoder::new(),
            block: None,
            streams: Streams::default(),
            last: 0,
            begun: Begun::Nothing,
            is_acknowledged: false,
            send_initial: WINDOW,
            send_window: WINDOW.into(),
            receive_window: WINDOW.into(),
            target: limits.connection_window.into(),
            held: 0,
            came: 0,
            blocked: VecDeque::new(),
            arrived: VecDeque::new(),
            pending_resets: 0,
            local_resets: 0,
            controls: Controls {
                since: now,
                ..Controls::default()
            },
            now,
            end: End::Open,
            queue: Queue::default(),
            spares,
            driver: None,
            is_driven: false,
        };
        const MAX_CONCURRENT_STREAMS: u16 = 3;
        const INITIAL_WINDOW_SIZE: u16 = 4;
        const MAX_HEADER_LIST_SIZE: u16 = 6;
        let head_bytes = u32::try_from(head_bytes).unwrap_or(u32::MAX);
        let settings = [
            (MAX_CONCURRENT_STREAMS, limits.concurrent_streams),
            (INITIAL_WINDOW_SIZE, limits.stream_window.min(MOST)),
            (MAX_HEADER_LIST_SIZE, head_bytes),
        ];
        put_settings(session.out(), &settings);
        session.tell_window();
        session
    }

    /// Where frames are written to.
    pub(super) fn out(&mut self) -> &mut bytes::BytesMut {
        self.queue.buffer(&self.spares)
    }

    // What the driver asks and does.

    /// Begins a turn of the driver, whom `context` is of.
    pub(crate) fn begin_turn(&mut self, context: &Context<'_>) {
        match &mut self.driver {
            Some(driver) => driver.clone_from(context.waker()),
            driver => *driver = Some(context.waker().clone()),
        }
        self.is_driven = true;
        self.pending_resets = 0;
    }

    /// Ends it: whatever is to be written wakes the driver from now on.
    pub(crate) fn end_turn(&mut self) {
        self.is_driven = false;
    }

    /// Has the driver write what waits, soon.
    pub(super) fn wake(&mut self) {
        if !std::mem::replace(&mut self.is_driven, true)
            && let Some(driver) = &self.driver
        {
            driver.wake_by_ref();
        }
    }

    /// The next request that has come.
    pub(crate) fn accept(&mut self) -> Option<Arrived> {
        self.arrived.pop_front()
    }

    /// Whether the client has begun as it must.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun == Begun::Settings
    }

    /// Whether more may be read: what answers it has room.
    pub(crate) fn may_read(&self) -> bool {
        self.queue.may_answer()
    }

    /// Writes what waits. Ready when that was all.
    ///
    /// # Errors
    /// What the socket says.
    pub(crate) fn poll_flush(
        &mut self,
        socket: &mut stream::Stream,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let mut taken = 0;
        let written = self.queue.poll_write(socket, &mut taken, context);
        self.controls.sent += taken;
        if taken > 0 {
            self.pass_on();
        }
        written
    }

    /// Writes up to `most` of the bytes that wait.
    #[cfg(test)]
    pub(super) fn write(&mut self, most: usize) -> Vec<u8> {
        let written = self.queue.write(most);
        if !written.is_empty() {
            self.pass_on();
        }
        written
    }

    /// Whether nothing waits to be written.
    pub(crate) fn is_flushed(&self) -> bool {
        self.queue.is_empty()
    }

    /// Gives up what memory it holds for nothing.
    pub(crate) fn rest(&mut self) {
        self.queue.release(&self.spares);
        if self.streams.is_empty() && self.arrived.capacity() > KEPT {
            (self.arrived, self.blocked) = Default::default();
        }
    }

    /// Bytes of bodies that have come, and those of them that were not read.
    pub(crate) fn bodies(&self) -> (u64, u64) {
        (self.came, self.held)
    }

    /// Has the client send up to `target` bytes, from now on, that are not read.
    pub(crate) fn set_target(&mut self, target: u32) {
        self.target = target.into();
        self.tell_window();
    }

    /// Tells the client that the connection ends. Streams that it begins before it knows are taken.
    pub(crate) fn end_in_order(&mut self) {
        if self.end == End::Open {
            self.end = End::Told;
            put_goaway(self.out(), MOST, Reason::NO_ERROR);
            put_ping(self.out(), 0, FAREWELL);
        }
    }

    /// Whether it has ended in order.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.end, End::Known(_)) && self.streams.is_empty() && self.arrived.is_empty()
    }

    /// Breaks it off. Whoever answers one of its streams is told.
    pub(crate) fn break_off(&mut self, broken: Option<Broken>) {
        if let Some(Broken(reason, what)) = broken {
            tracing::debug!(%reason, "an HTTP/2 connection is broken off: {what}");
            let last = self.last;
            put_goaway(self.out(), last, reason);
        }
        self.end = End::Broken;
        self.arrived.clear();
        for stream in self.streams.each() {
            stream.give_up(Reason::CANCEL);
        }
    }

    /// The client has answered the PING that says `payload`.
    pub(super) fn answered(&mut self, payload: [u8; 8]) {
        if payload == FAREWELL && self.end == End::Told {
            self.end = End::Known(self.last);
            let last = self.last;
            put_goaway(self.out(), last, Reason::NO_ERROR);
        }
    }

    // What is counted.

    /// Counts a frame that carries no part of a message.
    ///
    /// # Errors
    /// Too many of them.
    pub(super) fn control(&mut self) -> Result<(), Broken> {
        let (limit, now) = (self.limits.control_frames, self.now);
        let controls = &mut self.controls;
        controls.count = controls.count.saturating_add(1);
        if controls.count <= limit {
            return Ok(());
        }
        if now.saturating_sub(controls.since) >= SPAN {
            *controls = Controls {
                since: now,
                ..Controls::default()
            };
        } else if (controls.count - limit) as usize > controls.sent / PAYS {
            return Err(Broken(Reason::ENHANCE_YOUR_CALM, "too many control frames"));
        }
        Ok(())
    }

    /// Refuses stream `id`, as too many are open. A client may not know yet how many it may have.
    ///
    /// # Errors
    /// Too many of them.
    pub(super) fn refuse(&mut self, id: u32) -> Result<(), Broken> {
        self.control()?;
        self.put_reset(id, Reason::REFUSED_STREAM);
        self.streams.remember(id, true);
        Ok(())
    }

    /// Resets stream `id` for what the client did, which may not have it open.
    ///
    /// # Errors
    /// Too many of them.
    pub(super) fn reset_by_fault(&mut self, id: u32, reason: Reason) -> Result<(), Broken> {
        self.local_resets += 1;
        if self.local_resets > self.limits.local_resets {
            return Err(Broken(
                Reason::ENHANCE_YOUR_CALM,
                "too many streams had to be reset",
            ));
        }
        self.put_reset(id, reason);
        match self.streams.get(id) {
            Some(stream) => stream.reset_here(reason),
            None => self.streams.remember(id, true),
        }
        Ok(())
    }

    fn put_reset(&mut self, id: u32, reason: Reason) {
        put_number(self.out(), RST_STREAM, id, reason.into());
    }

    // The end of a stream.

    /// Nobody answers `id` any more.
    pub(super) fn leave(&mut self, id: u32) {
        let Some(stream) = self.streams.get(id) else {
            return;
        };
        let reason = match (stream.reset, stream.is_answered, stream.has_come) {
            (Some(_), ..) | (None, true, true) => None,
            // RFC 9113 section 8.1: what was not read of the request is not needed.
            (None, true, false) => Some(Reason::NO_ERROR),
            (None, false, _) => Some(Reason::CANCEL),
        };
        self.close(id, reason);
    }

    /// Ends stream `id`, whoever answers it or not, for `reason` if the client does not know it.
    fn close(&mut self, id: u32, reason: Option<Reason>) {
        let is_reset_here = reason.is_some()
            || self
                .streams
                .get(id)
                .is_some_and(|stream| stream.is_reset_here);
        if let Some(reason) = reason.filter(|_| self.end != End::Broken) {
            self.put_reset(id, reason);
            self.wake();
        }
        if let Some(stream) = self.streams.remove(id, is_reset_here) {
            self.let_go(stream.body.held().into());
        }
        self.pass_on();
        if self.is_over() {
            self.wake();
        }
    }

    /// Resets `id` for `reason`, if it goes on. Its place stays until whoever answers it leaves.
    pub(super) fn reset(&mut self, id: u32, reason: Reason) {
        if let Some(stream) = self.streams.get(id)
            && stream.is_open()
        {
            stream.reset_here(reason);
            self.put_reset(id, reason);
            self.wake();
        }
    }
}
