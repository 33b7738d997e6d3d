use proptest::prelude::*;

use super::*;

mod proxies;
mod rollouts;
mod seeds;
mod together;

/// All findings of a text, in lint's eyes, are exactly these.
fn check(text: &str, expected: &[&str]) -> Vec<Document> {
    let parsed = parse("shop.yaml", text, Strictness::Lint);
    let found: Vec<_> = parsed.findings.iter().map(ToString::to_string).collect();
    assert_eq!(found, expected, "{text}");
    parsed.documents
}

/// A Rollout with these lines under `canary`, each indented by six more spaces. The first of them
/// is on line 8.
fn canary(lines: &str) -> String {
    let mut text =
        "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: shop}\nspec:\n  \
                    template: {}\n  strategy:\n    canary:\n"
            .to_owned();
    for line in lines.lines() {
        text.push_str(&format!("      {line}\n"));
    }
    text
}

/// A Proxy with these lines under `spec`, each indented by two more spaces. The first of them is
/// on line 5.
fn proxy(lines: &str) -> String {
    let mut text =
        "apiVersion: sluice.dev/v1alpha1\nkind: Proxy\nmetadata: {name: edge}\nspec:\n".to_owned();
    for line in lines.lines() {
        text.push_str(&format!("  {line}\n"));
    }
    text
}

#[test]
fn files_that_hold_no_document() {
    check("", &["shop.yaml:1:1: warning: the file holds no document"]);
    check(
        "# only words\n---\n",
        &["shop.yaml:1:1: warning: the file holds no document"],
    );
    let message = "found a document that is no mapping, allowed a Rollout or a Proxy";
    check("just text", &[&format!("shop.yaml:1:1: error: {message}")]);
    check("---\n- a\n", &[&format!("shop.yaml:2:1: error: {message}")]);
}

#[test]
fn kinds_that_are_not_known_are_refused_and_bystanders_noted() {
    let documents = check(
        "apiVersion: argoproj.io/v1alpha1\nkind: AnalysisTemplate\n---\napiVersion: v1\nkind: Service\n---\n\
         kind: Rollout\n---\napiVersion: argoproj.io/v1beta1\nkind: 7\n",
        &[
            "shop.yaml:2:1: note: kind: AnalysisTemplate is not acted on yet",
            "shop.yaml:5:1: error: kind: found Service of v1, allowed Rollout of argoproj.io/v1alpha1 or Proxy of \
             sluice.dev/v1alpha1",
            "shop.yaml:7:1: error: apiVersion: is missing, or is no string",
            "shop.yaml:10:1: error: kind: is missing, or is no string",
        ],
    );
    let kinds: Vec<_> = documents
        .into_iter()
        .map(|document| document.kind)
        .collect();
    let (api_version, kind) = (
        "argoproj.io/v1alpha1".to_owned(),
        "AnalysisTemplate".to_owned(),
    );
    assert_eq!(kinds, [Kind::Other { api_version, kind }]);
}

#[test]
fn an_unknown_field_is_an_error_in_lint_and_a_warning_in_run() {
    let text = canary("stpes: []\ntrafficRouting:\n  plugins: {sluice/proxy: {gaurd: off}}\n");
    let plugin = "spec.strategy.canary.trafficRouting.plugins[\"sluice/proxy\"].gaurd";
    check(
        &text,
        &[
            "shop.yaml:8:7: error: spec.strategy.canary.stpes: is no known field",
            &format!("shop.yaml:10:34: error: {plugin}: is no known field"),
        ],
    );
    let run = parse("shop.yaml", &text, Strictness::Run);
    let found: Vec<_> = run.findings.iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "shop.yaml:8:7: warning: spec.strategy.canary.stpes: is no known field, and is ignored",
            &format!("shop.yaml:10:34: warning: {plugin}: is no known field, and is ignored"),
        ]
    );
}

#[test]
fn a_document_with_a_fault_is_refused_and_the_others_kept() {
    let documents = check(
        &format!(
            "{}---\n{}",
            canary("steps: [{setWeight: ten}]"),
            canary("steps: [{setWeight: 10}]")
        ),
        &[
            "shop.yaml:8:16: error: spec.strategy.canary.steps[0].setWeight: found \"ten\", allowed a whole number \
             from -2147483648 to 2147483647",
        ],
    );
    assert_eq!(documents.len(), 1);
    assert_eq!(documents[0].source.locate("spec.strategy").line, 15);
}

#[test]
fn a_field_is_where_its_key_is_or_else_what_is_around_it() {
    let text = canary("steps:\n- setWeight: 10\n- pause:\n    duration: 5m\n- {pause: {}}\n");
    let documents = check(&text, &[]);
    let cases = [
        ("", 1, 1),
        ("kind", 2, 1),
        ("metadata.name", 3, 12),
        ("metadata.namespace", 3, 1),
        ("spec.strategy.canary.steps", 8, 7),
        ("spec.strategy.canary.steps[0]", 9, 9),
        ("spec.strategy.canary.steps[0].setWeight", 9, 9),
        ("spec.strategy.canary.steps[1].pause", 10, 9),
        ("spec.strategy.canary.steps[1].pause.duration", 11, 11),
        (
            "spec.strategy.canary.steps[1].pause.duration.more[3]",
            11,
            11,
        ),
        ("spec.strategy.canary.steps[2]", 12, 9),
        ("spec.strategy.canary.steps[2].pause", 12, 10),
        ("spec.strategy.canary.steps[7].pause", 8, 7),
        ("no.such.field", 1, 1),
        ("]not a path[", 1, 1),
    ];
    for (path, line, column) in cases {
        let location = documents[0].source.locate(path);
        assert_eq!((location.line, location.column), (line, column), "{path}");
        assert_eq!(&*location.file, "shop.yaml");
    }
}

#[test]
fn an_aliased_field_is_where_it_stands_and_its_inside_where_it_was_written() {
    let documents = check(
        &canary("steps:\n- &wait\n  pause: {duration: 1m}\n- setWeight: 5\n- *wait\n"),
        &[],
    );
    let at = |path: &str| {
        let location = documents[0].source.locate(path);
        (location.line, location.column)
    };
    assert_eq!(at("spec.strategy.canary.steps[2]"), (12, 9));
    assert_eq!(at("spec.strategy.canary.steps[2].pause"), (10, 9));
}

proptest! {
    #[test]
    fn any_text_is_answered(text in any::<String>()) {
        parse("any", &text, Strictness::Lint);
    }

    /// Damage anywhere is answered, and what is told is in the file.
    #[test]
    fn a_damaged_document_is_answered(
        at in any::<prop::sample::Index>(),
        damage in prop::sample::select(vec!["", ": ", "- ", "\n", "[", "}", "x", "'", "&a ", "*a", "<<: ", "-1", "{}"]),
        cut in 0_usize..20,
    ) {
        let text = format!("{}---\n{}", seeds::WHOLE, proxies::WHOLE);
        let start = at.index(text.len());
        let end = (start + cut).min(text.len());
        let damaged = format!("{}{damage}{}", &text[..start], &text[end..]);
        let lines = damaged.lines().count();
        let parsed = parse("damaged", &damaged, Strictness::Run);
        for finding in check_together(&parsed.documents).iter().chain(&parsed.findings) {
            prop_assert!((1..=lines + 1).contains(&finding.location.line), "{}", finding);
        }
    }
}
