//! Where the programs of the control plane come from: the user's own, or built once from their Go modules.

mod build;

use anyhow::{Context as _, Result, bail};
use std::{
    env,
    ffi::OsString,
    fs::{self, File},
    path::{Path, PathBuf},
};

/// All that a test bed runs.
pub const PROGRAMS: [&str; 5] = [
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubectl",
];

/// A directory that has them all.
#[derive(Debug)]
pub struct Binaries(PathBuf);

impl Binaries {
    /// Those of `KUBEBUILDER_ASSETS` when that is set, else those that were built before, else built now (minutes).
    ///
    /// # Errors
    /// In one line, what is missing.
    pub fn find_or_build() -> Result<Self> {
        if let Some(assets) = env::var_os("KUBEBUILDER_ASSETS") {
            return Self::all_in(PathBuf::from(assets)).context("KUBEBUILDER_ASSETS");
        }
        let cache = cache()?;
        let built = cache.join(build::version());
        if let Ok(found) = Self::all_in(built.clone()) {
            return Ok(found);
        }
        fs::create_dir_all(&cache)?;
        // Whoever comes meanwhile waits, and finds what was built.
        let lock = File::create(cache.join("lock"))?;
        lock.lock()?;
        Self::all_in(built.clone()).or_else(|_| {
            build::build(&cache, &built)?;
            Self::all_in(built)
        })
    }

    fn all_in(directory: PathBuf) -> Result<Self> {
        let missing: Vec<_> = PROGRAMS
            .into_iter()
            .filter(|name| !directory.join(name).is_file())
            .collect();
        if !missing.is_empty() {
            bail!("{} lacks {}", directory.display(), missing.join(", "));
        }
        Ok(Self(directory))
    }

    /// Where they are.
    pub fn directory(&self) -> &Path {
        &self.0
    }

    /// A `PATH` on which they come first.
    pub fn search_path(&self) -> OsString {
        let rest = env::var_os("PATH").unwrap_or_default();
        let mut path = self.0.clone().into_os_string();
        path.push(":");
        path.push(rest);
        path
    }
}

/// Outside of any tree, so that all trees share what was built.
fn cache() -> Result<PathBuf> {
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    let cache = cache.filter(|path| path.is_absolute()).or_else(home);
    let cache = cache.context(
        "neither XDG_CACHE_HOME nor HOME says where to keep the control plane's programs",
    )?;
    Ok(cache.join("sluice/e2e"))
}

#[cfg(test)]
mod tests {
    use super::{Binaries, PROGRAMS};
    use std::fs;

    #[test]
    fn what_is_missing_is_named() {
        let made = tempfile::tempdir().unwrap();
        for name in &PROGRAMS[..4] {
            fs::write(made.path().join(name), "").unwrap();
        }
        let refused = Binaries::all_in(made.path().to_owned())
            .unwrap_err()
            .to_string();
        assert_eq!(refused, format!("{} lacks kubectl", made.path().display()));
        fs::write(made.path().join("kubectl"), "").unwrap();
        assert!(Binaries::all_in(made.path().to_owned()).is_ok());
    }
}
