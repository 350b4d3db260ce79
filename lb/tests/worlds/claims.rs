//! Where a VIP is: at its virtual MAC, and nobody on the network ever hears anything else, whatever
//! the guests say that have it on a loopback.

use std::net::IpAddr;

use etherparse::ArpOperation;

use super::neighbours::Place;
use super::packet::{Link, Mac, Packet, Says};
use super::plan::Plan;
use super::{link_local, virtual_mac};

pub struct Claims {
    /// Those that are the switch's all the time.
    vips: Vec<Place>,
    /// Addresses in whose name more than one machine sends.
    shared: Vec<IpAddr>,
    guests: Vec<Mac>,
}

impl Claims {
    pub fn new(plan: &Plan) -> Claims {
        let guests = plan.stations[..plan.guests].iter().map(|guest| guest.mac).collect();
        let shared = plan.services.iter().map(|service| service.vip.ip()).collect();
        Claims { vips: plan.lasting_vips(), shared, guests }
    }

    /// Whether all that comes from this address comes from one machine.
    pub fn is_of_one(&self, from: IpAddr) -> bool {
        !self.shared.contains(&from) && from != link_local(from)
    }

    /// What every station that hears a frame asks of it.
    pub fn check(&self, link: &Link, packet: &Packet) {
        let at_sender = |address| (address, Some(link.source));
        let (claim, mac) = match packet {
            Packet::Arp(arp) => (arp.sender_ipv4_addr().into(), Some(arp.sender_mac)),
            Packet::Neighbor(message) => match message.says {
                Says::WhoHas => (message.from.into(), message.mac),
                Says::IAm { .. } => (message.target.into(), message.mac),
            },
            Packet::Tcp(segment) => at_sender(segment.from.ip()),
            Packet::Udp(datagram) => at_sender(datagram.from.ip()),
            Packet::Part(part) => at_sender(part.from),
        };
        if self.vips.contains(&(link.vlan, claim)) {
            let places = [mac, Some(link.source)];
            assert_eq!(places, [Some(virtual_mac(claim)); 2], "where a VIP is: {packet:?}");
        }
        let asked: Option<IpAddr> = match packet {
            Packet::Arp(arp) if arp.operation == ArpOperation::REQUEST => {
                Some(arp.target_ipv4_addr().into())
            }
            Packet::Neighbor(message) if message.says == Says::WhoHas => {
                Some(message.target.into())
            }
            _ => None,
        };
        let is_for_vip = asked.is_some_and(|asked| self.vips.contains(&(link.vlan, asked)));
        let is_guests = self.guests.contains(&link.source);
        assert!(!is_for_vip || !is_guests, "a guest asks others for a VIP: {packet:?}");
    }
}
