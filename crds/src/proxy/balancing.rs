//! How an endpoint is chosen.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Choice;
use crate::sluice::ClientAddress;

/// How an endpoint is chosen: by a word, or by a hash of the request.
pub type Balancing = Choice<BalancingWord, ConsistentHash>;

/// A way to choose an endpoint that needs no more said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum BalancingWord {
    /// Of two endpoints drawn at random, the one with the smaller product of requests under way and
    /// mean latency.
    #[default]
    PowerOfTwo,
    /// One after the other.
    RoundRobin,
}

/// The same key goes to the same endpoint; when an endpoint comes or goes, few keys move.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConsistentHash {
    /// What requests are told apart by. One without it is balanced by power of two.
    pub consistent_hash: HashKey,
}

/// What requests are told apart by. Exactly one field is to be set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HashKey {
    /// The value of this header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// The value of this cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cookie: Option<String>,
    /// The client's address; an empty mapping.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_address: Option<ClientAddress>,
}

/// What requests are told apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashKind<'k> {
    /// The value of this header.
    Header(&'k str),
    /// The value of this cookie.
    Cookie(&'k str),
    /// The client's address.
    ClientAddress,
}

/// A hash key that does not name exactly one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("found {found} keys, allowed exactly one of header, cookie, clientAddress")]
pub struct NotOneHashKey {
    /// How many are set.
    pub found: usize,
}

impl HashKey {
    /// The one thing that is named.
    ///
    /// # Errors
    /// When no field is set, or more than one.
    pub fn kind(&self) -> Result<HashKind<'_>, NotOneHashKey> {
        let address = self.client_address.map(|_| HashKind::ClientAddress);
        let kinds = [
            self.header.as_deref().map(HashKind::Header),
            self.cookie.as_deref().map(HashKind::Cookie),
            address,
        ];
        let mut kinds = kinds.into_iter().flatten();
        match (kinds.next(), kinds.count()) {
            (Some(kind), 0) => Ok(kind),
            (first, more) => Err(NotOneHashKey {
                found: usize::from(first.is_some()) + more,
            }),
        }
    }
}
