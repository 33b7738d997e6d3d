//! The examples of the documentation are right, and show every field.

#![expect(clippy::expect_used, reason = "a test that is surprised ends")]

use controller::document::{self, Kind, Strictness};
use crds::schema::{self, Node};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

fn examples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples");
    let mut files: Vec<_> = fs::read_dir(folder)
        .expect("there are examples")
        .map(|entry| entry.expect("the folder can be read").path())
        .collect();
    files.sort();
    assert!(files.len() >= 9, "{files:?}");
    files
}

fn documents(file: &Path) -> Vec<document::Document> {
    let text = fs::read_to_string(file).expect("the example can be read");
    let parsed = document::parse(&file.display().to_string(), &text, Strictness::Lint);
    parsed.documents
}

/// An example beside empty files of the names that it uses.
#[test]
fn lint_finds_nothing_in_any_example() {
    for example in examples() {
        let folder = tempfile::tempdir().expect("a folder");
        let copy = folder.path().join("example.yaml");
        fs::copy(&example, &copy).expect("the example can be copied");
        for document in documents(&example) {
            let Kind::Proxy(proxy) = &document.kind else {
                continue;
            };
            for named in document::named_files(proxy) {
                let file = folder.path().join(named.file);
                fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
                fs::write(file, "").expect("a file");
            }
        }
        let lint = Command::new(env!("CARGO_BIN_EXE_sluice"))
            .arg("lint")
            .arg(&copy)
            .output()
            .expect("sluice runs");
        let said = String::from_utf8_lossy(&lint.stdout);
        assert_eq!(said, "", "{}", example.display());
        assert!(lint.status.success(), "{}", example.display());
    }
}

/// Every setting appears in an example.
#[test]
fn every_field_of_the_schemas_is_in_an_example() {
    let (mut proxies, mut options, mut evidence) = (Vec::new(), Vec::new(), Vec::new());
    for document in examples().iter().flat_map(|file| documents(file)) {
        match &document.kind {
            Kind::Proxy(proxy) => proxies.push(serde_json::to_value(proxy).expect("JSON")),
            Kind::Rollout(rollout) => {
                let rollout = serde_json::to_value(rollout).expect("JSON");
                let canary = &rollout["spec"]["strategy"]["canary"];
                let plugins = &canary["trafficRouting"]["plugins"];
                options.push(plugins[crds::sluice::PROXY].clone());
                let steps = canary["steps"].as_array().into_iter().flatten();
                evidence.extend(steps.map(|step| step["plugin"]["config"].clone()));
            }
            Kind::Other { .. } => {}
        }
    }
    for (schema, documents) in [
        (schema::proxy(), proxies),
        (schema::proxy_options(), options),
        (schema::evidence(), evidence),
    ] {
        let mut missing = Node::root(schema).unused(&documents.iter().collect::<Vec<&Value>>());
        // Of an object's metadata only name and namespace mean something here, and names in a cluster mean nothing.
        missing.retain(|place| !place.starts_with("metadata.") && place != "hosts");
        assert_eq!(missing, Vec::<String>::new());
    }
}
