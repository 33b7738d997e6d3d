//! Rules of a canary's steps.

use crds::schema::{self, Node};
use crds::sluice::{EVIDENCE, Evidence};
use crds::step::{PluginStep, SetHeaderRoute, SetMirrorRoute, StepAction};
use crds::{Canary, CanaryStep, FieldPath};
use serde_json::{Value, json};

use super::rollout::{CANARY, ROUTING};
use super::{condition, evidence, name, range};
use crate::document::report::Report;
use crate::document::{Strictness, read_typed};

pub(super) fn steps(canary: &Canary, strictness: Strictness, report: &mut Report<'_>) {
    let routing = canary.traffic_routing.as_ref();
    let routes: Vec<&str> = routing
        .into_iter()
        .flat_map(|routing| &routing.managed_routes)
        .map(|route| route.name.as_str())
        .collect();
    let most = routing
        .and_then(|routing| routing.max_traffic_weight)
        .unwrap_or(100);
    for (index, written) in canary.steps.iter().enumerate() {
        let path = format!("{CANARY}.steps[{index}]");
        match written.action() {
            Err(error) => report.error(&path, error.to_string()),
            Ok(StepAction::Plugin(plugin)) => self::plugin(plugin, &path, strictness, report),
            Ok(_) => {}
        }
        step(written, &path, most, &routes, report);
    }
}

/// Checks each field that is set, so that all is told of a step that sets too many.
fn step(step: &CanaryStep, path: &str, most: i32, routes: &[&str], report: &mut Report<'_>) {
    if let Some(weight) = step.set_weight
        && !(0..=most).contains(&weight)
    {
        let path = format!("{path}.setWeight");
        report.error(path, format!("found {weight}, allowed 0 to {most}"));
    }
    if let Some(Err(error)) = step.pause.as_ref().map(|pause| pause.duration()) {
        report.error(format!("{path}.pause.duration"), error.to_string());
    }
    if let Some(route) = &step.set_header_route {
        let path = format!("{path}.setHeaderRoute");
        managed(route.name.as_deref(), &path, routes, report);
        header_route(route, &path, report);
    }
    if let Some(route) = &step.set_mirror_route {
        let path = format!("{path}.setMirrorRoute");
        managed(Some(&route.name), &path, routes, report);
        mirror_route(route, &path, report);
    }
}

/// Checks the name of a route that a step sets.
fn managed(name: Option<&str>, path: &str, routes: &[&str], report: &mut Report<'_>) {
    match name {
        None => report.error(format!("{path}.name"), "is missing"),
        Some(name) if !routes.contains(&name) => {
            let allowed = match routes {
                [] => format!("a name of {ROUTING}.managedRoutes, which has none"),
                _ => format!("a name of {ROUTING}.managedRoutes: {}", routes.join(", ")),
            };
            report.error(
                format!("{path}.name"),
                format!("found {name:?}, allowed {allowed}"),
            );
        }
        Some(_) => {}
    }
}

fn header_route(route: &SetHeaderRoute, path: &str, report: &mut Report<'_>) {
    for (index, matched) in route.matches.iter().enumerate() {
        let path = format!("{path}.match[{index}]");
        name::token(&matched.header_name, format!("{path}.headerName"), report);
        let value = matched.header_value.as_ref();
        condition::string_match(value, &format!("{path}.headerValue"), report);
    }
}

fn mirror_route(route: &SetMirrorRoute, path: &str, report: &mut Report<'_>) {
    if let Some(percent) = route.percentage
        && !(0..=100).contains(&percent)
    {
        let path = format!("{path}.percentage");
        report.error(path, format!("found {percent}, allowed 0 to 100"));
    }
    for (index, matched) in route.matches.iter().enumerate() {
        let path = format!("{path}.match[{index}]");
        let texts = [("method", &matched.method), ("path", &matched.path)];
        for (field, text) in texts {
            if text.is_some() {
                condition::string_match(text.as_ref(), &format!("{path}.{field}"), report);
            }
        }
        for (name, value) in &matched.headers {
            let path = FieldPath::parse(&path).key("headers").key(name).to_string();
            name::token(name, path.clone(), report);
            condition::string_match(Some(value), &path, report);
        }
    }
}

fn plugin(plugin: &PluginStep, path: &str, strictness: Strictness, report: &mut Report<'_>) {
    if plugin.name != EVIDENCE {
        let found = &plugin.name;
        let path = format!("{path}.plugin.name");
        report.error(
            path,
            format!("found {found:?}, allowed {EVIDENCE}: no other plugin acts here"),
        );
        return;
    }
    let path = format!("{path}.plugin.config");
    let absent = json!({});
    let config = plugin
        .config
        .as_ref()
        .filter(|config| **config != Value::Null);
    let config = config.unwrap_or(&absent);
    if let Some(read) = read_typed::<Evidence>(config, &path, strictness, report) {
        range::check(config, Node::root(schema::evidence()), &path, report);
        evidence::evidence(&read, &path, report);
    }
}
