//! Builds the control plane from its Go modules.
//!
//! Kubernetes cannot be installed by `go install`: its module replaces those of its parts by directories of its own tree.
//! A module of ours requires it, and replaces them by what was published of the same release instead.

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The minor version and patch: Kubernetes is 1.MINOR.PATCH, and its parts 0.MINOR.PATCH.
const KUBERNETES: (u32, u32) = (36, 3);
const ETCD: &str = "3.6.16";

const KUBERNETES_PROGRAMS: [&str; 4] = [
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubectl",
];

/// Names what is built, for the directory that keeps it.
pub(super) fn version() -> String {
    let (minor, patch) = KUBERNETES;
    format!("kubernetes-1.{minor}.{patch}-etcd-{ETCD}")
}

/// Builds all programs into `target`, by way of `cache`.
pub(super) fn build(cache: &Path, target: &Path) -> Result<()> {
    let (minor, patch) = KUBERNETES;
    eprintln!("building {} with Go; once, and it takes minutes", version());
    // On the same file system, so that it appears in its place whole.
    let work = tempfile::tempdir_in(cache)?;
    let module = go(
        work.path(),
        &[
            "mod",
            "download",
            "-json",
            &format!("k8s.io/kubernetes@v1.{minor}.{patch}"),
        ],
    )?;
    let module: Value =
        serde_json::from_str(&module).context("what `go mod download -json` says")?;
    let theirs = module["GoMod"]
        .as_str()
        .context("`go mod download -json` names no GoMod")?;
    let theirs = fs::read_to_string(theirs)?;
    fs::write(work.path().join("go.mod"), our_module(&theirs))?;
    let bin = work.path().join("bin");
    fs::create_dir(&bin)?;
    let stamp = format!(
        "-s -w -X k8s.io/component-base/version.gitVersion=v1.{minor}.{patch} \
         -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor={minor}"
    );
    let programs = KUBERNETES_PROGRAMS.map(|name| format!("k8s.io/kubernetes/cmd/{name}"));
    compile(work.path(), &bin, &stamp, &programs)?;
    let etcd = ["go.etcd.io/etcd/server/v3".to_owned()];
    compile(work.path(), &bin.join("etcd"), "-s -w", &etcd)?;
    match fs::remove_dir_all(target) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(fs::rename(bin, target)?),
    }
}

fn compile(work: &Path, output: &Path, link: &str, packages: &[String]) -> Result<()> {
    let output = output.to_string_lossy();
    let mut arguments = vec![
        "build",
        "-mod=mod",
        "-trimpath",
        "-buildvcs=false",
        "-ldflags",
        link,
        "-o",
        &output,
    ];
    arguments.extend(packages.iter().map(String::as_str));
    go(work, &arguments).map(drop)
}

/// The `go.mod` of a module that needs the control plane, from the one of Kubernetes.
fn our_module(theirs: &str) -> String {
    let (minor, patch) = KUBERNETES;
    let mut ours = String::from("module e2e.invalid/control-plane\n\n");
    let settings = ["go ", "godebug "];
    for line in theirs
        .lines()
        .filter(|line| settings.iter().any(|name| line.starts_with(name)))
    {
        ours += &format!("{line}\n");
    }
    ours += &format!(
        "\nrequire k8s.io/kubernetes v1.{minor}.{patch}\nrequire go.etcd.io/etcd/server/v3 v{ETCD}\n\n"
    );
    for part in theirs
        .lines()
        .filter_map(|line| line.trim().split_once(" => ./staging/"))
    {
        let name = part.0.trim_start_matches("replace ");
        ours += &format!("replace {name} => {name} v0.{minor}.{patch}\n");
    }
    ours
}

/// What `go` says. It fetches the toolchain that a module wants, unless the user forbids that, and lets others go first.
fn go(work: &Path, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new("nice");
    command
        .args(["-n", "10"])
        .arg(go_program()?)
        .args(arguments)
        .current_dir(work);
    command
        .env("CGO_ENABLED", "0")
        .stderr(std::process::Stdio::inherit());
    if env::var_os("GOTOOLCHAIN").is_none() {
        command.env("GOTOOLCHAIN", "auto");
    }
    let output = command.output().context("nice")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stdout);
        bail!(
            "`go {}` failed ({}) {said}",
            arguments.join(" "),
            output.status
        );
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// On the path, or where its own installer puts it.
fn go_program() -> Result<PathBuf> {
    let candidates = [PathBuf::from("go"), PathBuf::from("/usr/local/go/bin/go")];
    let found = candidates
        .into_iter()
        .find(|program| Command::new(program).arg("version").output().is_ok());
    found.context(
        "go is missing, with which etcd and Kubernetes are built; install Go 1.21 or later, or set KUBEBUILDER_ASSETS to \
         a directory that has them",
    )
}

#[cfg(test)]
mod tests {
    use super::our_module;

    #[test]
    fn parts_are_replaced_by_what_was_published() {
        let theirs = "\
module k8s.io/kubernetes

go 1.26.0

godebug default=go1.26

require (
\tk8s.io/api v0.0.0
\tgithub.com/x/y v1.2.3
)

replace (
\tk8s.io/api => ./staging/src/k8s.io/api
\tk8s.io/kubectl => ./staging/src/k8s.io/kubectl
)
";
        let expected = "\
module e2e.invalid/control-plane

go 1.26.0
godebug default=go1.26

require k8s.io/kubernetes v1.36.3
require go.etcd.io/etcd/server/v3 v3.6.16

replace k8s.io/api => k8s.io/api v0.36.3
replace k8s.io/kubectl => k8s.io/kubectl v0.36.3
";
        assert_eq!(our_module(theirs), expected);
    }
}
