//! Keeping a user on one version.
//!
//! A user's key is hashed, with a salt of the rollout, to a point of the `u64` circle; the user belongs to the canary
//! when its weight admits that point. The sets are nested, so a rising weight moves users onto the canary only, and
//! a falling one moves the last comers back. No proxy has to remember anything. A cookie holds a random bucket and
//! not the name of a version, so the same cookie serves every weight and every rollout.

use crate::Head;
use http::HeaderName;
use std::{fmt::Write as _, net::IpAddr, time::Duration};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Where a user's key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StickyKey {
    /// The value of this header.
    Header(HeaderName),
    /// The bucket in this cookie, which the proxy sets where a user has none.
    Cookie {
        /// The cookie's name.
        name: Box<str>,
        /// How long the browser is to keep it; none until it is closed.
        max_age: Option<Duration>,
    },
    /// The address that the client connected from; of an IPv6 address the first 64 bits, as hosts change the rest.
    ClientAddress,
}

/// How a split tells users apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sticky {
    /// Where the key comes from; the first that a request has counts.
    pub keys: Vec<StickyKey>,
    /// Differs between rollouts, so that it is not the same users who see every canary first.
    pub salt: u64,
}

/// A cookie that the response must set, so that the user is known again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewBucket<'a> {
    /// The cookie's name.
    pub name: &'a str,
    /// The random bucket.
    pub bucket: u64,
    /// How long the browser is to keep it.
    pub max_age: Option<Duration>,
}

impl NewBucket<'_> {
    /// The `Set-Cookie` value (RFC 6265 section 4.1).
    pub fn set_cookie(&self) -> String {
        let mut cookie = format!(
            "{}={:016x}; Path=/; HttpOnly; SameSite=Lax",
            self.name, self.bucket
        );
        if let Some(age) = self.max_age {
            let _ = write!(cookie, "; Max-Age={}", age.as_secs());
        }
        cookie
    }
}

impl Sticky {
    /// The point of `head`'s user, and the cookie to set when the user got its bucket just now. Nothing when the
    /// request has none of the keys. `random` is drawn only for a new bucket.
    pub fn point<'a>(
        &'a self,
        head: &Head<'_>,
        random: impl FnOnce() -> u64,
    ) -> Option<(u64, Option<NewBucket<'a>>)> {
        self.keys
            .iter()
            .find_map(|key| self.known(key, head))
            .map(|point| (point, None))
            .or_else(|| {
                let (name, max_age) = self.keys.iter().find_map(|key| match key {
                    StickyKey::Cookie { name, max_age } => Some((name, *max_age)),
                    StickyKey::Header(_) | StickyKey::ClientAddress => None,
                })?;
                let bucket = random();
                let point = self.hash(format!("{bucket:016x}").as_bytes());
                Some((
                    point,
                    Some(NewBucket {
                        name,
                        bucket,
                        max_age,
                    }),
                ))
            })
    }

    fn known(&self, key: &StickyKey, head: &Head<'_>) -> Option<u64> {
        match key {
            StickyKey::Header(name) => head.headers.get(name).map(|value| self.hash(value)),
            StickyKey::Cookie { name, .. } => {
                head.cookie(name).map(|value| self.hash(value.as_bytes()))
            }
            StickyKey::ClientAddress => Some(match head.client.to_canonical() {
                IpAddr::V4(address) => self.hash(&address.octets()),
                IpAddr::V6(address) => self.hash(&address.octets()[..8]),
            }),
        }
    }

    fn hash(&self, key: &[u8]) -> u64 {
        xxh3_64_with_seed(key, self.salt)
    }
}
