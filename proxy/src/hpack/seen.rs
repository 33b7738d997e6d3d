//! Fields that were written once.

/// How many are remembered: more than one answer has beside what is in the table already.
const COUNT: usize = 32;

/// The last fields that were written and not put into the table, by 16 bits of their hashes.
///
/// Only what comes again is put there. A value that is another one in each answer (a trace, a duration) then pushes
/// nothing out of the table, whatever its name is, and a connection for one request never has a table at all. The price
/// is that what repeats is written in full twice, and not once.
#[derive(Debug)]
pub(super) struct Seen {
    hashes: [u16; COUNT],
    next: u8,
}

impl Seen {
    pub(super) const fn new() -> Self {
        Self {
            hashes: [0; COUNT],
            next: 0,
        }
    }

    /// Whether a field with this hash is remembered. From now on it is. Others that are taken for it do no harm: they come
    /// into the table when they are seen first.
    pub(super) fn again(&mut self, hash: u32) -> bool {
        let hash = (hash >> 16) as u16;
        // All are looked at, which is a few instructions when it is done with wide registers.
        let is_seen = self
            .hashes
            .iter()
            .fold(false, |is_seen, seen| is_seen | (*seen == hash));
        if !is_seen {
            let next = usize::from(self.next) % COUNT;
            self.hashes[next] = hash;
            self.next = self.next.wrapping_add(1);
        }
        is_seen
    }
}
