//! The codings of `Transfer-Encoding` (RFC 9112 section 6.1).

use super::{framing::FramingFault, scan::is_token};

/// All the codings of all the lines of `Transfer-Encoding`, in their order.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Codings {
    count: usize,
    chunked: usize,
    ends_with_chunked: bool,
    is_malformed: bool,
}

impl Codings {
    /// Takes one more line in. An empty element, which a list may have elsewhere, makes no sense here.
    pub(super) fn add(&mut self, line: &[u8]) {
        for element in line.split(|byte| *byte == b',') {
            let coding = element.trim_ascii();
            self.count += 1;
            self.ends_with_chunked = coding.eq_ignore_ascii_case(b"chunked");
            self.chunked += usize::from(self.ends_with_chunked);
            self.is_malformed |= !is_token(coding);
        }
    }

    /// Whether there is a `Transfer-Encoding`.
    pub(super) fn any(&self) -> bool {
        self.count > 0
    }

    /// Fails unless the body is chunked and nothing else.
    pub(super) fn only_chunked(&self) -> Result<(), FramingFault> {
        if self.is_malformed || !self.ends_with_chunked || self.chunked > 1 {
            Err(FramingFault::Coding)
        } else if self.count > 1 {
            Err(FramingFault::UnknownCoding)
        } else {
            Ok(())
        }
    }
}
