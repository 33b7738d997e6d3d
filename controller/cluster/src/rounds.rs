//! The turns of one Rollout, one after the other, until nothing is left to write.

use crate::{
    TurnFn,
    announce::Announcer,
    api::{Failure, Server},
    key::Key,
    objects::{self, POD_HASH, Read, WorkloadKind},
    shared::Shared,
    view::Scene,
    watch::Scope,
    writes::{self, Next, Writer},
};
use controller::reconcile::{Pod, Turn, World, Write};
use jiff::Timestamp;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// More turns in a row than any Rollout needs.
const ROUNDS: usize = 32;

/// What the Rollouts' turns need.
#[derive(Clone)]
pub(crate) struct Rounds {
    pub(crate) turn: TurnFn,
    pub(crate) server: Server,
    pub(crate) shared: Arc<Shared>,
    pub(crate) announcer: Announcer,
    pub(crate) scope: Scope,
}

/// Why a Rollout has to be tried again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// A write failed.
    #[error("cannot {what}: {why}")]
    Write {
        /// What was to be written.
        what: String,
        /// Why it was not.
        why: Failure,
    },
    /// Something could not be read.
    #[error("cannot read {what}: {why}")]
    Read {
        /// What was to be read.
        what: String,
        /// Why it was not.
        why: Failure,
    },
    /// Its turns go on for ever.
    #[error("{ROUNDS} turns in a row had something to write")]
    Endless,
}

impl Rounds {
    /// Takes turns until nothing is left to write. Returns when to look again by itself.
    pub(crate) async fn take(&self, key: &Key) -> Result<Option<Timestamp>, Trouble> {
        for _ in 0..ROUNDS {
            let scene = self.shared.view().scene(key);
            let Some(mut scene) = scene else {
                return self.release_services(key).await.map(|()| None);
            };
            let Some(traffic) = self.shared.fleet.traffic(key, &scene.world.rollout) else {
                // It is woken when its proxies have been asked for the first time.
                return Ok(None);
            };
            scene.world.traffic = traffic;
            self.read_workload(key, &mut scene).await?;
            let turn = self.turn(key, &mut scene).await?;
            if self.write(key, scene, turn.writes).await? == Rest::Settled {
                return Ok(turn.wake_at);
            }
        }
        Err(Trouble::Endless)
    }

    /// Has the Services of a Rollout that is gone lead to all pods again: those of its versions go with it, and what comes
    /// after it may have others.
    async fn release_services(&self, key: &Key) -> Result<(), Trouble> {
        let left = self.shared.view().left_behind(key);
        if left.is_empty() {
            return Ok(());
        }
        // One that another instance looks after is not seen here.
        let found = self.server.get::<Read>(key).await;
        let found = found.map_err(|why| Trouble::Read {
            what: format!("Rollout {key}"),
            why,
        })?;
        if found.is_none() {
            for (service, seen) in left {
                writes::release(self, &service, &seen).await?;
            }
        }
        Ok(())
    }

    async fn read_workload(&self, key: &Key, scene: &mut Scene) -> Result<(), Trouble> {
        let Some((source, workload)) = WorkloadKind::of(&scene.world.rollout, key) else {
            return Ok(());
        };
        let read = self.server.workload(source, &workload).await;
        scene.workload = read.map_err(|why| Trouble::Read {
            what: format!("{} {workload}", source.name()),
            why,
        })?;
        let read = scene.workload.as_ref();
        scene.world.workload = read.map(|read| Arc::new(read.value.clone()));
        Ok(())
    }

    /// What a turn wants, which may want to see more first.
    async fn turn(&self, key: &Key, scene: &mut Scene) -> Result<Turn, Trouble> {
        let mut turn = (self.turn)(&scene.world, Timestamp::now());
        if turn.needs_likeness {
            scene.world.likeness = Some(self.likeness(key, &scene.world).await?);
            turn = (self.turn)(&scene.world, Timestamp::now());
        }
        let only_tells = turn
            .writes
            .iter()
            .all(|write| matches!(write, Write::Event(_)));
        if !turn.needs_pods || !only_tells {
            return Ok(turn);
        }
        scene.world.pods = Some(self.pods(key, &scene.world).await?);
        Ok((self.turn)(&scene.world, Timestamp::now()))
    }

    /// What the ReplicaSets' pod templates are like, by their names.
    async fn likeness(
        &self,
        key: &Key,
        world: &World,
    ) -> Result<BTreeMap<String, String>, Trouble> {
        let mut alike = BTreeMap::new();
        for set in &world.replica_sets {
            let key = key.beside(&set.name);
            let read = self
                .server
                .likeness(&key)
                .await
                .map_err(|why| Trouble::Read {
                    what: format!("ReplicaSet {key}"),
                    why,
                })?;
            alike.extend(read.map(|read| (set.name.clone(), read)));
        }
        Ok(alike)
    }

    /// The pods of the ReplicaSets.
    async fn pods(&self, key: &Key, world: &World) -> Result<Vec<Pod>, Trouble> {
        let sets = || world.replica_sets.iter();
        let hashes: BTreeSet<&str> = sets()
            .filter_map(|set| set.labels.get(POD_HASH))
            .map(String::as_str)
            .collect();
        if hashes.is_empty() {
            return Ok(Vec::new());
        }
        let hashes: Vec<&str> = hashes.into_iter().collect();
        let labels = format!("{POD_HASH} in ({})", hashes.join(","));
        let listed = self.server.pods(&key.namespace, &labels).await;
        let listed = listed.map_err(|why| Trouble::Read {
            what: format!("pods with {labels}"),
            why,
        })?;
        let uids = sets().map(|set| set.uid.as_str()).collect();
        Ok(objects::pods(listed, &uids))
    }

    async fn write(&self, key: &Key, scene: Scene, writes: Vec<Write>) -> Result<Rest, Trouble> {
        let mut writer = Writer::new(self, key, scene);
        let mut rest = Rest::Settled;
        for write in writes {
            // What follows from an eviction shows in time; the turn has said when to look.
            let is_act = match write {
                Write::Event(event) => {
                    self.announcer.announce(key, writer.uid(), event);
                    continue;
                }
                Write::EvictPod { .. } => false,
                _ => true,
            };
            let next = writer.write(write).await?;
            if is_act || next == Next::TurnAgain {
                rest = Rest::TurnAgain;
            }
            if next == Next::TurnAgain {
                break;
            }
        }
        Ok(rest)
    }
}

/// Whether a Rollout has come to rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    Settled,
    TurnAgain,
}
