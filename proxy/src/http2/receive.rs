//! What frames of a client do to a connection (RFC 9113 section 6).

use super::{
    Broken, Text,
    control::goaway,
    frame::{
        ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEAD, HEADERS, Head, LARGEST,
        MOST, PING, PRIORITY, PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW_UPDATE,
    },
    head::{Draft, Malformed, OVERSIZE, is_trailer},
    session::{Arrived, Begun, End, Session, WINDOW},
    streams::{Past, Stream},
};
use crate::{hpack::Fault, http1::Piece, http2::body::COPIED};
use bytes::{Buf, Bytes, BytesMut};
use h2::Reason;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::{ops::Range, time::Duration};

/// What a client begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(super) const fn protocol(what: &'static str) -> Broken {
    Broken(Reason::PROTOCOL_ERROR, what)
}

pub(super) const fn size(what: &'static str) -> Broken {
    Broken(Reason::FRAME_SIZE_ERROR, what)
}

/// A header block that goes on in the next frame.
#[derive(Debug)]
pub(super) struct Block {
    opening: Opening,
    bytes: Vec<u8>,
}

/// What the HEADERS say that a header block begins with.
#[derive(Clone, Copy, Debug)]
struct Opening {
    stream: u32,
    ends_stream: bool,
    /// Whether the stream is to depend on itself, which is an error.
    is_circular: bool,
}

impl Session {
    /// Takes the frames off `input` that are there whole, at `now`. The bytes of the next that are still to come, beyond what is
    /// there; 0 if nothing of it is.
    ///
    /// # Errors
    /// What ends the connection.
    pub(crate) fn receive(
        &mut self,
        input: &mut BytesMut,
        text: &mut Text,
        now: Duration,
    ) -> Result<usize, Broken> {
        self.now = now;
        if self.begun == Begun::Nothing {
            let length = PREFACE.len().min(input.len());
            if input.get(..length) != PREFACE.get(..length) {
                return Err(protocol("the connection does not begin as HTTP/2"));
            }
            if length < PREFACE.len() {
                return Ok(PREFACE.len() - length);
            }
            input.advance(length);
            self.begun = Begun::Preface;
        }
        while self.may_read()
            && let Some(head) = Head::read(input)
        {
            if head.length > LARGEST {
                return Err(size("a frame is larger than is allowed"));
            }
            let whole = HEAD + head.length;
            if input.len() < whole {
                return Ok(whole - input.len());
            }
            if head.kind == DATA && head.length >= COPIED {
                input.advance(HEAD);
                let payload = input.split_to(head.length).freeze();
                let (content, _) = head.content(&payload)?;
                self.large_data(head, &payload, content)?;
            } else {
                let payload = input.get(HEAD..whole).unwrap_or_default();
                self.frame(head, payload, text)?;
                input.advance(whole);
            }
        }
        Ok(0)
    }

    /// Takes a frame other than one of much DATA.
    fn frame(&mut self, head: Head, payload: &[u8], text: &mut Text) -> Result<(), Broken> {
        if self.begun != Begun::Settings {
            if head.kind != SETTINGS || head.has(ACK) {
                return Err(protocol("the first frame is not SETTINGS"));
            }
            self.begun = Begun::Settings;
        }
        if self.block.is_some() && head.kind != CONTINUATION {
            return Err(protocol("a frame within a header block"));
        }
        match head.kind {
            DATA => {
                if payload.is_empty() {
                    self.control()?;
                }
                let (content, _) = head.content(payload)?;
                self.small_data(head, payload, content)
            }
            HEADERS => self.headers(head, payload, text),
            CONTINUATION => {
                if payload.is_empty() {
                    self.control()?;
                }
                self.continuation(head, payload, text)
            }
            WINDOW_UPDATE => self.window_update(head, payload),
            kind => {
                self.control()?;
                match kind {
                    PRIORITY => self.priority(head, payload),
                    RST_STREAM => self.rst_stream(head, payload),
                    SETTINGS => self.settings(head, payload),
                    PING => self.ping(head, payload),
                    GOAWAY => goaway(head, payload),
                    PUSH_PROMISE => Err(protocol("a client has nothing to push")),
                    // RFC 9113 section 4.1: others are ignored.
                    _ => Ok(()),
                }
            }
        }
    }

    /// Whether nothing can have come on stream `id` so far.
    pub(super) fn is_idle(&self, id: u32) -> bool {
        id > self.last || id.is_multiple_of(2)
    }

    /// Whether `id` is beyond the last stream that is taken.
    pub(super) fn is_beyond(&self, id: u32) -> bool {
        matches!(self.end, End::Known(last) if id > last)
    }

    // DATA (section 6.1).

    /// Takes DATA whose `content` is worth to be kept where it is.
    fn large_data(
        &mut self,
        head: Head,
        payload: &Bytes,
        content: Range<usize>,
    ) -> Result<(), Broken> {
        if self.begun != Begun::Settings || self.block.is_some() {
            return Err(protocol("DATA where none may be"));
        }
        let padding = head.length - content.len();
        let stream = self.data(head, content.len(), padding)?;
        if let Some(stream) = stream {
            stream.body.add(payload.slice(content));
        }
        self.data_ended(head)
    }

    fn small_data(
        &mut self,
        head: Head,
        payload: &[u8],
        content: Range<usize>,
    ) -> Result<(), Broken> {
        let padding = head.length - content.len();
        let stream = self.data(head, content.len(), padding)?;
        if let Some(stream) = stream {
            stream.body.copy(payload.get(content).unwrap_or_default());
        }
        self.data_ended(head)
    }

    /// The stream that takes `length` bytes of data, which come with `padding`; none if nobody takes them.
    fn data(
        &mut self,
        head: Head,
        length: usize,
        padding: usize,
    ) -> Result<Option<&mut Stream>, Broken> {
        let id = head.stream;
        if id == 0 {
            return Err(protocol("DATA on no stream"));
        }
        let whole = (length + padding) as u64;
        self.receive_window -= whole as i64;
        if self.receive_window < 0 {
            let what = "more DATA than the connection's window takes";
            return Err(Broken(Reason::FLOW_CONTROL_ERROR, what));
        }
        self.came += whole;
        self.held += whole;
        if self.is_idle(id) {
            return match self.is_beyond(id) {
                true => {
                    self.let_go(whole);
                    Ok(None)
                }
                false => Err(protocol("DATA on a stream that has not begun")),
            };
        }
        let fault = match self.streams.get(id) {
            None => match self.streams.past(id) {
                Past::ResetHere => None,
                Past::Ended | Past::Forgotten => Some(Reason::STREAM_CLOSED),
            },
            Some(stream) if stream.reset.is_some() => {
                (!stream.is_reset_here).then_some(Reason::STREAM_CLOSED)
            }
            Some(stream) if stream.has_come => Some(Reason::STREAM_CLOSED),
            Some(stream) => {
                stream.receive_window -= whole as i64;
                let is_too_much = stream.receive_window < 0;
                let is_too_long = stream.length.is_some_and(|left| left < length as u64);
                if is_too_much {
                    Some(Reason::FLOW_CONTROL_ERROR)
                } else if is_too_long {
                    Some(Reason::PROTOCOL_ERROR)
                } else {
                    stream.length = stream.length.map(|left| left - length as u64);
                    stream.owed += padding as u32;
                    self.let_go(padding as u64);
                    return Ok(self.streams.get(id));
                }
            }
        };
        self.let_go(whole);
        if let Some(reason) = fault {
            self.reset_by_fault(id, reason)?;
        }
        Ok(None)
    }

    /// Ends the body if the DATA of `head` was the last, and tells who reads it.
    fn data_ended(&mut self, head: Head) -> Result<(), Broken> {
        let Some(stream) = self.streams.get(head.stream) else {
            return Ok(());
        };
        if stream.reset.is_some() {
            return Ok(());
        }
        if head.has(END_STREAM) {
            stream.has_come = true;
            // RFC 9113 section 8.1.1.
            if stream.length.is_some_and(|left| left > 0) {
                return self.reset_by_fault(head.stream, Reason::PROTOCOL_ERROR);
            }
            stream.body.end(Piece::End);
        }
        stream.has_more();
        Ok(())
    }

    // HEADERS and CONTINUATION (sections 6.2 and 6.10).

    fn headers(&mut self, head: Head, payload: &[u8], text: &mut Text) -> Result<(), Broken> {
        if head.stream.is_multiple_of(2) {
            return Err(protocol("HEADERS on no stream of a client's"));
        }
        let (content, depends_on) = head.content(payload)?;
        let fragment = payload.get(content).unwrap_or_default();
        let opening = Opening {
            stream: head.stream,
            ends_stream: head.has(END_STREAM),
            is_circular: depends_on == Some(head.stream),
        };
        if head.has(END_HEADERS) {
            return self.block(opening, fragment, text);
        }
        self.block = Some(Box::new(Block {
            opening,
            bytes: fragment.to_vec(),
        }));
        Ok(())
    }

    fn continuation(&mut self, head: Head, payload: &[u8], text: &mut Text) -> Result<(), Broken> {
        let Some(mut block) = self.block.take() else {
            return Err(protocol("CONTINUATION of no header block"));
        };
        if head.stream != block.opening.stream {
            return Err(protocol("CONTINUATION of another stream's header block"));
        }
        block.bytes.extend_from_slice(payload);
        // What was compressed is smaller than what it is of.
        if block.bytes.len() > 2 * self.head_bytes.max(LARGEST) {
            return Err(Broken(Reason::ENHANCE_YOUR_CALM, "a head is too large"));
        }
        if head.has(END_HEADERS) {
            return self.block(block.opening, &block.bytes, text);
        }
        self.block = Some(block);
        Ok(())
    }

    /// Takes a header block that has come whole. Whatever becomes of it, it is decoded, as others refer to it.
    fn block(&mut self, opening: Opening, bytes: &[u8], text: &mut Text) -> Result<(), Broken> {
        let id = opening.stream;
        if self.is_idle(id) {
            return self.request(opening, bytes, text);
        }
        let trailers = self.trailers(bytes, text)?;
        let fault = match self.streams.get(id) {
            None => match self.streams.past(id) {
                Past::ResetHere => return Ok(()),
                Past::Ended => {
                    let what = "HEADERS on a stream that has ended";
                    return Err(Broken(Reason::STREAM_CLOSED, what));
                }
                Past::Forgotten => return Err(protocol("a stream begins after a later one")),
            },
            Some(stream) if stream.reset.is_some() && stream.is_reset_here => return Ok(()),
            Some(stream) if stream.reset.is_some() || stream.has_come => Reason::STREAM_CLOSED,
            Some(stream) => match trailers {
                Ok(trailers)
                    if opening.ends_stream && stream.length.is_none_or(|left| left == 0) =>
                {
                    stream.has_come = true;
                    if !trailers.is_empty() {
                        stream.body.end(Piece::Trailers(Box::new(trailers)));
                    }
                    stream.body.end(Piece::End);
                    stream.has_more();
                    return Ok(());
                }
                Ok(_) | Err(Malformed) => Reason::PROTOCOL_ERROR,
            },
        };
        self.reset_by_fault(id, fault)
    }

    /// Takes the head of a request.
    fn request(&mut self, opening: Opening, bytes: &[u8], text: &mut Text) -> Result<(), Broken> {
        let id = opening.stream;
        let mut strings = std::mem::take(&mut text.strings);
        let mut draft = Draft::new(text, self.head_bytes);
        let decoded = self.decoder.decode(bytes, &mut strings, |field| {
            draft.take(field.name, field.value)
        });
        let is_bomb = draft.size() > OVERSIZE * self.head_bytes;
        let head = draft.end();
        text.strings = strings;
        decoded.map_err(uncompressed)?;
        if is_bomb {
            let what = "a head decodes to more than anybody takes";
            return Err(Broken(Reason::ENHANCE_YOUR_CALM, what));
        }
        if self.is_beyond(id) {
            return Ok(());
        }
        self.last = id;
        let Ok(head) = head else {
            return self.reset_by_fault(id, Reason::PROTOCOL_ERROR);
        };
        let is_short = opening.ends_stream && head.length.is_some_and(|length| length > 0);
        if opening.is_circular || is_short {
            return self.reset_by_fault(id, Reason::PROTOCOL_ERROR);
        }
        if self.streams.open() >= self.limits.concurrent_streams as usize {
            return self.refuse(id);
        }
        let window = match self.is_acknowledged {
            true => self.limits.stream_window.min(MOST),
            false => WINDOW,
        };
        let mut stream = Stream::new(self.send_initial.into(), window.into());
        stream.has_come = opening.ends_stream;
        stream.length = head.length;
        self.streams.add(id, stream);
        self.arrived.push_back(Arrived {
            stream: id,
            head,
            has_body: !opening.ends_stream,
        });
        Ok(())
    }

    /// Decodes trailers.
    fn trailers(
        &mut self,
        bytes: &[u8],
        text: &mut Text,
    ) -> Result<Result<HeaderMap, Malformed>, Broken> {
        let mut trailers = HeaderMap::new();
        let mut size = 0;
        let (most, limit) = (self.head_bytes, self.head_bytes * OVERSIZE);
        let mut is_fit = true;
        let decoded = self.decoder.decode(bytes, &mut text.strings, |field| {
            size += field.name.len() + field.value.len();
            is_fit = is_fit
                && size <= most
                && is_trailer(field.name, field.value)
                && add(&mut trailers, field.name, field.value);
        });
        decoded.map_err(uncompressed)?;
        if size > limit {
            let what = "trailers decode to more than anybody takes";
            return Err(Broken(Reason::ENHANCE_YOUR_CALM, what));
        }
        Ok(if is_fit { Ok(trailers) } else { Err(Malformed) })
    }
}

fn uncompressed(fault: Fault) -> Broken {
    Broken(Reason::COMPRESSION_ERROR, fault.as_str())
}

fn add(map: &mut HeaderMap, name: &[u8], value: &[u8]) -> bool {
    let name = HeaderName::from_bytes(name);
    let value = HeaderValue::from_bytes(value);
    match (name, value) {
        (Ok(name), Ok(value)) => map.try_append(name, value).is_ok(),
        _ => false,
    }
}
