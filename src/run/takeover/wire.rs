//! What the two processes say to each other, and how: JSON with its length before it, and descriptors.

use rustix::{
    cmsg_space,
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
    },
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    io::{self, IoSlice, IoSliceMut, Read as _, Write as _},
    mem::MaybeUninit,
    net::SocketAddr,
    os::{
        fd::{BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    time::{Duration, Instant},
};

/// The longest message, in bytes: thousands of listeners fit.
const LONGEST: u32 = 1 << 20;
/// The most descriptors of one batch. Linux allows 253.
const BATCH: usize = 64;
/// The most descriptors of one takeover: 1024 workers with 16 listeners.
const MOST: usize = 16 * 1024;

/// Descriptors that come are not for programs that this one begins.
#[cfg(not(target_vendor = "apple"))]
const TAKE: RecvFlags = RecvFlags::CMSG_CLOEXEC;
#[cfg(target_vendor = "apple")]
const TAKE: RecvFlags = RecvFlags::empty();

/// What the new process says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "camelCase")]
pub(super) enum FromNew {
    /// It wants to take over, and speaks this version.
    Hello {
        /// See [`VERSION`](super::VERSION).
        version: u32,
    },
    /// All that can fail before it has the state is done.
    Ready,
    /// It has the state, and its workers serve.
    Serving,
}

/// What the old process says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "camelCase")]
pub(super) enum FromOld {
    /// Its sockets, whose descriptors follow in this order.
    Sockets {
        /// One for each listener, and one for the admin server.
        groups: Vec<Group>,
    },
    /// The state file is free.
    Released,
    /// It ends.
    Goodbye,
    /// It goes on.
    Refused {
        /// Why.
        why: String,
    },
}

/// Sockets on one address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Group {
    /// What they are for.
    pub(super) role: Role,
    /// The listener's name.
    pub(super) name: String,
    /// Its address as the old process's documents have it.
    pub(super) configured: SocketAddr,
    /// How many there are.
    pub(super) sockets: usize,
}

/// What sockets are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Role {
    /// Requests of clients.
    Listener,
    /// Operators.
    Admin,
}

/// Why the conversation cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    /// The other process closed the connection, or died.
    #[error("the other process is gone")]
    Gone,
    /// It said nothing for so long.
    #[error("the other process said nothing for {0:?}")]
    Late(Duration),
    /// What it said makes no sense.
    #[error("the other process does not keep to what was agreed: {0}")]
    Nonsense(String),
    /// The system failed.
    #[error(transparent)]
    Io(io::Error),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
        match error.kind() {
            BrokenPipe | ConnectionReset | UnexpectedEof => Self::Gone,
            _ => Self::Io(error),
        }
    }
}

impl From<rustix::io::Errno> for Broken {
    fn from(error: rustix::io::Errno) -> Self {
        io::Error::from(error).into()
    }
}

/// A connection between the two processes.
#[derive(Debug)]
pub(super) struct Wire(UnixStream);

impl Wire {
    /// The connection over `stream`, when both ends belong to one user.
    ///
    /// # Errors
    /// They do not, or the system does not tell.
    pub(super) fn new(stream: UnixStream) -> Result<Self, Broken> {
        stream.set_nonblocking(false)?;
        #[cfg(target_os = "linux")]
        {
            let (own, other) = (
                rustix::process::geteuid(),
                rustix::net::sockopt::socket_peercred(&stream)?.uid,
            );
            if own != other {
                return Err(Broken::Nonsense(format!(
                    "it is of user {}, and this one of user {}",
                    other.as_raw(),
                    own.as_raw()
                )));
            }
        }
        Ok(Self(stream))
    }

    /// Says `word`. The other end reads at once or is late, which shows in what it says.
    pub(super) fn say(&mut self, word: &impl Serialize) -> Result<(), Broken> {
        let nonsense = |error: serde_json::Error| Broken::Nonsense(error.to_string());
        let text = serde_json::to_vec(word).map_err(nonsense)?;
        let length = u32::try_from(text.len()).ok().filter(|n| *n <= LONGEST);
        let length = length.ok_or_else(|| Broken::Nonsense("too many listeners".to_owned()))?;
        let mut message = length.to_be_bytes().to_vec();
        message.extend(text);
        self.0.set_write_timeout(Some(super::PATIENCE))?;
        Ok(self.0.write_all(&message)?)
    }

    /// What the other process says next, within `patience`; without it, whenever that is.
    pub(super) fn hear<T: DeserializeOwned>(
        &mut self,
        patience: Option<Duration>,
    ) -> Result<T, Broken> {
        let deadline = Deadline::within(patience);
        let mut length = [0; 4];
        self.fill(&mut length, &deadline)?;
        let length = u32::from_be_bytes(length);
        if length > LONGEST {
            let why = format!("a message of {length} bytes, allowed are {LONGEST}");
            return Err(Broken::Nonsense(why));
        }
        let mut text = vec![0; length as usize];
        self.fill(&mut text, &deadline)?;
        serde_json::from_slice(&text).map_err(|error| Broken::Nonsense(error.to_string()))
    }

    fn fill(&mut self, mut buffer: &mut [u8], deadline: &Deadline) -> Result<(), Broken> {
        while !buffer.is_empty() {
            deadline.arm(&self.0)?;
            match self.0.read(buffer) {
                Ok(0) => return Err(Broken::Gone),
                Ok(n) => buffer = buffer.get_mut(n..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(deadline.told(error)),
            }
        }
        Ok(())
    }

    /// Hands `descriptors` on: in batches, each with one byte that tells their number.
    pub(super) fn hand_on(&mut self, descriptors: &[BorrowedFd<'_>]) -> Result<(), Broken> {
        self.0.set_write_timeout(Some(super::PATIENCE))?;
        for batch in descriptors.chunks(BATCH) {
            let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(BATCH))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            control.push(SendAncillaryMessage::ScmRights(batch));
            let number = [u8::try_from(batch.len()).unwrap_or(u8::MAX)];
            sendmsg(
                &self.0,
                &[IoSlice::new(&number)],
                &mut control,
                SendFlags::empty(),
            )?;
        }
        Ok(())
    }

    /// Takes `number` descriptors, within `patience`. No more and no fewer are taken, whatever the other end says.
    pub(super) fn take(
        &mut self,
        number: usize,
        patience: Duration,
    ) -> Result<Vec<OwnedFd>, Broken> {
        if number > MOST {
            let why = format!("{number} sockets, allowed are {MOST}");
            return Err(Broken::Nonsense(why));
        }
        let deadline = Deadline::within(Some(patience));
        let mut taken = Vec::new();
        while taken.len() < number {
            let expected = BATCH.min(number - taken.len());
            let batch = self.take_batch(&deadline)?;
            if batch.len() != expected {
                let why = format!("{} sockets instead of {expected}", batch.len());
                return Err(Broken::Nonsense(why));
            }
            taken.extend(batch);
        }
        Ok(taken)
    }

    fn take_batch(&mut self, deadline: &Deadline) -> Result<Vec<OwnedFd>, Broken> {
        deadline.arm(&self.0)?;
        let mut number = [0];
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(BATCH))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = recvmsg(
            &self.0,
            &mut [IoSliceMut::new(&mut number)],
            &mut control,
            TAKE,
        );
        let received = received.map_err(|error| deadline.told(error.into()))?;
        let mut batch = Vec::new();
        for message in control.drain() {
            // Others ask for nothing, and are closed by being dropped.
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                batch.extend(descriptors);
            }
        }
        if received.bytes == 0 {
            return Err(Broken::Gone);
        }
        // Some were cut off by the kernel, as there were too many or this process may not have more.
        if received.flags.contains(ReturnFlags::CTRUNC) || batch.len() != usize::from(number[0]) {
            let why = format!("{} of {} sockets came through", batch.len(), number[0]);
            return Err(Broken::Nonsense(why));
        }
        Ok(batch)
    }
}

/// When the patience with the other process ends.
struct Deadline {
    at: Option<Instant>,
    patience: Duration,
}

impl Deadline {
    fn within(patience: Option<Duration>) -> Self {
        Self {
            at: patience.map(|patience| Instant::now() + patience),
            patience: patience.unwrap_or_default(),
        }
    }

    /// Lets the next read of `stream` take what is left.
    fn arm(&self, stream: &UnixStream) -> Result<(), Broken> {
        let left = self
            .at
            .map(|at| at.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            return Err(Broken::Late(self.patience));
        }
        Ok(stream.set_read_timeout(left)?)
    }

    /// What a failed read means.
    fn told(&self, error: io::Error) -> Broken {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Broken::Late(self.patience),
            _ => error.into(),
        }
    }
}

/// Hands `socket` on so many times in one batch of which another number is told.
#[cfg(test)]
pub(super) fn hand_on_as(
    stream: &UnixStream,
    socket: &std::net::TcpListener,
    told: u8,
    number: usize,
) -> Result<(), Broken> {
    use std::os::fd::AsFd as _;
    let batch = vec![socket.as_fd(); number];
    let mut space = vec![MaybeUninit::uninit(); cmsg_space!(ScmRights(253))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&batch));
    sendmsg(
        stream,
        &[IoSlice::new(&[told])],
        &mut control,
        SendFlags::empty(),
    )?;
    Ok(())
}
