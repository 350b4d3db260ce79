//! The TCP connections of probes: smoltcp's state machine behind our own framing.
//!
//! ```text
//!   a turn ─▶ smoltcp ─(IP packet)─▶ by its port: whose? ─▶ the guest's MAC, VLAN, probe source ─▶ outbox
//!   frame ──▶ the very guest, an open port, TCP as our parsers want it ─▶ smoltcp ─▶ answer, ended?
//! ```
//!
//! smoltcp runs on [`Medium::Ip`]: its own neighbor discovery asks once a second per interface and
//! lets one dead neighbour starve the others, while we know the guest's port and MAC. It has two
//! addresses, the switch's link-local ones; a guest's probe source is put in on the way out and taken
//! out on the way in.
//!
//! A fixed number of connections is made at the start, each with its buffers. smoltcp's arithmetic of
//! sequence numbers panics where its invariants break, so it sees nothing unforeseen: no packet but
//! of the asked guest, no fragment, no option of IP, no simultaneous open, and no packet at all for a
//! connection that has ended, which is the moment when its answer is known. The window is less than a
//! segment, so a guest with segmentation offload never sends more than one at once.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::net::IpAddr;

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::wire::{HardwareAddress, IpCidr};

use super::{ErrandId, Outcome, Sender, Target, Task};
use crate::addr::{LINK_LOCAL, LINK_LOCAL_V6, link_local_like};
use crate::limits::{
    PROBE_CONNECTIONS_MAX, PROBE_CONNECTIONS_PER_PORT_MAX, PROBE_PORT_FIRST, REPORT_BYTES_MAX,
};
use crate::outbox::Outbox;
use crate::service::check::http::{self, Beginning};
use crate::service::check::{Check, CheckKind, Failure};
use crate::wire::ethernet::{self, PAYLOAD_BYTES_MAX};
use crate::wire::ip::Version;
use crate::wire::{Endpoint, Ip, Offload, Transport};
use crate::{Instant, MacAddr, PortSet};

/// What a guest may send before it is acknowledged: less than the smallest segment that a NIC would
/// cut for it.
const WINDOW_BYTES: usize = 1024;

pub(super) struct Connections {
    interface: Interface,
    sockets: SocketSet<'static>,
    handles: [SocketHandle; PROBE_CONNECTIONS_MAX],
    open: Box<[Option<Open>]>,
    in_use: usize,
    answers: Box<[Answer]>,
    packets: Packets,
}

/// A connection's number, which is the lower part of its ports.
pub(super) type ConnectionId = u8;

/// Which connections are all in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    OfAll,
    /// Those that may go to guests behind one port.
    OfPort,
}

type Answer = heapless::Vec<u8, { Check::ANSWER_BYTES_MAX }>;
type Packet = Box<[u8; PAYLOAD_BYTES_MAX]>;

/// A connection in use.
#[derive(Clone, Copy, Debug)]
struct Open {
    errand: ErrandId,
    target: Target,
    port: u16,
    is_established: bool,
}

/// Room for a packet each way.
struct Packets {
    incoming: Packet,
    outgoing: Packet,
}

const _: () = assert!(PROBE_CONNECTIONS_MAX.is_power_of_two());
const _: () = assert!((u16::MAX - PROBE_PORT_FIRST) as usize + 1 >= PROBE_CONNECTIONS_MAX * 16);
const _: () = assert!(PROBE_CONNECTIONS_PER_PORT_MAX < PROBE_CONNECTIONS_MAX);
const _: () = assert!(REPORT_BYTES_MAX < Check::ANSWER_BYTES_MAX);

impl Connections {
    pub fn new(seed: u64) -> Connections {
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = seed;
        let start = smoltcp::time::Instant::ZERO;
        let mut interface = Interface::new(config, &mut Capabilities, start);
        interface.update_ip_addrs(|addresses| {
            // With a prefix of everything, for guests may be anywhere.
            let own = [IpAddr::V4(LINK_LOCAL), IpAddr::V6(LINK_LOCAL_V6)];
            addresses.extend(own.map(|address| IpCidr::new(address.into(), 0)));
        });
        let mut sockets = SocketSet::new(Vec::with_capacity(PROBE_CONNECTIONS_MAX));
        let buffer = |len: usize| SocketBuffer::new(vec![0; len]);
        let handles = core::array::from_fn(|_| {
            let mut socket = Socket::new(buffer(WINDOW_BYTES), buffer(http::REQUEST_BYTES_MAX));
            socket.set_ack_delay(None);
            sockets.add(socket)
        });
        Connections {
            interface,
            sockets,
            handles,
            open: vec![None; PROBE_CONNECTIONS_MAX].into_boxed_slice(),
            in_use: 0,
            answers: vec![Answer::new(); PROBE_CONNECTIONS_MAX].into_boxed_slice(),
            packets: Packets {
                incoming: Box::new([0; PAYLOAD_BYTES_MAX]),
                outgoing: Box::new([0; PAYLOAD_BYTES_MAX]),
            },
        }
    }

    /// How many are in use.
    pub fn in_use(&self) -> usize {
        self.in_use
    }

    /// Begins a connection; it is on the wire after the next [`Connections::send`].
    pub fn open(
        &mut self,
        errand: ErrandId,
        target: Target,
        roll: u64,
    ) -> Result<ConnectionId, Full> {
        let at = self.open.iter().position(Option::is_none).ok_or(Full::OfAll)?;
        let of_port = self.open.iter().flatten().filter(|open| open.target.egress == target.egress);
        if of_port.count() >= PROBE_CONNECTIONS_PER_PORT_MAX {
            return Err(Full::OfPort);
        }
        let port = local_port(at, roll);
        let local = (IpAddr::from(target.canonical_source()), port);
        let remote = (IpAddr::from(target.address), target.port);
        let Connections { interface, sockets, handles, .. } = self;
        let socket = sockets.get_mut::<Socket<'_>>(handles[at]);
        // Refused only of an address or port that no configuration has.
        socket.connect(interface.context(), remote, local).map_err(|_| Full::OfPort)?;
        self.answers[at].clear();
        self.open[at] = Some(Open { errand, target, port, is_established: false });
        self.in_use += 1;
        Ok(at as ConnectionId)
    }

    /// Sends what is to be sent, for the first time or again.
    pub fn send(&mut self, now: Instant, outbox: &mut Outbox) {
        if self.in_use == 0 {
            return;
        }
        let Connections { interface, sockets, open, packets, .. } = self;
        let outgoing = &mut packets.outgoing;
        let mut wire = Wire { incoming: None, out: Out { open, outgoing, outbox } };
        interface.poll_egress(time(now), &mut wire, sockets);
    }

    /// The errand for whose connection a segment of this guest is.
    pub fn of(&self, sender: Sender, segment: &Transport) -> Option<ErrandId> {
        let at = connection_at(segment.destination.port)?;
        let open = self.open[usize::from(at)].as_ref()?;
        let is_its = open.port == segment.destination.port
            && open.target.is_at(sender)
            && open.target.end() == segment.source
            && open.target.source == segment.destination.address;
        is_its.then_some(open.errand)
    }

    /// Takes in a segment of an open connection, and answers it.
    pub fn receive(&mut self, ip: &Ip, frame: &[u8], now: Instant, outbox: &mut Outbox) {
        let Connections { interface, sockets, open, packets, .. } = self;
        let Packets { incoming, outgoing } = packets;
        let packet = frame.get(ip.at..ip.end_at);
        let room = packet.and_then(|packet| Some((incoming.get_mut(..packet.len())?, packet)));
        let Some((incoming, packet)) = room else {
            return;
        };
        incoming.copy_from_slice(packet);
        if to_own_address(incoming, ip.version).is_none() {
            return;
        }
        let mut wire = Wire { incoming: Some(incoming), out: Out { open, outgoing, outbox } };
        interface.poll_ingress_single(time(now), &mut wire, sockets);
    }

    /// What has become of a connection by now; the answer, once it is known.
    pub fn progress(&mut self, at: ConnectionId, task: &Task) -> Option<Outcome> {
        let at = usize::from(at);
        let open = self.open[at].as_mut()?;
        let socket = self.sockets.get_mut::<Socket<'_>>(self.handles[at]);
        let state = socket.state();
        if state == State::SynSent {
            return None;
        }
        if state == State::Closed && !open.is_established {
            return Some(task.failed(Failure::Refused));
        }
        let is_new = !core::mem::replace(&mut open.is_established, true);
        if let Task::Check(Check { kind: CheckKind::Http { path, .. }, .. }) = task
            && is_new
        {
            let request = http::request(path, open.target.host);
            // The buffer has room for the longest.
            let _ = socket.send_slice(request.as_bytes());
        }
        let answer = &mut self.answers[at];
        let _ = socket.recv(|bytes| {
            let taken = bytes.len().min(answer.capacity() - answer.len());
            // No more than there is room for.
            let _ = answer.extend_from_slice(&bytes[..taken]);
            (taken, ())
        });
        let has_ended = !socket.may_recv() || answer.is_full();
        let judged = task.judge(Beginning { bytes: answer, is_all: has_ended });
        match (judged, state) {
            (
                Some(Outcome::Checked(Err(Failure::NoHttp | Failure::TextMissing))),
                State::Closed,
            ) => Some(task.failed(Failure::Reset)),
            (judged, _) => judged,
        }
    }

    /// Ends a connection with a reset.
    pub fn close(&mut self, at: ConnectionId, now: Instant, outbox: &mut Outbox) {
        self.sockets.get_mut::<Socket<'_>>(self.handles[usize::from(at)]).abort();
        self.send(now, outbox);
        self.in_use -= usize::from(self.open[usize::from(at)].take().is_some());
    }
}

/// Gives a packet to a probe source the address that smoltcp knows.
fn to_own_address(packet: &mut [u8], version: Version) -> Option<()> {
    let (ip, segment) = parse(packet, version)?;
    let address = link_local_like(ip.destination.into()).into();
    let own = Endpoint { address, ..segment.destination };
    segment.rewrite(&ip, packet, &Offload::default(), segment.source, own);
    Some(())
}

/// The headers of a packet that begins with the first byte.
fn parse(packet: &[u8], version: Version) -> Option<(Ip, Transport)> {
    let ip = Ip::parse(packet, packet.len(), 0, version.ethertype())?.ok()?;
    let segment = Transport::parse(packet, &ip).ok()?;
    Some((ip, segment))
}

/// A port of this connection's, another each time.
fn local_port(at: usize, roll: u64) -> u16 {
    let ports = usize::from(u16::MAX - PROBE_PORT_FIRST) + 1;
    let row = roll as usize % (ports / PROBE_CONNECTIONS_MAX);
    PROBE_PORT_FIRST + (row * PROBE_CONNECTIONS_MAX + at) as u16
}

/// The connection that has such ports.
fn connection_at(port: u16) -> Option<ConnectionId> {
    let above = usize::from(port.checked_sub(PROBE_PORT_FIRST)?);
    Some((above % PROBE_CONNECTIONS_MAX) as ConnectionId)
}

fn time(now: Instant) -> smoltcp::time::Instant {
    smoltcp::time::Instant::from_micros((now.as_nanos() / 1000) as i64)
}

/// What smoltcp takes for its device.
struct Wire<'a> {
    incoming: Option<&'a [u8]>,
    out: Out<'a>,
}

/// The way out.
struct Out<'a> {
    open: &'a [Option<Open>],
    outgoing: &'a mut [u8; PAYLOAD_BYTES_MAX],
    outbox: &'a mut Outbox,
}

struct Incoming<'a>(&'a [u8]);

/// The same way, for one packet.
struct Outgoing<'a, 'b>(&'a mut Out<'b>);

/// What the device is like, as long as there is none.
struct Capabilities;

fn capabilities() -> DeviceCapabilities {
    let mut capabilities = DeviceCapabilities::default();
    capabilities.medium = Medium::Ip;
    capabilities.max_transmission_unit = PAYLOAD_BYTES_MAX;
    capabilities
}

impl Device for Capabilities {
    type RxToken<'a> = Incoming<'a>;
    type TxToken<'a> = Outgoing<'a, 'a>;

    fn receive(&mut self, _: smoltcp::time::Instant) -> Option<(Incoming<'_>, Outgoing<'_, '_>)> {
        None
    }

    fn transmit(&mut self, _: smoltcp::time::Instant) -> Option<Outgoing<'_, '_>> {
        None
    }

    fn capabilities(&self) -> DeviceCapabilities {
        capabilities()
    }
}

impl<'b> Device for Wire<'b> {
    type RxToken<'a>
        = Incoming<'a>
    where
        Self: 'a;
    type TxToken<'a>
        = Outgoing<'a, 'b>
    where
        Self: 'a;

    fn receive(&mut self, _: smoltcp::time::Instant) -> Option<(Incoming<'_>, Outgoing<'_, 'b>)> {
        let packet = self.incoming.take()?;
        Some((Incoming(packet), Outgoing(&mut self.out)))
    }

    fn transmit(&mut self, _: smoltcp::time::Instant) -> Option<Outgoing<'_, 'b>> {
        Some(Outgoing(&mut self.out))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        capabilities()
    }
}

impl RxToken for Incoming<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

impl TxToken for Outgoing<'_, '_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        // No packet is longer than the MTU that smoltcp was told.
        let result = f(&mut self.0.outgoing[..len]);
        self.0.frame(len);
        result
    }
}

impl Out<'_> {
    /// Puts before a packet what the link wants, and the guest's probe source into it.
    fn frame(&mut self, len: usize) -> Option<()> {
        let packet = &mut self.outgoing[..len];
        let version = if packet.first()? >> 4 == 4 { Version::V4 } else { Version::V6 };
        let (ip, segment) = parse(packet, version)?;
        let at = connection_at(segment.source.port)?;
        let target = self.open[usize::from(at)].as_ref()?.target;
        let source = Endpoint { address: target.source, ..segment.source };
        segment.rewrite(&ip, packet, &Offload::default(), source, segment.destination);
        let (mac, vlan) = (target.mac, target.vlan);
        let header = ethernet::header(mac, MacAddr::SWITCH, vlan, version.ethertype());
        self.outbox.push(PortSet::EMPTY.with(target.egress), &[&header, packet]);
        Some(())
    }
}
