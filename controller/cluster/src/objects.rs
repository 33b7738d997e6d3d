//! What is kept of objects: only what decisions look at, and what tells one state of an object from another.

mod pod;
mod replica_set;
mod rollout;
mod service;
mod workload;

pub(crate) use pod::pods;
pub(crate) use replica_set::{Owned, POD_HASH, likeness};
pub(crate) use rollout::{Facts, Packed, Read, read};
pub(crate) use workload::{Source as WorkloadKind, Workload};

use crate::{instance::Instance, key::Key, watch::Scope};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::{Resource, core::ApiResource};
use serde::de::DeserializeOwned;
use std::{collections::BTreeMap, fmt::Debug, sync::Arc};

/// Holds a second copy of the object, which nobody reads.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// One state of one object.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seen<T> {
    /// Which object.
    pub(crate) key: Key,
    /// Which of all that ever have that name.
    pub(crate) uid: Arc<str>,
    /// Which state: later ones have larger numbers, within a kind.
    pub(crate) version: u64,
    /// What is kept of it.
    pub(crate) value: T,
}

impl Seen<()> {
    /// The same state, with what is kept of it.
    pub(crate) fn with<T>(self, value: T) -> Seen<T> {
        Seen {
            key: self.key,
            uid: self.uid,
            version: self.version,
            value,
        }
    }
}

/// A kind of objects that is watched.
pub(crate) trait Kind: Clone + Debug + PartialEq + Send + Sync + Sized + 'static {
    /// An object as the API server tells of it.
    type Wire: Resource<DynamicType = ApiResource, Scope = kube::core::DynamicResourceScope>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + 'static;
    /// The kind's name.
    const NAME: &str;

    /// Where the API server has objects of this kind.
    fn resource() -> ApiResource;

    /// The namespace and the name of the Rollout that `object` belongs to, where only the leader of that looks at it.
    fn rollout(_: &Self::Wire) -> Option<(&str, &str)> {
        None
    }

    /// Selects those that `instance` looks at, by their labels; none when it looks at all.
    fn selector(_: &Instance) -> Option<String> {
        None
    }

    /// What is kept of `object`, if it is one of those that `instance` looks at.
    fn keep(object: Self::Wire, instance: &Instance) -> Option<Self>;
}

/// An object without what says which one and in which state it is.
#[derive(Debug, thiserror::Error)]
#[error("{kind} {name}: metadata.{field} is {found}, allowed is {allowed}")]
pub(crate) struct Nameless {
    kind: &'static str,
    name: String,
    field: &'static str,
    found: String,
    allowed: &'static str,
}

/// Which object `object` is, and in which state. Its value is left to be filled in.
pub(crate) fn identify<K: Kind>(object: &K::Wire) -> Result<Seen<()>, Nameless> {
    let meta = object.meta();
    let lacks = |field, found: Option<&str>, allowed| Nameless {
        kind: K::NAME,
        name: meta.name.clone().unwrap_or_default(),
        field,
        found: found.map_or_else(|| "absent".to_owned(), |found| format!("`{found}`")),
        allowed,
    };
    let there = |field, value: &Option<String>| match value {
        Some(value) => Ok(Arc::<str>::from(value.as_str())),
        None => Err(lacks(field, None, "what an API server writes")),
    };
    let version = meta.resource_version.as_deref();
    Ok(Seen {
        key: Key {
            namespace: there("namespace", &meta.namespace)?,
            name: there("name", &meta.name)?,
        },
        uid: there("uid", &meta.uid)?,
        version: version
            .and_then(|version| version.parse().ok())
            .ok_or_else(|| lacks("resourceVersion", version, "a number"))?,
        value: (),
    })
}

/// What is kept of `object`, if it is one of those that are looked at in `scope`.
pub(crate) fn see<K: Kind>(
    object: K::Wire,
    scope: &Scope,
) -> Result<(Seen<()>, Option<K>), Nameless> {
    let identity = identify::<K>(&object)?;
    Ok((identity, keep(object, scope)))
}

/// What is kept of `object`, if it is one of those that are looked at in `scope`.
pub(crate) fn keep<K: Kind>(object: K::Wire, scope: &Scope) -> Option<K> {
    let of = K::rollout(&object);
    match of.is_none_or(|(namespace, name)| scope.shard.has(namespace, name)) {
        true => K::keep(object, &scope.instance),
        false => None,
    }
}

/// The annotations, without what nobody reads.
fn annotations(meta: &mut ObjectMeta) -> BTreeMap<String, String> {
    let mut annotations = meta.annotations.take().unwrap_or_default();
    annotations.remove(LAST_APPLIED);
    annotations
}

/// A time of the API server. Those that no calendar has become the first that there is.
fn time(time: &Time) -> jiff::Timestamp {
    jiff::Timestamp::from_nanosecond(time.0.as_nanosecond()).unwrap_or(jiff::Timestamp::MIN)
}
