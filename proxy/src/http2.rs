//! HTTP/2 as clients speak it (RFC 9113), without I/O.
//!
//! A [`Session`] is the state of one connection: it takes frames off what was read, and queues those that are to be written. Who
//! answers a request holds a [`Handle`] of its stream. Heads come as those of HTTP/1.1 (`head`), and the codec of HTTP/1 reads them: what a
//! head means is decided there, whatever it came by.
//!
//! It is our own since an idle connection of the `h2` crate, which speaks HTTP/2 with endpoints, holds buffers of 24 KiB, and
//! since a header costs it a map's entry on both ways, where one that nobody looks at is a line to be copied.

mod body;
mod control;
mod flow;
mod frame;
mod handle;
mod head;
mod queue;
mod receive;
mod session;
mod streams;
mod text;
#[cfg(any(test, feature = "fuzzing"))]
#[allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what is surprising is what is looked for"
)]
pub(crate) mod transcript;

pub(crate) use handle::{AnswerHead, Gone, Handle};
pub(crate) use head::{Head, Refused};
pub(crate) use session::{Arrived, Session};
pub(crate) use text::Text;

use h2::Reason;

/// Why a connection is broken off: what the client is told by GOAWAY, and what it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken(Reason, &'static str);

#[cfg(test)]
mod tests;
