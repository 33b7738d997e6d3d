//! The header lines of a head that nobody looks into on the way, or no further than at a few of them.

use super::Framing;
use bytes::{BufMut, Bytes, BytesMut};
use http::StatusCode;
use traffic::{Headers, request::fields};

/// The most parts that are left out; a head that needs more is taken apart.
const GAPS: usize = 4;

/// Header lines as they came, less those that concern one connection only or frame the body otherwise than it is framed. To
/// pass them on costs a copy, where a map of them costs a hash, a check and a search for each.
#[derive(Debug)]
pub(crate) struct Lines {
    /// The first line, and the others.
    block: Bytes,
    /// Where in `block` the others begin.
    first: u16,
    /// Whether the first line is as the proxy would write it.
    has_start: bool,
    /// Where in `block` there is something to be left out, from and to, in order.
    gaps: [(u16, u16); GAPS],
    count: u8,
    /// Which gap is a `Content-Length` as the proxy would write it, and what it says.
    length: Option<(u8, u64)>,
    /// Where in `block` the value of `Host` is, from and to.
    host: (u16, u16),
}

/// What is said of lines when they are found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found<'a> {
    /// The lines but the first.
    pub(super) lines: &'a [httparse::Header<'a>],
    /// The length of the first line with its end, if it is as the proxy would write it, else none.
    pub(super) start: Option<usize>,
    /// Which of `lines` are left out, a bit for each.
    pub(super) left_out: u128,
    /// Which of `lines` is `Content-Length`.
    pub(super) length_at: Option<usize>,
    /// The value of the only `Host`, of a request.
    pub(super) host: Option<&'a [u8]>,
    /// How the body is framed.
    pub(super) framing: Framing,
}

impl Lines {
    /// The lines of `head`, which are `found`; nothing when there are more lines than bits, more parts are to be left out than
    /// there is room for, or a map might refuse a name for its length.
    pub(super) fn of(head: &Bytes, found: &Found<'_>) -> Option<Self> {
        let base = head.as_ptr() as usize;
        // `httparse` knows no folded lines, so that a line ends where the next one begins.
        let start = |line: &httparse::Header<'_>| (line.name.as_ptr() as usize).checked_sub(base);
        let end = head.len().checked_sub(2)?;
        if end > usize::from(u16::MAX) || found.lines.len() > u128::BITS as usize {
            return None;
        }
        let first = found.lines.first().map_or(Some(end), start)?;
        let mut lines = Self {
            block: head.slice(..end),
            first: u16::try_from(first).ok()?,
            has_start: found.start == Some(first),
            gaps: [(0, 0); GAPS],
            count: 0,
            length: None,
            host: match found.host {
                Some(host) => part(base, host)?,
                None => (0, 0),
            },
        };
        let mut rest = found.left_out;
        while rest != 0 {
            let at = rest.trailing_zeros() as usize;
            rest &= rest - 1;
            let line = found.lines.get(at)?;
            let to = found.lines.get(at + 1).map_or(Some(end), start)?;
            let says_length = found.length_at == Some(at);
            let length = says_length.then(|| found.framing.said_by(line.value));
            let gap = (u16::try_from(start(line)?).ok()?, u16::try_from(to).ok()?);
            lines.leave_out(gap, length.flatten())?;
        }
        Some(lines)
    }

    /// Leaves `gap` out; if it says `length`, only where another framing is written.
    fn leave_out(&mut self, (from, to): (u16, u16), length: Option<u64>) -> Option<()> {
        if let Some(last) = self.count.checked_sub(1)
            && let Some((_, end)) = self.gaps.get_mut(usize::from(last))
            && *end == from
            && length.is_none()
            && self.length.is_none_or(|(gap, _)| gap != last)
        {
            *end = to;
            return Some(());
        }
        *self.gaps.get_mut(usize::from(self.count))? = (from, to);
        if let Some(length) = length {
            self.length = Some((self.count, length));
        }
        self.count += 1;
        Some(())
    }

    /// The value of `Host`, if they are of a request.
    pub(crate) fn host(&self) -> &[u8] {
        &self.block[self.host.0.into()..self.host.1.into()]
    }

    /// The headers that they are, if they are of a request.
    pub(crate) fn headers(&self) -> Headers<'_> {
        Headers::Lines {
            lines: &self.block[self.first.into()..],
            host: self.host(),
        }
    }

    /// All of them as they came but the first, those that are left out included.
    pub(crate) fn all(&self) -> Bytes {
        self.block.slice(usize::from(self.first)..)
    }

    /// Gives name and value of those that are not left out, the names in any case.
    pub(crate) fn each(&self, mut line: impl FnMut(&[u8], &[u8])) {
        let mut at = usize::from(self.first);
        let gaps = self.gaps[..self.count.into()].iter();
        let ends = gaps.map(|(from, to)| (usize::from(*from), usize::from(*to)));
        for (end, next) in ends.chain([(self.block.len(), 0)]) {
            for (name, value) in fields(&self.block[at..end]) {
                line(name, value);
            }
            at = next;
        }
    }

    /// Bytes of all of them.
    pub(super) fn len(&self) -> usize {
        self.block.len()
    }

    /// Whether the first line is written with them.
    pub(crate) fn has_start(&self) -> bool {
        self.has_start
    }

    /// Writes those that are not left out, of a message whose body is framed by `framing` from now on. Whether they say so.
    pub(crate) fn write(&self, out: &mut BytesMut, framing: Framing) -> bool {
        let says = |(_, length): &(u8, u64)| framing == Framing::Length(*length);
        let said = self.length.filter(says).map(|(gap, _)| usize::from(gap));
        let mut at = if self.has_start { 0 } else { self.first.into() };
        for (gap, &(from, to)) in self.gaps[..self.count.into()].iter().enumerate() {
            if said != Some(gap) {
                out.put_slice(&self.block[at..from.into()]);
                at = to.into();
            }
        }
        out.put_slice(&self.block[at..]);
        said.is_some()
    }
}

/// Where `part` of the head that begins at `base` is, from and to.
fn part(base: usize, part: &[u8]) -> Option<(u16, u16)> {
    let from = (part.as_ptr() as usize).checked_sub(base)?;
    let (from, length) = (u16::try_from(from).ok()?, u16::try_from(part.len()).ok()?);
    Some((from, from.checked_add(length)?))
}

/// Whether a response of `status` can be passed on by its lines: it is the last one, with a body as any other.
pub(super) fn is_plain(status: StatusCode) -> bool {
    status.as_u16() >= 200 && status != StatusCode::NO_CONTENT && status != StatusCode::NOT_MODIFIED
}
