//! Reading of a socket, and what becomes of what was decrypted.

use super::{ServerStream, refusal};
use crate::{
    input::{BODY_ROOM, HEAD_ROOM, poll_socket},
    spares::Spares,
};
use bytes::{Buf as _, BytesMut};
use rustls::{Error, unbuffered::ReadTraffic};
use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, ReadBuf};

/// As soon as this much has come that is no whole record or message yet, nothing more is read. No message of a handshake that
/// the library takes is larger.
const MOST_INCOMPLETE: usize = 64 * 1024;

/// Where a read puts what was decrypted.
pub(super) struct Reader<'a, 'b> {
    pub(super) buffer: &'a mut ReadBuf<'b>,
    /// What was in it before this read.
    before: usize,
}

impl Reader<'_, '_> {
    fn has_taken(&self) -> bool {
        self.buffer.filled().len() > self.before
    }
}

impl ServerStream {
    /// Reads some `room` bytes behind what has come. Gives how many; 0 at the end of the stream.
    pub(super) fn poll_fill(
        &mut self,
        room: usize,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if self.incoming.len() >= MOST_INCOMPLETE {
            self.fail(Error::PeerSentOversizedRecord);
            return Poll::Ready(Err(refusal(Error::PeerSentOversizedRecord)));
        }
        let incoming = &mut self.incoming;
        let read = poll_socket(&self.tcp, incoming, room, &self.spares, context);
        match read {
            Poll::Ready(Ok(read)) if read > 0 => self.is_settled = false,
            // A connection that waits is to hold no memory.
            _ => self.spares.reclaim(incoming),
        }
        read
    }

    /// Hands on what was decrypted before.
    fn take_decrypted(&mut self, buffer: &mut ReadBuf<'_>) {
        if self.decrypted.is_empty() {
            return;
        }
        let length = self.decrypted.len().min(buffer.remaining());
        buffer.put_slice(&self.decrypted[..length]);
        if length == self.decrypted.len() {
            self.decrypted.clear();
            self.spares.reclaim(&mut self.decrypted);
        } else {
            self.decrypted.advance(length);
        }
    }
}

/// Hands on records that were decrypted: to `reader`, and what it has no room for to `kept`. Gives how many bytes are to be
/// discarded of what has come, and whether all was handed on: a record that does not fit whole behind others is left to
/// the next read, which has more room, so that it need not be kept.
pub(super) fn deliver<D>(
    traffic: &mut ReadTraffic<'_, '_, D>,
    mut reader: Option<&mut Reader<'_, '_>>,
    kept: &mut BytesMut,
    spares: &Spares,
) -> Result<(usize, bool), Error> {
    let mut discard = 0;
    while let Some(length) = traffic.peek_len() {
        if let Some(reader) = &reader
            && reader.has_taken()
            && reader.buffer.remaining() < length.get()
        {
            return Ok((discard, false));
        }
        let Some(record) = traffic.next_record().transpose()? else {
            break;
        };
        discard += record.discard;
        let mut rest = record.payload;
        if let Some(reader) = &mut reader {
            let (fitting, more) = rest.split_at(rest.len().min(reader.buffer.remaining()));
            reader.buffer.put_slice(fitting);
            rest = more;
        }
        if !rest.is_empty() {
            spares.lend(kept);
            kept.extend_from_slice(rest);
        }
    }
    Ok((discard, true))
}

impl AsyncRead for ServerStream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let stream = self.get_mut();
        let before = buffer.filled().len();
        loop {
            stream.take_decrypted(buffer);
            let mut reader = Reader { buffer, before };
            let processed = stream.process(Some(&mut reader));
            if reader.has_taken() || reader.buffer.remaining() == 0 {
                // An error is told by the next read.
                return Poll::Ready(Ok(()));
            }
            processed?;
            if stream.has_ended {
                return Poll::Ready(Ok(()));
            }
            // No more than is wanted: until its record is whole, a slow client holds the memory.
            let room = buffer.remaining().clamp(HEAD_ROOM, BODY_ROOM);
            if ready!(stream.poll_fill(room, context))? == 0 {
                let cut = "the client ended the connection without the closing alert";
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, cut)));
            }
        }
    }
}
