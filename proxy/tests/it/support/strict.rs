//! A reader of HTTP/1 that takes nothing but what a proxy may write, and says what it is otherwise. It shares no code with
//! the proxy.

use super::PATIENCE;
use std::{
    fmt,
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
};

/// A message that came whole.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Message {
    /// `METHOD TARGET`, or the status.
    pub(crate) start: String,
    /// Names as they came.
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<(String, Vec<u8>)>,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = String::from_utf8_lossy(&self.body);
        write!(f, "{:.80} {body:.80?}", self.start)
    }
}

impl Message {
    /// The values of the header `name`.
    pub(crate) fn values(&self, name: &str) -> Vec<&[u8]> {
        let headers = self.headers.iter();
        let named = headers.filter(|(key, _)| key.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_slice()).collect()
    }

    /// The only value of the header `name`, as text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let values = self.values(name);
        assert!(values.len() < 2, "{name} is there twice: {self:?}");
        std::str::from_utf8(values.first()?).ok()
    }
}

/// What came next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Message(Message),
    /// The connection ended between two messages.
    End,
    /// It ended within this message.
    Cut(Message),
    /// This is not what may be written.
    Invalid(String),
    /// Nothing came for a long time.
    Silence,
}

/// Why there is no more.
enum Stop {
    End,
    Silence,
    Invalid(String),
}

fn invalid<T>(what: &str, line: &[u8]) -> Result<T, Stop> {
    let line = String::from_utf8_lossy(line);
    Err(Stop::Invalid(format!("{what}: {line:.120?}")))
}

/// How the body of a message is framed.
#[derive(Clone, Copy)]
enum Body {
    None,
    Length(usize),
    Chunked,
    UntilEnd,
}

/// One end of a connection.
pub(crate) struct Strict {
    stream: TcpStream,
    ahead: Vec<u8>,
}

impl From<TcpStream> for Strict {
    fn from(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let ahead = Vec::new();
        Self { stream, ahead }
    }
}

impl Strict {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        TcpStream::connect(address).unwrap().into()
    }

    /// Sends, to whom it may have closed already.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Ends sending.
    pub(crate) fn finish(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// The next request.
    pub(crate) fn request(&mut self) -> Next {
        self.next(|reader, message| {
            let line = reader.line()?;
            let text = std::str::from_utf8(&line).unwrap_or_default();
            let words: Vec<&str> = text.split(' ').collect();
            let &[method, target, "HTTP/1.1"] = &words[..] else {
                return invalid("a request line", &line);
            };
            let is_visible = |text: &str| text.bytes().all(|b| b.is_ascii_graphic());
            if !method.bytes().all(is_token) || !is_visible(target) || target.is_empty() {
                return invalid("a request line", &line);
            }
            message.start = format!("{method} {target}");
            message.headers = reader.fields()?;
            if message.values("host").len() != 1 {
                return invalid("not one host", message.start.as_bytes());
            }
            Ok(match reader.framing(message)? {
                Body::UntilEnd => Body::None,
                body => body,
            })
        })
    }

    /// The next response, interim ones too.
    pub(crate) fn response(&mut self, to: &str) -> Next {
        self.next(|reader, message| {
            let line = reader.line()?;
            let status = line.strip_prefix(b"HTTP/1.1 ").unwrap_or_default();
            let status = status.split_at_checked(3).filter(|(_, rest)| {
                rest.first() == Some(&b' ') && rest[1..].iter().all(|&b| is_text(b))
            });
            let status = status.and_then(|(status, _)| std::str::from_utf8(status).ok());
            let Some(status) = status.filter(|it| it.bytes().all(|b| b.is_ascii_digit())) else {
                return invalid("a status line", &line);
            };
            message.start = status.to_owned();
            message.headers = reader.fields()?;
            let framing = reader.framing(message)?;
            let is_bodiless = status.starts_with('1') || status == "204";
            if is_bodiless && !matches!(framing, Body::UntilEnd) {
                return invalid("framed though it has no body", &line);
            }
            Ok(match framing {
                _ if is_bodiless || status == "304" || to == "HEAD" => Body::None,
                framing => framing,
            })
        })
    }

    fn next(&mut self, head: impl FnOnce(&mut Self, &mut Message) -> Result<Body, Stop>) -> Next {
        let mut message = Message::default();
        if self.ahead.is_empty() {
            match self.read_more() {
                Ok(()) => {}
                Err(Stop::Silence) => return Next::Silence,
                Err(_) => return Next::End,
            }
        }
        let read = head(self, &mut message).and_then(|body| self.body(body, &mut message));
        match read {
            Ok(()) => Next::Message(message),
            Err(Stop::End) => {
                message.body.append(&mut self.ahead);
                Next::Cut(message)
            }
            Err(Stop::Silence) => Next::Silence,
            Err(Stop::Invalid(what)) => Next::Invalid(what),
        }
    }

    fn framing(&self, message: &Message) -> Result<Body, Stop> {
        let lengths = message.values("content-length");
        let codings = message.values("transfer-encoding");
        match (&lengths[..], &codings[..]) {
            ([], []) => Ok(Body::UntilEnd),
            ([], [b"chunked"]) => Ok(Body::Chunked),
            ([length], []) if length.iter().all(u8::is_ascii_digit) => {
                let length = std::str::from_utf8(length).unwrap_or_default();
                // No test sends so much.
                Ok(Body::Length(length.parse().unwrap_or(usize::MAX)))
            }
            _ => invalid("framed in a doubtful way", message.start.as_bytes()),
        }
    }

    fn body(&mut self, body: Body, message: &mut Message) -> Result<(), Stop> {
        match body {
            Body::None => {}
            Body::Length(length) => {
                while self.ahead.len() < length {
                    self.read_more()?;
                }
                message.body = self.ahead.drain(..length).collect();
            }
            Body::UntilEnd => loop {
                match self.read_more() {
                    Ok(()) => {}
                    Err(Stop::End) => break,
                    Err(stop) => return Err(stop),
                }
            },
            Body::Chunked => {
                while self.chunk(&mut message.body)? {}
                message.trailers = self.fields()?;
            }
        }
        if matches!(body, Body::UntilEnd) {
            message.body = std::mem::take(&mut self.ahead);
        }
        Ok(())
    }

    /// Whether it was not the last one.
    fn chunk(&mut self, body: &mut Vec<u8>) -> Result<bool, Stop> {
        let line = self.line()?;
        let size = std::str::from_utf8(&line).unwrap_or_default();
        let Ok(size) = usize::from_str_radix(size, 16) else {
            return invalid("a chunk's size", &line);
        };
        if size > 0 {
            while self.ahead.len() < size + 2 {
                self.read_more()?;
            }
            body.extend(self.ahead.drain(..size));
            let end: Vec<u8> = self.ahead.drain(..2).collect();
            if end != b"\r\n" {
                return invalid("a chunk's end", &end);
            }
        }
        Ok(size > 0)
    }

    /// Header lines up to the empty one.
    fn fields(&mut self) -> Result<Vec<(String, Vec<u8>)>, Stop> {
        let mut fields = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(fields);
            }
            let Some(colon) = line.iter().position(|&b| b == b':') else {
                return invalid("a header line", &line);
            };
            let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
            let is_name = !name.is_empty() && name.iter().all(|&b| is_token(b));
            if !is_name || !value.iter().all(|&b| is_text(b)) {
                return invalid("a header line", &line);
            }
            let name = String::from_utf8_lossy(name).into_owned();
            fields.push((name, value.to_owned()));
        }
    }

    /// A line without its end, which is CR LF and nothing else.
    fn line(&mut self) -> Result<Vec<u8>, Stop> {
        let mut looked = 0;
        loop {
            if let Some(at) = self.ahead[looked..].iter().position(|&b| b == b'\n') {
                let mut line: Vec<u8> = self.ahead.drain(..=looked + at).collect();
                line.pop();
                return match line.pop() {
                    Some(b'\r') if !line.contains(&b'\r') => Ok(line),
                    _ => invalid("a line's end", &line),
                };
            }
            looked = self.ahead.len();
            self.read_more()?;
        }
    }

    fn read_more(&mut self) -> Result<(), Stop> {
        let mut bytes = [0; 16 * 1024];
        match self.stream.read(&mut bytes) {
            Ok(0) => Err(Stop::End),
            Ok(n) => {
                self.ahead.extend_from_slice(&bytes[..n]);
                Ok(())
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Err(Stop::Silence)
            }
            Err(_) => Err(Stop::End),
        }
    }
}

/// RFC 9110 section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// RFC 9110 section 5.5.
fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}
