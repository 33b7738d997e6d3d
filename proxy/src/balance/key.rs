//! What consistent hashing tells requests apart by.

use std::net::IpAddr;
use traffic::{Head, policy::HashKey};
use xxhash_rust::xxh3::xxh3_64;

/// The hash of what `by` names in `head`; nothing when the request does not have it. It is the same on every worker and
/// in every process. Of an IPv6 address the first 64 bits count, as hosts change the rest.
pub(crate) fn key_of(by: &HashKey, head: &Head<'_>) -> Option<u64> {
    match by {
        HashKey::Header(name) => Some(xxh3_64(head.headers.get(name)?)),
        HashKey::Cookie(name) => Some(xxh3_64(head.cookie(name)?.as_bytes())),
        HashKey::ClientAddress => Some(match head.client.to_canonical() {
            IpAddr::V4(address) => xxh3_64(&address.octets()),
            IpAddr::V6(address) => xxh3_64(&address.octets()[..8]),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, Request};

    fn key(by: &HashKey, user: &str, client: &str) -> Option<u64> {
        let request = Request::get("/").header("x-user", user);
        let request = request
            .header("cookie", format!("u={user}"))
            .body(())
            .unwrap();
        let head = Head {
            method: request.method(),
            uri: request.uri(),
            headers: request.headers().into(),
            client: &client.parse().unwrap(),
            listener: "",
        };
        key_of(by, &head)
    }

    #[test]
    fn the_same_has_the_same_key() {
        let header = HashKey::Header(HeaderName::from_static("x-user"));
        let cookie = HashKey::Cookie("u".into());
        let address = HashKey::ClientAddress;
        for (by, a, b, same) in [
            (&header, ("anna", "10.0.0.1"), ("anna", "10.0.0.2"), true),
            (&header, ("anna", "10.0.0.1"), ("bert", "10.0.0.1"), false),
            (&cookie, ("anna", "10.0.0.1"), ("anna", "10.0.0.2"), true),
            (&cookie, ("anna", "10.0.0.1"), ("bert", "10.0.0.1"), false),
            (
                &address,
                ("anna", "10.0.0.1"),
                ("bert", "::ffff:10.0.0.1"),
                true,
            ),
            (&address, ("anna", "10.0.0.1"), ("anna", "10.0.0.2"), false),
            (
                &address,
                ("anna", "2001:db8::1"),
                ("anna", "2001:db8::2"),
                true,
            ),
        ] {
            let (a, b) = (key(by, a.0, a.1).unwrap(), key(by, b.0, b.1).unwrap());
            assert_eq!(a == b, same, "{by:?}");
        }
    }

    #[test]
    fn a_request_without_it_has_none() {
        let other = HashKey::Header(HeaderName::from_static("x-other"));
        assert_eq!(key(&other, "anna", "10.0.0.1"), None);
        assert_eq!(key(&HashKey::Cookie("v".into()), "anna", "10.0.0.1"), None);
    }
}
