//! Writing records, into memory that all connections of a worker share.

use crate::{
    input::{BODY_ROOM, HEAD_ROOM},
    spares::Spares,
};
use bytes::BytesMut;
use rustls::unbuffered::{EncodeError, EncodeTlsData, EncryptError, WriteTraffic};
use std::{
    cell::RefMut,
    io::{self, IoSlice},
};

/// The most that one record holds (RFC 8446 section 5.1).
const RECORD: usize = 16 * 1024;

/// The most that is encrypted at once: a piece of a body with what goes before it.
const AT_ONCE: usize = BODY_ROOM + HEAD_ROOM;

/// Records that were written and that the socket has yet to take.
pub(super) struct Sealed<'a> {
    /// All of it is initialised, so that none of it has to be cleared again before it is written to.
    memory: RefMut<'a, Vec<u8>>,
    length: usize,
}

/// Why nothing was written.
enum Unwritten {
    /// So much room is needed.
    Room(usize),
    /// It cannot be written at all.
    Refused(&'static str),
}

impl<'a> Sealed<'a> {
    /// Nothing yet.
    pub(super) fn new(spares: &'a Spares) -> Self {
        Self {
            memory: spares.scratch(0),
            length: 0,
        }
    }

    /// The records.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.memory[..self.length]
    }

    /// Writes a message of the handshake, or an alert.
    pub(super) fn encode<D>(&mut self, message: &mut EncodeTlsData<'_, D>) -> io::Result<()> {
        self.put(|room| match message.encode(room) {
            Ok(written) => Ok(written),
            Err(EncodeError::InsufficientSize(size)) => Err(Unwritten::Room(size.required_size)),
            Err(EncodeError::AlreadyEncoded) => Err(Unwritten::Refused("a message was sent twice")),
        })
    }

    /// Writes the alert that nothing more comes (RFC 8446 section 6.1).
    pub(super) fn close<D>(&mut self, traffic: &mut WriteTraffic<'_, D>) -> io::Result<()> {
        self.put(|room| traffic.queue_close_notify(room).map_err(Unwritten::from))
    }

    /// Encrypts `parts` from the first byte on, and gives how many bytes of them it took.
    ///
    /// Records are as full as can be: what fills one of its own is encrypted where it lies, and what is smaller is brought
    /// together first.
    ///
    /// # Errors
    /// When the keys have encrypted as much as they may.
    pub(super) fn encrypt<D>(
        &mut self,
        traffic: &mut WriteTraffic<'_, D>,
        parts: &[IoSlice<'_>],
        spares: &Spares,
    ) -> io::Result<usize> {
        let mut gathered = BytesMut::new();
        let mut taken = 0;
        for (index, part) in parts.iter().enumerate() {
            let part = &part[..part.len().min(AT_ONCE - taken)];
            taken += part.len();
            let missing = match gathered.len() {
                0 => 0,
                length => part.len().min(RECORD - length),
            };
            let (first, part) = part.split_at(missing);
            gathered.extend_from_slice(first);
            if gathered.len() == RECORD {
                self.encrypt_part(traffic, &gathered)?;
                gathered.clear();
            }
            let is_last = index + 1 == parts.len();
            let whole = match is_last && gathered.is_empty() {
                true => part.len(),
                false => part.len() - part.len() % RECORD,
            };
            let (whole, rest) = part.split_at(whole);
            self.encrypt_part(traffic, whole)?;
            if !rest.is_empty() {
                spares.lend(&mut gathered);
                gathered.extend_from_slice(rest);
            }
        }
        self.encrypt_part(traffic, &gathered)?;
        gathered.clear();
        spares.reclaim(&mut gathered);
        Ok(taken)
    }

    /// Encrypts `part`, in as many records as it takes; in none if there is nothing of it.
    fn encrypt_part<D>(
        &mut self,
        traffic: &mut WriteTraffic<'_, D>,
        part: &[u8],
    ) -> io::Result<()> {
        if part.is_empty() {
            return Ok(());
        }
        self.put(|room| traffic.encrypt(part, room).map_err(Unwritten::from))
    }

    /// Has `write` write behind what there is, with the room that it asks for.
    fn put(
        &mut self,
        mut write: impl FnMut(&mut [u8]) -> Result<usize, Unwritten>,
    ) -> io::Result<()> {
        loop {
            match write(&mut self.memory[self.length..]) {
                Ok(written) => {
                    self.length += written;
                    return Ok(());
                }
                Err(Unwritten::Room(room)) if self.length + room > self.memory.len() => {
                    self.memory.resize(self.length + room, 0);
                }
                Err(Unwritten::Room(_)) => return Err(io::Error::other("no room is enough")),
                Err(Unwritten::Refused(why)) => return Err(io::Error::other(why)),
            }
        }
    }
}

impl From<EncryptError> for Unwritten {
    fn from(error: EncryptError) -> Self {
        match error {
            EncryptError::InsufficientSize(size) => Self::Room(size.required_size),
            EncryptError::EncryptExhausted => Self::Refused("the connection's keys are used up"),
        }
    }
}
