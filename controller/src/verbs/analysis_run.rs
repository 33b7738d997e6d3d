//! An AnalysisRun of an AnalysisTemplate or a ClusterAnalysisTemplate.

use std::str::FromStr;

use crds::analysis_template::{AnalysisTemplateSpec, TemplateArgument};
use crds::{AnalysisRun, AnalysisTemplate, ClusterAnalysisTemplate, Rollout};
use serde::Deserialize as _;
use serde_json::{Map, Value, json};

/// A value for an argument of a template, written `NAME=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArgumentValue {
    /// The argument's name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// A text that says no value for an argument.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("found {0:?}, allowed NAME=VALUE")]
pub struct NoArgumentValue(String);

impl FromStr for ArgumentValue {
    type Err = NoArgumentValue;

    fn from_str(text: &str) -> Result<Self, NoArgumentValue> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok(Self {
                name: name.to_owned(),
                value: value.to_owned(),
            }),
            _ => Err(NoArgumentValue(text.to_owned())),
        }
    }
}

/// How an AnalysisRun is to be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunName {
    /// This.
    Is(String),
    /// This, with something behind it that the API server chooses.
    Begins(String),
    /// As its template, with something behind it that the API server chooses.
    OfTemplate,
}

/// The AnalysisRun that measures what `template` says, with these values for its arguments.
///
/// # Errors
/// It is no template, or one that needs others; an argument is not known, or has no value: which, and what is allowed.
pub fn analysis_run(
    template: &Value,
    values: &[ArgumentValue],
    name: RunName,
) -> Result<Value, String> {
    let spec = spec_of(template)?;
    let args = filled(spec.args, values)?;
    let mut run = template["spec"].clone();
    if let Some(fields) = run.as_object_mut() {
        fields.remove("templates");
        match args.as_slice() {
            [] => fields.remove("args"),
            args => fields.insert("args".to_owned(), json!(args)),
        };
    }
    let mut metadata = Map::new();
    let (field, name) = match name {
        RunName::Is(name) => ("name", name),
        RunName::Begins(start) => ("generateName", start),
        RunName::OfTemplate => match template["metadata"]["name"].as_str() {
            Some(name) if !name.is_empty() => ("generateName", format!("{name}-")),
            _ => {
                return Err(
                    "it has no metadata.name, so that --name or --generate-name is needed"
                        .to_owned(),
                );
            }
        },
    };
    metadata.insert(field.to_owned(), name.into());
    if let Some(labels) = template["metadata"].get("labels") {
        metadata.insert("labels".to_owned(), labels.clone());
    }
    Ok(json!({
        "apiVersion": Rollout::API_VERSION,
        "kind": AnalysisRun::KIND,
        "metadata": metadata,
        "spec": run,
    }))
}

fn spec_of(template: &Value) -> Result<AnalysisTemplateSpec, String> {
    let kinds = [AnalysisTemplate::KIND, ClusterAnalysisTemplate::KIND];
    let kind = template["kind"].as_str().unwrap_or_default();
    if template["apiVersion"] != Rollout::API_VERSION || !kinds.contains(&kind) {
        return Err(format!(
            "kind: found {kind:?} of {}, allowed {} of {:?}",
            template["apiVersion"],
            kinds.join(" and "),
            Rollout::API_VERSION
        ));
    }
    let spec = AnalysisTemplateSpec::deserialize(&template["spec"])
        .map_err(|error| format!("spec: cannot be read: {error}"))?;
    match spec.templates.len() {
        0 => Ok(spec),
        count => Err(format!(
            "spec.templates: found {count} other templates, allowed none: an AnalysisRun has metrics only, and those of \
             other templates would be left out"
        )),
    }
}

/// The arguments with their values. A template that names none takes all.
fn filled(
    mut args: Vec<TemplateArgument>,
    values: &[ArgumentValue],
) -> Result<Vec<TemplateArgument>, String> {
    let takes_all = args.is_empty();
    for ArgumentValue { name, value } in values {
        let value = Some(value.clone());
        match args.iter_mut().find(|arg| arg.name == *name) {
            Some(arg) => (arg.value, arg.value_from) = (value, None),
            None if takes_all => args.push(TemplateArgument {
                name: name.clone(),
                value,
                value_from: None,
            }),
            None => {
                let names: Vec<_> = args.iter().map(|arg| &*arg.name).collect();
                let names = names.join(", ");
                return Err(format!("argument {name:?} is none of its: {names}"));
            }
        }
    }
    let mut lacking = args.iter();
    match lacking.find(|arg| arg.value.is_none() && arg.value_from.is_none()) {
        Some(arg) => Err(format!(
            "argument {:?} has no value; give it one by -a {}=VALUE",
            arg.name, arg.name
        )),
        None => Ok(args),
    }
}

#[cfg(test)]
mod tests {
    use super::{ArgumentValue, RunName, analysis_run};
    use serde_json::{Value, json};

    fn template(kind: &str, spec: &Value) -> Value {
        let labels = json!({"team": "web"});
        json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": kind, "spec": spec,
            "metadata": {"name": "rate", "labels": labels, "resourceVersion": "7", "uid": "u", "namespace": "prod"},
        })
    }

    fn run(template: &Value, values: &[&str], name: RunName) -> Result<Value, String> {
        let values: Vec<ArgumentValue> = values.iter().map(|text| text.parse().unwrap()).collect();
        analysis_run(template, &values, name)
    }

    #[test]
    fn a_run_measures_what_its_template_says() {
        let secret = json!({"secretKeyRef": {"name": "s", "key": "k"}});
        let spec = json!({
            "args": [{"name": "host"}, {"name": "least", "value": "1"}, {"name": "key", "valueFrom": secret}],
            "metrics": [{"name": "m", "own": 1, "provider": {"web": {"url": "http://{{args.host}}"}}}],
        });
        let made = run(
            &template("AnalysisTemplate", &spec),
            &["host=a=b", "least=2"],
            RunName::OfTemplate,
        );
        let mut expected = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisRun", "spec": spec,
            "metadata": {"generateName": "rate-", "labels": {"team": "web"}},
        });
        expected["spec"]["args"] = json!([
            {"name": "host", "value": "a=b"}, {"name": "least", "value": "2"}, {"name": "key", "valueFrom": secret},
        ]);
        assert_eq!(made, Ok(expected));
        let bare = template("ClusterAnalysisTemplate", &json!({"metrics": []}));
        let named = run(&bare, &["any=1"], RunName::Is("one".to_owned())).unwrap();
        assert_eq!(named["metadata"]["name"], "one");
        assert_eq!(
            named["spec"]["args"],
            json!([{"name": "any", "value": "1"}])
        );
        let begins = run(&bare, &[], RunName::Begins("two-".to_owned())).unwrap();
        assert_eq!(begins["metadata"]["generateName"], "two-");
        assert_eq!(begins["spec"], json!({"metrics": []}));
    }

    #[test]
    fn what_no_run_can_be_made_of_is_named() {
        let check = |template: &Value, values: &[&str], why: &str| {
            let made = run(template, values, RunName::OfTemplate);
            assert!(
                made.as_ref().is_err_and(|said| said.starts_with(why)),
                "{made:?}"
            );
        };
        let args = json!({"metrics": [], "args": [{"name": "host"}]});
        let wants = template("AnalysisTemplate", &args);
        check(
            &wants,
            &[],
            "argument \"host\" has no value; give it one by -a host=VALUE",
        );
        check(
            &wants,
            &["hots=a"],
            "argument \"hots\" is none of its: host",
        );
        check(&template("Rollout", &args), &[], "kind: found \"Rollout\"");
        let nested = json!({"metrics": [], "templates": [{"templateName": "other"}]});
        check(
            &template("AnalysisTemplate", &nested),
            &[],
            "spec.templates: found 1 other",
        );
        let nameless =
            json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate", "spec": {}});
        check(&nameless, &[], "it has no metadata.name");
        let wrong = template("AnalysisTemplate", &json!({"metrics": 1}));
        check(&wrong, &[], "spec: cannot be read: ");
        assert_eq!(
            "host".parse::<ArgumentValue>().unwrap_err().to_string(),
            "found \"host\", allowed NAME=VALUE"
        );
    }
}
