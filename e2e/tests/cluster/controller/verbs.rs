//! The binary's verbs for people, against the binary's controller: nothing else changes the Rollout.

use super::{
    process::{self, Controller},
    rollouts::{Rollouts, canary},
};
use anyhow::{Context as _, Result, ensure};
use e2e::bed::harness;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client,
    api::{DynamicObject, ListParams},
    core::{ApiResource, GroupVersionKind},
};
use libtest_mimic::Trial;
use std::{collections::BTreeSet, env, fs, os::unix::fs::symlink, path::PathBuf};
use tempfile::TempDir;
use tokio::process::Command;

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        harness::test("verbs_lead_through_an_update", lead_through),
        harness::test("verbs_lead_back", lead_back),
        harness::test("verbs_create_and_end", create_and_end),
    ]
}

/// A person at the command line.
struct Person {
    namespace: String,
    /// Where `kubectl-sluice` is.
    path: TempDir,
    _controller: Controller,
}

/// What a command said, and how it ended.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    out: String,
    complaint: String,
}

impl Person {
    /// With a controller for the Rollouts of the instance `namespace`.
    fn new(namespace: &str) -> Result<Self> {
        let path = tempfile::tempdir()?;
        symlink(process::binary()?, path.path().join("kubectl-sluice"))?;
        let kubeconfig = PathBuf::from(env::var_os("KUBECONFIG").context("KUBECONFIG")?);
        let own = [
            &*format!("--namespace={namespace}"),
            &*format!("--instance-id={namespace}"),
            "--leader-elect=false",
        ];
        Ok(Self {
            namespace: namespace.to_owned(),
            path,
            _controller: Controller::start(&kubeconfig, &own)?,
        })
    }

    /// `kubectl sluice`, as it is found on the path.
    async fn kubectl(&self, line: &str) -> Result<Said> {
        let path = env::var("PATH")?;
        let path = format!("{}:{path}", self.path.path().display());
        let mut command = Command::new("kubectl");
        command.env("PATH", path).arg("sluice");
        self.run(command, line).await
    }

    /// `sluice cluster`.
    async fn sluice(&self, line: &str) -> Result<Said> {
        let mut command = Command::new(process::binary()?);
        command.arg("cluster");
        self.run(command, line).await
    }

    async fn run(&self, mut command: Command, line: &str) -> Result<Said> {
        command.args(line.split_whitespace());
        let ended = command.arg("-n").arg(&self.namespace).output().await?;
        Ok(Said {
            code: ended.status.code(),
            out: String::from_utf8(ended.stdout)?,
            complaint: String::from_utf8(ended.stderr)?,
        })
    }
}

impl Said {
    /// It ended with `code`, and said all of `parts`.
    fn is(self, code: i32, parts: &[&str]) -> Result<()> {
        let text = format!("{}{}", self.out, self.complaint);
        let missing = parts.iter().find(|part| !text.contains(**part));
        ensure!(
            self.code == Some(code) && missing.is_none(),
            "expected {code} and {missing:?}: {self:#?}"
        );
        Ok(())
    }
}

async fn lead_through(client: Client, namespace: String) -> Result<()> {
    let rollouts = Rollouts::of(&client, &namespace).await?;
    let person = Person::new(&namespace)?;
    let shop = canary("shop", "blue", Some(&namespace));
    rollouts.apply(&shop).await?;
    let healthy = person.sluice("status shop --timeout 150s").await?;
    healthy.is(0, &["Healthy\n"])?;

    let set = person
        .sluice("set image shop app=sluice/demo:green")
        .await?;
    set.is(0, &["shop: image updated"])?;
    rollouts.wait("shop", "Paused", 2).await?;
    let paused = person.kubectl("status shop --watch=false").await?;
    paused.is(3, &["Paused - CanaryPauseStep\n"])?;
    let too_late = person.kubectl("status shop --timeout 1ms").await?;
    too_late.is(3, &["shop: after 1ms: Paused - CanaryPauseStep"])?;
    let shown = [
        "Status:          Paused",
        "  Step:          1/2",
        "  SetWeight:     50",
        "  ActualWeight:  50",
        "sluice/demo:blue (stable)",
        "sluice/demo:green (canary)",
        "├─ revision 2",
        "└─ revision 1",
        "ready 1/1",
    ];
    person.kubectl("get rollout shop").await?.is(0, &shown)?;

    person.kubectl("promote shop").await?.is(0, &["promoted"])?;
    let healthy = person.sluice("status shop --timeout 150s").await?;
    healthy.is(0, &["Healthy\n"])?;
    let listed = person.sluice("list rollouts").await?;
    listed.is(0, &["NAME  STRATEGY", "shop  Canary", "Healthy", "2/2"])?;

    let nobody = person.sluice("promote nobody").await?;
    nobody.is(2, &["Rollout \"nobody\" of namespace", "is not there"])?;
    let nowhere = person.sluice("list rollouts --context nowhere").await?;
    nowhere.is(2, &["nowhere", "--context"])?;
    let wrong = person.sluice("set image shop db=postgres").await?;
    wrong.is(1, &["shop: it has no container \"db\"; there are app"])
}

async fn lead_back(client: Client, namespace: String) -> Result<()> {
    let rollouts = Rollouts::of(&client, &namespace).await?;
    let person = Person::new(&namespace)?;
    let shop = canary("shop", "blue", Some(&namespace));
    rollouts.apply(&shop).await?;
    rollouts.wait("shop", "Healthy", 1).await?;
    let set = person.kubectl("set image shop *=sluice/demo:green").await?;
    set.is(0, &["image updated"])?;
    rollouts.wait("shop", "Paused", 2).await?;
    person.kubectl("abort shop").await?.is(0, &["aborted"])?;
    let degraded = person.kubectl("status shop --timeout 150s").await?;
    degraded.is(1, &["Degraded - RolloutAborted"])?;
    let again = person.kubectl("retry rollout shop").await?;
    again.is(0, &["retried"])?;
    rollouts.wait("shop", "Paused", 2).await?;

    let missing = person.sluice("undo shop --to-revision 9").await?;
    missing.is(1, &["shop: it has no revision 9; there are 1, 2"])?;
    let back = person.sluice("undo shop").await?;
    back.is(0, &["goes back to revision 1"])?;
    rollouts.wait("shop", "Healthy", 3).await?;
    ensure!(rollouts.pods("green").await? == 0);
    let already = person.sluice("undo shop --to-revision 3").await?;
    already.is(0, &["has the pod template of revision 3 already"])?;
    person
        .sluice("undo shop --to-revision 2")
        .await?
        .is(0, &[])?;
    rollouts.wait("shop", "Paused", 4).await?;
    person.sluice("promote shop --full").await?.is(0, &[])?;
    let healthy = person.sluice("status shop --timeout 150s").await?;
    healthy.is(0, &["Healthy\n"])?;

    rollouts.settled("shop", 2).await?;
    let before = pods(&client, &namespace).await?;
    let restart = person.sluice("restart shop --in 1s").await?;
    restart.is(0, &["shop: pods that are older than"])?;
    rollouts.restarted("shop").await?;
    rollouts.settled("shop", 2).await?;
    let after = pods(&client, &namespace).await?;
    ensure!(before.is_disjoint(&after), "{before:?} {after:?}");

    person
        .sluice("pause shop")
        .await?
        .is(0, &["shop: paused"])?;
    rollouts.wait("shop", "Paused", 4).await?;
    person.sluice("promote shop").await?.is(0, &["promoted"])?;
    rollouts.wait("shop", "Healthy", 4).await
}

/// The pods that are not about to go, by name.
async fn pods(client: &Client, namespace: &str) -> Result<BTreeSet<String>> {
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let all = api.list(&ListParams::default()).await?.items.into_iter();
    let staying = all.filter(|pod| pod.metadata.deletion_timestamp.is_none());
    Ok(staying.filter_map(|pod| pod.metadata.name).collect())
}

/// Objects beside Rollouts, for whichever controller acts on them.
async fn create_and_end(client: Client, namespace: String) -> Result<()> {
    process::define_analyses(&client).await?;
    let person = Person::new(&namespace)?;
    let file = person.path.path().join("rate.yaml");
    let template = "apiVersion: argoproj.io/v1alpha1\nkind: AnalysisTemplate\nmetadata: {name: rate}\nspec:\n\
                    \x20 args: [{name: host}]\n\
                    \x20 metrics: [{name: rate, provider: {web: {url: 'http://{{args.host}}', jsonPath: '{$.rate}'}}}]\n";
    fs::write(&file, template)?;
    let file = file.display();
    let created = person.kubectl(&format!("create -f {file}")).await?;
    created.is(0, &["AnalysisTemplate \"rate\" created"])?;
    let again = person.sluice(&format!("create -f {file}")).await?;
    again.is(1, &["AnalysisTemplate \"rate\"", "it is there already"])?;

    let lacks = person.kubectl("create analysisrun --from rate").await?;
    lacks.is(1, &["argument \"host\" has no value"])?;
    let run = "create analysisrun --from rate -a host=shop --name one";
    person
        .kubectl(run)
        .await?
        .is(0, &["AnalysisRun \"one\" created"])?;
    let of_file = format!("create ar --from-file {file} -a host=shop");
    let named = person.kubectl(&of_file).await?;
    named.is(0, &["AnalysisRun \"rate-"])?;
    let end = person.kubectl("terminate analysisrun one").await?;
    end.is(0, &["AnalysisRun \"one\": told to end"])?;
    let missing = person.kubectl("terminate experiment two").await?;
    missing.is(2, &["Experiment \"two\"", "is not there"])?;

    let runs = ApiResource::from_gvk(&GroupVersionKind::gvk(
        "argoproj.io",
        "v1alpha1",
        "AnalysisRun",
    ));
    let runs: Api<DynamicObject> = Api::namespaced_with(client, &namespace, &runs);
    let one = runs.get("one").await?;
    let spec = &one.data["spec"];
    ensure!(spec["terminate"] == true, "{spec}");
    ensure!(spec["args"][0]["value"] == "shop", "{spec}");
    Ok(())
}
