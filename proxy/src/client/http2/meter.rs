//! Counts the control frames that a client sends.
//!
//! Frames that carry no part of a message cost the sender nothing and the receiver work, and some an answer each. The
//! library bounds resets and continuations; PING, SETTINGS, PRIORITY and empty DATA are bounded here, by walking over the
//! heads of the frames as they come (RFC 9113 section 4.1).
//!
//! Clients that measure their path (gRPC's do) send a PING for every few answers, so answers pay for control frames: a
//! flood is what comes without getting anything in return.

use crate::stream::Stream;
use bytes::{Buf, BytesMut};
use std::{
    cell::Cell,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::Instant,
};

/// The span that control frames are counted in.
const SPAN: Duration = Duration::from_secs(10);

/// The length of the preface that comes before the first frame.
const PREFACE: usize = 24;

/// The length of a frame's head.
const HEAD: usize = 9;

/// Frames that are read before the tasks of the streams run, which take out of the connection what has come for them: the
/// library keeps each by itself until then, however small it is.
const TURN: u64 = 1024;

/// The kind of frames that carry bodies.
const DATA: u8 = 0;

/// Bytes sent to the client that pay for one control frame: more than the answer to a PING or to SETTINGS has.
const PAYS: u32 = 32;

/// A client's socket that breaks off when too many control frames come.
#[derive(Debug)]
pub(super) struct Metered {
    stream: Stream,
    /// What was read before, to be read first.
    ahead: BytesMut,
    frames: Frames,
    /// Bytes of DATA that have come, as others read it.
    data: Rc<Cell<u64>>,
    /// The number of the last frame that is read before others run.
    turn: u64,
    /// Bytes that were sent to the client.
    sent: u32,
    since: Instant,
    limit: u32,
}

impl Metered {
    pub(super) fn new(stream: Stream, ahead: BytesMut, limit: u32) -> Self {
        Self {
            stream,
            ahead,
            frames: Frames::default(),
            data: Rc::default(),
            turn: TURN,
            sent: 0,
            since: Instant::now(),
            limit,
        }
    }

    /// The bytes of DATA that have come, padding included: what flow control counts (RFC 9113 section 6.9.1).
    pub(super) fn data(&self) -> Rc<Cell<u64>> {
        Rc::clone(&self.data)
    }

    fn count(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.frames.walk(bytes);
        self.data.set(self.frames.data);
        if self.frames.controls <= self.limit {
            return Ok(());
        }
        if self.since.elapsed() >= SPAN {
            self.since = Instant::now();
            self.frames.controls = 0;
            self.sent = 0;
        } else if self.frames.controls - self.limit > self.sent / PAYS {
            tracing::debug!("a client floods its HTTP/2 connection with control frames");
            return Err(io::Error::other("too many control frames"));
        }
        Ok(())
    }

    fn count_sent(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(written)) = &written {
            let written = u32::try_from(*written).unwrap_or(u32::MAX);
            self.sent = self.sent.saturating_add(written);
        }
        written
    }
}

/// A walk over frames, in pieces of any size.
#[derive(Debug)]
struct Frames {
    /// Bytes to pass over before the next head.
    skip: usize,
    head: [u8; HEAD],
    /// How much of the head has come.
    come: usize,
    /// Control frames so far.
    controls: u32,
    /// Frames so far.
    count: u64,
    /// Bytes of DATA so far, those of a frame as soon as its head has come.
    data: u64,
}

impl Default for Frames {
    fn default() -> Self {
        Self {
            skip: PREFACE,
            head: [0; HEAD],
            come: 0,
            controls: 0,
            count: 0,
            data: 0,
        }
    }
}

impl Frames {
    fn walk(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.skip > 0 {
                let passed = self.skip.min(bytes.len());
                self.skip -= passed;
                bytes = &bytes[passed..];
                continue;
            }
            let taken = (HEAD - self.come).min(bytes.len());
            self.head[self.come..self.come + taken].copy_from_slice(&bytes[..taken]);
            self.come += taken;
            bytes = &bytes[taken..];
            if self.come == HEAD {
                self.come = 0;
                let [a, b, c, kind, ..] = self.head;
                self.skip = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
                self.count += 1;
                if kind == DATA {
                    self.data += self.skip as u64;
                }
                self.controls = self
                    .controls
                    .saturating_add(u32::from(is_control(kind, self.skip)));
            }
        }
    }
}

/// Whether a frame carries no part of a message.
fn is_control(kind: u8, length: usize) -> bool {
    const HEADERS: u8 = 1;
    const WINDOW_UPDATE: u8 = 8;
    const CONTINUATION: u8 = 9;
    match kind {
        DATA => length == 0,
        // A client that reads a large answer sends many; they cost the receiver next to nothing.
        HEADERS | CONTINUATION | WINDOW_UPDATE => false,
        _ => true,
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        if self.frames.count >= self.turn {
            self.turn = self.frames.count + TURN;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.ahead.is_empty() {
            let read = Pin::new(&mut self.stream).poll_read(context, buffer);
            if read.is_pending() {
                self.turn = self.frames.count + TURN;
            }
            ready!(read)?;
        } else {
            let length = self.ahead.len().min(buffer.remaining());
            buffer.put_slice(&self.ahead[..length]);
            self.ahead.advance(length);
        }
        Poll::Ready(self.count(&buffer.filled()[before..]))
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.count_sent(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.count_sent(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, length: usize) -> Vec<u8> {
        let [_, a, b, c] = u32::try_from(length).unwrap().to_be_bytes();
        let mut frame = vec![a, b, c, kind, 0, 0, 0, 0, 0];
        frame.resize(HEAD + length, 7);
        frame
    }

    #[test]
    fn frames_are_counted_however_the_bytes_come() {
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        for (kind, length) in [(4, 0), (1, 70), (0, 300), (0, 0), (6, 8), (8, 4), (3, 4)] {
            bytes.extend(frame(kind, length));
        }
        for size in [1, 2, 7, 9, 10, 1000] {
            let mut frames = Frames::default();
            bytes.chunks(size).for_each(|piece| frames.walk(piece));
            assert_eq!(
                (frames.controls, frames.data),
                (4, 300),
                "in pieces of {size}"
            );
        }
    }
}
