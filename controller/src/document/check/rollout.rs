//! Rules of the rollout API.

use crds::schema::{self, Node};
use crds::sluice::{PROXY, ProxyOptions};
use crds::{BlueGreen, Canary, FieldPath, Rollout, RolloutSpec};
use serde_json::Value;

use super::{name, options, range, repeated, step};
use crate::document::report::Report;
use crate::document::{Strictness, inert, read_typed};

/// Where the canary strategy is set.
pub(in crate::document) const CANARY: &str = "spec.strategy.canary";
/// Where the blue-green strategy is set.
pub(in crate::document) const BLUE_GREEN: &str = "spec.strategy.blueGreen";
/// Where traffic routing is set.
pub(super) const ROUTING: &str = "spec.strategy.canary.trafficRouting";

/// Checks a Rollout. `document` is what it was read from.
pub(in crate::document) fn rollout(
    rollout: &Rollout,
    document: &Value,
    strictness: Strictness,
    report: &mut Report<'_>,
) {
    name::object(rollout.metadata.name.as_deref(), "metadata.name", report);
    name::optional_object(
        rollout.metadata.namespace.as_deref(),
        "metadata.namespace",
        report,
    );
    template(&rollout.spec, report);
    let strategy = rollout.spec.strategy.as_ref();
    let canary = strategy.and_then(|strategy| strategy.canary.as_ref());
    let blue_green = strategy.and_then(|strategy| strategy.blue_green.as_ref());
    match (canary, blue_green) {
        (None, None) => report.error("spec.strategy", "is missing: one of canary, blueGreen"),
        (Some(_), Some(_)) => report.error(
            "spec.strategy",
            "found canary and blueGreen, allowed exactly one of canary, blueGreen",
        ),
        _ => {}
    }
    if let Some(canary) = canary {
        self::canary(canary, strictness, report);
    }
    if let Some(blue_green) = blue_green {
        switched_services(blue_green, report);
    }
    terms(&rollout.spec, report);
    inert::check(document, report);
}

/// Checks a canary's Services, routing and steps.
pub(in crate::document) fn canary(
    canary: &Canary,
    strictness: Strictness,
    report: &mut Report<'_>,
) {
    services(canary, report);
    routing(canary, strictness, report);
    step::steps(canary, strictness, report);
}

fn template(spec: &RolloutSpec, report: &mut Report<'_>) {
    match (&spec.template, &spec.workload_ref) {
        (None, None) => {
            report.error("spec.template", "is missing: one of template, workloadRef");
        }
        (Some(_), Some(_)) => report.error(
            "spec.workloadRef",
            "found template and workloadRef, allowed exactly one of template, workloadRef",
        ),
        (Some(template), None) if !template.0.is_object() => {
            report.error("spec.template", "allowed a mapping");
        }
        _ => {}
    }
}

/// The numbers of seconds and revisions that act.
fn terms(spec: &RolloutSpec, report: &mut Report<'_>) {
    let strategy = spec.strategy.as_ref();
    let canary = strategy.and_then(|strategy| strategy.canary.as_ref());
    let blue_green = strategy.and_then(|strategy| strategy.blue_green.as_ref());
    let numbers = [
        (
            "spec.progressDeadlineSeconds",
            spec.progress_deadline_seconds,
        ),
        (
            "spec.rollbackWindow.revisions",
            spec.rollback_window.as_ref().and_then(|w| w.revisions),
        ),
        (
            "spec.strategy.canary.scaleDownDelaySeconds",
            canary.and_then(|canary| canary.scale_down_delay_seconds),
        ),
        (
            "spec.strategy.blueGreen.scaleDownDelaySeconds",
            blue_green.and_then(|switch| switch.scale_down_delay_seconds),
        ),
        (
            "spec.strategy.blueGreen.autoPromotionSeconds",
            blue_green.and_then(|switch| switch.auto_promotion_seconds),
        ),
    ];
    for (path, number) in numbers {
        if let Some(found) = number.filter(|number| *number < 0) {
            report.error(path, format!("found {found}, allowed 0 and above"));
        }
    }
}

fn switched_services(switch: &BlueGreen, report: &mut Report<'_>) {
    let pair = [
        ("activeService", Some(switch.active_service.as_str())),
        ("previewService", switch.preview_service.as_deref()),
    ];
    for (field, service) in pair {
        name::optional_object(service, &format!("{BLUE_GREEN}.{field}"), report);
    }
    let given = pair.map(|(field, service)| Some((service?, format!("{BLUE_GREEN}.{field}"))));
    repeated(given.into_iter().flatten(), report);
}

fn services(canary: &Canary, report: &mut Report<'_>) {
    let pair = [
        ("stableService", canary.stable_service.as_deref()),
        ("canaryService", canary.canary_service.as_deref()),
    ];
    for (field, service) in pair {
        name::optional_object(service, &format!("{CANARY}.{field}"), report);
    }
    let Some(ping_pong) = &canary.ping_pong else {
        let given = pair.map(|(field, service)| Some((service?, format!("{CANARY}.{field}"))));
        repeated(given.into_iter().flatten(), report);
        return;
    };
    for (field, service) in pair {
        if service.is_some() {
            let path = format!("{CANARY}.{field}");
            report.warning(
                path,
                "has no effect beside pingPong, whose Services take turns",
            );
        }
    }
    let pair = [
        (
            ping_pong.ping_service.as_str(),
            format!("{CANARY}.pingPong.pingService"),
        ),
        (
            ping_pong.pong_service.as_str(),
            format!("{CANARY}.pingPong.pongService"),
        ),
    ];
    for (service, path) in &pair {
        name::object(Some(service), path, report);
    }
    repeated(pair, report);
}

fn routing(canary: &Canary, strictness: Strictness, report: &mut Report<'_>) {
    let Some(routing) = &canary.traffic_routing else {
        return;
    };
    if let Some(most) = routing.max_traffic_weight
        && most != 100
    {
        let path = format!("{ROUTING}.maxTrafficWeight");
        report.error(
            path,
            format!("found {most}, allowed 100: other scales do not act yet"),
        );
    }
    let routes = routing.managed_routes.iter().enumerate();
    repeated(
        routes.map(|(index, route)| {
            (
                route.name.as_str(),
                format!("{ROUTING}.managedRoutes[{index}].name"),
            )
        }),
        report,
    );
    if let Some(written) = routing.plugins.get(PROXY) {
        own_options(written, strictness, report);
    }
}

/// Reads and checks Sluice's own options.
pub(in crate::document) fn own_options(
    written: &Value,
    strictness: Strictness,
    report: &mut Report<'_>,
) -> Option<ProxyOptions> {
    let path = FieldPath::parse(ROUTING)
        .key("plugins")
        .key(PROXY)
        .to_string();
    let read = read_typed::<ProxyOptions>(written, &path, strictness, report)?;
    range::check(written, Node::root(schema::proxy_options()), &path, report);
    options::options(&read, &path, report);
    Some(read)
}
