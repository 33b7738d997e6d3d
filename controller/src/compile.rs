//! From what is asked for and where the rollouts are to the table that requests follow. Pure.

use crate::spec::{
    MirrorSpec, RouteSpec, RouteTarget, ServiceSpec, Spec, SplitSpec, header_route_matches,
    mirror_route_matches,
};
use rollout::plan::{HeaderRoute, MirrorRoute, Revision};
use rollout::state::Slot;
use std::{collections::BTreeMap, sync::Arc};
use traffic::{
    Actions, Arming, Backend, BackendId, CopyRule, Counting, FailureRule, Role, RolloutId, Route,
    RouteTable, Split, SplitRule, Stats, Sticky, Target, Weight, action::Mirror,
    route::NoSuchSplit, split::Side,
};
use xxhash_rust::xxh3::xxh3_64;

/// How a rollout's requests are to be shared.
#[derive(Clone, Debug, PartialEq)]
pub struct Shares {
    /// The slot of the stable version.
    pub stable: Slot,
    /// The stable revision.
    pub stable_revision: Revision,
    /// The revision under judgement; none where nothing may reach a canary.
    pub canary: Option<Revision>,
    /// The canary's weight.
    pub weight: Weight,
    /// The header routes of the rollout's steps.
    pub header_routes: Vec<HeaderRoute>,
    /// The mirror routes of the rollout's steps.
    pub mirror_routes: Vec<MirrorRoute>,
    /// How the proxy is to trip the canary by itself, if it is to.
    pub arming: Option<Arming>,
    /// What counts as a failure for the guard.
    pub rule: FailureRule,
}

/// What a table is made of, beside the shares.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout<'l> {
    /// The Services, by name.
    pub(crate) services: &'l BTreeMap<BackendId, ServiceSpec>,
    /// What goes where.
    pub(crate) routes: &'l [RouteSpec],
    /// What is split, by the rollout's name.
    pub(crate) splits: &'l BTreeMap<&'l RolloutId, &'l SplitSpec>,
}

/// The table for `spec` with the rollouts sharing their requests as `shares` say. A rollout without shares gets all its
/// requests to its first slot.
///
/// # Errors
/// A route leads to a rollout that `spec` does not have.
pub fn compile(
    spec: &Spec,
    shares: &BTreeMap<RolloutId, Shares>,
    stats: &Stats,
) -> Result<RouteTable, NoSuchSplit> {
    let splits = spec.rollouts.iter();
    let layout = Layout {
        services: &spec.services,
        routes: &spec.routes,
        splits: &splits.map(|(id, rollout)| (id, &rollout.split)).collect(),
    };
    table(layout, shares, stats)
}

/// As [`compile`], from what a table is made of.
pub(crate) fn table(
    layout: Layout<'_>,
    shares: &BTreeMap<RolloutId, Shares>,
    stats: &Stats,
) -> Result<RouteTable, NoSuchSplit> {
    let split = |(id, rollout): (&&RolloutId, &&SplitSpec)| {
        split(layout, id, rollout, shares.get(*id), stats)
    };
    let splits: Vec<Split> = layout.splits.iter().map(split).collect();
    let places: BTreeMap<&RolloutId, usize> = layout.splits.keys().copied().zip(0..).collect();
    let place = |rollout: &RolloutId| places.get(rollout).copied().unwrap_or(usize::MAX);
    let target = |target: &RouteTarget| match target {
        RouteTarget::Rollout(rollout) => Target::Split(place(rollout)),
        RouteTarget::Service(service) => Target::Backend(backend(
            layout,
            service,
            &service_series(service),
            Role::Active,
            stats,
        )),
        RouteTarget::Preview(rollout) => preview(layout, rollout, shares.get(rollout), stats)
            .map_or(Target::Split(usize::MAX), Target::Backend),
        RouteTarget::Redirect(redirect) => Target::Redirect(redirect.clone()),
    };
    let route = |route: &RouteSpec| Route {
        name: (&*route.name).into(),
        listeners: route.listeners.clone(),
        hosts: route.hosts.clone(),
        matches: route.matches.clone(),
        target: target(&route.target),
        actions: actions(layout, route, stats),
        state: stats.route(&route.name),
    };
    let routes = layout.routes.iter().map(route).collect();
    RouteTable::new(routes, splits)
}

/// What is done on a route. A mirror is counted as its own Service, and as no version of a rollout.
fn actions(layout: Layout<'_>, route: &RouteSpec, stats: &Stats) -> Arc<Actions> {
    if route.mirrors.is_empty() {
        return Arc::clone(&route.actions);
    }
    let mirrors = route.mirrors.iter();
    Arc::new(Actions {
        mirrors: mirrors
            .map(|written| mirror(layout, written, stats))
            .collect(),
        ..Actions::clone(&route.actions)
    })
}

fn mirror(layout: Layout<'_>, written: &MirrorSpec, stats: &Stats) -> Mirror {
    let (service, counted) = (&written.service, service_series(&written.service));
    Mirror {
        backend: backend(layout, service, &counted, Role::Active, stats),
        share: written.share,
        max_concurrent: written.max_concurrent,
        max_body_bytes: written.max_body_bytes,
    }
}

/// A Service that no rollout splits is counted under its own name, as a rollout whose one version is active.
fn service_series(service: &BackendId) -> RolloutId {
    RolloutId {
        namespace: Arc::clone(&service.namespace),
        name: Arc::clone(&service.name),
    }
}

fn backend(
    layout: Layout<'_>,
    service: &BackendId,
    counted: &RolloutId,
    role: Role,
    stats: &Stats,
) -> Backend {
    let known = layout.services.get(service).cloned().unwrap_or_default();
    Backend {
        id: service.clone(),
        endpoints: known.endpoints,
        policy: known.policy,
        state: stats.backend(service),
        series: stats.series(counted, role),
    }
}

/// The place that the stable version of `rollout` is not in. What is tried out there is counted under the preview
/// Service's name, and is held against no version.
fn preview(
    layout: Layout<'_>,
    rollout: &RolloutId,
    shares: Option<&Shares>,
    stats: &Stats,
) -> Option<Backend> {
    let rollout = layout.splits.get(rollout)?;
    let stable = shares.map_or(Slot::First, |shares| shares.stable);
    let service = rollout.slots.get(stable.other());
    let counted = service_series(rollout.preview.as_ref()?);
    Some(backend(layout, service, &counted, Role::Active, stats))
}

/// How many endpoints `service` has; none where it is not known.
pub(crate) fn endpoints(services: &BTreeMap<BackendId, ServiceSpec>, service: &BackendId) -> usize {
    let known = services.get(service);
    known.map_or(0, |service| service.endpoints.len())
}

fn split(
    layout: Layout<'_>,
    id: &RolloutId,
    rollout: &SplitSpec,
    shares: Option<&Shares>,
    stats: &Stats,
) -> Split {
    let slot = shares.map_or(Slot::First, |shares| shares.stable);
    let version = |slot, role| backend(layout, rollout.slots.get(slot), id, role, stats);
    let canary = shares.and_then(|shares| shares.canary.as_ref());
    let stable = version(slot, Role::Stable);
    // A trip needs somebody to give the traffic to.
    let arming = shares
        .and_then(|shares| shares.arming.as_ref())
        .filter(|_| canary.is_some() && !stable.endpoints.is_empty());
    let salt = salt(id, shares.map(|shares| &shares.stable_revision));
    let counting = shares.map(|shares| Counting {
        salt,
        rule: shares.rule,
    });
    let counted = stats.count_users(id, counting.filter(|_| !rollout.sticky.is_empty()));
    let (mut rules, mut copies) = (Vec::new(), Vec::new());
    if let (Some(shares), true) = (shares, canary.is_some()) {
        rules.extend(shares.header_routes.iter().map(header_rule));
        rules.extend(rollout.rules.iter().cloned());
        let service = rollout.slots.get(slot.other());
        let routes = shares.mirror_routes.iter();
        copies.extend(routes.map(|route| copy_rule(layout, route, service, stats)));
    }
    Split {
        rollout: id.clone(),
        canary: canary.map(|_| version(slot.other(), Role::Canary)),
        stable,
        weight: shares.map_or(Weight::ZERO, |shares| shares.weight),
        rules,
        copies,
        sticky: (!rollout.sticky.is_empty()).then(|| Sticky {
            keys: rollout.sticky.clone(),
            salt,
        }),
        tickets: stats.tickets(id),
        rescue: rollout.rescue,
        armed: stats.arm(id, arming),
        counted: counted.filter(|_| canary.is_none()),
    }
}

/// The same for all proxies and all weights of one canary, and already while stable is alone, so that it is known what the
/// canary's users met before. Another one for the canary of another stable: only who comes after one that failed is met by
/// the same users first.
fn salt(id: &RolloutId, stable: Option<&Revision>) -> u64 {
    let stable = stable.map(Revision::as_str).unwrap_or_default();
    xxh3_64(format!("{id}\n{stable}").as_bytes())
}

fn header_rule(route: &HeaderRoute) -> SplitRule {
    SplitRule {
        name: route.name.as_str().into(),
        matches: header_route_matches(route),
        to: Side::Canary,
    }
}

/// What is sent as a copy is counted as the Service's own, and is held against no version.
fn copy_rule(
    layout: Layout<'_>,
    route: &MirrorRoute,
    service: &BackendId,
    stats: &Stats,
) -> CopyRule {
    let written = MirrorSpec {
        share: route.share,
        ..MirrorSpec::to(service.clone())
    };
    CopyRule {
        matches: mirror_route_matches(route),
        mirror: mirror(layout, &written, stats),
    }
}

#[cfg(test)]
mod tests;
