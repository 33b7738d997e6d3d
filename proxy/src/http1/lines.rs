//! The header lines of a head that nobody looks into on the way, or no further than at a few of them.

use bytes::{BufMut, Bytes, BytesMut};
use http::StatusCode;
use traffic::Headers;

/// The most parts that are left out; a head that needs more is taken apart.
const GAPS: usize = 4;

/// Header lines as they came, less those that concern one connection only or frame the body. To pass them on costs a
/// copy, where a map of them costs a hash, a check and a search for each.
#[derive(Debug)]
pub(crate) struct Lines {
    block: Bytes,
    /// Where in `block` there is something to be left out, from and to, in order.
    gaps: [(u32, u32); GAPS],
    count: usize,
    /// Where in `block` the value of `Host` is, from and to.
    host: (u32, u32),
}

impl Lines {
    /// The lines of `head`, which `found` are slices of, without those whose bits are set in `left_out`; nothing when there
    /// are more lines than bits, more parts are to be left out than there is room for, or a map might refuse a name for its
    /// length.
    pub(super) fn of(head: &Bytes, found: &[httparse::Header<'_>], left_out: u128) -> Option<Self> {
        let base = head.as_ptr() as usize;
        // `httparse` knows no folded lines, so that a line ends where the next one begins.
        let start = |line: &httparse::Header<'_>| (line.name.as_ptr() as usize).checked_sub(base);
        let end = head.len().checked_sub(2)?;
        if end > usize::from(u16::MAX) || found.len() > u128::BITS as usize {
            return None;
        }
        let first = match found.first() {
            Some(line) => start(line)?,
            None => end,
        };
        let mut lines = Self {
            block: head.slice(first..end),
            gaps: [(0, 0); GAPS],
            count: 0,
            host: (0, 0),
        };
        let mut rest = left_out;
        while rest != 0 {
            let at = rest.trailing_zeros() as usize;
            rest &= rest - 1;
            let from = start(found.get(at)?)? - first;
            let to = match found.get(at + 1) {
                Some(next) => start(next)? - first,
                None => end - first,
            };
            lines.leave_out(u32::try_from(from).ok()?, u32::try_from(to).ok()?)?;
        }
        Some(lines)
    }

    fn leave_out(&mut self, from: u32, to: u32) -> Option<()> {
        if let Some(last) = self.count.checked_sub(1)
            && self.gaps[last].1 == from
        {
            self.gaps[last].1 = to;
            return Some(());
        }
        *self.gaps.get_mut(self.count)? = (from, to);
        self.count += 1;
        Some(())
    }

    /// The same, where `host` is the value of the only `Host`.
    pub(super) fn of_request(self, host: &[u8]) -> Option<Self> {
        let from = (host.as_ptr() as usize).checked_sub(self.block.as_ptr() as usize)?;
        let (from, length) = (u32::try_from(from).ok()?, u32::try_from(host.len()).ok()?);
        Some(Self {
            host: (from, from.checked_add(length)?),
            ..self
        })
    }

    /// The value of `Host`, if they are of a request.
    pub(crate) fn host(&self) -> &[u8] {
        &self.block[self.host.0 as usize..self.host.1 as usize]
    }

    /// The headers that they are, if they are of a request.
    pub(crate) fn headers(&self) -> Headers<'_> {
        Headers::Lines {
            lines: &self.block,
            host: self.host(),
        }
    }

    /// All of them as they came, those that are left out included.
    pub(crate) fn all(&self) -> &Bytes {
        &self.block
    }

    /// Writes those that are not left out.
    pub(crate) fn write(&self, out: &mut BytesMut) {
        let mut at = 0;
        for &(from, to) in &self.gaps[..self.count] {
            out.put_slice(&self.block[at..from as usize]);
            at = to as usize;
        }
        out.put_slice(&self.block[at..]);
    }
}

/// Whether a response of `status` can be passed on by its lines: it is the last one, with a body as any other.
pub(super) fn is_plain(status: StatusCode) -> bool {
    status.as_u16() >= 200 && status != StatusCode::NO_CONTENT && status != StatusCode::NOT_MODIFIED
}
