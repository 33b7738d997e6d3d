//! The addresses of a node's Pods.

use anyhow::{Context as _, Result};
use std::net::Ipv4Addr;

/// A node's share of the pod range. An address is given again only when all others have been.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Addresses {
    network: u32,
    size: u32,
    next: u32,
}

impl Addresses {
    /// The range `cidr`, such as `10.244.16.0/20`.
    pub(super) fn new(cidr: &str) -> Result<Self> {
        let parsed = cidr.split_once('/').and_then(|(network, bits)| {
            let network: Ipv4Addr = network.parse().ok()?;
            let bits: u32 = bits.parse().ok().filter(|bits| (1..=30).contains(bits))?;
            Some((network, bits))
        });
        let (network, bits) = parsed.with_context(|| {
            format!("podCIDR: found `{cidr}`, allowed is an IPv4 range of 4 addresses or more")
        })?;
        Ok(Self {
            network: network.to_bits(),
            size: 1 << (32 - bits),
            next: 0,
        })
    }

    /// The next address that is not `taken`; neither the first one nor the last, which are the network's own.
    pub(super) fn give(&mut self, taken: impl Fn(Ipv4Addr) -> bool) -> Option<Ipv4Addr> {
        let usable = self.size - 2;
        (0..usable).find_map(|_| {
            let address = Ipv4Addr::from_bits(self.network + 1 + self.next);
            self.next = (self.next + 1) % usable;
            (!taken(address)).then_some(address)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Addresses;

    #[test]
    fn addresses_go_round_and_are_never_given_twice() {
        let mut addresses = Addresses::new("10.244.16.0/30").unwrap();
        let mut give = |taken: &[&str]| {
            addresses.give(|address| taken.contains(&address.to_string().as_str()))
        };
        let address = |text: &str| Some(text.parse().unwrap());
        assert_eq!(give(&[]), address("10.244.16.1"));
        assert_eq!(give(&["10.244.16.1"]), address("10.244.16.2"));
        assert_eq!(give(&["10.244.16.1", "10.244.16.2"]), None);
        assert_eq!(give(&["10.244.16.1"]), address("10.244.16.2"));
        assert_eq!(give(&[]), address("10.244.16.1"));
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for cidr in [
            "",
            "10.244.0.0",
            "10.244.0.0/31",
            "10.244.0.0/0",
            "fd00::/64",
        ] {
            let refused = Addresses::new(cidr).unwrap_err().to_string();
            assert!(refused.contains(&format!("found `{cidr}`")), "{refused}");
        }
    }
}
