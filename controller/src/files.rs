//! Documents on disk, and seeing that they changed.
//!
//! Files are compared by what the file system says of them, several times a second. That sees every way in which
//! editors, configuration tools and mounted ConfigMaps replace a file (in place, by rename, by a symbolic link that
//! moves), on every file system, which notifications do not.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// A file's contents, or why it could not be read.
#[derive(Debug)]
pub struct Contents {
    /// The file as it was named.
    pub path: PathBuf,
    /// Its text.
    pub text: io::Result<String>,
}

/// What the file system says of a file; differs when the file was changed or replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    modified: SystemTime,
    length: u64,
    #[cfg(unix)]
    inode: u64,
}

/// A set of files and the state in which they were last read.
#[derive(Debug)]
pub struct Files {
    paths: Vec<PathBuf>,
    stamps: Vec<Option<Stamp>>,
}

impl Files {
    /// The files at `paths`, not yet read.
    pub fn new(paths: Vec<PathBuf>) -> Self {
        Self {
            stamps: vec![None; paths.len()],
            paths,
        }
    }

    /// Reads all files.
    pub fn read(&mut self) -> Vec<Contents> {
        // The stamp is taken first: a change after it is seen at the next look.
        self.stamps = self.paths.iter().map(|path| stamp(path)).collect();
        self.paths
            .iter()
            .map(|path| Contents {
                path: path.clone(),
                text: fs::read_to_string(path),
            })
            .collect()
    }

    /// Whether a file was changed, replaced, added or removed since [`Files::read`].
    pub fn changed(&self) -> bool {
        self.paths
            .iter()
            .zip(&self.stamps)
            .any(|(path, before)| stamp(path) != *before)
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    Some(Stamp {
        modified: metadata.modified().ok()?,
        length: metadata.len(),
        #[cfg(unix)]
        inode: std::os::unix::fs::MetadataExt::ino(&metadata),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_change_a_file_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.yaml");
        let mut files = Files::new(vec![path.clone()]);
        assert!(files.read()[0].text.is_err());
        assert!(!files.changed());
        fs::write(&path, "one").unwrap();
        assert!(files.changed(), "created");
        assert_eq!(files.read()[0].text.as_deref().unwrap(), "one");
        assert!(!files.changed());
        fs::write(&path, "longer").unwrap();
        assert!(files.changed(), "written in place");
        files.read();
        let other = folder.path().join("b.yaml");
        fs::write(&other, "lonGer").unwrap();
        fs::rename(&other, &path).unwrap();
        assert!(files.changed(), "replaced by rename");
        files.read();
        fs::remove_file(&path).unwrap();
        assert!(files.changed(), "removed");
    }
}
