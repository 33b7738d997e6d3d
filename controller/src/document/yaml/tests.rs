use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::document::source;

/// The documents as JSON, and the problems as `line:column: message`.
fn check(text: &str, documents: &[Value], problems: &[&str]) {
    let stream = read(text);
    let found: Vec<_> = stream
        .problems
        .iter()
        .map(|problem| {
            format!(
                "{}:{}: {}",
                problem.at.line, problem.at.column, problem.message
            )
        })
        .collect();
    assert_eq!(found, problems, "{text}");
    let values: Vec<_> = stream
        .roots
        .into_iter()
        .map(|root| source::split("file".into(), root).0)
        .collect();
    assert_eq!(values, documents, "{text}");
}

#[test]
fn nothing_is_found_behind_the_end_of_a_text() {
    for text in [
        "a: [",
        "a: [\r",
        "a: [\r\n",
        "a: [\n",
        "a: [\n\n",
        "- a: 1\n - b",
        "\"",
        "a: {\rb",
    ] {
        let lines = text.replace("\r\n", "\n").split(['\r', '\n']).count();
        let stream = read(text);
        assert!(!stream.problems.is_empty(), "{text:?}");
        for problem in stream.problems {
            assert!(problem.at.line <= lines, "{text:?}: {}", problem.at.line);
        }
    }
}

#[test]
fn several_documents_and_empty_ones_between_them() {
    check("", &[], &[]);
    check("# nothing\n", &[], &[]);
    check(
        "---\n---\na: 1\n---\n# none\n---\n- x\n",
        &[json!({"a": 1}), json!(["x"])],
        &[],
    );
    check(
        "\u{feff}a: 1\r\nb: [on, yes]\r\n",
        &[json!({"a": 1, "b": ["on", "yes"]})],
        &[],
    );
}

#[test]
fn json_is_read_as_it_is() {
    let text = "{\"a\": [1, -2.5, true, null, \"\\u00e9\\n\"],\n\t\"b\": {}}";
    check(
        text,
        &[json!({"a": [1, -2.5, true, null, "é\n"], "b": {}})],
        &[],
    );
}

#[test]
fn aliases_are_what_they_stand_for() {
    check(
        "a: &x {b: [1, 2]}\nc: *x\nd: &y text\n*y : e\n&z k: *z\n",
        &[json!({"a": {"b": [1, 2]}, "c": {"b": [1, 2]}, "d": "text", "text": "e", "k": "k"})],
        &[],
    );
}

#[test]
fn merged_mappings_fill_in_what_is_not_given() {
    check(
        "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc:\n  <<: *a\n  y: 3\nd:\n  x: 0\n  <<: [*b, *a]\n",
        &[json!({
            "a": {"x": 1, "y": 1},
            "b": {"y": 2, "z": 2},
            "c": {"x": 1, "y": 3},
            "d": {"x": 0, "y": 2, "z": 2},
        })],
        &[],
    );
    check("a: {\"<<\": 1}", &[json!({"a": {"<<": 1}})], &[]);
    check(
        "a:\n  <<: text\n  b: 1\n",
        &[json!({"a": {"b": 1}})],
        &["2:3: allowed a mapping or a list of mappings behind <<"],
    );
}

#[test]
fn a_key_given_twice_is_told_and_the_first_one_counts() {
    check(
        "a: 1\nb:\n  c: 1\n  'c': 2\na: 3\n",
        &[json!({"a": 1, "b": {"c": 1}})],
        &[
            "4:3: found the key \"c\" again, which line 3 has already",
            "5:1: found the key \"a\" again, which line 1 has already",
        ],
    );
}

#[test]
fn keys_are_texts() {
    check(
        "1: a\ntrue: b\nnull: c\n",
        &[json!({"1": "a", "true": "b", "null": "c"})],
        &[],
    );
    check(
        "? [a]\n: 1\n? {b: c}\n: 2\nd: 3\n",
        &[json!({"d": 3})],
        &[
            "1:3: found a list as a key, allowed a string",
            "3:3: found a mapping as a key, allowed a string",
        ],
    );
}

#[test]
fn tags_say_what_a_scalar_is() {
    check(
        "a: !!str 1\nb: !!int 7\nc: !!float 1\nd: !!seq [1]\ne: ! 5\nf: !!map {}\n",
        &[json!({"a": "1", "b": 7, "c": 1.0, "d": [1], "e": "5", "f": {}})],
        &[],
    );
    let allowed = "allowed !!str, !!int, !!float, !!bool, !!null, !!seq, !!map";
    check(
        "a: !secret x\nb: !!binary eA==\n",
        &[json!({"a": null, "b": null})],
        &[
            &format!("1:4: found the tag !secret, {allowed}"),
            &format!("2:4: found the tag tag:yaml.org,2002:!binary, {allowed}"),
        ],
    );
}

#[test]
fn a_syntax_error_keeps_the_documents_before_it() {
    let stream = read("a: 1\n---\nb: [1\nc: 2\n");
    assert_eq!(stream.roots.len(), 1);
    assert_eq!(stream.problems.len(), 1);
    let problem = &stream.problems[0];
    assert!(
        problem.message.starts_with("is not valid YAML: "),
        "{}",
        problem.message
    );
    assert!(problem.at.line >= 3);
}

#[test]
fn control_characters_are_refused_where_they_are() {
    check(
        "a: 1\nbé: \0\nc: 2\n",
        &[],
        &["2:5: found the control character U+0000, allowed text"],
    );
    check(
        "a: \u{7}",
        &[],
        &["1:4: found the control character U+0007, allowed text"],
    );
}

#[test]
fn an_alias_of_something_unfinished_is_refused() {
    let message = "found an alias of something that is not finished before it";
    check("a: &x [1, *x]\n", &[], &[&format!("1:11: {message}")]);
    check(
        "a: &x 1\n---\nb: *x\n",
        &[json!({"a": 1})],
        &[&format!("3:4: {message}")],
    );
}

#[test]
fn what_aliases_copy_is_bounded() {
    let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..30 {
        let copies = vec![format!("*a{}", level - 1); 10].join(", ");
        laughs.push_str(&format!("a{level}: &a{level} [{copies}]\n"));
    }
    let stream = read(&laughs);
    assert_eq!(stream.problems.len(), 1);
    assert!(
        stream.problems[0]
            .message
            .starts_with("anchors and aliases copy too much")
    );

    let long = format!(
        "a: &a {}\nb: [{}]\n",
        "x".repeat(10_000),
        "*a, ".repeat(1000)
    );
    assert!(
        read(&long).problems[0]
            .message
            .starts_with("anchors and aliases copy too much")
    );
}

#[test]
fn nesting_is_bounded_also_through_aliases() {
    let deep = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(read(&deep(MAX_DEPTH)).problems.is_empty());
    for text in [
        deep(MAX_DEPTH + 1),
        "[".repeat(100_000),
        "{a: ".repeat(100_000),
        "- ".repeat(100_000),
        "? ".repeat(100_000),
        format!("a: &a {}\nb: &b [*a]\nc: [[*b]]\n", deep(MAX_DEPTH - 3)),
    ] {
        let stream = read(&text);
        assert_eq!(stream.problems.len(), 1);
        let found = &stream.problems[0].message;
        let head: String = text.chars().take(20).collect();
        assert!(
            found.starts_with("found lists and mappings nested deeper")
                || found.starts_with("is not valid"),
            "{head}: {found}"
        );
    }
}

/// Text made of the pieces that mean something in YAML.
fn yaml_like() -> impl Strategy<Value = String> {
    let pieces = [
        "a",
        "b: ",
        ": ",
        "- ",
        "? ",
        "\n",
        "\n  ",
        "\n    ",
        "[",
        "]",
        "{",
        "}",
        ", ",
        "&x ",
        "*x ",
        "<<: ",
        "!!str ",
        "!t ",
        "'",
        "\"",
        "|\n",
        ">-\n ",
        "---\n",
        "...\n",
        "%YAML 1.2\n",
        "# c\n",
        "\t",
        "\\",
        "1e9",
        "~",
        "\u{feff}",
        "é",
        "\r\n",
        "%TAG ! x\n",
        "!<",
        "@",
        "`",
        "0x",
        "99999999999999999999",
    ];
    prop::collection::vec(prop::sample::select(pieces.to_vec()), 0..40)
        .prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_text_is_answered(text in any::<String>()) {
        read(&text);
    }

    #[test]
    fn anything_like_yaml_is_answered(text in yaml_like()) {
        read(&text);
    }

    #[test]
    fn what_json_says_is_what_is_read(numbers in prop::collection::vec(any::<i64>(), 0..5), text in "[^\\p{C}]*", float in -1e9..1e9) {
        let value = json!({"n": numbers, "t": text, "f": float, "s": {"x": [[]], "y": null}});
        let stream = read(&value.to_string());
        prop_assert!(stream.problems.is_empty());
        let root = stream.roots.into_iter().next().unwrap();
        prop_assert_eq!(source::split("file".into(), root).0, value);
    }
}
