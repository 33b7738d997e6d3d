//! Where requests end in a stream of HTTP/1.1 from a well-behaved sender.

/// Counts whole requests, bodies with a `Content-Length` included, wherever the stream is cut. Allocates nothing.
#[derive(Debug, Default)]
pub(crate) struct RequestEnds {
    /// How much of the empty line that ends a head has been seen.
    ended: usize,
    /// How much of the name of the length's header has been seen, from the beginning of its line.
    named: Named,
    /// The body's length, as far as it has been read.
    length: u64,
    /// What has still to come of a body.
    body: u64,
}

/// How far a line of a head is the one that tells the length.
#[derive(Clone, Copy, Debug, Default)]
enum Named {
    /// It is not.
    #[default]
    No,
    /// So many bytes of the name were there.
    Partly(usize),
    /// Now comes the length.
    Yes,
}

const END: &[u8; 4] = b"\r\n\r\n";
const NAME: &[u8] = b"content-length:";

impl RequestEnds {
    /// How many requests end in `bytes`, which come next.
    pub(crate) fn count(&mut self, mut bytes: &[u8]) -> usize {
        let mut ends = 0;
        while let Some((&first, rest)) = bytes.split_first() {
            if self.body > 0 {
                let part = self.body.min(bytes.len() as u64);
                self.body -= part;
                bytes = &bytes[part as usize..];
            } else {
                bytes = rest;
                if !self.ends_head(first) {
                    continue;
                }
                self.body = std::mem::take(&mut self.length);
            }
            ends += usize::from(self.body == 0);
        }
        ends
    }

    /// Takes a byte of a head, and tells whether it was the last.
    fn ends_head(&mut self, byte: u8) -> bool {
        self.named = match self.named {
            _ if byte == b'\n' => Named::Partly(0),
            Named::Partly(seen) if byte.to_ascii_lowercase() == NAME[seen] => match seen + 1 {
                seen if seen == NAME.len() => Named::Yes,
                seen => Named::Partly(seen),
            },
            Named::Yes => {
                if byte.is_ascii_digit() {
                    self.length = self.length * 10 + u64::from(byte - b'0');
                }
                Named::Yes
            }
            Named::No | Named::Partly(_) => Named::No,
        };
        self.ended = match byte {
            _ if byte == END[self.ended] => self.ended + 1,
            _ => usize::from(byte == END[0]),
        };
        let is_last = self.ended == END.len();
        if is_last {
            self.ended = 0;
            self.named = Named::No;
        }
        is_last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_wherever_the_stream_is_cut() {
        for (stream, requests) in [
            (
                "GET / HTTP/1.1\r\nhost: a\r\n\r\nGET / HTTP/1.1\r\n\r\n\r\r\n\r\n",
                3,
            ),
            (
                "POST / HTTP/1.1\r\nhost: a\r\nContent-Length: 12\r\nx: 9\r\n\r\nab\r\n\r\ncd\r\n\r\nGET / HTTP/1.1\r\n\r\n",
                2,
            ),
            ("POST / HTTP/1.1\r\ncontent-length:3\r\n\r\nab", 0),
            ("POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n", 1),
            ("POST / HTTP/1.1\r\nx-content-length: 9\r\n\r\n", 1),
        ] {
            for cut in 0..=stream.len() {
                let (before, after) = stream.as_bytes().split_at(cut);
                let mut ends = RequestEnds::default();
                let found = ends.count(before) + ends.count(after);
                assert_eq!(found, requests, "{stream:?}, cut at {cut}");
            }
        }
    }
}
