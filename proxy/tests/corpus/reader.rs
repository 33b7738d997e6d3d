//! Reads the corpus. Its README says what the files look like. Whoever includes it runs in a test, and a file that is
//! not as it should be ends it.

use std::{fs, path::Path};

/// Bytes and what they mean.
#[derive(Debug)]
pub struct Case {
    /// The file's name, the line and the case's name.
    pub name: String,
    /// The method of the request that is answered; of no meaning for requests.
    pub method: String,
    /// What is sent.
    pub bytes: Vec<u8>,
    /// The messages that are whole and valid.
    pub messages: Vec<Message>,
    /// What is behind them.
    pub end: End,
}

/// A message that is whole and valid.
#[derive(Debug, PartialEq, Eq)]
pub struct Message {
    /// `METHOD TARGET` or `STATUS`.
    pub start: String,
    /// Its body.
    pub body: Vec<u8>,
}

/// What is behind the last valid message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Nothing; the connection can be used for more.
    Open,
    /// The last message was to be the last.
    Closed,
    /// A head that is refused with this status.
    Refused(u16),
    /// A message whose body is refused.
    Broken,
    /// A message that is not whole.
    Incomplete,
    /// Bytes that nobody asked for.
    Excess,
}

/// All cases of the files in `folder`, a path from the corpus' own.
pub fn read(folder: &str) -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/corpus")
        .join(folder);
    let files = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    files.iter().flat_map(|file| read_file(file)).collect()
}

fn read_file(path: &Path) -> Vec<Case> {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let mut around = "@".to_owned();
    let mut method = "GET".to_owned();
    let mut cases = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let at = format!("{file}:{}", number + 1);
        if line.is_empty() || line.starts_with('#') {
        } else if let Some(bytes) = line.strip_prefix("around ") {
            assert_eq!(bytes.matches('@').count(), 1, "{at}: one @ is needed");
            around = bytes.trim().to_owned();
        } else if let Some(name) = line.strip_prefix("method ") {
            method = name.trim().to_owned();
        } else {
            let fields: Vec<&str> = line.split('|').map(str::trim).collect();
            let &[name, meaning, bytes] = &fields[..] else {
                panic!("{at}: three fields are needed: {line}");
            };
            let (messages, end) = read_meaning(&at, meaning);
            cases.push(Case {
                name: format!("{at} {name}"),
                method: method.clone(),
                bytes: unescape(&at, &around.replace('@', bytes)),
                messages,
                end,
            });
        }
    }
    cases
}

fn read_meaning(at: &str, meaning: &str) -> (Vec<Message>, End) {
    let mut messages = Vec::new();
    let mut end = End::Open;
    for part in meaning
        .split(';')
        .map(str::trim)
        .filter(|part| !part.is_empty())
    {
        assert_eq!(end, End::Open, "{at}: the end is not the last: {meaning}");
        let words: Vec<&str> = part.split_whitespace().collect();
        match words[..] {
            ["closed"] => end = End::Closed,
            ["broken"] => end = End::Broken,
            ["incomplete"] => end = End::Incomplete,
            ["excess"] => end = End::Excess,
            ["refused", status] => {
                end = End::Refused(
                    status
                        .parse()
                        .unwrap_or_else(|e| panic!("{at}: {status}: {e}")),
                );
            }
            [status] => messages.push(Message::new(at, status, "")),
            [status, body] if status.starts_with(|first: char| first.is_ascii_digit()) => {
                messages.push(Message::new(at, status, body));
            }
            [method, target] => messages.push(Message::new(at, &format!("{method} {target}"), "")),
            [method, target, body] => {
                messages.push(Message::new(at, &format!("{method} {target}"), body));
            }
            _ => panic!("{at}: no message and no end: {part}"),
        }
    }
    (messages, end)
}

impl Message {
    fn new(at: &str, start: &str, body: &str) -> Self {
        let start = String::from_utf8(unescape(at, start));
        Self {
            start: start.unwrap_or_else(|e| panic!("{at}: {e}")),
            body: unescape(at, body),
        }
    }
}

fn unescape(at: &str, text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend_from_slice(before.as_bytes());
        let escape = after
            .chars()
            .next()
            .unwrap_or_else(|| panic!("{at}: a lone \\"));
        rest = &after[escape.len_utf8()..];
        match escape {
            'r' => bytes.push(b'\r'),
            'n' => bytes.push(b'\n'),
            't' => bytes.push(b'\t'),
            '0' => bytes.push(0),
            's' => bytes.push(b' '),
            'p' => bytes.push(b'|'),
            '\\' => bytes.push(b'\\'),
            'x' => {
                let byte = rest
                    .get(..2)
                    .and_then(|hex| u8::from_str_radix(hex, 16).ok());
                bytes.push(byte.unwrap_or_else(|| panic!("{at}: \\x without two digits")));
                rest = &rest[2..];
            }
            '{' => {
                let repeat = rest.split_once('}').and_then(|(inner, after)| {
                    let (count, what) = inner.split_once('*')?;
                    Some((count.parse().ok()?, what, after))
                });
                let (count, what, after): (usize, _, _) =
                    repeat.unwrap_or_else(|| panic!("{at}: \\{{ without N*BYTES}}"));
                bytes.extend(unescape(at, what).repeat(count));
                rest = after;
            }
            _ => panic!("{at}: \\{escape} is no escape"),
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}
