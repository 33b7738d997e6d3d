//! Making the writes of one turn: each only if its object is still as the turn saw it. What comes of it is known at once.

mod wording;

use crate::{
    api::Failure,
    key::Key,
    mirror::Source,
    objects::{self, Kind, Owned, Read, WorkloadKind},
    rounds::{Rounds, Trouble},
    view::{Scene, State, Viewed},
};
use controller::reconcile::{self, Service, Write};
use crds::Rollout;
use jiff::Timestamp;
use serde_json::Value;
use std::sync::Arc;
pub(crate) use wording::wording;

/// The status is a thing of its own to the API server, unless its definition of Rollouts is very old.
const STATUS: &str = "status";

/// Whether the writes of a turn may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// It was written.
    GoOn,
    /// It was not, which is no failure.
    Refused,
    /// Something is not as the turn saw it. What there is now is known.
    TurnAgain,
}

/// The writes of one turn.
pub(crate) struct Writer<'a> {
    rounds: &'a Rounds,
    key: &'a Key,
    /// What the turn saw, and the states that its own writes led to.
    scene: Scene,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(rounds: &'a Rounds, key: &'a Key, scene: Scene) -> Self {
        Self { rounds, key, scene }
    }

    fn rollout(&self) -> &Rollout {
        &self.scene.world.rollout
    }

    /// The identity of the Rollout that the turn is about.
    pub(crate) fn uid(&self) -> &Arc<str> {
        &self.scene.rollout.uid
    }

    /// Makes one write.
    pub(crate) async fn write(&mut self, write: Write) -> Result<Next, Trouble> {
        let what = wording(&write);
        match self.make(write).await {
            Ok(next) => {
                match next {
                    Next::GoOn => tracing::info!(rollout = %self.key, "{what}"),
                    Next::Refused => tracing::debug!(rollout = %self.key, "refused: {what}"),
                    Next::TurnAgain => {
                        tracing::debug!(rollout = %self.key, "not as it was seen: {what}")
                    }
                }
                Ok(next)
            }
            Err(why) => Err(Trouble::Write { what, why }),
        }
    }

    async fn make(&mut self, write: Write) -> Result<Next, Failure> {
        match write {
            Write::CreateReplicaSet { object } => self.create_replica_set(object).await,
            Write::PatchReplicaSet { name, patch } => {
                let seen = found(self.scene.replica_sets.get(&name), Owned::NAME, &name)?;
                self.patch::<Owned>(self.key.beside(&name), &seen, patch)
                    .await
            }
            Write::DeleteReplicaSet { name, uid } => self.delete_replica_set(&name, &uid).await,
            Write::PatchService { name, patch } => {
                let seen = found(self.scene.services.get(&name), Arc::<Service>::NAME, &name)?;
                self.patch::<Arc<Service>>(self.key.beside(&name), &seen, patch)
                    .await
            }
            Write::PatchPod { name, patch } => {
                let namespace = &self.key.namespace;
                let written = self.rounds.server.patch_pod(namespace, &name, &patch).await;
                let is_fine = |failure: &Failure| failure.is_not_found();
                written.or_else(|why| if is_fine(&why) { Ok(()) } else { Err(why) })?;
                Ok(Next::GoOn)
            }
            Write::EvictPod { name } => self.evict(&name).await,
            Write::ScaleWorkload { replicas } => self.scale_workload(replicas).await,
            Write::PatchRollout { patch } => {
                let seen = self.scene.rollout.clone();
                self.patch::<Read>(self.key.clone(), &seen, patch).await
            }
            Write::PatchStatus { patch } => self.patch_status(patch).await,
            Write::Event(_) => Ok(Next::GoOn),
        }
    }

    async fn create_replica_set(&mut self, mut object: Value) -> Result<Next, Failure> {
        object["metadata"]["namespace"] = (*self.key.namespace).into();
        let server = &self.rounds.server;
        match server.create::<Owned>(&self.key.namespace, &object).await {
            Ok(made) => {
                self.note::<Owned>(made);
                Ok(Next::GoOn)
            }
            Err(failure) if failure.is_taken() => {
                let name = object["metadata"]["name"].as_str().unwrap_or_default();
                self.meet(&self.key.beside(name), &object["spec"]["replicas"])
                    .await
            }
            Err(failure) => {
                if failure.is_answer() {
                    self.tell_not_created(&failure).await?;
                }
                Err(failure)
            }
        }
    }

    /// Tells people, by the Rollout, that its new ReplicaSet was refused.
    async fn tell_not_created(&mut self, why: &Failure) -> Result<(), Failure> {
        let told = reconcile::not_created(&self.scene.world, &why.to_string(), Timestamp::now());
        for write in told {
            match write {
                Write::PatchStatus { patch } => {
                    self.patch_status(patch).await?;
                }
                Write::Event(event) => {
                    let announcer = &self.rounds.announcer;
                    announcer.announce(self.key, self.uid(), event);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The name of a new ReplicaSet is taken. By one that we made, and did not yet know of, or by somebody else's.
    /// One of ours may have been made for another size of the Rollout than the `wanted` one, and then nothing of what was to
    /// follow is true.
    async fn meet(&mut self, key: &Key, wanted: &Value) -> Result<Next, Failure> {
        let Some(object) = self.rounds.server.get::<Owned>(key).await? else {
            return Ok(Next::TurnAgain);
        };
        let owned = objects::see::<Owned>(object.clone(), &self.rounds.scope);
        if let Ok((_, Some(owned))) = owned
            && owned.owner_uid == self.scene.rollout.uid
        {
            self.note::<Owned>(object);
            return Ok(match *wanted == owned.replica_set.wanted {
                true => Next::GoOn,
                false => Next::TurnAgain,
            });
        }
        if let Write::PatchStatus { patch } = reconcile::collided(self.rollout()) {
            self.patch_status(patch).await?;
        }
        Ok(Next::TurnAgain)
    }

    async fn delete_replica_set(&mut self, name: &str, uid: &str) -> Result<Next, Failure> {
        let seen = found(self.scene.replica_sets.get(name), Owned::NAME, name)?;
        if *seen.uid != *uid {
            return Ok(Next::TurnAgain);
        }
        let key = self.key.beside(name);
        match self.rounds.server.delete::<Owned>(&key, &seen).await {
            Ok(Some(going)) => {
                self.note::<Owned>(going);
                Ok(Next::GoOn)
            }
            Ok(None) => {
                self.forget::<Owned>(&key, &seen);
                Ok(Next::GoOn)
            }
            Err(failure) => self.refused::<Owned>(&key, &seen, failure).await,
        }
    }

    async fn evict(&self, name: &str) -> Result<Next, Failure> {
        match self.rounds.server.evict(&self.key.namespace, name).await {
            Err(failure) if failure.is_too_early() || failure.is_not_found() => Ok(Next::Refused),
            evicted => evicted.map(|()| Next::GoOn),
        }
    }

    async fn scale_workload(&self, replicas: u32) -> Result<Next, Failure> {
        let source = WorkloadKind::of(self.rollout(), self.key);
        let (Some((WorkloadKind::Deployment, key)), Some(read)) = (source, &self.scene.workload)
        else {
            return Err(Failure::Unfit("no Deployment was read".to_owned()));
        };
        match self.rounds.server.scale(&key, read, replicas).await {
            Err(failure) if failure.is_not_found() || failure.is_conflict() => Ok(Next::TurnAgain),
            scaled => scaled.map(|()| Next::GoOn),
        }
    }

    async fn patch_status(&mut self, patch: Value) -> Result<Next, Failure> {
        let (key, seen) = (self.key.clone(), self.scene.rollout.clone());
        let conditional = only_if(&seen, patch.clone());
        let server = &self.rounds.server;
        match server.patch::<Read>(&key, Some(STATUS), &conditional).await {
            Ok(written) => {
                self.note::<Read>(written);
                Ok(Next::GoOn)
            }
            // There is no such Rollout, or its status is no thing of its own.
            Err(failure) if failure.is_not_found() => self.patch::<Read>(key, &seen, patch).await,
            Err(failure) => self.refused::<Read>(&key, &seen, failure).await,
        }
    }

    /// Changes an object, if it is still as it was seen.
    async fn patch<K: Viewed + InScene>(
        &mut self,
        key: Key,
        seen: &State,
        patch: Value,
    ) -> Result<Next, Failure> {
        let conditional = only_if(seen, patch);
        match self
            .rounds
            .server
            .patch::<K>(&key, None, &conditional)
            .await
        {
            Ok(written) => {
                self.note::<K>(written);
                Ok(Next::GoOn)
            }
            Err(failure) => self.refused::<K>(&key, seen, failure).await,
        }
    }

    /// A write was refused. When that is because the object is not as it was seen, what there is now becomes known.
    async fn refused<K: Viewed + InScene>(
        &mut self,
        key: &Key,
        seen: &State,
        failure: Failure,
    ) -> Result<Next, Failure> {
        if failure.is_not_found() {
            self.forget::<K>(key, seen);
            return Ok(Next::TurnAgain);
        }
        if !failure.is_conflict() {
            return Err(failure);
        }
        match self.rounds.server.get::<K>(key).await? {
            Some(object) => self.note::<K>(object),
            None => self.forget::<K>(key, seen),
        }
        Ok(Next::TurnAgain)
    }

    /// Notes the state that an answer tells.
    fn note<K: Viewed + InScene>(&mut self, object: K::Wire) {
        match objects::see::<K>(object, &self.rounds.scope) {
            Ok((seen, kept)) => {
                let state = State {
                    uid: Arc::clone(&seen.uid),
                    version: seen.version,
                };
                K::place(&mut self.scene, &seen.key, state);
                let mut view = self.rounds.shared.view();
                let due = match kept {
                    Some(value) => view.see(seen.with(value), Source::Answer),
                    None => view.gone::<K>(&seen),
                };
                drop(view);
                self.wake_others(due);
            }
            Err(nameless) => tracing::warn!("an answer is left alone: {nameless}"),
        }
    }

    /// Notes that an object is not there any more.
    fn forget<K: Viewed>(&self, key: &Key, seen: &State) {
        let due = self.rounds.shared.view().deleted::<K>(key, &seen.uid);
        self.wake_others(due);
    }

    /// This Rollout's own turn comes next anyway.
    fn wake_others(&self, mut due: Vec<Key>) {
        due.retain(|key| key != self.key);
        self.rounds.shared.wake(&due);
    }
}

/// Has a Service lead to all pods again, if it is still as it was `seen`. Otherwise it comes by the watch as it is now.
pub(crate) async fn release(rounds: &Rounds, service: &Key, seen: &State) -> Result<(), Trouble> {
    let patch = only_if(seen, reconcile::released());
    let server = &rounds.server;
    match server.patch::<Arc<Service>>(service, None, &patch).await {
        Ok(_) => {
            tracing::info!(%service, "released it, as its Rollout is gone");
            Ok(())
        }
        Err(failure) if failure.is_not_found() || failure.is_conflict() => Ok(()),
        Err(why) => Err(Trouble::Write {
            what: format!("release Service {service}"),
            why,
        }),
    }
}

/// A kind whose states a scene has.
trait InScene {
    fn place(scene: &mut Scene, key: &Key, state: State);
}

impl InScene for Read {
    fn place(scene: &mut Scene, _: &Key, state: State) {
        scene.rollout = state;
    }
}

impl InScene for Owned {
    fn place(scene: &mut Scene, key: &Key, state: State) {
        scene.replica_sets.insert(key.name.to_string(), state);
    }
}

impl InScene for Arc<Service> {
    fn place(scene: &mut Scene, key: &Key, state: State) {
        scene.services.insert(key.name.to_string(), state);
    }
}

/// The patch, for an object that is still as it was seen.
fn only_if(seen: &State, mut patch: Value) -> Value {
    patch["metadata"]["resourceVersion"] = seen.version.to_string().into();
    patch
}

fn found(seen: Option<&State>, kind: &str, name: &str) -> Result<State, Failure> {
    seen.cloned()
        .ok_or_else(|| Failure::Unfit(format!("no {kind} {name} was seen")))
}
