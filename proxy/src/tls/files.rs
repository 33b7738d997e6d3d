//! Files that are read when they have changed.

use super::TlsError;
use std::{
    collections::HashMap,
    fs::{self, File},
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

/// The largest file that is read. The authorities of an operating system take some 250 KiB.
const LARGEST: u64 = 8 * 1024 * 1024;

/// Up to this age, a file may have been written again within the same tick of its clock.
const YOUNG: Duration = Duration::from_secs(2);

/// A set of files, and how they were when they were read last.
#[derive(Debug)]
pub(super) struct Files {
    paths: Vec<PathBuf>,
    stamps: Vec<Option<Stamp>>,
    /// Whether their stamps may be the same as before although something was written.
    is_young: bool,
    digest: u64,
}

/// What changes with a file, whichever way it is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: SystemTime,
    length: u64,
    #[cfg(unix)]
    inode: (u64, u64),
    #[cfg(unix)]
    changed: (i64, i64),
}

/// What was in the files.
pub(super) struct Contents(HashMap<PathBuf, Result<Vec<u8>, Arc<io::Error>>>);

impl Files {
    /// These files, not yet read.
    pub(super) fn new(mut paths: Vec<PathBuf>) -> Self {
        paths.sort();
        paths.dedup();
        Self {
            stamps: Vec::new(),
            paths,
            is_young: true,
            digest: 0,
        }
    }

    /// What is in the files.
    pub(super) fn read(&mut self) -> Contents {
        self.take(self.stamp())
    }

    /// What is in the files, unless it is what was in them before.
    pub(super) fn look(&mut self) -> Option<Contents> {
        let stamps = self.stamp();
        if stamps == self.stamps && !self.is_young {
            return None;
        }
        let before = self.digest;
        let contents = self.take(stamps);
        (self.digest != before).then_some(contents)
    }

    fn stamp(&self) -> Vec<Option<Stamp>> {
        self.paths.iter().map(|path| stamp(path)).collect()
    }

    /// Reads the files. `stamps` were taken before: what changes after that is seen at the next look.
    fn take(&mut self, stamps: Vec<Option<Stamp>>) -> Contents {
        let now = SystemTime::now();
        self.is_young = stamps.iter().flatten().any(|stamp| {
            now.duration_since(stamp.modified)
                .is_ok_and(|age| age < YOUNG)
        });
        self.stamps = stamps;
        let contents = Contents::read(&self.paths);
        self.digest = contents.digest(&self.paths);
        contents
    }
}

impl Contents {
    fn read(paths: &[PathBuf]) -> Self {
        let read = |path: &PathBuf| (path.clone(), read(path).map_err(Arc::new));
        Self(paths.iter().map(read).collect())
    }

    /// What is in one of the files.
    ///
    /// # Errors
    /// [`TlsError::Unreadable`].
    pub(super) fn get(&self, file: &Path) -> Result<&[u8], TlsError> {
        let unreadable = |source| TlsError::Unreadable {
            file: file.to_owned(),
            source,
        };
        match self.0.get(file) {
            Some(Ok(bytes)) => Ok(bytes),
            Some(Err(error)) => Err(unreadable(Arc::clone(error))),
            None => Err(unreadable(Arc::new(io::ErrorKind::NotFound.into()))),
        }
    }

    /// A number that differs when a content does, or the kind of an error. Keys are not to be kept for comparison.
    fn digest(&self, paths: &[PathBuf]) -> u64 {
        let mut hasher = DefaultHasher::new();
        for path in paths {
            match self.0.get(path) {
                Some(Ok(bytes)) => bytes.hash(&mut hasher),
                Some(Err(error)) => error.kind().hash(&mut hasher),
                None => {}
            }
        }
        hasher.finish()
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(LARGEST + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

fn stamp(path: &Path) -> Option<Stamp> {
    // Follows links: renewers commonly turn a link to the new files.
    let metadata = fs::metadata(path).ok()?;
    #[cfg(unix)]
    use std::os::unix::fs::MetadataExt;
    Some(Stamp {
        modified: metadata.modified().ok()?,
        length: metadata.len(),
        #[cfg(unix)]
        inode: (metadata.dev(), metadata.ino()),
        #[cfg(unix)]
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_when_their_content_changes() {
        let folder = tempfile::tempdir().unwrap();
        let [path, other] = ["a", "b"].map(|name| folder.path().join(name));
        let mut files = Files::new(vec![path.clone(), path.clone()]);
        assert!(files.read().get(&path).is_err(), "missing");
        assert!(files.look().is_none());
        fs::write(&path, "one").unwrap();
        assert_eq!(files.look().unwrap().get(&path).unwrap(), b"one", "created");
        assert!(files.look().is_none());
        // Within one tick of the file system's clock, and of the same length.
        fs::write(&path, "two").unwrap();
        assert_eq!(files.look().unwrap().get(&path).unwrap(), b"two", "written");
        fs::write(&path, "two").unwrap();
        assert!(files.look().is_none(), "the same was written again");
        fs::write(&other, "six").unwrap();
        fs::rename(&other, &path).unwrap();
        assert_eq!(files.look().unwrap().get(&path).unwrap(), b"six", "renamed");
        fs::remove_file(&path).unwrap();
        assert!(files.look().unwrap().get(&path).is_err(), "removed");
    }

    #[test]
    fn old_files_are_not_read_at_each_look() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "one").unwrap();
        let past = SystemTime::now() - Duration::from_secs(60);
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(past)
            .unwrap();
        let mut files = Files::new(vec![path]);
        files.read();
        assert!(!files.is_young);
        assert!(files.look().is_none());
    }

    #[test]
    fn a_file_without_end_is_refused() {
        let error = read(Path::new("/dev/zero")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    }
}
