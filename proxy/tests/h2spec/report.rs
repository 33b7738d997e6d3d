//! What h2spec says, in the form of a JUnit report.

/// A report.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// How many cases there were.
    pub(crate) cases: usize,
    /// Those that did not pass.
    pub(crate) failures: Vec<Failure>,
}

/// A case that did not pass.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Its section and what it is about.
    pub(crate) case: String,
    /// What was expected, and what came.
    pub(crate) what: String,
}

impl Report {
    /// Reads the XML of a report.
    pub(crate) fn read(xml: &str) -> Self {
        let mut report = Self::default();
        for case in xml.split("<testcase ").skip(1) {
            report.cases += 1;
            let (attributes, content) = case.split_once('>').unwrap_or((case, ""));
            let content = content.split("</testcase>").next().unwrap_or_default();
            if content.contains("<failure") || content.contains("<error") {
                let (package, title) =
                    (value(attributes, "package"), value(attributes, "classname"));
                report.failures.push(Failure {
                    case: format!("{package}: {title}"),
                    what: content.split_whitespace().collect::<Vec<_>>().join(" "),
                });
            }
        }
        report
    }
}

/// The value of an attribute.
fn value(attributes: &str, name: &str) -> String {
    let value = attributes.split(&format!("{name}=\"")).nth(1);
    let value = value.and_then(|value| value.split('"').next());
    value
        .unwrap_or_default()
        .replace("&#39;", "'")
        .replace("&#34;", "\"")
}
