//! The state file: rollout state that survives the process, whenever it ends.
//!
//! A write goes to a new file beside the old one, is flushed to the disk and then renamed over it, so that the file is
//! always one whole state, old or new. A thread of its own does the writing: the disk can take long, and a verdict
//! must not wait for it. When states come faster than the disk takes them, the newest is written and the others are
//! passed over.

use std::{
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// How long the end of the process waits for the last write.
const LAST_WRITE: Duration = Duration::from_secs(5);

/// How often a state was handed to the store, which numbers it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(u64);

/// A state file and the thread that writes it. Dropping the store waits for the last write, unless the disk hangs.
#[derive(Debug)]
pub struct Store {
    mailbox: Arc<Mailbox>,
    /// Held while the store lives, so that no second process takes the same rollouts in hand.
    _lock: fs::File,
}

/// Waits for writes of a [`Store`] on another thread's behalf.
#[derive(Clone, Debug)]
pub struct Durability(Arc<Mailbox>);

#[derive(Debug, Default)]
struct Mailbox {
    state: Mutex<Pending>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Pending {
    newest: Version,
    next: Option<(Version, Vec<u8>)>,
    /// The newest version that a write was tried of, and of those that succeeded.
    tried: Version,
    written: Version,
    /// What the last write failed with.
    failure: Option<String>,
    closed: bool,
}

impl Mailbox {
    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, guard: MutexGuard<'a, Pending>) -> MutexGuard<'a, Pending> {
        self.changed
            .wait(guard)
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    /// A store that writes to `path`.
    ///
    /// # Errors
    /// When another process has the file in use, its lock file cannot be made, or the system gives no thread.
    pub fn open(path: PathBuf) -> io::Result<Self> {
        let lock = lock(&path)?;
        let mailbox = Arc::new(Mailbox::default());
        let theirs = Arc::clone(&mailbox);
        thread::Builder::new()
            .name("state-file".into())
            .spawn(move || write_all(&theirs, &path))?;
        Ok(Self {
            mailbox,
            _lock: lock,
        })
    }

    /// Hands over a state to be written; returns at once.
    pub fn save(&self, state: Vec<u8>) -> Version {
        let mut pending = self.mailbox.lock();
        pending.newest.0 += 1;
        let version = pending.newest;
        pending.next = Some((version, state));
        self.mailbox.changed.notify_all();
        version
    }

    /// What the last write failed with, if it did.
    pub fn failure(&self) -> Option<String> {
        self.mailbox.lock().failure.clone()
    }

    /// Waits, for up to `patience`, until the newest state is on the disk.
    ///
    /// # Errors
    /// What the write failed with, or that it takes longer.
    pub fn settle(&self, patience: Duration) -> Result<(), String> {
        let pending = self.mailbox.lock();
        let newest = pending.newest;
        let is_behind = |pending: &mut Pending| pending.tried < newest;
        let waited = self
            .mailbox
            .changed
            .wait_timeout_while(pending, patience, is_behind);
        let (pending, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match &pending.failure {
            _ if pending.tried < newest => Err(format!("the disk takes longer than {patience:?}")),
            Some(failure) if pending.written < newest => Err(failure.clone()),
            _ => Ok(()),
        }
    }

    /// A way to wait for writes that other threads can keep.
    pub fn durability(&self) -> Durability {
        Durability(Arc::clone(&self.mailbox))
    }
}

impl Durability {
    /// Waits until `version` or a newer one is on the disk.
    ///
    /// # Errors
    /// What the write failed with. The state lives on in memory and is written again with the next change.
    pub fn wait(&self, version: Version) -> Result<(), String> {
        let mut pending = self.0.lock();
        while pending.tried < version {
            pending = self.0.wait(pending);
        }
        match &pending.failure {
            Some(failure) if pending.written < version => Err(failure.clone()),
            _ => Ok(()),
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let mut pending = self.mailbox.lock();
        pending.closed = true;
        self.mailbox.changed.notify_all();
        let newest = pending.newest;
        let is_behind = |pending: &mut Pending| pending.tried < newest;
        let waited = self
            .mailbox
            .changed
            .wait_timeout_while(pending, LAST_WRITE, is_behind);
        let (pending, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if pending.tried < newest {
            tracing::error!("the last state was not written within {LAST_WRITE:?}; the disk hangs");
        }
    }
}

fn write_all(mailbox: &Mailbox, path: &Path) {
    loop {
        let mut pending = mailbox.lock();
        let (version, state) = loop {
            if let Some(next) = pending.next.take() {
                break next;
            }
            if pending.closed {
                return;
            }
            pending = mailbox.wait(pending);
        };
        drop(pending);
        let result = write(path, &state);
        let mut pending = mailbox.lock();
        pending.tried = version;
        match result {
            Ok(()) => {
                pending.written = version;
                pending.failure = None;
            }
            Err(error) => {
                let failure = format!("state file {}: {error}", path.display());
                tracing::error!(
                    "{failure}; the state is kept in memory and written again with the next change"
                );
                pending.failure = Some(failure);
            }
        }
        mailbox.changed.notify_all();
    }
}

/// Takes the lock file beside `path`. The system gives it back when the process ends, however it ends.
fn lock(path: &Path) -> io::Result<fs::File> {
    let beside = beside(path, ".lock");
    let told =
        |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", beside.display()));
    let file = fs::File::create(&beside).map_err(told)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => {
            let why = format!("{} is in use by another process", path.display());
            Err(io::Error::new(io::ErrorKind::ResourceBusy, why))
        }
        Err(fs::TryLockError::Error(error)) => Err(told(error)),
    }
}

/// The file that is called like the one at `path`, with `ending` behind it.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Replaces the file at `path` by `state`, whole or not at all.
///
/// # Errors
/// Those of the file system.
pub fn write(path: &Path, state: &[u8]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    // One fixed name, so that a process killed here leaves nothing that piles up.
    let beside = beside(path, ".new");
    let mut file = fs::File::create(&beside)?;
    file.write_all(state)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    // The rename itself is on the disk only when the folder is.
    fs::File::open(folder)?.sync_all()
}

/// Reads the file at `path`; nothing when there is none.
///
/// # Errors
/// Those of the file system.
pub fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(state) => Ok(Some(state)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_state_is_on_the_disk_when_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        let store = Store::open(path.clone()).unwrap();
        let mut last = Version::default();
        for i in 0..50 {
            last = store.save(format!("state {i}").into_bytes());
        }
        store.durability().wait(last).unwrap();
        assert_eq!(read(&path).unwrap().unwrap(), b"state 49");
    }

    #[test]
    fn dropping_the_store_writes_what_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        let store = Store::open(path.clone()).unwrap();
        store.save(b"last".to_vec());
        drop(store);
        assert_eq!(read(&path).unwrap().unwrap(), b"last");
        let mut left: Vec<_> = fs::read_dir(folder.path())
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        left.sort();
        assert_eq!(
            left,
            ["state.json", "state.json.lock"],
            "no temporary file is left behind"
        );
    }

    #[test]
    fn a_failed_write_is_told_and_the_next_one_heals_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        let store = Store::open(path.clone()).unwrap();
        // A folder in the way of the new file.
        let blocked = folder.path().join("state.json.new");
        fs::create_dir(&blocked).unwrap();
        let failed = store.save(b"first".to_vec());
        let error = store.durability().wait(failed).unwrap_err();
        assert!(error.contains("state.json"), "{error}");
        fs::remove_dir(&blocked).unwrap();
        assert_eq!(store.settle(LAST_WRITE), Err(error));
        let healed = store.save(b"second".to_vec());
        store.durability().wait(healed).unwrap();
        store.settle(LAST_WRITE).unwrap();
        assert_eq!(store.failure(), None);
        assert_eq!(read(&path).unwrap().unwrap(), b"second");
    }

    #[test]
    fn a_state_file_has_one_owner() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.json");
        let first = Store::open(path.clone()).unwrap();
        let error = Store::open(path.clone()).unwrap_err().to_string();
        assert!(error.ends_with("is in use by another process"), "{error}");
        drop(first);
        Store::open(path).unwrap();
    }

    #[test]
    fn there_is_no_state_before_the_first_write() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(&folder.path().join("state.json")).unwrap(), None);
    }
}
