//! Probes of one packet: an echo request, an empty datagram.

use super::Target;
use crate::outbox::Outbox;
use crate::wire::{Endpoint, ethernet, icmp, ip, transport};
use crate::{MacAddr, PortSet, Protocol};

/// Hops that a probe may take: the guest is a neighbour, whatever it thinks.
const TTL: u8 = 64;

pub(super) fn send_echo(target: &Target, id: u16, sequence: u16, outbox: &mut Outbox) {
    let request = icmp::echo_request(target.source, target.address, id, sequence);
    send(target, icmp::protocol_of(target.address.version()), &request, outbox);
}

pub(super) fn send_empty(target: &Target, port: u16, outbox: &mut Outbox) {
    let source = Endpoint { address: target.source, port };
    let datagram = transport::udp_header(source, target.end(), &[]);
    send(target, Protocol::Udp.number(), &datagram, outbox);
}

fn send(target: &Target, protocol: u8, payload: &[u8], outbox: &mut Outbox) {
    let Target { egress, mac, vlan, source, address, .. } = *target;
    let header = ethernet::header(mac, MacAddr::SWITCH, vlan, address.version().ethertype());
    let ip = ip::header(source, address, protocol, payload.len() as u16, TTL);
    outbox.push(PortSet::EMPTY.with(egress), &[&header, &ip, payload]);
}
