//! The thread that appends lines to the file.

use super::{LogCounters, LogError};
use crate::spool::{Batch, Spool};
use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// How long lines wait to be written together.
const ROUND: Duration = Duration::from_millis(100);

/// How often it is looked at whether the file was moved away.
const LOOK: Duration = Duration::from_secs(1);

/// How often trouble is told of.
const COMPLAINT: Duration = Duration::from_secs(60);

/// Where lines go.
#[derive(Debug)]
pub(super) enum Sink {
    File(PathBuf, File),
    Stdout,
}

impl Sink {
    /// Opens `file` for appending, or standard output.
    pub(super) fn open(file: Option<PathBuf>) -> Result<Self, LogError> {
        let Some(path) = file else {
            return Ok(Self::Stdout);
        };
        match append(&path) {
            Ok(open) => Ok(Self::File(path, open)),
            Err(source) => Err(LogError::Open { file: path, source }),
        }
    }

    /// Opens the file anew, when it `is_asked` to or when its path leads elsewhere by now, and says whether it did. When
    /// that fails, the file stays that was open.
    fn follow(&mut self, is_asked: bool) -> io::Result<bool> {
        match self {
            Self::File(path, open) if is_asked || !is_same(path, open) => {
                *open = append(path)?;
                Ok(true)
            }
            Self::File(..) | Self::Stdout => Ok(false),
        }
    }

    fn name(&self) -> String {
        match self {
            Self::File(path, _) => path.display().to_string(),
            Self::Stdout => "standard output".to_owned(),
        }
    }

    /// Writes all of `bytes`; an error comes with how many were written before it.
    fn write(&mut self, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
        let mut written = 0;
        while written < bytes.len() {
            let rest = &bytes[written..];
            let result = match self {
                Self::File(_, open) => open.write(rest),
                Self::Stdout => io::stdout().write(rest),
            };
            match result {
                Ok(0) => return Err((written, io::ErrorKind::WriteZero.into())),
                Ok(n) => written += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err((written, error)),
            }
        }
        match self {
            Self::File(..) => Ok(()),
            Self::Stdout => io::stdout().flush().map_err(|error| (written, error)),
        }
    }
}

/// Appending lets several processes write to one file, as they do while one takes over from another.
fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

/// Whether `path` still leads to the file that is open.
#[cfg(unix)]
fn is_same(path: &Path, open: &File) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (path.metadata(), open.metadata()) {
        (Ok(there), Ok(here)) => (there.dev(), there.ino()) == (here.dev(), here.ino()),
        // Opening it creates a file that is missing, or tells what is wrong.
        _ => false,
    }
}

#[cfg(not(unix))]
fn is_same(path: &Path, _: &File) -> bool {
    path.exists()
}

/// Takes lines out of the spool and appends them.
#[derive(Debug)]
pub(super) struct Writer {
    sink: Sink,
    counters: Arc<LogCounters>,
    /// Somebody asks to open the file anew.
    is_asked: Arc<AtomicBool>,
    /// An error left the file in the middle of a line.
    is_line_torn: bool,
    complained: Option<Instant>,
}

impl Writer {
    /// A writer to `sink`, which is opened anew when somebody sets `is_asked`.
    pub(super) const fn new(
        sink: Sink,
        counters: Arc<LogCounters>,
        is_asked: Arc<AtomicBool>,
    ) -> Self {
        Self {
            sink,
            counters,
            is_asked,
            is_line_torn: false,
            complained: None,
        }
    }

    /// Writes until the spool ends.
    pub(super) fn run(mut self, spool: &Spool) {
        let mut batch = Batch::default();
        let mut looked = Instant::now();
        loop {
            let is_last = spool.is_ending();
            let is_asked = self.is_asked.swap(false, Relaxed);
            if is_asked || looked.elapsed() >= LOOK {
                looked = Instant::now();
                match self.sink.follow(is_asked) {
                    Ok(is_new) => self.is_line_torn &= !is_new,
                    Err(error) => self.complain(&error),
                }
            }
            for slot in 0..spool.slots() {
                spool.take(slot, &mut batch);
                self.append(&batch);
                batch.clear();
            }
            if is_last {
                return;
            }
            spool.rest(ROUND);
        }
    }

    fn append(&mut self, batch: &Batch) {
        if batch.records == 0 {
            return;
        }
        let mut result = Ok(());
        if self.is_line_torn {
            result = self.sink.write(b"\n").map_err(|(_, error)| (0, error));
        }
        if result.is_ok() {
            self.is_line_torn = false;
            result = self.sink.write(&batch.bytes);
        }
        let Err((written, error)) = result else {
            self.counters
                .written
                .fetch_add(batch.records as u64, Relaxed);
            return;
        };
        let written = &batch.bytes[..written];
        let lines = written.iter().filter(|&&b| b == b'\n').count();
        self.is_line_torn |= written.last().is_some_and(|&b| b != b'\n');
        self.counters.written.fetch_add(lines as u64, Relaxed);
        let lost = batch.records.saturating_sub(lines);
        self.counters.lost.fetch_add(lost as u64, Relaxed);
        self.complain(&error);
    }

    /// Counts trouble, and tells of it once a minute.
    fn complain(&mut self, error: &io::Error) {
        self.counters.errors.fetch_add(1, Relaxed);
        if self.complained.is_some_and(|at| at.elapsed() < COMPLAINT) {
            return;
        }
        self.complained = Some(Instant::now());
        let dropped = self.counters.read().dropped;
        tracing::error!(
            "access log {}: {error}; {dropped} lines have been dropped so far",
            self.sink.name()
        );
    }
}
