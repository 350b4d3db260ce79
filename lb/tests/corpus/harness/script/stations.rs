//! Steps in which somebody sends a frame.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use lb::flow::{Direction, Flow};
use lb::wire::ip::Version;
use lb::*;

use super::Script;
use crate::harness::cast::{self, PORTS, SERVICES, Speaker};
use crate::harness::frames::{Ends, Options, Part, Shape, octets};
use crate::harness::mend::mend;
use crate::harness::stage::{Stage, end};

const FRAME_BYTES_MAX: usize = 2048;

impl Script<'_> {
    /// Somebody calls a service.
    pub(super) fn call(&mut self, stage: &mut Stage) {
        let spec = cast::service(usize::from(self.byte()) % SERVICES);
        let who = self.pick(&stage.speakers);
        let ends = Ends {
            vlan: spec.vlan,
            source_mac: who.mac,
            destination_mac: MacAddr::virtual_of(spec.vip),
            source: (who.address(Version::of(spec.vip)), 1000 + u16::from(self.byte() % 8)),
            destination: (spec.vip, spec.port.get()),
        };
        let shape = self.shape();
        self.send(stage, who.port, ends, ends.segment(spec.protocol, &shape));
    }

    /// A packet of an open flow, either way.
    pub(super) fn along(&mut self, stage: &mut Stage) {
        let Some((flow, direction)) = self.flow(stage) else {
            return;
        };
        let (ingress, ends) = ends_of(stage, &flow, direction);
        let shape = self.shape();
        self.send(stage, ingress, ends, ends.segment(flow.protocol(), &shape));
    }

    /// An ICMP error about a packet of an open flow.
    pub(super) fn error(&mut self, stage: &mut Stage) {
        const V4: [(u8, u8); 8] =
            [(3, 1), (3, 3), (3, 4), (4, 0), (5, 1), (11, 0), (12, 0), (3, 200)];
        const V6: [(u8, u8); 8] =
            [(1, 4), (1, 0), (2, 0), (3, 0), (4, 1), (1, 200), (100, 0), (137, 0)];
        let Some((flow, direction)) = self.flow(stage) else {
            return;
        };
        let (_, quoted) = ends_of(stage, &flow, direction);
        let quote_shape = self.shape();
        let quote = quoted.segment(flow.protocol(), &quote_shape);
        let version = flow.client().address.version();
        let (protocol, (kind, code)) = match version {
            Version::V4 => (1, self.pick(&V4)),
            Version::V6 => (58, self.pick(&V6)),
        };
        let mtu: u16 = self.pick(&[1400, 0, 68, 576, 1280, 65_535]);
        // From the other end of the packet, or from somebody on the way.
        let opposite = match direction {
            Direction::ToReal => Direction::ToClient,
            Direction::ToClient => Direction::ToReal,
        };
        let (ingress, back) = ends_of(stage, &flow, opposite);
        let from = match self.byte() {
            0 => back.source.0,
            other => stage.speakers[usize::from(other) % stage.speakers.len()].address(version),
        };
        let quote_len = match self.byte() {
            0 => quote.len(),
            len => usize::from(len),
        };
        let quote = &quote[link_len(flow.vlan())..];
        let quote = &quote[..quote_len.min(quote.len())];
        let message = [&[kind, code, 0, 0, 0, 0][..], &mtu.to_be_bytes(), quote].concat();
        let ends = Ends { source: (from, 0), ..back };
        self.send(stage, ingress, ends, ends.packet(protocol, &message, Options::None, None));
    }

    pub(super) fn arp(&mut self, stage: &mut Stage) {
        let who = self.pick(&stage.speakers);
        let operation = self.pick(&[1, 2, 1, 2, 3]);
        let (sender, target) = (self.address(&who, Version::V4), self.address(&who, Version::V4));
        let destination_mac = self.mac(stage);
        let ends = Ends {
            vlan: 0,
            source_mac: who.mac,
            destination_mac,
            source: (sender, 0),
            destination: (target, 0),
        };
        self.send(stage, who.port, ends, ends.arp(operation));
    }

    /// Neighbor discovery, and its neighbours.
    pub(super) fn neighbor(&mut self, stage: &mut Stage) {
        let who = self.pick(&stage.speakers);
        let kind = self.pick(&[135, 136, 133, 134, 137, 130]);
        let from = self.address(&who, Version::V6);
        let to = self.address(&who, Version::V6);
        let target = self.address(&who, Version::V6);
        let destination_mac = self.mac(stage);
        let named = self.mac(stage);
        let option = match self.byte() % 6 {
            0 => vec![],
            1 => [&[1, 1][..], &who.mac.0].concat(),
            2 => [&[2, 1][..], &who.mac.0].concat(),
            3 => [&[2, 1][..], &named.0].concat(),
            4 => vec![1, 0, 0, 0, 0, 0, 0, 0],
            _ => vec![1, 255, 0, 0, 0, 0, 0, 0],
        };
        let options = self.options();
        let flags = self.byte();
        let message = [&[kind, 0, 0, 0, flags, 0, 0, 0][..], &octets(target), &option].concat();
        let ends = Ends {
            vlan: 0,
            source_mac: who.mac,
            destination_mac,
            source: (from, 0),
            destination: (to, 0),
        };
        self.send(stage, who.port, ends, ends.packet(58, &message, options, None));
    }

    /// Any packet at all.
    pub(super) fn packet(&mut self, stage: &mut Stage) {
        let who = self.pick(&stage.speakers);
        let version = self.pick(&[Version::V4, Version::V6]);
        let (from, to) = (self.address(&who, version), self.address(&who, version));
        let destination_mac = match self.byte() {
            0 => MacAddr::virtual_of(to),
            1 => stage.speaker_of(to).mac,
            _ => self.mac(stage),
        };
        let protocol = self.pick(&[1, 58, 17, 6, 2, 0, 59, 132]);
        let options = self.options();
        let part = self.part();
        let len = usize::from(self.byte() % 64);
        let mut payload = self.take(len).to_vec();
        payload.resize(len, 0);
        let ends = Ends {
            vlan: 0,
            source_mac: who.mac,
            destination_mac,
            source: (from, 0),
            destination: (to, 0),
        };
        self.send(stage, who.port, ends, ends.packet(protocol, &payload, options, part));
    }

    /// What a guest says of itself.
    pub(super) fn report(&mut self, stage: &mut Stage) {
        const LINES: [&str; 14] = [
            "up 75% id=7f3a seq=1042 svc=s0 app=0.61 cpu=0.42 rif=37 lat=1800 qps=512 eps=0.2",
            "up",
            "down #gone",
            "drain",
            "maint",
            "ready up cpu=250%",
            "stopped",
            "0%",
            "weight:0",
            "maxconn:1 ttl=1000",
            "app=0.9 seq=4294967295",
            "id=1 seq=0 cpu=0.01 rif=4294967295 lat=0",
            "perhaps",
            "svc=s99",
        ];
        let who = self.pick(&stage.speakers);
        let version = self.pick(&[Version::V4, Version::V6]);
        let to: IpAddr = match version {
            Version::V4 => addr::LINK_LOCAL.into(),
            Version::V6 => addr::LINK_LOCAL_V6.into(),
        };
        let line = match usize::from(self.byte()) {
            at if at < LINES.len() => LINES[at].as_bytes(),
            len => self.take(len),
        };
        let ends = Ends {
            vlan: 0,
            source_mac: who.mac,
            destination_mac: self.pick(&[MacAddr::SWITCH, stage.speakers[1].mac]),
            source: (who.address(version), 40_000),
            destination: (to, addr::REPORT_PORT),
        };
        let ports = [40_000u16, addr::REPORT_PORT].map(u16::to_be_bytes).concat();
        let datagram = [&ports[..], &[0; 4], line].concat();
        self.send(stage, who.port, ends, ends.packet(17, &datagram, Options::None, None));
    }

    /// A frame as it is in the script: port, how, length, bytes.
    pub(super) fn raw(&mut self, stage: &mut Stage) {
        let ingress = usize::from(self.byte()) % PORTS;
        let how = self.byte();
        if how & 2 != 0 {
            self.owe();
        }
        let len = usize::from(self.word()) % FRAME_BYTES_MAX;
        let mut bytes = self.take(len).to_vec();
        if how & 1 != 0 {
            mend(&mut bytes);
        }
        self.give(stage, ingress, bytes);
    }

    fn send(&mut self, stage: &mut Stage, ingress: usize, ends: Ends, bytes: Vec<u8>) {
        let bytes = self.twist.bend(ends.vlan, bytes);
        self.give(stage, ingress, bytes);
    }

    fn give(&mut self, stage: &mut Stage, ingress: usize, bytes: Vec<u8>) {
        stage.give(self.twist.given(ingress, bytes));
    }

    // Choices.

    /// An open flow and a way along it.
    fn flow(&mut self, stage: &Stage) -> Option<(Flow, Direction)> {
        let direction = self.pick(&Direction::BOTH);
        let flows = stage.plane.flows();
        let at = usize::from(self.byte()).checked_rem(flows.len())?;
        flows.iter().nth(at).map(|flow| (flow.clone(), direction))
    }

    fn shape(&mut self) -> Shape {
        const FLAGS: [u8; 12] =
            [0x02, 0x12, 0x10, 0x11, 0x04, 0x18, 0x14, 0x01, 0x00, 0x03, 0x06, 0x3f];
        const PAYLOADS: [usize; 8] = [8, 0, 1, 41, 200, 1400, 1460, 64];
        let first = usize::from(self.byte());
        Shape {
            flags: FLAGS[first % FLAGS.len()],
            sequence: (first / FLAGS.len()) as u8,
            payload_len: self.pick(&PAYLOADS),
            options: self.options(),
            part: self.part(),
        }
    }

    fn options(&mut self) -> Options {
        self.pick(&[Options::None, Options::Padding, Options::Atomic])
    }

    fn part(&mut self) -> Option<Part> {
        let what = self.byte();
        if what & 1 == 0 {
            return None;
        }
        let place = self.byte();
        Some(Part {
            identification: what >> 2 & 7,
            offset: usize::from(place & 15),
            len: usize::from(place >> 4) + 1,
            more: what & 2 == 0,
        })
    }

    pub(super) fn address(&mut self, who: &Speaker, version: Version) -> IpAddr {
        let others = cast::speakers();
        let at = usize::from(self.byte()) % 16;
        if let Some(other) = at.checked_sub(8).and_then(|at| others.get(at)) {
            return other.address(version);
        }
        match (at, version) {
            (0, _) => who.address(version),
            (1, _) => cast::vip(version),
            (2, Version::V4) => cast::other_vip(),
            (3, Version::V4) => addr::LINK_LOCAL.into(),
            (4, Version::V4) => Ipv4Addr::UNSPECIFIED.into(),
            (5, Version::V4) => Ipv4Addr::BROADCAST.into(),
            (6, Version::V4) => Ipv4Addr::LOCALHOST.into(),
            (_, Version::V4) => Ipv4Addr::new(169, 254, 9, 9).into(),
            (2, Version::V6) => Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1).into(),
            (3, Version::V6) => addr::LINK_LOCAL_V6.into(),
            (4, Version::V6) => Ipv6Addr::UNSPECIFIED.into(),
            (5, Version::V6) => Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 0x100).into(),
            (6, Version::V6) => Ipv4Addr::new(10, 0, 2, 100).to_ipv6_mapped().into(),
            (_, Version::V6) => Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 9).into(),
        }
    }

    fn mac(&mut self, stage: &Stage) -> MacAddr {
        match self.byte() % 16 {
            0 => MacAddr::BROADCAST,
            1 => MacAddr::SWITCH,
            2 => MacAddr::virtual_of(cast::vip(Version::V4)),
            3 => MacAddr::virtual_of(cast::vip(Version::V6)),
            4 => MacAddr::virtual_of(addr::LINK_LOCAL_V6.into()),
            5 => MacAddr([0x33, 0x33, 0, 0, 0, 1]),
            6 => MacAddr([0x33, 0x33, 0xff, 0, 1, 0]),
            7 => MacAddr([1, 0x80, 0xc2, 0, 0, 0]),
            at => stage.speakers[usize::from(at) % stage.speakers.len()].mac,
        }
    }
}

/// Where a packet of a flow comes in, and its ends there.
fn ends_of(stage: &Stage, flow: &Flow, direction: Direction) -> (usize, Ends) {
    let (client, vip, vlan) = (end(flow.client()), end(flow.vip()), flow.vlan());
    let caller = stage.speaker_of(client.0);
    match direction {
        Direction::ToReal => {
            let ends = Ends {
                vlan,
                source_mac: caller.mac,
                destination_mac: MacAddr::virtual_of(vip.0),
                source: client,
                destination: vip,
            };
            (caller.port, ends)
        }
        Direction::ToClient => {
            let tables = stage.plane.tables();
            let guest = tables.real(flow.real).and_then(|real| tables.guest(real.guest));
            let (at, mac) =
                guest.map_or((1, cast::guest_mac(1)), |g| (g.spec.port.index(), g.spec.mac));
            let ends = Ends {
                vlan,
                source_mac: mac,
                destination_mac: caller.mac,
                source: end(flow.real_end()),
                destination: end(flow.client_at_real()),
            };
            (at, ends)
        }
    }
}

fn link_len(vlan: u16) -> usize {
    if vlan == 0 { 14 } else { 18 }
}
