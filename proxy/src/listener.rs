//! The sockets that clients connect to: bound by this process, or handed on by the one before.
//!
//! Connections that nobody has accepted yet wait in the kernel, in a queue of the socket and not of the process. A
//! process that takes the sockets themselves over, instead of binding the address again, therefore takes these
//! connections over too. Closing such a socket while no other process has it would reset them all.

use crate::{Config, Listener, StartError};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::{
    io,
    net::{SocketAddr, TcpListener},
    os::fd::OwnedFd,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// How many connections the kernel holds that no worker has accepted yet. The kernel caps it (`net.core.somaxconn`).
const BACKLOG: i32 = 4096;

/// The sockets of one listener, all on one address: the kernel spreads new connections over them.
#[derive(Debug)]
pub struct SocketGroup {
    name: Arc<str>,
    configured: SocketAddr,
    bound: SocketAddr,
    sockets: Vec<TcpListener>,
}

/// Why descriptors are no sockets of one listener.
#[derive(Debug, thiserror::Error)]
pub enum NoGroup {
    /// There is none.
    #[error("there is no socket")]
    Empty,
    /// One of them takes no TCP connections.
    #[error("a descriptor is no socket that takes TCP connections")]
    NotListening,
    /// They are on different addresses.
    #[error("one socket is on {one} and another on {other}")]
    Apart {
        /// Where the first is.
        one: SocketAddr,
        /// Where another is.
        other: SocketAddr,
    },
    /// The system does not tell.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl SocketGroup {
    /// The sockets behind `descriptors`, which came from elsewhere and are believed nothing: every one must be a
    /// listening TCP socket on one and the same address. `name` and `configured` are what the listener is called and
    /// what its address was written as, which differs from where it is by the port when that was written as 0.
    ///
    /// # Errors
    /// They are no such sockets.
    pub fn from_descriptors(
        name: &str,
        configured: SocketAddr,
        descriptors: Vec<OwnedFd>,
    ) -> Result<Self, NoGroup> {
        let sockets = descriptors.into_iter().map(listening);
        let sockets = sockets.collect::<Result<Vec<_>, _>>()?;
        let bound = sockets.first().ok_or(NoGroup::Empty)?.local_addr()?;
        for socket in &sockets {
            let other = socket.local_addr()?;
            if other != bound {
                return Err(NoGroup::Apart { one: bound, other });
            }
        }
        Ok(Self {
            name: name.into(),
            configured,
            bound,
            sockets,
        })
    }

    /// What the listener is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its address as it was written; port 0 had one picked.
    pub fn configured(&self) -> SocketAddr {
        self.configured
    }

    /// Where it listens.
    pub fn bound(&self) -> SocketAddr {
        self.bound
    }

    /// The sockets, at least one.
    pub fn sockets(&self) -> &[TcpListener] {
        &self.sockets
    }

    /// Gives the sockets away.
    pub fn into_sockets(self) -> Vec<TcpListener> {
        self.sockets
    }

    /// Whether these are the sockets for a listener called `name` on `address`. A port that was picked is known only
    /// by the listener that it was picked for.
    pub fn serves(&self, name: &str, address: SocketAddr) -> bool {
        match address.port() {
            0 => *self.name == *name && self.configured == address,
            _ => self.bound == address,
        }
    }

    fn bind(listener: &Listener, sockets: usize) -> io::Result<Self> {
        refuse_a_taken_port(listener.address)?;
        let first = bind(listener.address)?;
        // With port 0 the first socket finds the port, and the others share it.
        let mut group = Self {
            name: Arc::clone(&listener.name),
            configured: listener.address,
            bound: first.local_addr()?,
            sockets: vec![first],
        };
        group.grow(sockets)?;
        group.listen()?;
        Ok(group)
    }

    /// Adds sockets until there are `sockets`. They do not listen yet.
    fn grow(&mut self, sockets: usize) -> io::Result<()> {
        while self.sockets.len() < sockets {
            self.sockets.push(bind(self.bound)?);
        }
        Ok(())
    }

    /// Lets connections come in on those sockets that did not listen yet.
    fn listen(&self) -> io::Result<()> {
        let listen = |socket| SockRef::from(socket).listen(BACKLOG);
        self.sockets.iter().try_for_each(listen)
    }
}

fn listening(descriptor: OwnedFd) -> Result<TcpListener, NoGroup> {
    let socket = SockRef::from(&descriptor);
    let is_tcp = socket.r#type().is_ok_and(|kind| kind == Type::STREAM)
        && socket.local_addr()?.as_socket().is_some();
    // Elsewhere it shows when nothing can be accepted.
    #[cfg(any(target_os = "android", target_os = "freebsd", target_os = "linux"))]
    let is_tcp = is_tcp && socket.is_listener()?;
    if !is_tcp {
        return Err(NoGroup::NotListening);
    }
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    Ok(descriptor.into())
}

/// The sockets of all listeners of a [`Config`]: at least one for each worker on each address.
#[derive(Debug)]
pub struct Listeners(Vec<SocketGroup>);

impl Listeners {
    /// Listens on every address of `config`.
    ///
    /// # Errors
    /// There is no address, or one of them cannot be listened on. Then nothing listens.
    pub fn bind(config: &Config) -> Result<Self, StartError> {
        Self::take_over(config, Vec::new())
    }

    /// Sockets for every address of `config`: those of `groups` where they are for it, and new ones. All sockets of such
    /// a group are kept, so that no connection that waits on one is lost, and there may be more than workers. Groups that
    /// are for no listener are closed here.
    ///
    /// New sockets beside those of a group do not listen before the proxy starts on them: if it never does, no connection
    /// has come to them and is lost.
    ///
    /// # Errors
    /// There is no address, or one of them cannot be listened on.
    pub fn take_over(config: &Config, mut groups: Vec<SocketGroup>) -> Result<Self, StartError> {
        if config.listeners.is_empty() {
            return Err(StartError::NoListener);
        }
        let workers = config.workers.get();
        let mut listeners = Vec::with_capacity(config.listeners.len());
        for listener in &config.listeners {
            let is_for_it = |group: &SocketGroup| group.serves(&listener.name, listener.address);
            let group = match groups.iter().position(is_for_it) {
                Some(found) => {
                    let mut group = groups.swap_remove(found);
                    group.name = Arc::clone(&listener.name);
                    group.configured = listener.address;
                    group.grow(workers).map(|()| group)
                }
                None => SocketGroup::bind(listener, workers),
            };
            let address = listener.address;
            listeners.push(group.map_err(|source| StartError::Bind { address, source })?);
        }
        Ok(Self(listeners))
    }

    /// Lets connections come in on all sockets.
    pub(crate) fn listen(&self) -> Result<(), StartError> {
        self.0.iter().try_for_each(|group| {
            let address = group.configured;
            let failed = |source| StartError::Bind { address, source };
            group.listen().map_err(failed)
        })
    }

    /// Where they listen, in the order of [`Config::listeners`].
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.0.iter().map(SocketGroup::bound).collect()
    }

    /// Deals the sockets out to `workers`: each has at least one of each listener, and every socket has a worker.
    pub(crate) fn deal(self, workers: usize) -> Vec<Vec<Seated>> {
        let mut by_worker: Vec<Vec<Seated>> = (0..workers).map(|_| Vec::new()).collect();
        for (listener, group) in self.0.into_iter().enumerate() {
            for (i, socket) in group.sockets.into_iter().enumerate() {
                // Those that are left over do not all go to the first worker.
                if let Some(seated) = by_worker.get_mut((listener + i) % workers) {
                    seated.push(Seated { listener, socket });
                }
            }
        }
        by_worker
    }
}

/// A socket that a worker accepts from.
#[derive(Debug)]
pub(crate) struct Seated {
    /// The place of its listener in [`Config::listeners`].
    pub(crate) listener: usize,
    /// The socket, which does not block.
    pub(crate) socket: TcpListener,
}

/// Second descriptors of the workers' sockets, to be handed on from.
#[derive(Debug)]
pub(crate) struct Spare(Vec<Mutex<Vec<Seated>>>);

impl Spare {
    /// Descriptors beside those of `by_worker`.
    pub(crate) fn beside(by_worker: &[Vec<Seated>]) -> io::Result<Self> {
        let beside = |seated: &Seated| {
            Ok(Seated {
                listener: seated.listener,
                socket: seated.socket.try_clone()?,
            })
        };
        let of_worker = |seated: &Vec<Seated>| {
            let spare = seated.iter().map(beside).collect::<io::Result<_>>()?;
            Ok(Mutex::new(spare))
        };
        by_worker
            .iter()
            .map(of_worker)
            .collect::<io::Result<_>>()
            .map(Self)
    }

    fn of(&self, worker: usize) -> Option<MutexGuard<'_, Vec<Seated>>> {
        let spare = self.0.get(worker)?;
        Some(spare.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets the sockets of `worker` close when it drops them.
    pub(crate) fn close(&self, worker: usize) {
        if let Some(mut spare) = self.of(worker) {
            spare.clear();
        }
    }

    /// Lets all sockets close when their workers drop them.
    pub(crate) fn close_all(&self) {
        (0..self.0.len()).for_each(|worker| self.close(worker));
    }

    /// Descriptors of all sockets, by listener. A listener without one is left out.
    pub(crate) fn groups(&self, listeners: &[Listener]) -> io::Result<Vec<SocketGroup>> {
        let mut by_listener: Vec<Vec<TcpListener>> = listeners.iter().map(|_| Vec::new()).collect();
        for worker in 0..self.0.len() {
            for seated in self.of(worker).iter().flat_map(|spare| spare.iter()) {
                if let Some(sockets) = by_listener.get_mut(seated.listener) {
                    sockets.push(seated.socket.try_clone()?);
                }
            }
        }
        let group = |(listener, sockets): (&Listener, Vec<TcpListener>)| {
            let bound = sockets.first()?.local_addr();
            Some(bound.map(|bound| SocketGroup {
                name: Arc::clone(&listener.name),
                configured: listener.address,
                bound,
                sockets,
            }))
        };
        listeners
            .iter()
            .zip(by_listener)
            .filter_map(group)
            .collect()
    }
}

/// Sockets with SO_REUSEPORT may share a port with those of another process of the same user, which would then take
/// part of the connections without anybody knowing. A socket without it cannot.
fn refuse_a_taken_port(address: SocketAddr) -> io::Result<()> {
    if address.port() == 0 {
        return Ok(());
    }
    let socket = socket(address)?;
    socket.bind(&address.into())
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket(address)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    // What is sent on its connections is sent at once: they are like it, which spares each a system call.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

fn socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // Connections of an earlier process that linger in TIME_WAIT do not keep the port.
    socket.set_reuse_address(true)?;
    Ok(socket)
}

#[cfg(test)]
mod tests;
