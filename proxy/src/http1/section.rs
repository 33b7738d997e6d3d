//! Where a section of lines ends: a head, or the trailers behind a body.

use memchr::memchr;

/// Looks for the empty line that ends a section as bytes come, and remembers how far it has looked: a section that comes
/// byte by byte costs no more than one that comes at once.
#[derive(Debug, Default)]
pub(super) struct Section {
    scanned: usize,
    line_start: usize,
}

/// Why no section can come of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SectionFault {
    /// A line ends with LF alone. What other servers take for a line's end decides what they take for a header.
    BareLineFeed,
    /// It is larger than the limit.
    TooLarge {
        /// Its first line alone is.
        first_line: bool,
    },
}

impl Section {
    /// Whether nothing has been looked at yet.
    pub(super) fn is_new(&self) -> bool {
        self.scanned == 0
    }

    /// The length of the section at the beginning of `bytes`, its empty line included, or none when more bytes are
    /// needed. `bytes` are those of the call before and more. What it says does not depend on how many more.
    pub(super) fn end(
        &mut self,
        bytes: &[u8],
        limit: usize,
    ) -> Result<Option<usize>, SectionFault> {
        let within = bytes.get(..limit).unwrap_or(bytes);
        while let Some(offset) = memchr(b'\n', within.get(self.scanned..).unwrap_or_default()) {
            let line_feed = self.scanned + offset;
            let line = within
                .get(self.line_start..line_feed)
                .and_then(|line| line.strip_suffix(b"\r"))
                .ok_or(SectionFault::BareLineFeed)?;
            let is_last = line.is_empty();
            self.scanned = line_feed + 1;
            self.line_start = self.scanned;
            if is_last {
                let end = self.scanned;
                *self = Self::default();
                return Ok(Some(end));
            }
        }
        self.scanned = within.len();
        if bytes.len() > limit {
            let first_line = self.line_start == 0;
            return Err(SectionFault::TooLarge { first_line });
        }
        Ok(None)
    }
}
