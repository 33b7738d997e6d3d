//! Writes what fuzzing begins with: `seeds FOLDER` makes a folder for each target below FOLDER, from the corpus of the tests.
//! `smoke` compiles it by itself, as it needs nothing of the crates here.

#[path = "../tests/corpus/reader.rs"]
#[allow(dead_code, unreachable_pub)]
mod reader;

use std::{env, fs, io, path::PathBuf};

fn main() -> io::Result<()> {
    let folder = PathBuf::from(env::args().nth(1).unwrap_or_else(|| "corpus".to_owned()));
    let write = |target: &str, number: usize, first: &[u8], bytes: &[u8]| {
        let folder = folder.join(target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(format!("seed-{number}")), [first, bytes].concat())
    };
    for (number, case) in reader::read("http1/requests").iter().enumerate() {
        if case.bytes.len() > 4096 {
            continue;
        }
        write("http1_request", number, &[0], &case.bytes)?;
        write("http1_proxy", number, &[0], &case.bytes)?;
        if let Some((_, body)) = split_head(&case.bytes) {
            write("http1_chunked", number, &[0], body)?;
        }
        write("headers", number, &[0, 0], &head_of(&case.bytes))?;
    }
    for (number, case) in reader::read("http1/responses").iter().enumerate() {
        if case.bytes.len() <= 4096 {
            write("http1_response", number, &[0], &case.bytes)?;
            write("http1_answers", number, &[0], &case.bytes)?;
            write("http1_answers", number + 1000, &[0xff], &case.bytes)?;
        }
    }
    let marked = b"HTTP/1.1 200 OK\r\nx-n: @\r\ncontent-length: 1\r\n\r\n@";
    let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n@\r\n0\r\nt: @\r\n\r\n";
    write("http1_answers", 2000, &[0], marked)?;
    write("http1_answers", 2001, &[0], chunked)?;
    write("http1_answers", 2002, &[0], &[&marked[..], &marked[..]].concat())?;
    for (number, bytes) in PROXIED.iter().enumerate() {
        write("proxy_protocol", number, &[], bytes)?;
    }
    for (number, script) in FRAMES.iter().enumerate() {
        write("http2_frames", number, &[], script)?;
        write("http2_session", number, &[0], script)?;
    }
    let choices: Vec<u8> = (0..=255).collect();
    for number in 0..8 {
        write("route_compile", number, &[], &choices[number * 7..])?;
    }
    Ok(())
}

/// A head in the form that `headers` takes: target, then header lines.
fn head_of(request: &[u8]) -> Vec<u8> {
    let head = split_head(request).map_or(request, |(head, _)| head);
    let text = String::from_utf8_lossy(head).replace("\r\n", "\n");
    let (start, lines) = text.split_once('\n').unwrap_or((&text, ""));
    let target = start.split(' ').nth(1).unwrap_or("/");
    format!("{target}\n{lines}").into_bytes()
}

fn split_head(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    Some((&bytes[..end], &bytes[end + 4..]))
}

const PROXIED: [&[u8]; 5] = [
    b"PROXY TCP4 192.0.2.1 192.0.2.2 4000 80\r\nGET",
    b"PROXY TCP6 2001:db8::1 2001:db8::2 4000 443\r\n",
    b"PROXY UNKNOWN\r\n",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x01\xc0\0\x02\x02\x0f\xa0\0\x50",
    b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0",
];

/// Kind, flags, stream and length of each frame, and its payload.
const FRAMES: [&[u8]; 5] = [
    // GET; POST with a body in two frames; trailers; a ping.
    b"\x01\x05\0\0",
    b"\x01\x04\0\x01\0\0\x01\0\x02ab",
    b"\x01\x04\0\x01\0\0\0\0\x01a\x01\x05\0\x05xxxxx",
    b"\x06\0\x80\x0812345678\x01\x05\0\0\x03\0\0\x04\0\0\0\x08\x01\x05\x01\x02xx",
    // POST that waits, SETTINGS with a window of nought, WINDOW_UPDATE, GOAWAY.
    b"\x01\x04\0\x04xxxx\x04\0\x80\x06\0\x04\0\0\0\0\x08\0\x80\x04\0\0\0\x09\0\x01\0\x02ok\x07\0\x80\x080000\0\0\0\0",
];
