//! A process under way: how it ends, and how another one takes over from it.

use super::{
    RETRY, control,
    drain::{drain, report},
    ending::{Ending, Signals},
    takeover::{self, Failed, Sockets},
};
use crate::admin::{self, Admin};
use controller::{engine::Engine, store::Store};
use proxy::SocketGroup;
use std::{
    io,
    net::{SocketAddr, TcpListener},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};
use tokio::runtime::Runtime;

/// How long the last state may take to the disk when another process takes over.
const LAST_STATE: Duration = Duration::from_secs(5);
/// After how long a state file that another process holds is worth a word.
const COMPLAIN: Duration = Duration::from_secs(5);

/// A process under way. [`Running::shutdown`] ends it in good order.
pub(crate) struct Running {
    /// Where the admin server listens.
    pub(crate) admin: SocketAddr,
    /// Where requests come in.
    pub(crate) listeners: Vec<SocketAddr>,
    /// How each of them is spoken to.
    pub(super) schemes: Vec<&'static str>,
    pub(super) proxy: proxy::Proxy,
    pub(super) control: control::Control,
    /// None while another process may have taken over.
    pub(super) admin_server: Option<Admin>,
    /// The admin server's socket, for it and for whoever takes over.
    pub(super) admin_socket: TcpListener,
    /// The address that it was bound to, as written.
    pub(super) admin_configured: SocketAddr,
    pub(super) shared: admin::Shared,
    pub(super) state_file: PathBuf,
    pub(super) drain: Duration,
}

impl Running {
    /// Accepts nothing more, finishes the requests under way within the drain deadline, keeps the state, and ends.
    pub(crate) fn shutdown(self) {
        self.shared.is_draining.store(true, Ordering::Relaxed);
        report(self.proxy.shutdown(self.drain), self.drain);
        // Verdicts and scrapes go on until the last request has ended.
        self.control.stop();
        drop(self.admin_server);
    }

    /// As [`Running::shutdown`], but the signals that `ending` leaves cut what is under way.
    pub(super) fn drain(self, runtime: &Runtime, signals: &mut Signals, ending: &Ending) {
        self.shared.is_draining.store(true, Ordering::Relaxed);
        drain(self.proxy, self.drain, ending, runtime, signals);
        self.control.stop();
        drop(self.admin_server);
    }

    /// Hands everything on to the process behind `stream`. When this succeeds, what is left is to drain.
    pub(super) fn hand_on(&mut self, stream: UnixStream) -> Result<(), Failed> {
        let sockets = match self.sockets() {
            Ok(sockets) => sockets,
            Err(error) => {
                let why = format!("the process that runs cannot hand its sockets on: {error}");
                return Err(takeover::refuse(stream, why));
            }
        };
        let (shared, admin_server) = (&self.shared, &mut self.admin_server);
        let mut is_released = false;
        let release = || {
            release(shared)?;
            is_released = true;
            Ok(())
        };
        let given = takeover::give(stream, &sockets, release, || drop(admin_server.take()));
        if given.is_err() {
            if is_released {
                resume(Arc::clone(&self.shared.engine), self.state_file.clone());
            }
            if self.admin_server.is_none() {
                match admin::start(&self.admin_socket, self.shared.clone()) {
                    Ok(server) => self.admin_server = Some(server),
                    Err(error) => tracing::error!("admin server at {}: {error}", self.admin),
                }
            }
        }
        given
    }

    fn sockets(&self) -> io::Result<Sockets> {
        let admin = vec![self.admin_socket.try_clone()?.into()];
        let admin = SocketGroup::from_descriptors("admin", self.admin_configured, admin);
        Ok(Sockets {
            listeners: self.proxy.sockets()?,
            admin: admin.map_err(io::Error::other)?,
        })
    }
}

/// Lets the rollouts go, when their last state is on the disk.
fn release(shared: &admin::Shared) -> Result<(), String> {
    let lock = || shared.engine.lock().unwrap_or_else(PoisonError::into_inner);
    let store = lock().release(shared.clock.elapsed());
    let Some(store) = store else {
        return Err("the process that runs does not have its rollouts back yet from the last takeover, which failed: try again".to_owned());
    };
    match store.settle(LAST_STATE) {
        Ok(()) => Ok(()),
        Err(why) => {
            lock().resume(store);
            Err(format!("the state could not be written: {why}"))
        }
    }
}

/// Takes the rollouts in hand again as soon as the state file is free, on a thread of its own.
fn resume(engine: Arc<Mutex<Engine>>, state_file: PathBuf) {
    let work = move || {
        let store = open(&state_file);
        engine
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .resume(store);
        tracing::info!("the rollouts go on in this process");
    };
    if let Err(error) = thread::Builder::new().name("resume".into()).spawn(work) {
        tracing::error!("no thread for the rollouts to go on from: {error}; restart the process");
    }
}

/// Opens the state file, however long another process has it.
fn open(state_file: &Path) -> Store {
    let mut complain = Instant::now() + COMPLAIN;
    loop {
        match Store::open(state_file.to_owned()) {
            Ok(store) => return store,
            Err(error) if Instant::now() > complain => {
                tracing::error!("rollouts stand still until the state file is free: {error}");
                complain += COMPLAIN;
            }
            Err(_) => {}
        }
        thread::sleep(RETRY);
    }
}
