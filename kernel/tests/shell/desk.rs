//! An appliance with a person at its console: NICs that are queues, guests that answer, a client
//! that calls, and a terminal of which every byte is kept.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::rc::Rc;
use std::time::Duration;

use drivers::{Batch, Frame, Nic, NicCounters, NicState, Pool, RingFault};
use etherparse::checksum::Sum16BitWords;
use etherparse::{ArpHardwareId, ArpOperation, ArpPacket, EtherType, IpNumber, PacketBuilder};
use kernel::appliance::{Appliance, Attached, Memory};
use kernel::config::{self, Site, parse_pci};
use kernel::console::{Console, Tty};
use kernel::control::{self, Control};
use kernel::pager::{ERASE, MORE};
use kernel::shell::problem::Error;
use kernel::start::{Started, StartedFrom};
use lb::{Capacity, Dataplane, Instant, MacAddr};

use crate::lender::Lender;

pub const VIP: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 100);
pub const VIP_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x53);

/// Flows that the machine has memory for.
pub const FLOWS_FIT: usize = 1 << 18;

type Cable = Rc<RefCell<(VecDeque<Vec<u8>>, Vec<Vec<u8>>)>>;

struct QueueNic {
    mac: [u8; 6],
    pool: &'static Pool,
    cable: Cable,
    state: Rc<Cell<NicState>>,
    counters: NicCounters,
}

impl Nic for QueueNic {
    fn mac(&self) -> [u8; 6] {
        self.mac
    }

    fn state(&self) -> NicState {
        self.state.get()
    }

    /// Of the third NIC it is known.
    fn speed_mbit(&self) -> Option<u32> {
        (self.mac[5] == 2).then_some(1000)
    }

    fn receive(&mut self, batch: &mut Batch) {
        while !batch.is_full()
            && let Some(bytes) = self.cable.borrow_mut().0.pop_front()
        {
            self.counters.rx_frames += 1;
            self.counters.rx_bytes += bytes.len() as u64;
            let frame = self.pool.take_copy(&bytes).expect("the pool suffices");
            batch.push(frame).map_err(drop).expect("there is room");
        }
    }

    fn is_waiting(&self) -> bool {
        !self.cable.borrow().0.is_empty()
    }

    fn send(&mut self, frame: Frame) -> Result<(), Frame> {
        self.counters.tx_frames += 1;
        self.counters.tx_bytes += frame.len() as u64;
        self.cable.borrow_mut().1.push(frame.to_vec());
        Ok(())
    }

    fn flush(&mut self) {}

    fn service(&mut self, _now_ms: u64) {}

    fn arm(&mut self) -> bool {
        true
    }

    fn disarm(&mut self) {}

    fn lost(&mut self) {}

    fn counters(&self) -> &NicCounters {
        &self.counters
    }

    fn driver(&self) -> &'static str {
        "queue"
    }
}

/// A terminal: what is typed into it, and what it was told to show.
#[derive(Default)]
pub struct Terminal {
    pub keys: VecDeque<u8>,
    pub screen: Vec<u8>,
    /// Bytes that it takes at once; 0 is a terminal that hangs.
    pub takes: usize,
    /// What its device did wrong.
    pub fault: Option<RingFault>,
}

impl Tty for Terminal {
    fn read(&mut self) -> Option<u8> {
        self.keys.pop_front()
    }

    fn write(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(self.takes);
        self.screen.extend_from_slice(&bytes[..taken]);
        taken
    }

    fn fault(&self) -> Option<RingFault> {
        self.fault
    }
}

pub struct Bench {
    pub appliance: Appliance,
    pub control: Control,
    pub site: Site,
    pub console: Console,
    pub tty: Terminal,
    /// Guests' addresses that answer nobody.
    pub silent: Vec<IpAddr>,
    /// Whoever is asked at a page's end for a key is not there.
    pub stays_at_page: bool,
    /// A DHCP server on the uplink.
    pub lender: Option<Lender>,
    cables: Vec<Cable>,
    states: Vec<Rc<Cell<NicState>>>,
    now: Instant,
}

impl Bench {
    /// `nics` NICs at 00:02.0 and on, no configuration, the console greeted.
    pub fn new(nics: usize) -> Bench {
        let pool = Pool::new(256);
        let cables: Vec<Cable> = (0..nics).map(|_| Cable::default()).collect();
        let states: Vec<_> = (0..nics).map(|_| Rc::new(Cell::new(NicState::Up))).collect();
        let attach = |(at, cable): (usize, &Cable)| {
            let mac = [0x52, 0x54, 0, 0xaa, 0, at as u8];
            let counters = NicCounters::default();
            let (cable, state) = (cable.clone(), states[at].clone());
            let nic = Box::new(QueueNic { mac, pool, cable, state, counters });
            Attached { nic, pci: parse_pci(&format!("00:{:02x}.0", at + 2)) }
        };
        let attached: Vec<_> = cables.iter().enumerate().map(attach).collect();
        let site = control::site(attached.iter(), Vec::new(), FLOWS_FIT);
        let dataplane = Dataplane::new(Capacity { flows: 1024, macs: 512, clients: 64 }, 7);
        let mut appliance = Appliance::new(dataplane, pool, attached);
        appliance.memory = Some(Memory { bytes: 14 << 20, free_bytes: || 12 << 20 });
        let control = Control::begin(site.clone(), &mut appliance);
        let tty = Terminal { takes: 4096, ..Terminal::default() };
        let console = Console::default();
        let (silent, lender, stays_at_page, now) = (Vec::new(), None, false, Instant::START);
        let mut bench = Bench {
            appliance,
            control,
            site,
            console,
            tty,
            silent,
            lender,
            stays_at_page,
            cables,
            states,
            now,
        };
        bench.run(Duration::from_millis(100));
        bench
    }

    /// Lets time pass, with guests that answer for their addresses.
    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now = self.now + Duration::from_millis(10);
            self.appliance.turn(self.now);
            if let Some(news) = self.control.tick(&mut self.appliance) {
                self.console.tell(&news);
            }
            for at in 0..self.cables.len() {
                self.answer(at);
            }
        }
    }

    /// A NIC is from now on in this state; the switch has seen it when this returns.
    pub fn put_nic(&mut self, at: usize, state: NicState) {
        self.states[at].set(state);
        self.run(Duration::from_millis(200));
    }

    /// Whoever is behind a port answers what the switch asked.
    fn answer(&mut self, at: usize) {
        let asked = std::mem::take(&mut self.cables[at].borrow_mut().1);
        for frame in asked {
            let (v4, v6) = (address_at(at), guest_address_v6(at));
            let is_here = |address| !self.silent.contains(&address);
            if let Some(answer) = self.lender.filter(|_| at == 0).and_then(|l| l.answer(&frame)) {
                self.put(at, answer);
            }
            let is_request = frame[12..14] == [8, 6] && frame[20..22] == [0, 1];
            if is_request && frame[38..42] == v4.octets() && is_here(v4.into()) {
                let sender: [u8; 6] = frame[22..28].try_into().unwrap();
                let asker: [u8; 4] = frame[28..32].try_into().unwrap();
                self.put(at, arp_reply(at, sender, asker));
            }
            let is_echo = frame[12..14] == [8, 0] && (frame[23], frame[34]) == (1, 8);
            if is_echo && frame[30..34] == v4.octets() && is_here(v4.into()) {
                self.put(at, echo_reply(&frame));
            }
            let is_solicitation = frame[12..14] == [0x86, 0xdd] && frame[54] == 135;
            if is_solicitation && at > 0 && frame[62..78] == v6.octets() && is_here(v6.into()) {
                let sender: [u8; 6] = frame[6..12].try_into().unwrap();
                let asker: [u8; 16] = frame[22..38].try_into().unwrap();
                self.put(at, advertisement(at, sender, asker));
            }
        }
    }

    pub fn put(&self, at: usize, frame: Vec<u8>) {
        self.cables[at].borrow_mut().0.push_back(frame);
    }

    /// A client calls the VIP, its real answers, and the connection stands.
    pub fn call(&mut self, client_port: u16) {
        self.knock(client_port);
        self.now = self.now + Duration::from_millis(1);
        self.appliance.turn(self.now);
        for at in 1..self.cables.len() {
            let arrived = std::mem::take(&mut self.cables[at].borrow_mut().1);
            for frame in arrived.iter().filter(|frame| frame[12..14] == [8, 0]) {
                self.put(at, syn_ack(at, frame));
            }
        }
        self.now = self.now + Duration::from_millis(2);
        self.appliance.turn(self.now);
        self.put(0, tcp_to_vip(client_port, |tcp| tcp.ack(1)));
        self.run(Duration::from_millis(7));
    }

    /// A client's first segment waits at the uplink.
    pub fn knock(&self, client_port: u16) {
        self.put(0, tcp_to_vip(client_port, |tcp| tcp.syn()));
    }

    /// A client ends its connection to the VIP at once.
    pub fn hang_up(&mut self, client_port: u16) {
        self.put(0, tcp_to_vip(client_port, |tcp| tcp.rst()));
        self.run(Duration::from_millis(10));
    }

    /// Whoever is behind a port sends frames to everybody, from this MAC.
    pub fn shout(&mut self, at: usize, mac: [u8; 6], times: usize) {
        const EXPERIMENTAL: [u8; 2] = [0x88, 0xb5];
        let frame = [&[0xff; 6][..], &mac, &EXPERIMENTAL, &[0; 46]].concat();
        for _ in 0..times {
            self.put(at, frame.clone());
            self.now = self.now + Duration::from_millis(1);
            self.appliance.turn(self.now);
        }
        self.run(Duration::from_millis(10));
    }

    /// Whoever is behind a port says this of multicast groups, by IGMP, in a VLAN or, in 0, untagged;
    /// its sum is made right.
    pub fn say_of_groups(&mut self, at: usize, vlan: u16, to: [u8; 4], message: &[u8]) {
        const IGMP: u8 = 2;
        let mut message = message.to_vec();
        let sum = Sum16BitWords::new().add_slice(&message).ones_complement();
        message[2..4].copy_from_slice(&sum.to_ne_bytes());
        let mac = [1, 0, 0x5e, to[1] & 0x7f, to[2], to[3]];
        let (link, source) = (PacketBuilder::ethernet2(mac_at(at), mac), address_at(at).octets());
        let builder = match vlan {
            0 => link.ipv4(source, to, 1),
            vlan => link.single_vlan(vlan.try_into().unwrap()).ipv4(source, to, 1),
        };
        let mut frame = Vec::new();
        builder.write(&mut frame, IpNumber(IGMP), &message).unwrap();
        self.put(at, frame);
        self.run(Duration::from_millis(10));
    }

    /// A client goes on with a connection to the VIP; whether it is told that there is none.
    pub fn is_reset(&mut self, client_port: u16) -> bool {
        const RST: u8 = 0x04;
        self.cables[0].borrow_mut().1.clear();
        self.put(0, tcp_to_vip(client_port, |tcp| tcp.ack(1)));
        self.now = self.now + Duration::from_millis(1);
        self.appliance.turn(self.now);
        let to_client = std::mem::take(&mut self.cables[0].borrow_mut().1);
        let is_reset = |frame: &&Vec<u8>| frame[12..14] == [8, 0] && frame[47] & RST != 0;
        to_client.iter().any(|frame| is_reset(&frame))
    }

    /// A client's datagram to a VIP, on a VLAN.
    pub fn ask_on(&mut self, vlan: u16, client_port: u16) {
        let builder = PacketBuilder::ethernet2(CLIENT_MAC, MacAddr::virtual_of(VIP.into()).0)
            .single_vlan(vlan.try_into().unwrap())
            .ipv4(CLIENT.octets(), VIP.octets(), 64)
            .udp(client_port, 53);
        let mut frame = Vec::new();
        builder.write(&mut frame, b"what is the address of ...").unwrap();
        self.put(0, frame);
        self.run(Duration::from_millis(10));
    }

    /// A client sends a datagram to the VIP of IPv6.
    pub fn ask(&mut self, client_port: u16) {
        let mac = MacAddr::virtual_of(IpAddr::V6(VIP_V6)).0;
        let builder = PacketBuilder::ethernet2(CLIENT_MAC, mac)
            .ipv6(CLIENT_V6.octets(), VIP_V6.octets(), 64)
            .udp(client_port, 53);
        let mut frame = Vec::new();
        builder.write(&mut frame, b"what is the address of ...").unwrap();
        self.put(0, frame);
        self.run(Duration::from_millis(10));
    }

    /// The guest behind a port says how it is.
    pub fn report(&mut self, at: usize, line: &str) {
        let ends = (guest_address(at).octets(), lb::addr::LINK_LOCAL.octets());
        let builder = PacketBuilder::ethernet2(guest_mac(at), MacAddr::SWITCH.0)
            .ipv4(ends.0, ends.1, 64)
            .udp(40_000, lb::addr::REPORT_PORT);
        let mut frame = Vec::new();
        builder.write(&mut frame, line.as_bytes()).unwrap();
        self.put(at, frame);
        self.run(Duration::from_millis(10));
    }

    /// Types and waits until everything was read and shown; returns what was shown.
    pub fn type_in(&mut self, keys: &[u8]) -> String {
        self.tty.keys.extend(keys);
        self.settle();
        let shown = String::from_utf8_lossy(&std::mem::take(&mut self.tty.screen)).into_owned();
        // Whoever reads on sees the question go.
        if self.stays_at_page { shown } else { shown.replace(&format!("{MORE}{ERASE}"), "") }
    }

    /// Until everything was read and shown, and no command is at work any more; for that time passes.
    /// Long answers are read to their end.
    pub fn settle(&mut self) {
        loop {
            while !self.tty.keys.is_empty() || self.console.waiting() > 0 || self.console.is_busy()
            {
                match self.console.is_busy() {
                    true => self.turn_and_poll(),
                    false => self.poll(),
                }
            }
            // What was typed there is looked at when nothing more comes.
            let was_paging = self.console.is_paging();
            self.poll();
            let has_settled = !was_paging && self.console.waiting() == 0;
            if self.console.is_paging() && self.console.waiting() == 0 {
                if self.stays_at_page {
                    return;
                }
                self.tty.keys.push_back(b' ');
            } else if has_settled {
                return;
            }
        }
    }

    pub fn turn_and_poll(&mut self) {
        self.run(Duration::from_millis(10));
        self.poll();
    }

    pub fn poll(&mut self) {
        self.console.poll(&mut self.tty, &mut self.control, &mut self.appliance);
    }

    /// Configures without a console.
    pub fn configure(&mut self, text: &str) {
        if let Err(errors) = self.start_up(text) {
            panic!("{errors:#?}");
        }
    }

    /// Takes in a file, as the machine does when it starts.
    pub fn start_up(&mut self, text: &str) -> Result<(), Vec<Error>> {
        let config = config::load(text.as_bytes(), &self.site)?;
        let (from, statements) = (StartedFrom::Loader, config.statements().len());
        self.control.start_up(config, &mut self.appliance)?;
        self.control.note_start(Started { from, statements, notes: Vec::new() });
        Ok(())
    }
}

pub fn guest_mac(at: usize) -> [u8; 6] {
    [0x52, 0x54, 0, 1, 0, at as u8]
}

pub fn guest_address(at: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 2, 20 + at as u8)
}

/// Whoever is behind a port: a client on the uplink, or a guest.
fn address_at(at: usize) -> Ipv4Addr {
    if at == 0 { CLIENT } else { guest_address(at) }
}

fn mac_at(at: usize) -> [u8; 6] {
    if at == 0 { CLIENT_MAC } else { guest_mac(at) }
}

pub fn guest_address_v6(at: usize) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x20 + at as u16)
}

pub const CLIENT_MAC: [u8; 6] = [0x52, 0x54, 0, 0xcc, 0, 1];
pub const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
const CLIENT_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0x17, 0, 0, 0, 0xc11e);

fn arp_reply(at: usize, to: [u8; 6], to_address: [u8; 4]) -> Vec<u8> {
    let (mac, address) = (mac_at(at), address_at(at).octets());
    let packet = ArpPacket::new(
        ArpHardwareId::ETHERNET,
        EtherType::IPV4,
        ArpOperation::REPLY,
        &mac,
        &address,
        &to,
        &to_address,
    );
    let mut frame = [&to[..], &mac, &[8, 6]].concat();
    frame.extend_from_slice(&packet.unwrap().to_bytes());
    frame
}

/// The same packet back (RFC 792): both ends change places, and 8, "echo", becomes 0.
fn echo_reply(echo: &[u8]) -> Vec<u8> {
    let mut reply =
        [&echo[6..12], &echo[..6], &echo[12..26], &echo[30..34], &echo[26..30]].concat();
    let sum = u16::from_be_bytes([echo[36], echo[37]]);
    let (sum, carry) = sum.overflowing_add(0x0800);
    reply.extend_from_slice(&[0, 0]);
    reply.extend_from_slice(&(sum + u16::from(carry)).to_be_bytes());
    reply.extend_from_slice(&echo[38..]);
    reply
}

/// What a guest answers to a neighbor solicitation (RFC 4861, §4.4).
fn advertisement(at: usize, to: [u8; 6], to_address: [u8; 16]) -> Vec<u8> {
    const ADVERTISEMENT: u8 = 136;
    const SOLICITED_OVERRIDE: [u8; 4] = [0x60, 0, 0, 0];
    let (mac, address) = (guest_mac(at), guest_address_v6(at).octets());
    let builder = PacketBuilder::ethernet2(mac, to).ipv6(address, to_address, 255).icmpv6_raw(
        ADVERTISEMENT,
        0,
        SOLICITED_OVERRIDE,
    );
    let mut frame = Vec::new();
    builder.write(&mut frame, &[&address[..], &[2, 1], &mac].concat()).unwrap();
    frame
}

type Tcp = etherparse::PacketBuilderStep<etherparse::TcpHeader>;

fn tcp_to_vip(client_port: u16, flags: impl Fn(Tcp) -> Tcp) -> Vec<u8> {
    let mac = MacAddr::virtual_of(IpAddr::V4(VIP)).0;
    let builder = PacketBuilder::ethernet2(CLIENT_MAC, mac)
        .ipv4(CLIENT.octets(), VIP.octets(), 64)
        .tcp(client_port, 80, 1, 1000);
    let mut frame = Vec::new();
    flags(builder).write(&mut frame, &[]).unwrap();
    frame
}

/// What a real answers to the SYN that reached it.
fn syn_ack(at: usize, syn: &[u8]) -> Vec<u8> {
    let ports: Vec<u16> = syn[34..38].chunks(2).map(|p| u16::from_be_bytes([p[0], p[1]])).collect();
    let client: [u8; 4] = syn[26..30].try_into().unwrap();
    let builder = PacketBuilder::ethernet2(guest_mac(at), CLIENT_MAC)
        .ipv4(guest_address(at).octets(), client, 64)
        .tcp(ports[1], ports[0], 9, 1000)
        .syn()
        .ack(2);
    let mut frame = Vec::new();
    builder.write(&mut frame, &[]).unwrap();
    frame
}
