//! The header lines of a head that nobody looks into on the way, or no further than at a few of them.

use super::{Framing, fields::Fields};
use bytes::{BufMut, Bytes, BytesMut};
use http::StatusCode;
use traffic::{Headers, request::fields};

/// The most parts that are left out; a head that needs more is taken apart.
const GAPS: usize = 4;

/// The most lines; a head that has more is taken apart, as whoever looks for one walks over all.
const MOST: usize = 128;

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
    /// What of `block` is left out.
    gaps: Gaps,
    /// Where in `block` the value of `Host` is, from and to.
    host: (u16, u16),
}

/// Which parts of a head are left out.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Gaps {
    /// Where there is something to be left out, from and to, in order.
    parts: [(u16, u16); GAPS],
    count: u8,
    /// Which part is a `Content-Length` as the proxy would write it, and what it says.
    length: Option<(u8, u64)>,
    /// Whether there are more than there is room for.
    are_too_many: bool,
}

impl Gaps {
    /// Leaves the line out that is from `from` to `to`; if it says `length`, only where another framing is written.
    pub(super) fn leave_out(&mut self, from: usize, to: usize, length: Option<u64>) {
        self.are_too_many |= self.add(from, to, length).is_none();
    }

    fn add(&mut self, from: usize, to: usize, length: Option<u64>) -> Option<()> {
        let (from, to) = (u16::try_from(from).ok()?, u16::try_from(to).ok()?);
        if let Some(last) = self.count.checked_sub(1)
            && let Some((_, end)) = self.parts.get_mut(usize::from(last))
            && *end == from
            && length.is_none()
            && self.length.is_none_or(|(gap, _)| gap != last)
        {
            *end = to;
            return Some(());
        }
        *self.parts.get_mut(usize::from(self.count))? = (from, to);
        if let Some(length) = length {
            self.length = Some((self.count, length));
        }
        self.count += 1;
        Some(())
    }

    /// Those that there are, from and to.
    fn iter(&self) -> impl Iterator<Item = (usize, usize)> {
        let parts = self.parts.iter().take(self.count.into());
        parts.map(|(from, to)| (usize::from(*from), usize::from(*to)))
    }
}

impl Lines {
    /// Whether there can be lines of what is `found` in a head: not when they are too many, more parts are to be left out than
    /// there is room for, or a map might refuse a name for its length.
    pub(super) fn can_be(found: &Fields) -> bool {
        found.end <= usize::from(u16::MAX) && found.count <= MOST && !found.gaps.are_too_many
    }

    /// The lines of `head`, which are `found` and [can be](Self::can_be), behind a first line that is as the proxy would write
    /// it if `has_start`.
    pub(super) fn of(mut head: Bytes, found: &Fields, has_start: bool) -> Self {
        head.truncate(found.end);
        let (from, to) = found.host.unwrap_or_default();
        Self {
            block: head,
            first: found.start as u16,
            has_start,
            gaps: found.gaps,
            host: (from as u16, to as u16),
        }
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
        for (end, next) in self.gaps.iter().chain([(self.block.len(), 0)]) {
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
        let length = self.gaps.length.filter(says);
        let said = length.map(|(gap, _)| usize::from(gap));
        let mut at = if self.has_start { 0 } else { self.first.into() };
        for (gap, (from, to)) in self.gaps.iter().enumerate() {
            if said != Some(gap) {
                out.put_slice(&self.block[at..from]);
                at = to;
            }
        }
        out.put_slice(&self.block[at..]);
        said.is_some()
    }
}

/// Whether a response of `status` can be passed on by its lines: it is the last one, with a body as any other.
pub(super) fn is_plain(status: StatusCode) -> bool {
    status.as_u16() >= 200 && status != StatusCode::NO_CONTENT && status != StatusCode::NOT_MODIFIED
}
