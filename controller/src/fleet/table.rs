//! From what a proxy sees of a cluster to the table that requests follow. Pure.
//!
//! Requests for a Rollout's stable Service are split as its status says, where Sluice's own options ask for that; with
//! `pingPong` the status also says which Service that is. All other Services that Rollouts name get what is asked for by
//! their names.

mod asked;
mod claims;
mod endpoints;
mod memory;
mod shared;
mod trial;
mod versions;

pub use claims::Names;

use super::{Split, seen::Seen};
use crate::{
    compile::{self, Layout, Shares},
    spec::{Fault, RouteSpec, RouteTarget, ServiceSpec, SplitSpec},
};
use asked::Asked;
use claims::Claims;
use crds::{FieldPath, Rollout};
use shared::Shared;
use std::{collections::BTreeMap, fmt, sync::Arc};
use traffic::{
    BackendId, RolloutId, RouteTable, Stats,
    matches::{HostMatch, RequestMatch},
    route::NoSuchSplit,
};
use trial::Trial;
use versions::Side;

/// What a table is to be, and what is to be told.
#[derive(Clone, Debug, Default)]
pub struct Outline {
    services: BTreeMap<BackendId, ServiceSpec>,
    routes: Vec<RouteSpec>,
    rollouts: BTreeMap<RolloutId, Outlined>,
    findings: Vec<Finding>,
}

/// A Rollout whose requests are split.
#[derive(Clone, Debug)]
struct Outlined {
    spec: SplitSpec,
    shared: Shared,
    /// The stable Service has endpoints of other versions only, and the canary's has none of the stable version.
    is_stable_lost: bool,
}

impl Outlined {
    /// The Service of stable.
    fn stable(&self) -> &BackendId {
        self.spec.slots.get(self.shared.shares.stable)
    }

    /// The Service of the canary.
    fn canary(&self) -> &BackendId {
        self.spec.slots.get(self.shared.shares.stable.other())
    }
}

/// Something in a Rollout that a proxy cannot act on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Which Rollout.
    pub rollout: RolloutId,
    /// The field.
    pub path: String,
    /// What was found, and what is allowed or what follows from it.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            rollout,
            path,
            message,
        } = self;
        write!(f, "Rollout {rollout}: {path}: {message}")
    }
}

/// How a Rollout's requests are shared by an [`Outline`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Sharing<'o> {
    /// All that decides it.
    pub(super) shares: &'o Shares,
    /// What is told of it.
    pub(super) split: Option<&'o Split>,
    /// The canary that the status tries out, if it does.
    pub(super) trial: Option<&'o Trial>,
}

impl Outline {
    /// What follows from what was `seen`. Of two Rollouts that ask for the same, the older one has it.
    pub fn of(seen: &Seen, names: &Names) -> Self {
        let mut rollouts: Vec<&Rollout> = seen.rollouts.iter().map(AsRef::as_ref).collect();
        rollouts.sort_by_key(|rollout| {
            let meta = &rollout.metadata;
            (&meta.creation_timestamp, &meta.namespace, &meta.name)
        });
        let mut outline = Self::default();
        let mut claims = Claims::default();
        let mut all = Vec::with_capacity(rollouts.len());
        for rollout in rollouts {
            let mut faults = Vec::new();
            let asked = Asked::read(rollout, &mut faults);
            let services = claims.services(&asked, names, &mut faults);
            all.push((rollout, asked, services, faults));
        }
        // Hosts that Services have by their names are nobody else's, however young their Rollout is.
        for (rollout, asked, services, mut faults) in all {
            let hosts = claims.hosts(&asked, &mut faults);
            outline.add_services(&asked, &services, seen, &mut faults);
            outline.add_split(rollout, &asked, &services, seen, &mut faults);
            outline.add_routes(&asked, &services, &hosts, names);
            outline.tell(&asked.id, faults);
        }
        outline
    }

    /// What cannot be acted on.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Takes over from `older` the values that say the same, so that they stay the same values.
    pub(super) fn share(&mut self, older: &Self) {
        for (id, service) in &mut self.services {
            if let Some(older) = older.services.get(id) {
                service.share(older);
            }
        }
    }

    /// The table, which counts into `stats`. `trial_of` gives the number of a Rollout's present trial.
    pub(super) fn compile(
        &self,
        stats: &Stats,
        trial_of: impl Fn(&RolloutId) -> u64,
    ) -> Result<RouteTable, NoSuchSplit> {
        let rollouts = self.rollouts.iter();
        let layout = Layout {
            services: &self.services,
            routes: &self.routes,
            splits: &rollouts
                .map(|(id, outlined)| (id, &outlined.spec))
                .collect(),
        };
        let shares = self.sharing().map(|(id, sharing)| {
            let trial = sharing.trial;
            let shares = Shares {
                arming: trial.and_then(|trial| trial.arming(trial_of(id))),
                ..sharing.shares.clone()
            };
            (id.clone(), shares)
        });
        compile::table(layout, &shares.collect(), stats)
    }

    /// How the requests of each Rollout are shared that are split.
    pub(super) fn sharing(&self) -> impl Iterator<Item = (&RolloutId, Sharing<'_>)> {
        self.rollouts.iter().map(|(id, outlined)| {
            let sharing = Sharing {
                shares: &outlined.shared.shares,
                split: outlined.shared.split.as_ref(),
                trial: outlined.shared.trial.as_ref(),
            };
            (id, sharing)
        })
    }

    /// Whether requests of the Rollout `id` are split.
    pub(super) fn splits(&self, id: &RolloutId) -> bool {
        self.rollouts.contains_key(id)
    }

    /// Whether requests are sent to the Service `id`.
    pub(super) fn has_service(&self, id: &BackendId) -> bool {
        self.services.contains_key(id)
    }

    /// Whether there is a route of that name: those of Services are called as these are.
    pub(super) fn has_route(&self, name: &str) -> bool {
        let (namespace, name) = name.split_once('/').unwrap_or_default();
        self.has_service(&BackendId::new(namespace, name))
    }

    fn add_services(
        &mut self,
        asked: &Asked,
        services: &[BackendId],
        seen: &Seen,
        faults: &mut Vec<Fault>,
    ) {
        let mut lacks = |id: &BackendId, what: &str| {
            let mut named = asked.services.iter();
            let at = named.find(|(_, named)| named == id);
            faults.extend(at.map(|(at, _)| (at.clone(), format!("found {:?}, {what}", id.name))));
        };
        for id in services {
            let found = match seen.services.get(id) {
                None => {
                    lacks(id, "and there is no Service of that name");
                    ServiceSpec::default()
                }
                Some(service) if service.ports.is_empty() => {
                    lacks(id, "a Service without a port of TCP");
                    ServiceSpec::default()
                }
                Some(service) => {
                    let slices = seen.slices.get(id).map_or(&[][..], Vec::as_slice);
                    endpoints::endpoints(service, slices)
                }
            };
            self.services.insert(id.clone(), found);
        }
    }

    /// Only who has both Services splits what is asked for at them. What is known of their endpoints counts there: a canary that
    /// has none of its own yet gets nothing, and stable has those that are its own already.
    fn add_split(
        &mut self,
        rollout: &Rollout,
        asked: &Asked,
        services: &[BackendId],
        seen: &Seen,
        faults: &mut Vec<Fault>,
    ) {
        let Some(split) = &asked.split else {
            return;
        };
        let slots = &split.spec.slots;
        if ![&slots.first, &slots.second]
            .into_iter()
            .all(|slot| services.contains(slot))
        {
            return;
        }
        let stable = shared::stable_slot(rollout, split);
        let (of_stable, of_canary) = (slots.get(stable), slots.get(stable.other()));
        let side = |service| Side::of(seen, service, &asked.id.name);
        let mut own = None;
        let has_endpoints = |tried: &Split| {
            own = side(of_canary).and_then(|canary| canary.without_others(&tried.canary));
            own.is_some()
        };
        let shared = shared::shared(rollout, split, has_endpoints, faults);
        let mut is_stable_lost = false;
        if let (Some(stable), Some(canary), Some(split)) =
            (side(of_stable), side(of_canary), &shared.split)
            && stable.without_others(&split.stable).is_none()
        {
            if let Some(found) = canary.only_of(&split.stable) {
                self.services.insert(of_stable.clone(), found);
            } else {
                is_stable_lost = stable.has_only_others(&split.stable);
            }
        }
        if let Some(own) = own {
            self.services.insert(of_canary.clone(), own);
        }
        let outlined = Outlined {
            spec: SplitSpec {
                preview: Some(of_canary.clone()),
                ..split.spec.clone()
            },
            shared,
            is_stable_lost,
        };
        self.rollouts.insert(asked.id.clone(), outlined);
    }

    fn add_routes(
        &mut self,
        asked: &Asked,
        services: &[BackendId],
        hosts: &[String],
        names: &Names,
    ) {
        let lasting = asked
            .split
            .as_ref()
            .and_then(|split| split.lasting.as_ref());
        let outlined = self.rollouts.get(&asked.id);
        let sides = outlined.map(|outlined| (outlined.stable(), outlined.canary()));
        for service in services {
            let mut asked_for = names.of(service);
            let target = match sides {
                Some((stable, _)) if stable == service => {
                    asked_for.extend_from_slice(hosts);
                    RouteTarget::Rollout(asked.id.clone())
                }
                Some((_, canary)) if canary == service => RouteTarget::Preview(asked.id.clone()),
                Some(_) if lasting == Some(service) => RouteTarget::Rollout(asked.id.clone()),
                _ => RouteTarget::Service(service.clone()),
            };
            self.routes.push(RouteSpec {
                name: service.to_string().into(),
                listeners: Vec::new(),
                hosts: asked_for
                    .iter()
                    .map(|host| HostMatch::parse(host))
                    .collect(),
                matches: vec![RequestMatch::any()],
                target,
                actions: Arc::default(),
                mirrors: Vec::new(),
            });
        }
    }

    fn tell(&mut self, rollout: &RolloutId, faults: Vec<Fault>) {
        let finding = |(path, message): (FieldPath, String)| Finding {
            rollout: rollout.clone(),
            path: path.to_string(),
            message,
        };
        self.findings.extend(faults.into_iter().map(finding));
    }
}

#[cfg(test)]
mod tests;
