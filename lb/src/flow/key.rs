//! What makes two flows different, in five words: hashed in five steps, compared without asking for
//! the version of an address.

use core::fmt;

use crate::Protocol;
use crate::wire::Endpoint;
use crate::wire::address::Address;

/// Protocol, VLAN (0 is untagged), the client's end, and the other end: the VIP's or the real's.
#[derive(Clone, Copy, Eq)]
pub struct FlowKey([u64; 5]);

/// Bits of the last word: both ports, VLAN and protocol.
const CLIENT_PORT_AT: u32 = 48;
const SERVER_PORT_AT: u32 = 32;
const VLAN_AT: u32 = 16;

impl FlowKey {
    /// Stands where there is no key yet.
    pub(crate) const NONE: FlowKey = FlowKey([0; 5]);

    #[inline]
    pub fn new(protocol: Protocol, vlan: u16, client: Endpoint, server: Endpoint) -> FlowKey {
        let [client_high, client_low] = client.address.words();
        let [server_high, server_low] = server.address.words();
        let rest = u64::from(client.port) << CLIENT_PORT_AT
            | u64::from(server.port) << SERVER_PORT_AT
            | u64::from(vlan) << VLAN_AT
            | u64::from(protocol.number());
        FlowKey([client_high, client_low, server_high, server_low, rest])
    }

    pub fn protocol(&self) -> Protocol {
        let number = self.rest() as u8;
        if number == Protocol::Udp.number() { Protocol::Udp } else { Protocol::Tcp }
    }

    pub fn vlan(&self) -> u16 {
        (self.rest() >> VLAN_AT) as u16
    }

    pub fn client(&self) -> Endpoint {
        let [high, low, ..] = self.0;
        let port = (self.rest() >> CLIENT_PORT_AT) as u16;
        Endpoint { address: Address::from_words([high, low]), port }
    }

    pub fn server(&self) -> Endpoint {
        let [_, _, high, low, _] = self.0;
        let port = (self.rest() >> SERVER_PORT_AT) as u16;
        Endpoint { address: Address::from_words([high, low]), port }
    }

    pub(crate) fn words(&self) -> &[u64; 5] {
        &self.0
    }

    /// What both directions of a flow have in common: the client's end, VLAN and protocol.
    #[inline]
    pub(super) fn client_words(&self) -> [u64; 3] {
        let [high, low, ..] = self.0;
        [high, low, self.rest() & !(0xffff << SERVER_PORT_AT)]
    }

    /// What makes flows of one client's end different.
    #[inline]
    pub(super) fn server_words(&self) -> [u64; 3] {
        let [_, _, high, low, _] = self.0;
        [high, low, self.rest() >> SERVER_PORT_AT & 0xffff]
    }

    fn rest(&self) -> u64 {
        self.0[4]
    }
}

impl PartialEq for FlowKey {
    /// All words at once: they are rarely compared unless they are equal.
    #[inline]
    fn eq(&self, other: &FlowKey) -> bool {
        let pairs = self.0.iter().zip(&other.0);
        pairs.fold(0, |differing, (one, other)| differing | (one ^ other)) == 0
    }
}

impl fmt::Debug for FlowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (client, server) = (self.client(), self.server());
        write!(f, "{} vlan {} {client} {server}", self.protocol(), self.vlan())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::Ipv4Addr;
    use proptest::prelude::*;

    fn any_end() -> impl Strategy<Value = Endpoint> {
        let end = |(address, port): (Ipv4Addr, u16)| Endpoint { address: address.into(), port };
        any::<(Ipv4Addr, u16)>().prop_map(end)
    }

    proptest! {
        #[test]
        fn a_key_says_what_it_was_made_of(
            is_udp in any::<bool>(),
            vlan in 0..4095u16,
            [client, server] in [any_end(), any_end()],
        ) {
            let protocol = if is_udp { Protocol::Udp } else { Protocol::Tcp };
            let key = FlowKey::new(protocol, vlan, client, server);
            prop_assert_eq!((key.protocol(), key.vlan()), (protocol, vlan));
            prop_assert_eq!((key.client(), key.server()), (client, server));
        }
    }
}
