//! Names that are known: their indices, and what is done with their values.

use super::{
    statics,
    words::{self, same_name},
};

/// What is done with the values of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Habit {
    /// They repeat, from one answer to another: they are put into the table.
    Repeats,
    /// They are others in each answer, or in nearly each: they would push out of the table what is of use there.
    Changes,
    /// They are secrets, which nobody may guess by the size of what is sent with them (RFC 7541 section 7.1.3).
    Sensitive,
}

/// A name, and its index in the static table, of the first entry that has it, or 0.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) name: &'static [u8],
    pub(super) index: u8,
    pub(super) habit: Habit,
}

/// What is known of any other name.
const UNKNOWN: Known = Known {
    name: b"",
    index: 0,
    habit: Habit::Repeats,
};

const CHANGING: [&[u8]; 9] = [
    b"age",
    b"content-length",
    b"content-range",
    b"date",
    b"etag",
    b"expires",
    b"last-modified",
    b"location",
    b"x-request-id",
];

const SENSITIVE: [&[u8]; 4] = [
    b"authorization",
    b"proxy-authorization",
    b"set-cookie",
    b"www-authenticate",
];

/// More than twice as many as there are names that are known.
const SLOTS: usize = 128;

/// The names, each in the slot that its hash says or in a free one behind it.
static KNOWN: [Known; SLOTS] = known();

/// What is known of `name`, which has this hash.
#[inline]
pub(super) fn find(name: &[u8], hash: u64) -> Known {
    let mut slot = slot(hash);
    loop {
        let known = KNOWN[slot];
        if known.name.is_empty() {
            return UNKNOWN;
        }
        if same_name(known.name, name) {
            return known;
        }
        slot = (slot + 1) % SLOTS;
    }
}

/// Whether `small`, in lower case, is one of the names whose values are secret.
#[cfg(any(test, feature = "fuzzing"))]
pub(super) fn is_sensitive(small: &[u8]) -> bool {
    SENSITIVE.contains(&small)
}

const fn slot(hash: u64) -> usize {
    hash as usize % SLOTS
}

const fn known() -> [Known; SLOTS] {
    let mut known = [UNKNOWN; SLOTS];
    let mut i = 0;
    while i < statics::COUNT {
        known = with(known, statics::ENTRIES[i].0, i as u8 + 1);
        i += 1;
    }
    let mut i = 0;
    while i < CHANGING.len() {
        known = with(known, CHANGING[i], 0);
        i += 1;
    }
    known
}

/// `known`, with `name` if it was not there.
const fn with(mut known: [Known; SLOTS], name: &'static [u8], index: u8) -> [Known; SLOTS] {
    let mut slot = slot(words::hash_name(name));
    while !known[slot].name.is_empty() {
        if is(known[slot].name, name) {
            return known;
        }
        slot = (slot + 1) % SLOTS;
    }
    known[slot] = Known {
        name,
        index,
        habit: habit(name),
    };
    known
}

const fn habit(name: &[u8]) -> Habit {
    if is_in(&CHANGING, name) {
        Habit::Changes
    } else if is_in(&SENSITIVE, name) {
        Habit::Sensitive
    } else {
        Habit::Repeats
    }
}

const fn is_in(names: &[&[u8]], name: &[u8]) -> bool {
    let mut i = 0;
    while i < names.len() {
        if is(names[i], name) {
            return true;
        }
        i += 1;
    }
    false
}

/// Whether they are the same, for constants.
const fn is(one: &[u8], other: &[u8]) -> bool {
    one.eq_ignore_ascii_case(other)
}
