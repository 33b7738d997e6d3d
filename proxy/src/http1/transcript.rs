//! What the codec makes of all the bytes of a connection, for tests and fuzzing.

use super::*;
use crate::headers::remove_hop_by_hop;
use bytes::BytesMut;
use http::{
    HeaderMap, Method, StatusCode, Version,
    header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING},
    request,
};

/// A message that came whole.
#[derive(Clone, Debug)]
pub(crate) struct Message<H> {
    pub(crate) head: H,
    pub(crate) framing: Framing,
    pub(crate) data: Vec<u8>,
    pub(crate) trailers: HeaderMap,
}

/// How it ended after the last whole message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The connection could be used again.
    Open,
    /// The last message was to be the last; what comes behind is not looked at.
    Closed,
    /// The next head was refused, a request's with this status.
    Refused(StatusCode),
    /// The body of the next message was refused.
    Broken,
    /// The bytes end in the middle of the next message.
    Incomplete,
    /// There are bytes behind the response, which nobody asked for.
    Excess,
}

/// Reads requests from bytes as they come.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    buffer: BytesMut,
    heads: HeadReader,
    current: Option<(Message<request::Parts>, Decoder, bool)>,
    /// The whole ones so far.
    pub(crate) messages: Vec<Message<request::Parts>>,
    end: Option<End>,
}

impl Requests {
    /// Takes more bytes in.
    pub(crate) fn feed(&mut self, bytes: &[u8], limits: &HeadLimits) {
        self.buffer.extend_from_slice(bytes);
        while self.end.is_none() {
            let goes_on = match self.current.take() {
                Some((message, decoder, keep_alive)) => self.body(message, decoder, keep_alive),
                None => self.head(limits),
            };
            if !goes_on {
                return;
            }
        }
    }

    fn head(&mut self, limits: &HeadLimits) -> bool {
        let (heads, buffer) = (&mut self.heads, &mut self.buffer);
        match given(|into| heads.request(buffer, limits, |_, _| true, HeaderMap::new, into)) {
            Ok(None) => return false,
            Ok(Some(head)) => {
                let decoder = Decoder::new(head.framing, limits);
                let message = Message::new(head.parts, head.framing);
                self.current = Some((message, decoder, head.keep_alive));
            }
            Err(fault) => self.end = Some(End::Refused(fault.status())),
        }
        true
    }

    fn body(
        &mut self,
        mut message: Message<request::Parts>,
        mut decoder: Decoder,
        keep_alive: bool,
    ) -> bool {
        match message.take(&mut decoder, &mut self.buffer) {
            Ok(true) => {
                self.messages.push(message);
                if !keep_alive {
                    self.end = Some(End::Closed);
                }
                true
            }
            Ok(false) => {
                self.current = Some((message, decoder, keep_alive));
                false
            }
            Err(_) => {
                self.end = Some(End::Broken);
                true
            }
        }
    }

    /// No more bytes come.
    pub(crate) fn end(&self) -> End {
        let is_whole = self.current.is_none() && self.buffer.is_empty();
        self.end
            .unwrap_or(if is_whole { End::Open } else { End::Incomplete })
    }
}

impl<H> Message<H> {
    fn new(head: H, framing: Framing) -> Self {
        let data = Vec::new();
        let trailers = HeaderMap::new();
        Self {
            head,
            framing,
            data,
            trailers,
        }
    }

    /// Takes what is in `buffer`. Whether that is all.
    fn take(&mut self, decoder: &mut Decoder, buffer: &mut BytesMut) -> Result<bool, BodyFault> {
        while let Some(piece) = decoder.decode(buffer)? {
            match piece {
                Piece::Data(data) => self.data.extend_from_slice(&data),
                Piece::Trailers(trailers) => self.trailers = *trailers,
                Piece::End => return Ok(true),
            }
        }
        Ok(false)
    }
}

impl Message<request::Parts> {
    /// The message as an endpoint would get it, its body in pieces of `at_a_time` bytes.
    pub(crate) fn written(&self, at_a_time: usize) -> BytesMut {
        let mut out = BytesMut::new();
        let mut encoder = write_request(&mut out, &self.head, self.framing);
        for data in self.data.chunks(at_a_time) {
            encoder
                .data(data, &mut out)
                .expect("the body is as long as announced");
        }
        encoder
            .end(Some(&self.trailers), &mut out)
            .expect("all was written");
        out
    }

    /// What two readers of the message must agree about.
    pub(crate) fn meaning(&self) -> (String, HeaderMap, &[u8], &HeaderMap) {
        let target = self.head.uri.path_and_query().map_or("/", |it| it.as_str());
        let slash = if target.starts_with('?') { "/" } else { "" };
        let mut headers = self.head.headers.clone();
        for name in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
            headers.remove(name);
        }
        (
            format!("{} {slash}{target}", self.head.method),
            headers,
            &self.data,
            &self.trailers,
        )
    }
}

/// Reads the responses to one request from `parts`, after which the connection closes: interim ones, and the final one.
pub(crate) fn responses<'a>(
    parts: impl Iterator<Item = &'a [u8]>,
    method: &Method,
    limits: &HeadLimits,
) -> (Vec<Message<StatusCode>>, End) {
    let mut buffer = BytesMut::new();
    let mut heads = HeadReader::default();
    let mut messages = Vec::new();
    let mut current: Option<(Message<StatusCode>, Decoder, bool)> = None;
    let mut end = None;
    for part in parts {
        buffer.extend_from_slice(part);
        while end.is_none() {
            let Some((message, decoder, keep_alive)) = &mut current else {
                let read = given(|into| {
                    heads.response(&mut buffer, limits, method, true, HeaderMap::new, into)
                });
                match read {
                    Ok(None) => break,
                    Ok(Some(head)) => {
                        let message = Message::new(head.parts.status, head.framing);
                        let decoder = Decoder::new(head.framing, limits);
                        current = Some((message, decoder, head.keep_alive));
                    }
                    Err(_) => end = Some(End::Refused(StatusCode::BAD_GATEWAY)),
                }
                continue;
            };
            match message.take(decoder, &mut buffer) {
                Ok(false) => break,
                Ok(true) => {
                    let is_interim = message.head.is_informational() && message.head != 101;
                    if !is_interim {
                        end = Some(if *keep_alive { End::Open } else { End::Closed });
                    }
                    messages.extend(current.take().map(|(message, ..)| message));
                }
                Err(_) => end = Some(End::Broken),
            }
        }
    }
    let is_whole = |(_, decoder, _): &mut (_, Decoder, _)| decoder.end_of_input().is_ok();
    let end = match end {
        Some(End::Open) if !buffer.is_empty() => End::Excess,
        Some(end) => end,
        None if current.as_mut().is_some_and(is_whole) => {
            messages.extend(current.take().map(|(message, ..)| message));
            End::Closed
        }
        None => End::Incomplete,
    };
    (messages, end)
}

/// Checks what holds of any bytes from a client: it does not matter how they were split, and what is passed on is read
/// as it was read here.
pub(crate) fn check_requests(bytes: &[u8], at_a_time: usize, limits: &HeadLimits) {
    let mut whole = Requests::default();
    whole.feed(bytes, limits);
    check_request_lines(bytes, limits);
    reference::check_request(bytes, limits);
    let mut split = Requests::default();
    for part in bytes.chunks(at_a_time.max(1)) {
        split.feed(part, limits);
    }
    assert_eq!(whole.end(), split.end());
    let meanings = |requests: &Requests| format!("{:?}", requests.messages);
    assert_eq!(meanings(&whole), meanings(&split));
    // What is written may be larger than what came, by a header that says the framing and by the size of chunks.
    let roomy = HeadLimits {
        head_bytes: limits.head_bytes + 1024,
        headers: limits.headers + 1,
        ..*limits
    };
    for message in &whole.messages {
        let mut next = Requests::default();
        next.feed(&message.written(at_a_time.max(1)), &roomy);
        if message.head.headers.contains_key("host") {
            assert_eq!(next.messages.len(), 1, "{message:?}");
            assert_eq!(next.messages[0].meaning(), message.meaning());
            assert_ne!(next.end(), End::Incomplete);
        }
    }
}

/// Checks what holds of any bytes from an endpoint: it does not matter how they were split.
pub(crate) fn check_responses(
    bytes: &[u8],
    at_a_time: usize,
    method: &Method,
    limits: &HeadLimits,
) {
    let whole = responses([bytes].into_iter(), method, limits);
    let split = responses(bytes.chunks(at_a_time.max(1)), method, limits);
    assert_eq!(format!("{whole:?}"), format!("{split:?}"));
    check_lines(bytes, method, limits);
    reference::check_response(bytes, limits);
}

/// Checks that the head of a request at the beginning of `bytes` is refused, or says the same, whether it is looked at or
/// not.
pub(crate) fn check_request_lines(bytes: &[u8], limits: &HeadLimits) {
    let read = |looked_at: bool| {
        let mut buffer = BytesMut::from(bytes);
        let mut heads = HeadReader::default();
        let head = given(|into| {
            heads.request(&mut buffer, limits, |_, _| looked_at, HeaderMap::new, into)
        });
        head.map(|head| head.map(|head| (head, buffer)))
    };
    let (map, lines) = match (read(true), read(false)) {
        (Ok(Some(map)), Ok(Some(lines))) => (map, lines),
        (of_map, of_lines) => return assert_eq!(format!("{of_map:?}"), format!("{of_lines:?}")),
    };
    assert_eq!(map.1, lines.1);
    let (map, mut lines) = (map.0, lines.0);
    assert!(map.lines.is_none());
    if let Some(kept) = &lines.lines {
        let collected = collect_lines(&kept.all(), &mut lines.parts.headers);
        collected.expect("the lines were checked");
    }
    let said = |head: &RequestHead| {
        let parts = &head.parts;
        let line = (parts.method.clone(), parts.uri.clone(), parts.version);
        let ends = (head.framing, head.keep_alive);
        let waits = (head.expects_continue, head.takes_trailers);
        (line, parts.headers.clone(), ends, waits)
    };
    assert_eq!(said(&map), said(&lines));
}

/// Checks that the head at the beginning of `bytes` is refused, or says the same, whether it is looked at or not, and that
/// a client gets the same headers then.
pub(crate) fn check_lines(bytes: &[u8], method: &Method, limits: &HeadLimits) {
    let read = |looked_at| {
        let mut buffer = BytesMut::from(bytes);
        let mut heads = HeadReader::default();
        given(|into| heads.response(&mut buffer, limits, method, looked_at, HeaderMap::new, into))
    };
    let (map, lines) = match (read(true), read(false)) {
        (Ok(Some(map)), Ok(Some(lines))) => (map, lines),
        (Ok(None), Ok(None)) => return,
        (Err(of_map), Err(of_lines)) => return assert_eq!(of_map, of_lines),
        (of_map, of_lines) => unreachable!("{of_map:?} {of_lines:?}"),
    };
    let said = |head: &ResponseHead| (head.parts.status, head.framing, head.keep_alive);
    assert_eq!(said(&map), said(&lines));
    assert!(map.lines.is_none());
    let got = |mut head: ResponseHead| {
        if head.lines.is_none() {
            remove_hop_by_hop(&mut head.parts.headers);
        }
        let line = StatusLine {
            version_of_client: Version::HTTP_11,
            status: head.parts.status,
            reason: None,
        };
        let (headers, lines) = (&head.parts.headers, head.lines.as_ref());
        let mut out = BytesMut::new();
        write_response(&mut out, &line, headers, lines, &head.framing, true);
        let roomy = HeadLimits {
            head_bytes: limits.head_bytes + 1024,
            headers: limits.headers + 1,
            ..*limits
        };
        let mut heads = HeadReader::default();
        let read =
            given(|into| heads.response(&mut out, &roomy, method, true, HeaderMap::new, into));
        assert!(out.is_empty(), "nothing but one head was written");
        let read = read.expect("it was written here").expect("it is whole");
        read.parts.headers
    };
    assert_eq!(got(map), got(lines));
}

/// Checks what holds of any bytes of a chunked body: it does not matter how they were split, and a body that was
/// understood is the same when it is written again.
pub(crate) fn check_chunks(bytes: &[u8], at_a_time: usize, limits: &HeadLimits) {
    let whole = chunks([bytes].into_iter(), limits);
    let split = chunks(bytes.chunks(at_a_time.max(1)), limits);
    assert_eq!(format!("{whole:?}"), format!("{split:?}"));
    reference::check_trailers(bytes, limits);
    let (Ok(true), message, _) = whole else {
        return;
    };
    let mut out = BytesMut::new();
    let mut encoder = Encoder::new(Framing::Chunked);
    for data in message.data.chunks(at_a_time.max(1)) {
        encoder
            .data(data, &mut out)
            .expect("chunks are never too many");
    }
    encoder
        .end(Some(&message.trailers), &mut out)
        .expect("chunks are never too few");
    let roomy = HeadLimits {
        head_bytes: limits.head_bytes + 1024,
        ..*limits
    };
    let (end, again, rest) = chunks([&out[..]].into_iter(), &roomy);
    assert_eq!((end, rest), (Ok(true), 0));
    assert_eq!(
        (again.data, again.trailers),
        (message.data, message.trailers)
    );
}

/// A chunked body: whether it is whole, what it is, and how many bytes are behind it.
fn chunks<'a>(
    parts: impl Iterator<Item = &'a [u8]>,
    limits: &HeadLimits,
) -> (Result<bool, BodyFault>, Message<()>, usize) {
    let mut message = Message::new((), Framing::Chunked);
    let mut decoder = Decoder::new(Framing::Chunked, limits);
    let mut buffer = BytesMut::new();
    let mut end = Ok(false);
    for part in parts {
        buffer.extend_from_slice(part);
        if end == Ok(false) {
            end = message.take(&mut decoder, &mut buffer);
        }
    }
    // After a fault it depends on the split how many bytes were looked at.
    let rest = if end == Ok(true) { buffer.len() } else { 0 };
    (end, message, rest)
}
