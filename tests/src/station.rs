//! A test program behind a NIC of the appliance: a guest, a client, or the world.
//!
//! Each station has a thread that takes frames off the wire, so that the switch's ARP checks are
//! answered while the test thinks of other things. What a living host's kernel would answer by
//! itself (ARP for its own address) is answered there and not shown to the test; announcements of
//! the switch are kept apart, since they come when time has come, and so is what it says of itself by
//! LLDP; everything else waits in the inbox, in order.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use lb::MacAddr;
use lb::wire::lldp::NEAREST_BRIDGE;

use crate::LIMIT;
use crate::frame::{Arp, ArpKind, Frame, Raw, describe};
use crate::trace::{Direction, Trace};

/// IEEE 802's ethertype for local experiments: the harness's markers.
const MARKER: u16 = 0x88b5;

/// One end of a wire whose other end is a NIC of the appliance.
#[derive(Clone)]
pub struct Station {
    pub port: usize,
    pub mac: MacAddr,
    pub address: Ipv4Addr,
    wires: Arc<Wires>,
}

/// What all stations of a machine share.
pub(crate) struct Wires {
    ends: Vec<End>,
    boxes: Mutex<Vec<Boxes>>,
    arrived: Condvar,
    pub(crate) trace: Trace,
    stopped: AtomicBool,
}

struct End {
    /// The wire: that of the machine where the appliance is now.
    socket: Mutex<Arc<UnixDatagram>>,
    mac: MacAddr,
    address: Ipv4Addr,
    /// Whether ARP is answered, as a living guest does.
    alive: AtomicBool,
}

#[derive(Default)]
struct Boxes {
    inbox: VecDeque<Vec<u8>>,
    announcements: Vec<Arp>,
    probes: usize,
    /// What the appliance says of itself by LLDP.
    introductions: Vec<Vec<u8>>,
}

impl Station {
    pub fn send(&self, frame: impl Into<Frame>) {
        self.send_bytes(&frame.into().bytes());
    }

    /// Bytes that need not be a frame that anybody sends.
    pub fn send_bytes(&self, bytes: &[u8]) {
        self.wires.send(self.port, bytes);
    }

    /// The next frame, which is what was expected, in every byte; what is short may have been padded.
    #[track_caller]
    pub fn expect(&self, expected: impl Into<Frame>) {
        let expected = expected.into();
        let bytes = self.next_bytes(&expected);
        if bytes != expected.bytes() && bytes != padded(expected.bytes()) {
            let (port, found) = (self.port, describe(&bytes));
            panic!("at port {port}, expected {expected}\nbut there came {found}\n{bytes:02x?}");
        }
    }

    /// The next frame, which is these bytes.
    #[track_caller]
    pub fn expect_bytes(&self, expected: &[u8]) {
        let bytes = self.next_bytes(expected);
        assert_eq!(bytes, expected, "at port {}, {}", self.port, describe(&bytes));
    }

    /// The same station with another IP address, such as one behind a router.
    pub fn calling_as(&self, address: Ipv4Addr) -> Station {
        Station { address, ..self.clone() }
    }

    /// The next frame, whatever it is.
    #[track_caller]
    pub fn next(&self, what: &str) -> Frame {
        parsed(&self.next_bytes(what))
    }

    /// The next frame of any of these stations, and which one it was.
    #[track_caller]
    pub fn first_of<'a>(stations: &[&'a Station], what: &str) -> (&'a Station, Frame) {
        let wires = &stations[0].wires;
        let found = wires.wait(|boxes| {
            stations.iter().find_map(|&station| {
                let bytes = boxes[station.port].inbox.pop_front()?;
                Some((station, bytes))
            })
        });
        let (station, bytes) = found.unwrap_or_else(|| panic!("no {what} came to any station"));
        (station, parsed(&bytes))
    }

    /// The next frame, if there comes one before something else has happened.
    pub fn next_unless(&self, has_happened: impl Fn() -> bool) -> Option<Frame> {
        let next = |boxes: &mut Vec<Boxes>| boxes[self.port].inbox.pop_front();
        let end = Instant::now() + LIMIT;
        while Instant::now() < end {
            if let Some(bytes) = next(&mut self.wires.boxes.lock().unwrap()) {
                return Some(parsed(&bytes));
            }
            if has_happened() {
                return None;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        panic!("nothing came to port {}, and nothing else happened", self.port)
    }

    /// From now on this station answers no ARP, as a guest that hangs; or it does again.
    pub fn set_alive(&self, alive: bool) {
        self.wires.ends[self.port].alive.store(alive, Ordering::Relaxed);
    }

    /// Announcements of the switch that have come so far.
    pub fn announcements(&self) -> Vec<Arp> {
        self.wires.boxes.lock().unwrap()[self.port].announcements.clone()
    }

    /// Waits for an announcement of the switch.
    #[track_caller]
    pub fn await_announcement(&self) -> Arp {
        let found = self.wires.wait(|boxes| boxes[self.port].announcements.first().copied());
        found.unwrap_or_else(|| panic!("no announcement came to port {}", self.port))
    }

    /// Waits for what the switch says of itself by LLDP: the frame.
    #[track_caller]
    pub fn await_introduction(&self) -> Vec<u8> {
        let found = self.wires.wait(|boxes| boxes[self.port].introductions.pop());
        found.unwrap_or_else(|| panic!("no introduction came to port {}", self.port))
    }

    /// How often it has said so and nobody has asked for it.
    pub fn introductions(&self) -> usize {
        self.wires.boxes.lock().unwrap()[self.port].introductions.len()
    }

    /// Waits until the switch has checked this station by ARP so many times more.
    #[track_caller]
    pub fn await_probes(&self, count: usize) {
        let before = self.wires.boxes.lock().unwrap()[self.port].probes;
        let seen =
            self.wires.wait(|boxes| (boxes[self.port].probes >= before + count).then_some(()));
        assert!(seen.is_some(), "port {} was not checked {count} times", self.port);
    }

    /// Everything that has arrived at these stations, in their order, once every frame that they
    /// have sent is through: each sends a marker to all, and all the others wait for it. A second
    /// round is behind whatever the switch said because of the first. What is not in the result did
    /// not come, and no clock was needed to say so.
    #[track_caller]
    pub fn settle(stations: &[&Station]) -> Vec<Vec<Frame>> {
        let arrived = Station::settle_bytes(stations);
        arrived.iter().map(|frames| frames.iter().map(|bytes| parsed(bytes)).collect()).collect()
    }

    /// The same, where what arrives need not make sense.
    #[track_caller]
    pub fn settle_bytes(stations: &[&Station]) -> Vec<Vec<Vec<u8>>> {
        let mut arrived = vec![Vec::new(); stations.len()];
        for sender in stations.iter().chain(stations) {
            let marker = sender.marker();
            sender.send_bytes(&marker);
            let listening = |station: &&Station| station.port != sender.port;
            let others = stations.iter().zip(&mut arrived);
            for (station, frames) in others.filter(|(station, _)| listening(station)) {
                loop {
                    let bytes = station.next_bytes("marker");
                    if bytes == marker {
                        break;
                    }
                    frames.push(bytes);
                }
            }
        }
        arrived
    }

    fn marker(&self) -> Vec<u8> {
        let (from, to) = (self.mac, MacAddr::BROADCAST);
        let marker = Raw { from, to, ether_type: MARKER, payload: vec![0; 46] };
        Frame::from(marker).bytes()
    }

    #[track_caller]
    fn next_bytes(&self, what: impl std::fmt::Debug) -> Vec<u8> {
        let found = self.wires.wait(|boxes| boxes[self.port].inbox.pop_front());
        found.unwrap_or_else(|| panic!("nothing came to port {}, expected {what:?}", self.port))
    }
}

impl Wires {
    /// Takes the harness's ends of the wires and starts listening on each.
    pub(crate) fn new(sockets: Vec<UnixDatagram>) -> Arc<Wires> {
        let boxes = Mutex::new(sockets.iter().map(|_| Boxes::default()).collect());
        let ends = sockets.into_iter().enumerate().map(|(port, socket)| {
            let socket = Mutex::new(patient(socket));
            let (mac, address) = identity(port);
            End { socket, mac, address, alive: AtomicBool::new(true) }
        });
        let wires = Arc::new(Wires {
            ends: ends.collect(),
            boxes,
            arrived: Condvar::new(),
            trace: Trace::new(),
            stopped: AtomicBool::new(false),
        });
        (0..wires.ends.len()).for_each(|port| wires.start_listening(port));
        wires
    }

    /// From here on frames go to the same ports of another machine; those of the first are still heard.
    pub(crate) fn lead_to(self: &Arc<Wires>, sockets: Vec<UnixDatagram>) {
        assert_eq!(sockets.len(), self.ends.len(), "a wire for each");
        for (port, socket) in sockets.into_iter().enumerate() {
            *self.ends[port].socket.lock().unwrap() = patient(socket);
            self.start_listening(port);
        }
    }

    pub(crate) fn station(self: &Arc<Wires>, port: usize) -> Station {
        let End { mac, address, .. } = self.ends[port];
        Station { port, mac, address, wires: self.clone() }
    }

    /// The listening threads end.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    fn send(&self, port: usize, bytes: &[u8]) {
        self.trace.record(port, Direction::In, bytes);
        if let Err(error) = self.socket(port).send(bytes) {
            panic!("the appliance's port {port} takes no frames: {error}");
        }
    }

    fn socket(&self, port: usize) -> Arc<UnixDatagram> {
        self.ends[port].socket.lock().unwrap().clone()
    }

    fn start_listening(self: &Arc<Wires>, port: usize) {
        let (wires, socket) = (self.clone(), self.socket(port));
        std::thread::spawn(move || wires.listen(port, &socket));
    }

    fn listen(&self, port: usize, socket: &UnixDatagram) {
        let mut buffer = [0; 65_536];
        while !self.stopped.load(Ordering::Relaxed) {
            if let Ok(length) = socket.recv(&mut buffer) {
                self.arrive(port, &buffer[..length]);
            }
        }
    }

    fn arrive(&self, port: usize, bytes: &[u8]) {
        self.trace.record(port, Direction::Out, bytes);
        let end = &self.ends[port];
        let mut boxes = self.boxes.lock().unwrap();
        match Frame::parse(bytes) {
            Ok(Frame::Arp(arp)) if arp.is_announcement() => {
                boxes[port].announcements.push(arp);
            }
            Ok(Frame::Arp(arp)) if arp.kind == ArpKind::Request && arp.target == end.address => {
                boxes[port].probes += usize::from(arp.from == MacAddr::SWITCH);
                if end.alive.load(Ordering::Relaxed) {
                    let answer = Frame::from(arp.answer(end.mac)).bytes();
                    self.trace.record(port, Direction::In, &answer);
                    // A machine that is just ending takes no answer, and needs none.
                    let _ = self.socket(port).send(&answer);
                }
            }
            _ if bytes.starts_with(&NEAREST_BRIDGE.0) => {
                boxes[port].introductions.push(bytes.to_vec());
            }
            _ => boxes[port].inbox.push_back(bytes.to_vec()),
        }
        self.arrived.notify_all();
    }

    /// Waits until `look` finds something in the boxes; `None` when [`LIMIT`] is over.
    fn wait<T>(&self, mut look: impl FnMut(&mut Vec<Boxes>) -> Option<T>) -> Option<T> {
        let end = Instant::now() + LIMIT;
        let mut boxes = self.boxes.lock().unwrap();
        loop {
            if let Some(found) = look(&mut boxes) {
                return Some(found);
            }
            let left = end.checked_duration_since(Instant::now())?;
            boxes = self.arrived.wait_timeout(boxes, left).unwrap().0;
        }
    }
}

impl std::fmt::Debug for Station {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "port {} ({} {})", self.port, self.mac, self.address)
    }
}

/// Who reads looks now and then whether it is over; who writes waits for a machine that has much to do.
fn patient(socket: UnixDatagram) -> Arc<UnixDatagram> {
    let timeout = std::time::Duration::from_millis(100);
    socket.set_read_timeout(Some(timeout)).expect("a timeout above zero");
    socket.set_write_timeout(Some(LIMIT)).expect("a timeout above zero");
    Arc::new(socket)
}

/// As a chip on a wire sends what is shorter than a frame can be.
fn padded(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.resize(bytes.len().max(60), 0);
    bytes
}

/// Who sits at which port: the world at the uplink (port 0), guests at the others.
fn identity(port: usize) -> (MacAddr, Ipv4Addr) {
    let number = port as u8;
    match port {
        0 => (MacAddr([0x52, 0x54, 0, 2, 0, 1]), Ipv4Addr::new(10, 0, 2, 2)),
        _ => (MacAddr([0x52, 0x54, 0, 1, 0, number]), Ipv4Addr::new(10, 0, 2, 20 + number)),
    }
}

#[track_caller]
fn parsed(bytes: &[u8]) -> Frame {
    Frame::parse(bytes).unwrap_or_else(|error| panic!("{error}\n{bytes:02x?}"))
}
