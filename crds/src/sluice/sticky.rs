//! What keeps a user with a version.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::GoDuration;

/// One thing by which a user is known again. Exactly one field is to be set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StickyKey {
    /// The value of this header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// A cookie that Sluice sets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cookie: Option<StickyCookie>,
    /// The address the connection comes from; an empty mapping.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_address: Option<ClientAddress>,
}

/// By what a user is known again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StickyKind<'s> {
    /// The value of the header with this name.
    Header(&'s str),
    /// A cookie that Sluice sets.
    Cookie(&'s StickyCookie),
    /// The address the connection comes from.
    ClientAddress,
}

/// A sticky entry that does not name exactly one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("found {found} keys, allowed exactly one of header, cookie, clientAddress")]
pub struct NotOneKey {
    /// How many are set.
    pub found: usize,
}

impl StickyKey {
    /// The one key this entry names.
    ///
    /// # Errors
    /// When no field is set, or more than one.
    pub fn kind(&self) -> Result<StickyKind<'_>, NotOneKey> {
        let kinds: Vec<_> = [
            self.header.as_deref().map(StickyKind::Header),
            self.cookie.as_ref().map(StickyKind::Cookie),
            self.client_address
                .as_ref()
                .map(|_| StickyKind::ClientAddress),
        ]
        .into_iter()
        .flatten()
        .collect();
        match kinds.as_slice() {
            [kind] => Ok(*kind),
            _ => Err(NotOneKey { found: kinds.len() }),
        }
    }
}

/// A cookie that holds a random bucket, never the name of a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StickyCookie {
    /// The cookie's name.
    pub name: String,
    /// How long a browser keeps it; absent means until the browser is closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-min" = "1s"))]
    pub max_age: Option<GoDuration>,
}

/// The address the connection comes from. There is nothing to set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClientAddress {}
