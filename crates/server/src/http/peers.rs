//! Connections, counted by where they come from.

use std::net::{IpAddr, Ipv6Addr};

use crate::each::{Each, Place};

/// So many connections of each address; of IPv6, of each network of 64 bits, which is what one place is given (RFC 6177).
#[derive(Debug)]
pub(super) struct Peers(Each<IpAddr>);

impl Peers {
    pub(super) fn new(most: usize) -> Self {
        Self(Each::new(most))
    }

    /// One more from this address, if it may have more.
    pub(super) fn enter(&self, from: IpAddr) -> Option<Place<IpAddr>> {
        self.0.enter(&network(from))
    }
}

/// What counts as one.
pub(super) fn network(from: IpAddr) -> IpAddr {
    match from.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_counts_as_one_address() {
        for (from, wanted) in [
            ("192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("2001:db8:1:3:3:4:5:6", "2001:db8:1:3::"),
        ] {
            assert_eq!(network(from.parse().unwrap()), wanted.parse::<IpAddr>().unwrap(), "{from}");
        }
    }
}
