//! HTTP/2 as frames (RFC 9113), for peers that do what no library would.

use super::PATIENCE;
use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
};

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A frame as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// The error code of RST_STREAM or GOAWAY.
    pub(crate) fn code(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }
}

/// The bytes of a frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, a, b, c] = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![a, b, c, kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A header block (RFC 7541) of literals that nobody has to remember.
pub(crate) fn block(headers: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in headers {
        block.push(0);
        for text in [name, value] {
            integer(&mut block, text.len());
            block.extend(text.as_bytes());
        }
    }
    block
}

/// An integer with a prefix of seven bits (RFC 7541 section 5.1).
fn integer(block: &mut Vec<u8>, value: usize) {
    let Some(mut rest) = value.checked_sub(127) else {
        block.push(value as u8);
        return;
    };
    block.push(127);
    while rest >= 128 {
        block.push((rest % 128 + 128) as u8);
        rest /= 128;
    }
    block.push(rest as u8);
}

/// The head of a request for `path`.
pub(crate) fn request(method: &str, path: &str) -> Vec<u8> {
    block(&[
        (":method", method),
        (":scheme", "http"),
        (":authority", "shop.example"),
        (":path", path),
    ])
}

/// What a client begins a connection with, and a request for `path` without a body.
#[allow(dead_code, reason = "only the endurance suite needs it")]
pub(crate) fn opening(path: &str) -> Vec<u8> {
    let head = frame(HEADERS, END_STREAM | END_HEADERS, 1, &request("GET", path));
    [PREFACE, &frame(SETTINGS, 0, 0, &[]), &head].concat()
}

/// One end of a connection.
pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
    ahead: Vec<u8>,
}

impl Peer {
    fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self {
            stream,
            ahead: Vec::new(),
        }
    }

    /// A client that has sent its preface.
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::with_settings(address, &[])
    }

    /// The same, with `settings` as the payload of its first frame.
    pub(crate) fn with_settings(address: SocketAddr, settings: &[u8]) -> Self {
        let mut peer = Self::new(TcpStream::connect(address).unwrap());
        peer.send(PREFACE);
        peer.send(frame(SETTINGS, 0, 0, settings));
        peer
    }

    /// A server that has read its client's preface, and has sent nothing yet.
    pub(crate) fn accept(stream: TcpStream) -> Self {
        let mut peer = Self::new(stream);
        while peer.ahead.len() < PREFACE.len() && peer.read_more() {}
        let length = PREFACE.len().min(peer.ahead.len());
        peer.ahead.drain(..length);
        peer
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Sends `bytes` unless the other end has gone; whether it was there.
    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// Asks for `path` without a body.
    pub(crate) fn get(&mut self, stream: u32, path: &str) {
        let head = request("GET", path);
        self.send(frame(HEADERS, END_STREAM | END_HEADERS, stream, &head));
    }

    /// The next frame, or nothing at the connection's end.
    pub(crate) fn next(&mut self) -> Option<Frame> {
        while self.ahead.len() < 9 || self.ahead.len() < 9 + self.length() {
            if !self.read_more() {
                return None;
            }
        }
        let whole: Vec<u8> = self.ahead.drain(..9 + self.length()).collect();
        let stream = u32::from_be_bytes(whole[5..9].try_into().unwrap());
        Some(Frame {
            kind: whole[3],
            flags: whole[4],
            stream,
            payload: whole[9..].to_vec(),
        })
    }

    /// The next frame of this kind, with those before it passed over.
    pub(crate) fn find(&mut self, kind: u8) -> Option<Frame> {
        loop {
            let next = self.next()?;
            if next.kind == kind {
                return Some(next);
            }
        }
    }

    /// Reads to the connection's end. The frames that came.
    pub(crate) fn rest(&mut self) -> Vec<Frame> {
        std::iter::from_fn(|| self.next()).collect()
    }

    fn length(&self) -> usize {
        usize::from(self.ahead[0]) << 16
            | usize::from(self.ahead[1]) << 8
            | usize::from(self.ahead[2])
    }

    fn read_more(&mut self) -> bool {
        let mut bytes = [0; 16 * 1024];
        match self.stream.read(&mut bytes) {
            Ok(n) => {
                self.ahead.extend_from_slice(&bytes[..n]);
                n > 0
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                panic!("nothing came, and the connection did not end either")
            }
            Err(_) => false,
        }
    }
}

/// A server that does what `serve` does with each connection, once the settings have been exchanged with `settings` for
/// its own.
pub(crate) fn origin(
    settings: &'static [u8],
    serve: impl Fn(Peer) + Send + Sync + 'static,
) -> super::origin::Origin {
    super::origin::raw(move |stream| {
        let mut peer = Peer::accept(stream);
        if peer.try_send(frame(SETTINGS, 0, 0, settings)) {
            serve(peer);
        }
    })
}
