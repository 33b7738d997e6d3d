//! HTTP as bytes, for where the wire matters.

use super::PATIENCE;
use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
};

/// A request or a response as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Message {
    /// The start line.
    pub(crate) start: String,
    /// Names in lower case, in the order in which they came.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Trailers, as they stand.
    pub(crate) trailers: String,
    /// Whether the connection ended before the body was whole.
    pub(crate) is_cut: bool,
}

impl Message {
    /// The value of the only header `name`.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(n, _)| n == name);
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} is there twice: {self:?}");
        value
    }

    /// The status of a response.
    pub(crate) fn status(&self) -> u16 {
        let status = self.start.split(' ').nth(1);
        status.and_then(|s| s.parse().ok()).expect("a status line")
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// One end of a connection, with what was read ahead on it.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    ahead: Vec<u8>,
}

impl From<TcpStream> for Client {
    fn from(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self {
            stream,
            ahead: Vec::new(),
        }
    }
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        TcpStream::connect(address).unwrap().into()
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Sends a GET for `path` with further header lines, each ending in CRLF.
    pub(crate) fn get(&mut self, path: &str, headers: &str) -> Message {
        self.send(format!(
            "GET {path} HTTP/1.1\r\nhost: shop.example\r\n{headers}\r\n"
        ));
        self.response()
    }

    /// The next response.
    pub(crate) fn response(&mut self) -> Message {
        self.try_message(true).expect("a response")
    }

    /// The next response to a HEAD request.
    pub(crate) fn response_head(&mut self) -> Message {
        self.try_head().expect("a response head")
    }

    /// Ends sending.
    pub(crate) fn finish(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Whether the other end has closed the connection, or closes it now, with nothing more to read.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.ahead() == 0 && !self.read_more()
    }

    /// How many bytes were read ahead.
    pub(crate) fn ahead(&self) -> usize {
        self.ahead.len()
    }

    /// Throws away what was read ahead.
    pub(crate) fn discard(&mut self) {
        self.ahead.clear();
    }

    /// The next `n` bytes.
    pub(crate) fn take(&mut self, n: usize) -> Vec<u8> {
        while self.ahead.len() < n {
            assert!(self.read_more(), "the connection ended early");
        }
        self.take_ahead(n)
    }

    /// The first `n` bytes of what was read ahead. Copies them at once: an iterator takes seconds for some megabytes when
    /// nothing is optimised.
    fn take_ahead(&mut self, n: usize) -> Vec<u8> {
        let rest = self.ahead.split_off(n);
        std::mem::replace(&mut self.ahead, rest)
    }

    /// A request or a response, or nothing at the connection's end. Only a response may end with the connection.
    pub(crate) fn try_message(&mut self, is_response: bool) -> Option<Message> {
        let mut message = self.try_head()?;
        let length = message.header("content-length").map(|n| n.parse().unwrap());
        let is_chunked = message.header("transfer-encoding") == Some("chunked");
        let bodiless = is_response && matches!(message.status(), 100..=199 | 204 | 304);
        if is_chunked {
            self.read_chunks(&mut message);
        } else if let Some(length) = length.filter(|_| !bodiless) {
            while self.ahead.len() < length && self.read_more() {}
            message.is_cut = self.ahead.len() < length;
            let length = length.min(self.ahead.len());
            message.body = self.take_ahead(length);
        } else if is_response && !bodiless {
            while self.read_more() {}
            message.body = std::mem::take(&mut self.ahead);
        }
        Some(message)
    }

    /// A head without looking for a body, or nothing at the connection's end.
    pub(crate) fn try_head(&mut self) -> Option<Message> {
        let end = loop {
            if let Some(at) = find(&self.ahead, b"\r\n\r\n") {
                break at;
            }
            if !self.read_more() {
                return None;
            }
        };
        let head: Vec<u8> = self.ahead.drain(..end + 4).collect();
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let start = lines.next().unwrap().to_owned();
        let header = |line: &str| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_ascii_lowercase(), value.trim().to_owned())
        };
        Some(Message {
            start,
            headers: lines.map(header).collect(),
            ..Message::default()
        })
    }

    fn read_chunks(&mut self, message: &mut Message) {
        while let Some(size) = self.line() {
            let size = usize::from_str_radix(&size, 16).unwrap();
            if size == 0 {
                while let Some(line) = self.line().filter(|line| !line.is_empty()) {
                    message.trailers.push_str(&line);
                }
                return;
            }
            while self.ahead.len() < size + 2 && self.read_more() {}
            if self.ahead.len() < size + 2 {
                break;
            }
            message.body.extend(self.ahead.drain(..size));
            self.ahead.drain(..2);
        }
        message.is_cut = true;
    }

    fn line(&mut self) -> Option<String> {
        loop {
            if let Some(at) = find(&self.ahead, b"\r\n") {
                let line = self.ahead.drain(..at + 2).take(at).collect();
                return Some(String::from_utf8(line).unwrap());
            }
            if !self.read_more() {
                return None;
            }
        }
    }

    /// Whether there was more. A connection that was reset has ended too; one that hangs has not.
    fn read_more(&mut self) -> bool {
        let mut bytes = [0; 64 * 1024];
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

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}
