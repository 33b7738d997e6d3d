//! The header lines of a response that nobody looks into on the way.

use bytes::{BufMut, Bytes, BytesMut};
use http::StatusCode;

/// The most parts that are left out; a response that needs more is taken apart.
const GAPS: usize = 4;

/// Header lines as they came, less those that concern one connection only or frame the body. To pass them on costs a
/// copy, where a map of them costs a hash, a check and a search for each.
#[derive(Debug)]
pub(crate) struct Lines {
    block: Bytes,
    /// Where in `block` there is something to be left out, from and to, in order.
    gaps: [(u32, u32); GAPS],
    count: usize,
}

impl Lines {
    /// The lines of `head`, which `found` are slices of, without those whose bits are set in `left_out`; nothing when there
    /// are more lines than bits, or more parts are to be left out than there is room for.
    pub(super) fn of(head: &Bytes, found: &[httparse::Header<'_>], left_out: u128) -> Option<Self> {
        let base = head.as_ptr() as usize;
        // `httparse` knows no folded lines, so that a line ends where the next one begins.
        let start = |line: &httparse::Header<'_>| (line.name.as_ptr() as usize).checked_sub(base);
        let end = head.len().checked_sub(2)?;
        let first = match found.first() {
            Some(line) => start(line)?,
            None => end,
        };
        let mut lines = Self {
            block: head.slice(first..end),
            gaps: [(0, 0); GAPS],
            count: 0,
        };
        if found.len() > u128::BITS as usize {
            return None;
        }
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

    /// Their bytes, those that are left out included.
    pub(super) fn len(&self) -> usize {
        self.block.len()
    }

    /// Writes them.
    pub(super) fn write(&self, out: &mut BytesMut) {
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
