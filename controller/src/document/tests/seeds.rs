//! The manifests of the talks that this product was born from, as they stand there.

use super::*;
use crds::Strategy;

const ROLLOUT: &str = r"apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata:
  name: example-rollout
spec:
  replicas: 10
  selector:
    matchLabels:
      app: nginx
  template:
    metadata:
      labels:
        app: nginx
    spec:
      containers:
        - name: nginx
          image: nginx:1.15.4
          ports:
            - containerPort: 80
  minReadySeconds: 30
  revisionHistoryLimit: 3
";

const STRATEGY: &str = r#"strategy:
  canary: #Indicates that the rollout should use the Canary strategy
    maxSurge: "25%"
    maxUnavailable: 0
    steps:
      - setWeight: 10
      - pause:
          duration: 1h # 1 hour
      - setWeight: 20
      - pause: {} # pause indefinitely
"#;

/// Both of them together, as the talk means it.
pub(super) const WHOLE: &str = r#"apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata:
  name: example-rollout
spec:
  replicas: 10
  selector:
    matchLabels:
      app: nginx
  template:
    metadata:
      labels:
        app: nginx
    spec:
      containers:
        - name: nginx
          image: nginx:1.15.4
          ports:
            - containerPort: 80
  minReadySeconds: 30
  revisionHistoryLimit: 3
  strategy:
    canary: #Indicates that the rollout should use the Canary strategy
      maxSurge: "25%"
      maxUnavailable: 0
      steps:
        - setWeight: 10
        - pause:
            duration: 1h # 1 hour
        - setWeight: 20
        - pause: {} # pause indefinitely
"#;

const TUNING: &str = r#"apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata:
  name: "{{ $fullName }}-publish"
spec:
  selector:
    matchLabels:
      app: "{{ $fullName }}-publish"
  workloadRef:
    apiVersion: apps/v1
    kind: Deployment
    name: "{{ $fullName }}-publish"
  strategy:
    canary:
      stableMetadata:
        labels:
          role: stable
      canaryMetadata:
        labels:
          role: canary
"#;

const NO_PODS: &str = "has no effect here: a standalone process runs no pods";

fn warned(line: usize, column: usize, path: &str) -> String {
    format!("shop.yaml:{line}:{column}: warning: {path}: {NO_PODS}")
}

fn check_lines(text: &str, expected: &[String]) -> Vec<Document> {
    let expected: Vec<_> = expected.iter().map(String::as_str).collect();
    check(text, &expected)
}

fn only_rollout(documents: &[Document]) -> &Rollout {
    match documents {
        [
            Document {
                kind: Kind::Rollout(rollout),
                ..
            },
        ] => rollout,
        _ => panic!("expected one Rollout, found {documents:?}"),
    }
}

#[test]
fn the_rollout_as_it_stands_only_wants_for_a_strategy() {
    let documents = check_lines(
        ROLLOUT,
        &[
            "shop.yaml:5:1: error: spec.strategy: is missing: one of canary, blueGreen".to_owned(),
            warned(6, 3, "spec.replicas"),
            warned(7, 3, "spec.selector"),
            warned(20, 3, "spec.minReadySeconds"),
            warned(21, 3, "spec.revisionHistoryLimit"),
        ],
    );
    let rollout = only_rollout(&documents);
    assert_eq!(rollout.metadata.name.as_deref(), Some("example-rollout"));
    assert_eq!(rollout.spec.replicas, Some(10));
    let template = &rollout.spec.template.as_ref().unwrap().0;
    assert_eq!(template["spec"]["containers"][0]["image"], "nginx:1.15.4");
}

#[test]
fn the_strategy_as_it_stands_is_a_strategy() {
    let root = yaml::read(STRATEGY).roots.remove(0);
    let (value, _) = source::split("shop.yaml".into(), root);
    let read = crds::read::<Strategy>(&value["strategy"]);
    assert_eq!((read.faults, read.unknown), (vec![], vec![]));
    let canary = read.value.unwrap().canary.unwrap();
    let steps: Vec<_> = canary
        .steps
        .iter()
        .map(|step| step.action().unwrap().name())
        .collect();
    assert_eq!(steps, ["setWeight", "pause", "setWeight", "pause"]);
}

#[test]
fn both_together_have_no_error() {
    let indented: String = STRATEGY.lines().map(|line| format!("  {line}\n")).collect();
    assert_eq!(format!("{ROLLOUT}{indented}"), WHOLE);
    check_lines(
        WHOLE,
        &[
            warned(6, 3, "spec.replicas"),
            warned(7, 3, "spec.selector"),
            warned(20, 3, "spec.minReadySeconds"),
            warned(21, 3, "spec.revisionHistoryLimit"),
            warned(24, 7, "spec.strategy.canary.maxSurge"),
            warned(25, 7, "spec.strategy.canary.maxUnavailable"),
        ],
    );
}

#[test]
fn a_chart_is_read_and_its_placeholders_told() {
    let documents = check_lines(
        TUNING,
        &[
            "shop.yaml:4:3: error: metadata.name: found \"{{ $fullName }}-publish\", allowed at most 253 small \
             letters, digits, dashes and dots, with a letter or digit at each end of each part"
                .to_owned(),
            warned(6, 3, "spec.selector"),
            "shop.yaml:9:3: warning: spec.workloadRef: has no effect here: a standalone process reads no workloads, \
             so that no change of one starts a rollout"
                .to_owned(),
            warned(15, 7, "spec.strategy.canary.stableMetadata"),
            warned(18, 7, "spec.strategy.canary.canaryMetadata"),
        ],
    );
    let canary = only_rollout(&documents)
        .spec
        .strategy
        .as_ref()
        .unwrap()
        .canary
        .as_ref()
        .unwrap();
    assert_eq!(
        canary.canary_metadata.as_ref().unwrap().labels["role"],
        "canary"
    );
}

#[test]
fn a_chart_that_is_filled_in_has_no_error() {
    let text = TUNING.replace("{{ $fullName }}", "shop");
    let parsed = parse("shop.yaml", &text, Strictness::Lint);
    assert!(
        parsed
            .findings
            .iter()
            .all(|finding| finding.severity == Severity::Warning)
    );
}
