//! The dynamic table (RFC 7541 sections 2.3.2 and 4), of either end.

/// What an entry counts beyond its name and its value, in bytes (RFC 7541 section 4.1).
const OVERHEAD: usize = 32;

/// The least room that is taken, in bytes and in entries.
const LEAST_TEXT: usize = 256;
const LEAST_ENTRIES: usize = 8;

/// The largest table that there can be, in bytes: lengths in it are kept in 16 bits.
const LARGEST: usize = u16::MAX as usize;

/// Fields, of which the newest has the place 0. To each belongs a `Tag`, which is the encoder's.
///
/// Their text is in one piece of memory, one behind the other, and so are they. What has been evicted stays at the
/// beginning until room is needed. The memory is taken when it is needed, and is never more than one and a half times what
/// the limit lets in: for 4,096 bytes, 6 KiB of text and 192 entries of 8 bytes, or of 12 with the encoder's tag.
#[derive(Debug)]
pub(super) struct Table<Tag = ()> {
    /// The oldest first.
    entries: Vec<Entry<Tag>>,
    text: Vec<u8>,
    /// Where `text` begins in all the text that there ever was, modulo 2^32.
    base: u32,
    size: u32,
    limit: u32,
    /// How many of `entries` have been evicted.
    evicted: u32,
}

#[derive(Clone, Copy, Debug)]
struct Entry<Tag> {
    tag: Tag,
    /// Where its name begins in all the text that there ever was, modulo 2^32. Its value is behind its name.
    begin: u32,
    name: u16,
    value: u16,
}

/// What a field counts in a table, in bytes (RFC 7541 section 4.1).
pub(super) fn entry_size(name: &[u8], value: &[u8]) -> usize {
    name.len() + value.len() + OVERHEAD
}

impl<Tag: Copy> Table<Tag> {
    /// An empty table whose entries may count as much as `limit`, which is at most 65,535 bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            entries: Vec::new(),
            text: Vec::new(),
            base: 0,
            size: 0,
            limit: limit.min(LARGEST) as u32,
            evicted: 0,
        }
    }

    /// What the entries may count together, in bytes.
    pub(super) fn limit(&self) -> usize {
        self.limit as usize
    }

    /// Evicts what counts more than `limit`, which is at most 65,535 bytes, from now on.
    pub(super) fn set_limit(&mut self, limit: usize) {
        self.limit = limit.min(LARGEST) as u32;
        self.evict_to(self.limit);
        if limit == 0 {
            // Nobody is going to use it.
            (self.entries, self.text, self.evicted) = (Vec::new(), Vec::new(), 0);
        }
    }

    /// The field at `place`.
    #[inline]
    pub(super) fn get(&self, place: usize) -> Option<(&[u8], &[u8])> {
        let entries = self.live();
        let entry = entries.get(entries.len().wrapping_sub(place + 1))?;
        Some(self.text_of(entry))
    }

    /// The place of the newest field that has this tag and that `is_it`.
    #[inline]
    pub(super) fn find(&self, tag: Tag, is_it: impl Fn(&[u8], &[u8]) -> bool) -> Option<usize>
    where
        Tag: PartialEq,
    {
        let newest_first = self.live().iter().rev().enumerate();
        for (place, entry) in newest_first {
            if entry.tag == tag {
                let (name, value) = self.text_of(entry);
                if is_it(name, value) {
                    return Some(place);
                }
            }
        }
        None
    }

    /// Evicts what there is no room for beside this field, and inserts it. A field that there is no room for at all
    /// evicts everything, and is not inserted (RFC 7541 section 4.4).
    pub(super) fn insert(&mut self, tag: Tag, name: &[u8], value: &[u8]) {
        let size = entry_size(name, value);
        let Some(rest) = self.limit().checked_sub(size) else {
            return self.evict_to(0);
        };
        self.evict_to(rest as u32);
        self.make_room(name.len() + value.len());
        let begin = self.base.wrapping_add(self.text.len() as u32);
        self.text.extend_from_slice(name);
        self.text.extend_from_slice(value);
        self.size += size as u32;
        self.entries.push(Entry {
            tag,
            begin,
            name: name.len() as u16,
            value: value.len() as u16,
        });
    }

    /// Makes large letters in the newest field's name small ones, if it was inserted.
    pub(super) fn newest_name_to_lower_case(&mut self) {
        if let Some(entry) = self.live().last() {
            let begin = self.place(entry);
            let end = begin + usize::from(entry.name);
            self.text[begin..end].make_ascii_lowercase();
        }
    }

    #[inline]
    fn text_of(&self, entry: &Entry<Tag>) -> (&[u8], &[u8]) {
        let text = &self.text[self.place(entry)..];
        let (name, behind) = text.split_at(usize::from(entry.name));
        (name, &behind[..usize::from(entry.value)])
    }

    /// Where the text of `entry` begins in `text`.
    #[inline]
    fn place(&self, entry: &Entry<Tag>) -> usize {
        entry.begin.wrapping_sub(self.base) as usize
    }

    #[inline]
    fn live(&self) -> &[Entry<Tag>] {
        &self.entries[self.evicted as usize..]
    }

    fn evict_to(&mut self, size: u32) {
        while self.size > size
            && let Some(entry) = self.live().first()
        {
            self.size -= u32::from(entry.name) + u32::from(entry.value) + OVERHEAD as u32;
            self.evicted += 1;
        }
    }

    /// Makes room for an entry with so many bytes of text, which may be in the table beside what is there.
    fn make_room(&mut self, bytes: usize) {
        let (entries, text) = (&mut self.entries, &mut self.text);
        if text.capacity() - text.len() >= bytes && entries.len() < entries.capacity() {
            return;
        }
        entries.drain(..self.evicted as usize);
        self.evicted = 0;
        let oldest = entries.first().map(|oldest| oldest.begin);
        let dead = oldest.map_or(text.len(), |oldest| oldest.wrapping_sub(self.base) as usize);
        text.drain(..dead);
        self.base = self.base.wrapping_add(dead as u32);
        let limit = self.limit as usize;
        grow(text, bytes, LEAST_TEXT, limit);
        grow(entries, 1, LEAST_ENTRIES, limit / OVERHEAD);
    }
}

/// Sees to it that there is room for `more`, and that it takes some time to fill: what is moved when it is full is then
/// never more than three times what has been added. There will never be more than `most` together.
fn grow<T>(items: &mut Vec<T>, more: usize, least: usize, most: usize) {
    let needed = items.len() + more;
    if needed * 4 > items.capacity() * 3 {
        let room = (items.capacity() * 2).max(least).min(most + most / 2);
        items.reserve_exact(room.max(needed) - items.len());
    }
}

#[cfg(any(test, feature = "fuzzing"))]
impl<Tag: Copy> Table<Tag> {
    /// Checks that it is not larger than it may be.
    ///
    /// # Panics
    /// When it is.
    pub(super) fn check(&self) {
        let fields = (0..).map_while(|place| self.get(place));
        let size: usize = fields.map(|(name, value)| entry_size(name, value)).sum();
        assert_eq!(size, self.size as usize);
        assert!(self.size <= self.limit);
    }

    /// Whether both have the same fields and the same size.
    pub(super) fn is_like<Other: Copy>(&self, other: &Table<Other>) -> bool {
        let fields = |place| (self.get(place), other.get(place));
        let mut fields = (0..=self.live().len()).map(fields);
        self.size == other.size && self.limit == other.limit && fields.all(|(one, two)| one == two)
    }
}

#[cfg(test)]
impl<Tag: Copy> Table<Tag> {
    /// What the entries count together, in bytes.
    pub(super) fn size(&self) -> usize {
        self.size as usize
    }

    /// The room that there is for text, in bytes, and for entries.
    pub(super) fn room(&self) -> (usize, usize) {
        (self.text.capacity(), self.entries.capacity())
    }

    /// As if there had been so many bytes of text.
    pub(super) fn begin_at(&mut self, bytes: u32) {
        self.base = bytes;
    }
}
