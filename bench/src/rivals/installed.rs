//! Where other programs are and which version they have.

use anyhow::Context as _;
use std::{
    env,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Command,
};

/// Where the program `name` is: the file that the environment's `variable` names, else on `PATH`, else where it is
/// usually built or installed. Nothing when it is nowhere.
pub(crate) fn find(name: &str, variable: &str) -> Option<PathBuf> {
    if let Some(program) = env::var_os(variable) {
        return Some(program.into());
    }
    let path = env::var_os("PATH").unwrap_or_default();
    // Debian keeps daemons where a user's PATH does not look.
    let further = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    env::split_paths(&path)
        .chain(further)
        .chain(built())
        .map(|directory| directory.join(name))
        .find(|program| program.is_file())
}

/// Beside this program, and where `bench/pingora` is built.
fn built() -> Vec<PathBuf> {
    let own = env::current_exe().ok();
    let own = own.as_deref().and_then(Path::parent);
    let pingora = own.and_then(Path::parent);
    let pingora = pingora.map(|target| target.join("pingora/release"));
    own.map(PathBuf::from).into_iter().chain(pingora).collect()
}

/// An address that nobody listens on; these programs cannot pick one and tell.
pub(crate) fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// The version number that `program` tells by `argument`.
pub(crate) fn version(program: &Path, argument: &str) -> anyhow::Result<String> {
    let output = Command::new(program)
        .arg(argument)
        .output()
        .with_context(|| format!("cannot run {}", program.display()))?;
    let told = [output.stdout, output.stderr].concat();
    Ok(version_in(&String::from_utf8_lossy(&told))
        .unwrap_or("unknown")
        .to_owned())
}

/// The first word of numbers with a point between them.
fn version_in(told: &str) -> Option<&str> {
    told.split([' ', '/', '-', '\n'])
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_in_different_words() {
        for (told, expected) in [
            ("nginx version: nginx/1.22.1\n", Some("1.22.1")),
            (
                "HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/\n",
                Some("2.6.12"),
            ),
            (
                "\nenvoy  version: 9e5580933739/1.40.0/Clean/RELEASE/BoringSSL\n\n",
                Some("1.40.0"),
            ),
            ("bench-pingora 0.9.1\n", Some("0.9.1")),
            ("no idea\n", None),
            ("", None),
        ] {
            assert_eq!(version_in(told), expected, "{told}");
        }
    }
}
