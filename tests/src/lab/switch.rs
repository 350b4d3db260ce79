//! `lb` behind frames: a switch with an uplink, guests' ports and one service, and the stations
//! around it as far as a flow, a report and a probe need them.

use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use lb::wire::arp::{Arp, Operation};
use lb::wire::ethernet::{ETHERTYPE_ARP, Ethernet};
use lb::{
    Capacity, Command, Dataplane, Frame, GuestSpec, Instant, MacAddr, Name, PortId, Protocol,
    RealSpec, Role, Scheduler, ServiceSpec, Verdict,
};

use super::Scenario;
use super::chooser::Chooser;
use super::guest::Guest;
use super::packets::{ACK, FIN, PSH, RST, SYN, report, segment};
use crate::frame::Ends;

const VIP: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 100);
const VIP_PORT: u16 = 80;
const REAL_PORT: u16 = 8080;
const UPLINK: usize = 0;
/// The router behind which all clients are.
const ROUTER: MacAddr = MacAddr([0x52, 0x55, 0, 0, 0, 9]);
/// Guests have so many ports; those beyond share the last one.
const PORTS: usize = lb::limits::PORTS_MAX - 1;
/// When the world of the laboratory begins, by the switch's clock: probes are answered by then.
const START: Instant = Instant::from_millis(5_000);
const TICK: Duration = Duration::from_millis(10);
const CLIENT_PORT_MIN: usize = 1024;
const CLIENT_PORTS: usize = 60_000;

pub struct Switch {
    plane: Dataplane,
    guests: usize,
    /// Whose guests answer probes.
    up: Vec<bool>,
}

impl Switch {
    /// With room for so many flows, closed ones that linger included.
    pub fn new(scenario: &Scenario, scheduler: Scheduler, flows: usize, secret: u64) -> Switch {
        let flows = flows.next_power_of_two().clamp(1 << 12, 1 << 18);
        let plane = Dataplane::new(Capacity { flows, macs: 1024, clients: 16 }, secret);
        let guests = scenario.guests;
        let mut switch = Switch { plane, guests, up: vec![true; guests] };
        switch.configure(scenario, scheduler);
        let mut now = Instant::START;
        while now < START {
            now = now + TICK;
            switch.housekeep(now);
        }
        switch
    }

    fn configure(&mut self, scenario: &Scenario, scheduler: Scheduler) {
        for at in 0..=self.guests.min(PORTS) {
            let role = if at == UPLINK { Role::Uplink } else { Role::Guest };
            let port = port(at);
            self.apply(Command::SetPort { port, name: name(&format!("port{at}")), role });
            self.apply(Command::SetLink { port, up: true });
        }
        let vip_port = VIP_PORT.try_into().expect("not 0");
        let service = ServiceSpec::new(name("web"), IpAddr::V4(VIP), Protocol::Tcp, vip_port);
        self.apply(Command::SetService(ServiceSpec { scheduler, ..service }));
        for guest in 0..self.guests {
            let named = name(&format!("web{guest}"));
            let addresses = [IpAddr::V4(address(guest))].into_iter().collect();
            let spec = GuestSpec::new(named.clone(), port_of(guest), mac(guest));
            self.apply(Command::SetGuest(GuestSpec { addresses, ..spec }));
            let real = RealSpec {
                port: REAL_PORT.try_into().ok(),
                weight: scenario.weight(guest),
                ..RealSpec::new(named)
            };
            self.apply(Command::SetReal { service: name("web"), real });
        }
    }

    fn apply(&mut self, command: Command) {
        self.plane.apply(&command, START).expect("the laboratory asks for what there is");
    }

    /// A segment of a flow that the switch carries: from here to there.
    fn carry(&mut self, ends: &Ends, flow: usize, flags: u8, from_to: (PortId, PortId), now: u64) {
        let mut frame = segment(ends, flow as u32, flags);
        let (from, to) = from_to;
        let verdict = self.plane.receive(from, &mut Frame::plain(&mut frame), instant(now));
        assert_eq!(verdict, Verdict::Forward(to), "flow {flow}, flags {flags:#x}: {ends}");
    }

    fn client_sends(&mut self, flow: usize, guest: usize, flags: u8, now: u64) {
        self.carry(&call(flow), flow, flags, (port(UPLINK), port_of(guest)), now);
    }

    fn guest_sends(&mut self, flow: usize, guest: usize, flags: u8, now: u64) {
        let ends = Ends {
            from_mac: mac(guest),
            to_mac: ROUTER,
            from: SocketAddrV4::new(address(guest), REAL_PORT),
            to: client(flow),
        };
        self.carry(&ends, flow, flags, (port_of(guest), port(UPLINK)), now);
    }

    /// Lets time pass, and guests answer what they are asked.
    fn housekeep(&mut self, now: Instant) {
        self.plane.housekeep(now);
        while let Some(origin) = self.plane.outbox().pop() {
            let Some(guest) = self.asked(&origin.bytes) else {
                continue;
            };
            let is_here = Arp {
                operation: Operation::Reply,
                sender_mac: mac(guest),
                sender: address(guest),
                target_mac: MacAddr::SWITCH,
                target: lb::addr::LINK_LOCAL,
            };
            self.tell_switch(guest, &is_here.frame(MacAddr::SWITCH), now);
        }
    }

    /// The guest that a frame of the switch's asks whether it is there, if it is.
    fn asked(&self, frame: &[u8]) -> Option<usize> {
        let header = Ethernet::parse(frame).ok()?;
        let guest = guest_of(header.destination)?;
        (header.ethertype == ETHERTYPE_ARP && self.up[guest]).then_some(guest)
    }

    /// A frame of a guest's to the switch itself.
    fn tell_switch(&mut self, guest: usize, frame: &[u8], now: Instant) {
        let mut bytes = frame.to_vec();
        let port = port_of(guest);
        let verdict = self.plane.receive(port, &mut Frame::plain(&mut bytes), now);
        assert_eq!(verdict, Verdict::Punt, "what is for the switch is punted");
        self.plane.local(port, &bytes, now);
    }
}

impl Chooser for Switch {
    fn open(&mut self, flow: usize, now: u64, _guests: &[Guest]) -> Option<usize> {
        let mut frame = segment(&call(flow), flow as u32, SYN);
        let verdict = self.plane.receive(port(UPLINK), &mut Frame::plain(&mut frame), instant(now));
        match verdict {
            Verdict::Forward(_) => guest_of(MacAddr(frame[..6].try_into().expect("six bytes"))),
            _ => None,
        }
    }

    fn request(&mut self, flow: usize, guest: usize, is_first: bool, now: u64) {
        if is_first {
            self.guest_sends(flow, guest, SYN | ACK, now);
        }
        self.client_sends(flow, guest, PSH | ACK, now);
    }

    fn response(&mut self, flow: usize, guest: usize, now: u64) {
        self.guest_sends(flow, guest, PSH | ACK, now);
    }

    fn close(&mut self, flow: usize, guest: usize, now: u64) {
        self.guest_sends(flow, guest, FIN | ACK, now);
        self.client_sends(flow, guest, FIN | ACK, now);
    }

    fn cut(&mut self, flow: usize, guest: usize, now: u64) {
        self.client_sends(flow, guest, RST | ACK, now);
    }

    fn report(&mut self, guest: usize, line: &str, now: u64) {
        self.tell_switch(guest, &report(mac(guest), address(guest), line), instant(now));
    }

    fn link(&mut self, guest: usize, up: bool, now: u64) {
        self.up[guest] = up;
        let link = Command::SetLink { port: port_of(guest), up };
        self.plane.apply(&link, instant(now)).expect("a port that there is");
    }

    fn tick(&mut self, now: u64, _guests: &[Guest]) {
        self.housekeep(instant(now));
    }
}

fn instant(now: u64) -> Instant {
    START + Duration::from_nanos(now)
}

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn port(index: usize) -> PortId {
    PortId::new(index).expect("a port's number")
}

fn port_of(guest: usize) -> PortId {
    port(1 + guest.min(PORTS - 1))
}

fn mac(guest: usize) -> MacAddr {
    MacAddr([0x52, 0x54, 0, 1, 0, guest as u8])
}

fn guest_of(mac: MacAddr) -> Option<usize> {
    let [0x52, 0x54, 0, 1, 0, guest] = mac.0 else {
        return None;
    };
    Some(usize::from(guest))
}

fn address(guest: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 2, 101 + guest as u8)
}

/// Each flow has a client's end of its own.
fn client(flow: usize) -> SocketAddrV4 {
    let [.., a, b] = (flow / CLIENT_PORTS).to_be_bytes();
    let port = CLIENT_PORT_MIN + flow % CLIENT_PORTS;
    SocketAddrV4::new(Ipv4Addr::new(10, 9, a, b), port as u16)
}

fn call(flow: usize) -> Ends {
    let (from, to) = (client(flow), SocketAddrV4::new(VIP, VIP_PORT));
    Ends { from_mac: ROUTER, to_mac: MacAddr::virtual_of(IpAddr::V4(VIP)), from, to }
}
