//! A second reader of HTTP/1, which shares no code with the proxy's: what it reads decides what the other side of the proxy
//! has really been sent. It is strict, as what the proxy writes has to be plain.

/// A message that came whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// The first line.
    pub(super) start: String,
    /// Names in lower case.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Message {
    /// The value of the only header `name`.
    fn header(&self, name: &str) -> Result<Option<&str>, String> {
        let mut values = self.headers.iter().filter(|(found, _)| found == name);
        let value = values.next().map(|(_, value)| value.as_str());
        match values.next() {
            Some(_) => Err(format!("{name} twice: {self:?}")),
            None => Ok(value),
        }
    }

    /// The word at `place` of the first line.
    pub(super) fn word(&self, place: usize) -> &str {
        self.start.split(' ').nth(place).unwrap_or_default()
    }

    /// Whether the connection is to end behind it.
    pub(super) fn closes(&self) -> bool {
        self.headers
            .iter()
            .any(|(name, value)| name == "connection" && value.contains("close"))
    }
}

/// The request that `bytes` begin with, and its length; none while it is not whole.
pub(super) fn request(bytes: &[u8]) -> Result<Option<(Message, usize)>, String> {
    let Some((mut message, head)) = head(bytes)? else {
        return Ok(None);
    };
    let words: Vec<&str> = message.start.split(' ').collect();
    if words.len() != 3 || words[2] != "HTTP/1.1" || message.header("host")?.is_none() {
        return Err(format!("no request: {message:?}"));
    }
    let rest = bytes.get(head..).unwrap_or_default();
    Ok(body(&mut message, rest)?.map(|body| (message, head + body)))
}

/// The responses in `bytes` to requests of `methods`, without interim ones, and whether the last one is not whole. `has_ended`
/// says that no more bytes come.
pub(super) fn responses(
    mut bytes: &[u8],
    methods: &[&str],
    has_ended: bool,
) -> Result<(Vec<Message>, bool), String> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let Some((mut message, head)) = head(bytes)? else {
            return Ok((found, true));
        };
        if !message.start.starts_with("HTTP/1.1 ") {
            return Err(format!("no response: {message:?}"));
        }
        bytes = bytes.get(head..).unwrap_or_default();
        let status = message.word(1).to_owned();
        let is_framed = message.header("content-length")?.is_some()
            || message.header("transfer-encoding")?.is_some();
        if status.starts_with('1') || status == "204" {
            if is_framed {
                return Err(format!("a body where none may be: {message:?}"));
            }
            if status.starts_with('1') {
                continue;
            }
        } else if status != "304" && methods.get(found.len()) != Some(&"HEAD") {
            let length = if is_framed {
                body(&mut message, bytes)?
            } else {
                message.body = bytes.to_vec();
                has_ended.then_some(bytes.len())
            };
            let Some(length) = length else {
                return Ok((found, true));
            };
            bytes = bytes.get(length..).unwrap_or_default();
        }
        found.push(message);
    }
    Ok((found, false))
}

fn head(bytes: &[u8]) -> Result<Option<(Message, usize)>, String> {
    let Some(end) = find(bytes, b"\r\n\r\n") else {
        return Ok(None);
    };
    let text: String = bytes[..end].iter().copied().map(char::from).collect();
    let mut lines = text.split("\r\n");
    let start = lines.next().unwrap_or_default().to_owned();
    let mut headers = Vec::new();
    for line in lines {
        let is_name = |name: &str| {
            !name.is_empty()
                && name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
        };
        match line.split_once(':') {
            Some((name, value)) if is_name(name) && !value.contains(['\r', '\n', '\0']) => {
                headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            }
            _ => return Err(format!("no header: {line:?}")),
        }
    }
    if start.contains(['\r', '\n', '\0']) {
        return Err(format!("no first line: {start:?}"));
    }
    let body = Vec::new();
    Ok(Some((
        Message {
            start,
            headers,
            body,
        },
        end + 4,
    )))
}

/// Takes the body of `message` from the beginning of `bytes`, and gives its length there; none while it is not whole.
fn body(message: &mut Message, bytes: &[u8]) -> Result<Option<usize>, String> {
    let length = message.header("content-length")?.map(str::to_owned);
    match (message.header("transfer-encoding")?, length) {
        (None, None) => Ok(Some(0)),
        (None, Some(length)) => {
            let length: usize = length.parse().map_err(|_| format!("length {length:?}"))?;
            let Some(body) = bytes.get(..length) else {
                return Ok(None);
            };
            message.body = body.to_vec();
            Ok(Some(length))
        }
        (Some("chunked"), None) => chunks(&mut message.body, bytes),
        _ => Err(format!("contradicting framing: {message:?}")),
    }
}

fn chunks(body: &mut Vec<u8>, bytes: &[u8]) -> Result<Option<usize>, String> {
    let mut at = 0;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(end) = find(rest, b"\r\n") else {
            return Ok(None);
        };
        let line = String::from_utf8_lossy(&rest[..end]).into_owned();
        let size = usize::from_str_radix(&line, 16).map_err(|_| format!("chunk size {line:?}"))?;
        at += end + 2;
        let rest = bytes.get(at..).unwrap_or_default();
        if size == 0 {
            let Some(trailers) = (if rest.starts_with(b"\r\n") {
                Some(2)
            } else {
                find(rest, b"\r\n\r\n").map(|end| end + 4)
            }) else {
                return Ok(None);
            };
            return Ok(Some(at + trailers));
        }
        let Some(data) = rest.get(..size + 2) else {
            return Ok(None);
        };
        if !data.ends_with(b"\r\n") {
            return Err(format!("a chunk of {size} bytes is longer"));
        }
        body.extend_from_slice(&data[..size]);
        at += size + 2;
    }
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}
