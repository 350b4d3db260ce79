//! The world in which a scene plays, and what is looked at while it does.

use std::net::IpAddr;
use std::time::Duration;

use lb::wire::checksum::Sum;
use lb::wire::ip::Version;
use lb::wire::offload::{Cut, Segment};
use lb::wire::{Endpoint, Offload};
use lb::*;

use super::cast::{self, PORTS, SERVICES, Speaker, port};
use super::frames::{Ends, Options, Shape};
use super::oracle::{self, Seal};

const SYN: u8 = 0x02;
const SYN_ACK: u8 = 0x12;
const ACK: u8 = 0x10;
/// The client's port of the flows that are open from the start.
pub const OPEN_PORT: u16 = 1000;
/// How often the housekeeping comes round.
const TURN: Duration = Duration::from_millis(10);

/// Of a packet that is cut, so many segments are looked at.
const SEGMENTS_SEEN: usize = 4;

/// A switch that serves, and a clock.
pub struct Stage {
    pub plane: Dataplane,
    pub now: Instant,
    pub speakers: [Speaker; 8],
    /// Frames that each port was given.
    sent: [u64; PORTS],
}

/// A frame with what travels beside it.
#[derive(Clone, Debug)]
pub struct Given {
    pub ingress: usize,
    pub bytes: Vec<u8>,
    /// Bytes in further buffers, which the switch does not see.
    pub beyond: usize,
    pub offload: Offload,
    pub punt: Punted,
}

/// What becomes of it if it is punted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Punted {
    Taken,
    QueueFull,
}

/// Which guests answer the switch's probes, a bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Awake(pub u8);

impl Awake {
    pub const ALL: Awake = Awake(0xff);
}

impl Given {
    pub fn plain(ingress: usize, bytes: Vec<u8>) -> Given {
        let offload = Offload::default();
        Given { ingress, bytes, beyond: 0, offload, punt: Punted::Taken }
    }

    /// The frames that a NIC would put on the wire, or the first of them; none if it could not.
    fn on_the_wire(&self) -> Vec<Vec<u8>> {
        let Given { ref bytes, beyond, mut offload, .. } = *self;
        if beyond > 0 {
            return vec![];
        }
        if offload.segments.is_none() {
            let mut whole = bytes.clone();
            let finished = offload.finish(&mut whole, bytes.len(), Sum::default());
            return finished.map_or(vec![], |()| vec![whole]);
        }
        let Ok(cut) = Cut::new(&offload, bytes, bytes.len()) else {
            return vec![];
        };
        let frame = |segment: Segment| {
            let payload = &bytes[segment.payload.clone()];
            let mut frame = [&vec![0; cut.headers_len()][..], payload].concat();
            cut.write(&segment, bytes, &mut frame, Sum::default());
            frame
        };
        cut.segments().take(SEGMENTS_SEEN).map(frame).collect()
    }
}

impl Stage {
    /// Everybody there and up, and with every service that has reals a flow open.
    pub fn new() -> Stage {
        let mut stage = Stage {
            plane: Dataplane::new(cast::CAPACITY, cast::SECRET),
            now: Instant::from_millis(1000),
            speakers: cast::speakers(),
            sent: [0; PORTS],
        };
        for command in opening() {
            stage.plane.apply(&command, stage.now).expect("a cast that fits");
        }
        stage.plane.start(stage.now);
        for _ in 0..3 {
            stage.pass(Duration::from_millis(100), 1, Awake::ALL);
        }
        for service in (0..SERVICES).filter(|&at| cast::has_reals(at)) {
            stage.open(&cast::service(service));
        }
        stage
    }

    /// Gives the switch a frame and looks at what becomes of it.
    pub fn give(&mut self, mut given: Given) -> Verdict {
        if let Err(reason) = self.enter(&mut given) {
            self.sent[given.ingress] += 1;
            oracle::check_counts(&self.plane, &self.sent);
            return Verdict::Drop(reason);
        }
        let mut after = given.clone();
        let trace = self.trace(&given);
        let verdict = self.receive(&mut after);
        oracle::check_trace(&trace, verdict, &after.bytes);
        self.check(verdict, &given, &after);
        match (verdict, given.punt) {
            (Verdict::Punt, Punted::Taken) => {
                self.plane.local(port(given.ingress), &after.bytes, self.now);
            }
            (Verdict::Punt, Punted::QueueFull) => self.plane.punt_refused(port(given.ingress)),
            _ => {}
        }
        let said = self.hear(Awake(0));
        assert!(said <= oracle::ORIGINS_PER_FRAME_MAX, "{said} frames for one");
        oracle::check_counts(&self.plane, &self.sent);
        verdict
    }

    /// Asks for a change; a refusal changes nothing. What the switch has said is on its way by then.
    pub fn ask(&mut self, command: &Command) {
        self.hear(Awake(0));
        let epoch = self.plane.tables().epoch();
        let answer = self.plane.apply(command, self.now);
        let step = u64::from(answer.is_ok());
        assert_eq!(self.plane.tables().epoch(), epoch + step, "{command:?}: {answer:?}");
        oracle::check_tables(&self.plane);
    }

    /// Lets time pass, and the housekeeping come round so often at the end of it.
    pub fn pass(&mut self, time: Duration, turns: usize, awake: Awake) {
        self.now = self.now + time;
        for _ in 0..turns {
            self.plane.housekeep(self.now);
            self.hear(awake);
            self.now = self.now + TURN;
        }
        while self.plane.events().pop().is_some() {}
        oracle::check_counts(&self.plane, &self.sent);
    }

    /// What must hold in the end: nothing is held for ever, and the tables agree.
    pub fn finish(&mut self) {
        oracle::check_tables(&self.plane);
        for _ in 0..HELD_TURNS {
            if self.held() == 0 {
                return;
            }
            self.pass(Duration::from_secs(1), 1, Awake(0));
        }
        assert_eq!(self.held(), 0, "a fragment for ever");
    }

    /// What must hold long after: every flow ends, and nobody counts it any more.
    pub fn wait_for_ever(&mut self) {
        let age = Duration::from_secs(3 * 3600);
        self.pass(age, 2 * cast::CAPACITY.flows, Awake(0));
        assert_eq!(self.plane.flows().len(), 0, "a flow for ever");
        let fragments = self.plane.fragments();
        let ended = fragments.completed + fragments.expired + fragments.evicted;
        assert_eq!(fragments.begun, ended, "a datagram for ever");
        oracle::check_tables(&self.plane);
    }

    /// Who has this address; somebody behind the router if nobody here has.
    pub fn speaker_of(&self, address: IpAddr) -> Speaker {
        let has = |who: &&Speaker| who.address(Version::of(address)) == address;
        *self.speakers.iter().find(has).unwrap_or(&self.speakers[1])
    }

    /// Lets a frame in by the edge of its port.
    fn enter(&mut self, given: &mut Given) -> Result<(), DropReason> {
        let Given { ingress, ref mut bytes, ref mut offload, .. } = *given;
        match self.plane.entry(port(ingress), bytes)? {
            Entry::AsIs => {}
            Entry::Push(vlan) => {
                let [v0, v1] = vlan.get().to_be_bytes();
                bytes.splice(12..12, [0x81, 0, v0, v1]);
                if let Some(checksum) = &mut offload.checksum {
                    checksum.start = checksum.start.saturating_add(4);
                }
            }
            Entry::Name(vlan) => {
                let priority = u16::from(bytes[14] & 0xf0) << 8;
                bytes[14..16].copy_from_slice(&(priority | vlan.get()).to_be_bytes());
            }
        }
        Ok(())
    }

    /// Gives the frame with a runt beside it: what comes alone is not looked at beforehand.
    fn receive(&mut self, given: &mut Given) -> Verdict {
        let Given { ingress, ref mut bytes, beyond, ref mut offload, .. } = *given;
        let len = bytes.len() + beyond;
        let mut batch = [Frame { head: bytes, len, offload: *offload }, Frame::plain(&mut [])];
        let mut verdicts = [Verdict::Hold; 2];
        self.plane.receive_batch(port(ingress), &mut batch, &mut verdicts, self.now);
        self.sent[ingress] += batch.len() as u64;
        *offload = batch[0].offload;
        match verdicts[..] {
            // Some ports do not even look.
            [
                verdict,
                Verdict::Drop(
                    DropReason::Runt
                    | DropReason::PoliceIn
                    | DropReason::Standby
                    | DropReason::MirrorPort,
                ),
            ] => verdict,
            _ => panic!("{verdicts:?}"),
        }
    }

    /// What the switch says beforehand.
    fn trace(&self, given: &Given) -> Trace {
        let Given { ref bytes, beyond, offload, .. } = *given;
        let (mut bytes, len) = (bytes.clone(), bytes.len() + beyond);
        let frame = Frame { head: &mut bytes, len, offload };
        self.plane.trace(port(given.ingress), &frame, self.now)
    }

    fn check(&self, verdict: Verdict, before: &Given, after: &Given) {
        let ingress = port(before.ingress);
        oracle::check_egress(&self.plane, ingress, verdict);
        oracle::check_edges(&self.plane, ingress, verdict, [&before.bytes, &after.bytes]);
        match verdict {
            Verdict::Forward(egress) => {
                oracle::check_change(&self.plane, ingress, &before.bytes, &after.bytes);
                oracle::check_delivery(&self.plane, [ingress, egress], &before.bytes, &after.bytes);
            }
            Verdict::Flood(_) => {
                oracle::check_change(&self.plane, ingress, &before.bytes, &after.bytes);
                assert_eq!(before.bytes[..6], after.bytes[..6], "whom a flooded frame is for");
            }
            Verdict::Reply => {}
            Verdict::Punt | Verdict::Hold | Verdict::Drop(_) => return,
        }
        let seals = |given: &Given| given.on_the_wire().iter().map(|f| Seal::of(f)).collect();
        let [was, is]: [Vec<Seal>; 2] = [seals(before), seals(after)];
        assert_eq!(was, is, "checksums");
        let len = after.bytes.len() + after.beyond;
        assert_eq!(after.offload.check(&after.bytes, len), Ok(()), "what is left can be done");
    }

    fn held(&self) -> u64 {
        (0..PORTS).map(|at| self.plane.endings(port(at)).held).sum()
    }

    /// A client's first packet, the answer, and for TCP the client's acknowledgement.
    fn open(&mut self, service: &ServiceSpec) {
        let client = self.speakers[0];
        let call = Ends {
            vlan: service.vlan,
            source_mac: client.mac,
            destination_mac: MacAddr::virtual_of(service.vip),
            source: (client.address(Version::of(service.vip)), OPEN_PORT),
            destination: (service.vip, service.port.get()),
        };
        let shape = |flags: u8| Shape { flags, payload_len: 8, ..Shape::default() };
        let protocol = service.protocol;
        let verdict = self.give(Given::plain(client.port, call.segment(protocol, &shape(SYN))));
        let Verdict::Forward(real) = verdict else { panic!("{service:?}: {verdict:?}") };
        let is_it = |flow: &&flow::Flow| {
            (end(flow.client()), end(flow.vip())) == (call.source, call.destination)
                && (flow.protocol(), flow.vlan()) == (protocol, service.vlan)
        };
        let flow = self.plane.flows().iter().find(is_it).expect("a flow").clone();
        let answer = Ends {
            vlan: service.vlan,
            source_mac: cast::guest_mac(real.index()),
            destination_mac: client.mac,
            source: end(flow.real_end()),
            destination: end(flow.client_at_real()),
        };
        let bytes = answer.segment(protocol, &shape(SYN_ACK));
        assert_eq!(self.give(Given::plain(real.index(), bytes)), Verdict::Forward(port(0)));
        self.give(Given::plain(client.port, call.segment(protocol, &shape(ACK))));
    }

    /// Takes what the switch says by itself; guests that are awake answer its questions.
    fn hear(&mut self, awake: Awake) -> usize {
        let mut heard = 0;
        while let Some(origin) = self.plane.outbox().pop() {
            oracle::check_origin(&self.plane, &origin);
            heard += 1;
            let asked = self.speakers.iter().find(|who| origin.bytes[..6] == who.mac.0);
            if let Some(&who) = asked.filter(|who| awake.0 >> who.port & 1 != 0)
                && let Some(answer) = answer_to_probe(&who, &origin.bytes)
            {
                self.sent[who.port] += 1;
                let mut bytes = answer;
                let mut frame = Frame::plain(&mut bytes);
                let verdict = self.plane.receive(port(who.port), &mut frame, self.now);
                if verdict == Verdict::Punt {
                    self.plane.local(port(who.port), &bytes, self.now);
                }
            }
        }
        heard
    }
}

/// An end of a flow as a packet has it.
pub fn end(end: Endpoint) -> (IpAddr, u16) {
    (end.address.into(), end.port)
}

/// Turns of a second after which no fragment is held any more, whatever there was.
const HELD_TURNS: usize = 6;

/// The commands that set the stage.
fn opening() -> Vec<Command> {
    let mut all = Vec::new();
    for at in 0..PORTS {
        let name = cast::name(&format!("p{at}"));
        all.push(Command::SetPort { port: port(at), name, role: cast::role(at) });
        all.push(Command::SetLink { port: port(at), up: true });
    }
    all.extend((1..=cast::GUESTS).map(|n| Command::SetGuest(cast::guest(n))));
    all.push(Command::SetManagement(Some(Box::new(cast::management(0)))));
    for at in 0..SERVICES {
        let spec = cast::service(at);
        all.push(Command::SetService(spec.clone()));
        if cast::has_reals(at) {
            let set =
                |n| Command::SetReal { service: spec.name.clone(), real: cast::real(&spec, n) };
            all.extend((1..=cast::REALS).map(set));
        }
    }
    all
}

/// What a guest says when it is asked whether it is there.
fn answer_to_probe(who: &Speaker, probe: &[u8]) -> Option<Vec<u8>> {
    let (vlan, at) = match probe[12..14] {
        [0x81, 0] => (u16::from_be_bytes([probe[14], probe[15]]), 18),
        _ => (0, 14),
    };
    let ends = |own: IpAddr, asker: IpAddr| Ends {
        vlan,
        source_mac: who.mac,
        destination_mac: MacAddr::SWITCH,
        source: (own, 0),
        destination: (asker, 0),
    };
    match probe[at - 2..at] {
        [0x08, 0x06] => Some(ends(who.v4.into(), [0, 0, 0, 0].into()).arp(2)),
        [0x86, 0xdd] => {
            let own = [&who.v6.octets()[..], &[2, 1], &who.mac.0].concat();
            let advertisement = [&[136, 0, 0, 0, 0x60, 0, 0, 0][..], &own].concat();
            let ends = ends(who.v6.into(), addr::LINK_LOCAL_V6.into());
            Some(ends.packet(58, &advertisement, Options::None, None))
        }
        _ => None,
    }
}
