//! Where a request comes from, as far as those who tell of it are trusted.

use super::{
    FORWARDED_FOR, FORWARDED_PROTO,
    element::{self, elements, node},
    peer::{Peer, Scheme, is_trusted},
};
use crate::config::{ForwardedHeaders, Forwarding};
use http::{HeaderMap, HeaderValue, header::FORWARDED};
use std::net::IpAddr;

/// The client's address: that of the first on the way back that is not trusted. The way back begins at the peer and
/// goes on through `X-Forwarded-For` from its end, or through `Forwarded` where that alone is written; the other header
/// may be the client's own invention. An entry that is no address ends the way.
pub(crate) fn client_address(peer: &Peer, headers: &HeaderMap) -> IpAddr {
    if !peer.is_trusted {
        return peer.address;
    }
    let forwarding = &peer.forwarding;
    if reads_forwarded(forwarding) {
        let lines = headers.get_all(FORWARDED).iter().rev();
        // A malformed line ends the way, as an entry without an address does.
        let entries = lines.flat_map(|line| {
            let elements = elements(line).unwrap_or_else(|| vec![element::Element::default()]);
            elements.into_iter().rev().map(|element| element.from)
        });
        walk(peer.address, forwarding, entries)
    } else {
        let lines = headers.get_all(FORWARDED_FOR).iter().rev();
        let entries = lines
            .flat_map(|line| line.as_bytes().rsplit(|b| *b == b','))
            .map(<[u8]>::trim_ascii)
            .filter(|entry| !entry.is_empty())
            .map(node);
        walk(peer.address, forwarding, entries)
    }
}

fn walk(
    peer: IpAddr,
    forwarding: &Forwarding,
    entries: impl Iterator<Item = Option<IpAddr>>,
) -> IpAddr {
    let mut client = peer;
    for (hop, before) in entries.enumerate() {
        let is_believed = hop < forwarding.trusted_hops || is_trusted(forwarding, client);
        match before {
            Some(before) if is_believed => client = before,
            _ => break,
        }
    }
    client
}

/// How the client speaks to the first proxy, as far as that is told by one that is trusted; else how the peer speaks to
/// this one.
pub(crate) fn scheme(peer: &Peer, headers: &HeaderMap) -> Scheme {
    let told = || {
        if !peer.is_trusted {
            None
        } else if reads_forwarded(&peer.forwarding) {
            let last = headers.get_all(FORWARDED).iter().next_back()?;
            elements(last)?.last()?.proto
        } else {
            sole(headers, &FORWARDED_PROTO).and_then(|proto| Scheme::parse(proto.as_bytes()))
        }
    };
    told().unwrap_or(peer.scheme)
}

/// The value of `name`, if it has only one.
pub(super) fn sole<'a>(headers: &'a HeaderMap, name: &http::HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    values.next().is_none().then_some(first)
}

fn reads_forwarded(forwarding: &Forwarding) -> bool {
    forwarding.headers == ForwardedHeaders::Forwarded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Network;
    use std::rc::Rc;

    fn peer(address: &str, trusted: &[(&str, u8)], hops: usize, headers: ForwardedHeaders) -> Peer {
        let network = |(address, prefix): &(&str, u8)| Network {
            address: address.parse().unwrap(),
            prefix: *prefix,
        };
        let forwarding = Forwarding {
            trusted: trusted.iter().map(network).collect(),
            trusted_hops: hops,
            headers,
            ..Forwarding::default()
        };
        Peer::new(
            address.parse().unwrap(),
            80,
            Scheme::Http,
            Rc::new(forwarding),
        )
    }

    fn headers(name: &str, lines: &[&str]) -> HeaderMap {
        let line = |line: &&str| (name.parse().unwrap(), line.parse().unwrap());
        lines.iter().map(line).collect()
    }

    const TEN: &[(&str, u8)] = &[("10.0.0.0", 8)];

    #[test]
    fn the_client_is_the_first_on_the_way_back_that_is_not_trusted() {
        for (at, trusted, hops, lines, expected) in [
            ("192.0.2.1", &[][..], 0, &["198.51.100.1"][..], "192.0.2.1"),
            ("192.0.2.1", TEN, 0, &["198.51.100.1"], "192.0.2.1"),
            ("10.0.0.1", TEN, 0, &[], "10.0.0.1"),
            ("10.0.0.1", TEN, 0, &["198.51.100.1"], "198.51.100.1"),
            ("::ffff:10.0.0.1", TEN, 0, &["198.51.100.1"], "198.51.100.1"),
            (
                "10.0.0.1",
                TEN,
                0,
                &["6.6.6.6, 198.51.100.1"],
                "198.51.100.1",
            ),
            (
                "10.0.0.1",
                TEN,
                0,
                &["6.6.6.6", "198.51.100.1, 10.0.0.2"],
                "198.51.100.1",
            ),
            ("10.0.0.1", TEN, 0, &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            ("10.0.0.1", TEN, 0, &["198.51.100.1,, "], "198.51.100.1"),
            (
                "10.0.0.1",
                TEN,
                0,
                &["198.51.100.1, x, 10.0.0.2"],
                "10.0.0.2",
            ),
            ("10.0.0.1", TEN, 0, &["198.51.100.1, unknown"], "10.0.0.1"),
            ("10.0.0.1", TEN, 0, &["[2001:db8::1]:443"], "2001:db8::1"),
            (
                "192.0.2.1",
                &[],
                1,
                &["6.6.6.6, 198.51.100.1"],
                "198.51.100.1",
            ),
            (
                "192.0.2.1",
                &[],
                2,
                &["6.6.6.6, 198.51.100.1, 192.0.2.2"],
                "198.51.100.1",
            ),
            ("192.0.2.1", &[], 5, &["198.51.100.1"], "198.51.100.1"),
            (
                "192.0.2.1",
                TEN,
                1,
                &["6.6.6.6, 198.51.100.1, 10.0.0.9"],
                "198.51.100.1",
            ),
        ] {
            let peer = peer(at, trusted, hops, ForwardedHeaders::XForwarded);
            let headers = headers("x-forwarded-for", lines);
            let expected: IpAddr = expected.parse().unwrap();
            assert_eq!(client_address(&peer, &headers), expected, "{at} {lines:?}");
        }
    }

    #[test]
    fn forwarded_is_read_where_it_alone_is_written() {
        for (kind, lines, expected) in [
            (
                ForwardedHeaders::Forwarded,
                &["for=6.6.6.6, for=\"[2001:db8::1]\";proto=https"][..],
                ("2001:db8::1", Scheme::Https),
            ),
            (
                ForwardedHeaders::Forwarded,
                &["for=6.6.6.6", "for=198.51.100.1, for=10.0.0.2"],
                ("198.51.100.1", Scheme::Http),
            ),
            (
                ForwardedHeaders::Forwarded,
                &["for=198.51.100.1, for=\"x", "for=10.0.0.2"],
                ("10.0.0.2", Scheme::Http),
            ),
            (
                ForwardedHeaders::Forwarded,
                &["for=198.51.100.1, for=_hidden"],
                ("10.0.0.1", Scheme::Http),
            ),
            (
                ForwardedHeaders::Both,
                &["for=198.51.100.1;proto=https"],
                ("10.0.0.1", Scheme::Http),
            ),
        ] {
            let peer = peer("10.0.0.1", TEN, 0, kind);
            let headers = headers("forwarded", lines);
            let expected: (IpAddr, Scheme) = (expected.0.parse().unwrap(), expected.1);
            let found = (client_address(&peer, &headers), scheme(&peer, &headers));
            assert_eq!(found, expected, "{kind:?} {lines:?}");
        }
    }

    #[test]
    fn the_scheme_is_believed_of_trusted_peers_only() {
        for (at, lines, expected) in [
            ("10.0.0.1", &["https"][..], Scheme::Https),
            ("10.0.0.1", &["HTTPS"], Scheme::Https),
            ("10.0.0.1", &["https, http"], Scheme::Http),
            ("10.0.0.1", &["https", "https"], Scheme::Http),
            ("10.0.0.1", &["ftp"], Scheme::Http),
            ("10.0.0.1", &[], Scheme::Http),
            ("192.0.2.1", &["https"], Scheme::Http),
        ] {
            let peer = peer(at, TEN, 0, ForwardedHeaders::XForwarded);
            let headers = headers("x-forwarded-proto", lines);
            assert_eq!(scheme(&peer, &headers), expected, "{at} {lines:?}");
        }
    }
}
