//! HTTP/1.1 over blocking sockets, as much of it as the tests speak.

use super::PATIENCE;
use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
};

/// A request or a response.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message {
    /// The request line or status line.
    pub(crate) first: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Message {
    /// The status of a response.
    pub(crate) fn status(&self) -> u16 {
        self.first
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .unwrap()
    }

    /// The first header called `name`.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let named = |(found, _): &&(String, String)| found.eq_ignore_ascii_case(name);
        self.headers
            .iter()
            .find(named)
            .map(|(_, value)| value.as_str())
    }

    /// The version of the origin that answered.
    pub(crate) fn version(&self) -> &str {
        self.header(super::origin::VERSION).unwrap_or("nobody")
    }

    /// The body as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// Reads the head of a message; nothing when the other side has closed.
pub(crate) fn read_head(reader: &mut impl BufRead) -> io::Result<Option<Message>> {
    let mut message = Message::default();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        match (line.trim_end(), message.first.is_empty()) {
            ("", _) => return Ok(Some(message)),
            (first, true) => first.clone_into(&mut message.first),
            (line, false) => {
                let (name, value) = line.split_once(':').ok_or(io::ErrorKind::InvalidData)?;
                message
                    .headers
                    .push((name.to_owned(), value.trim().to_owned()));
            }
        }
    }
}

/// Reads a message whose body, if any, has its length told.
pub(crate) fn read(reader: &mut impl BufRead) -> io::Result<Option<Message>> {
    let Some(mut message) = read_head(reader)? else {
        return Ok(None);
    };
    let length = message
        .header("content-length")
        .map_or(0, |length| length.parse().unwrap());
    message.body = vec![0; length];
    reader.read_exact(&mut message.body)?;
    Ok(Some(message))
}

/// A client's connection.
#[derive(Debug)]
pub(crate) struct Connection(BufReader<TcpStream>);

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self(BufReader::new(stream)))
    }

    /// The socket, to be shut down from elsewhere.
    pub(crate) fn socket(&self) -> io::Result<TcpStream> {
        self.0.get_ref().try_clone()
    }

    /// Sends the head of a request, with each of `headers` on a line of its own.
    pub(crate) fn send(
        &mut self,
        method_and_path: &str,
        headers: &str,
        body: &str,
    ) -> io::Result<()> {
        let mut text = format!("{method_and_path} HTTP/1.1\r\n");
        if !headers.to_ascii_lowercase().contains("host:") {
            text += "host: 127.0.0.1\r\n";
        }
        for line in headers.lines() {
            text += &format!("{line}\r\n");
        }
        if !body.is_empty() {
            text += &format!("content-length: {}\r\n", body.len());
        }
        text += &format!("\r\n{body}");
        self.0.get_mut().write_all(text.as_bytes())
    }

    /// Whether the other side has closed already, as far as is known here. Clients look before they send again.
    pub(crate) fn has_ended(&self) -> io::Result<bool> {
        let stream = self.0.get_ref();
        stream.set_nonblocking(true)?;
        let looked = stream.peek(&mut [0]);
        stream.set_nonblocking(false)?;
        match looked {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Ok(0) | Err(_) => Ok(true),
            Ok(_) => Ok(false),
        }
    }

    /// The next response.
    pub(crate) fn response(&mut self) -> io::Result<Message> {
        read(&mut self.0)?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// Sends a GET and reads its response.
    pub(crate) fn get(&mut self, path: &str, headers: &str) -> io::Result<Message> {
        self.send(&format!("GET {path}"), headers, "")?;
        self.response()
    }

    /// What comes next, line by line, whatever it is.
    pub(crate) fn lines(self) -> impl Iterator<Item = io::Result<String>> {
        self.0.lines()
    }

    /// Whether the other side closes without another byte.
    pub(crate) fn is_closed(&mut self) -> bool {
        let mut byte = [0];
        // A connection that is cut and one that is ended are both closed.
        matches!(self.0.read(&mut byte), Ok(0) | Err(_))
    }
}

/// Asks once, on a connection of its own.
pub(crate) fn get(address: SocketAddr, path: &str, headers: &str) -> io::Result<Message> {
    Connection::open(address)?.get(path, headers)
}

/// Posts once, on a connection of its own.
pub(crate) fn post(
    address: SocketAddr,
    path: &str,
    headers: &str,
    body: &str,
) -> io::Result<Message> {
    let mut connection = Connection::open(address)?;
    connection.send(&format!("POST {path}"), headers, body)?;
    connection.response()
}
