//! Nothing of a port ever leaves by a port that the configuration does not allow: random configurations
//! and frames, against a model that asks one question after the other and keeps nothing.
//!
//! A mirror is the one other way: it leads from the port that it is of to the one that it names, which
//! has no other.
//!
//! What a service carries is told from what is switched by where it was sent: to a MAC of the switch's.
//! A real's answer is neither; it is to go to the client of a call that has been seen.

mod world;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use lb::switch::access::{Action, Hosts, Ports, Target, Transport};
use lb::wire::ip::Version;
use lb::*;
use proptest::prelude::*;
use world::*;

const PORTS: usize = 7;
const STANDBY: usize = 6;
const VLANS: [u16; 3] = [0, 10, 20];

/// One port's configuration, as its numbers.
#[derive(Clone, Copy, Debug)]
struct Setup {
    vlan: u8,
    isolated: bool,
    group: u8,
    flood: bool,
    learning: bool,
    link_up: bool,
    list: [Option<(bool, u8, u8)>; 3],
}

/// A frame, as the choices that it is made of.
#[derive(Clone, Copy, Debug)]
struct Sent {
    ingress: usize,
    /// Who sends as whom, and to whom.
    as_whom: usize,
    to_whom: usize,
    vlan: u16,
    kind: u8,
}

/// What stands in the model: the configuration again, and who has called.
struct Model {
    setups: Vec<Setup>,
    /// Clients that have called a service, by VLAN, address and port.
    calls: BTreeSet<(u16, IpAddr, u16)>,
    /// Fragments that wait for their first.
    held: Vec<(Sent, Vec<u8>)>,
    mirror: Option<Mirror>,
}

/// Copies of what passes a port, on their way to another: one where nobody is defined.
#[derive(Clone, Copy, Debug)]
struct Mirror {
    from: usize,
    way: Option<Way>,
    to: usize,
}

fn setup() -> impl Strategy<Value = Setup> {
    let rule = (any::<bool>(), 0..6u8, 0..4u8);
    let list = prop::array::uniform3(prop::option::weighted(0.3, rule));
    (0..5u8, any::<[bool; 4]>(), 0..4u8, list).prop_map(|(vlan, flags, group, list)| {
        let [isolated, flood, learning, down] = flags;
        let link_up = !down || group > 0;
        Setup { vlan, isolated: isolated && group == 0, group, flood, learning, link_up, list }
    })
}

fn mirror() -> impl Strategy<Value = Option<Mirror>> {
    let way = prop_oneof![Just(None), Just(Some(Way::In)), Just(Some(Way::Out))];
    let one = (0..PORTS, way, prop_oneof![4..=5usize, Just(STANDBY)]);
    let one = one.prop_filter("another port", |(from, _, to)| from != to);
    prop::option::of(one.prop_map(|(from, way, to)| Mirror { from, way, to }))
}

fn sent() -> impl Strategy<Value = Sent> {
    let who = prop_oneof![
        6 => (0..PORTS).prop_map(|n| (n, n)),
        1 => (0..PORTS, 0..PORTS),
    ];
    (who, 0..10usize, 0..VLANS.len(), 0..10u8).prop_map(
        |((ingress, as_whom), to_whom, vlan, kind)| Sent {
            ingress,
            as_whom,
            to_whom,
            vlan: VLANS[vlan],
            kind,
        },
    )
}

fn is_uplink(port: usize) -> bool {
    port == UPLINK || port == STANDBY
}

fn mac_of(n: usize) -> [u8; 6] {
    match n {
        UPLINK => CLIENT_MAC,
        STANDBY => [0x52, 0x55, 0, 0, 0, 6],
        n => guest_mac(n),
    }
}

fn address_of(n: usize, version: Version) -> IpAddr {
    match (version, n) {
        (Version::V4, UPLINK) => CLIENT,
        (Version::V6, UPLINK) => CLIENT_V6,
        (Version::V4, n) => guest_address(n),
        (Version::V6, n) => guest_address_v6(n),
    }
}

impl Setup {
    fn vlans(&self) -> PortVlan {
        match self.vlan {
            0 | 1 => PortVlan::Transparent,
            2 => access(10),
            3 => trunk("10,20", None),
            _ => trunk("20", Some(10)),
        }
    }

    fn rules(&self, port: usize) -> PortRules {
        let rule = |(number, (permits, to, transport)): (u16, (bool, u8, u8))| AccessRule {
            number,
            action: if permits { Action::Permit } else { Action::Deny },
            to: target(to, transport),
        };
        let list = if is_uplink(port) { [None; 3] } else { self.list };
        PortRules {
            vlan: self.vlans(),
            isolated: self.isolated,
            group: (self.group > 1).then(|| name(["a", "b"][usize::from(self.group) - 2])),
            flood: self.flood,
            learning: self.learning,
            access: (1..).zip(list.into_iter().flatten()).map(rule).collect(),
            storm: Some(StormLimits::default()),
            ..PortRules::default()
        }
    }
}

fn target(to: u8, transport: u8) -> Target {
    let transport = match transport {
        0 => None,
        1 => Some(Transport::Icmp),
        2 => Some(Transport::Of(Protocol::Udp, Some(Ports { first: 7, last: 9 }))),
        _ => Some(Transport::Of(Protocol::Tcp, None)),
    };
    let hosts =
        |address: IpAddr, prefix_len| Target::Hosts(Hosts { address, prefix_len, transport });
    match to {
        0 => Target::Any,
        1 => Target::Service(name("web")),
        2 => hosts([10, 0, 2, 0].into(), 24),
        3 => hosts(guest_address(1), 32),
        4 => hosts([0xfd00, 0, 0, 0, 0, 0, 0, 0].into(), 64),
        _ => hosts(guest_address_v6(2), 127),
    }
}

/// A switch that is set up so, with a service by IPv4 in VLAN 0.
fn world(setups: &[Setup]) -> World {
    let mut world = World::new(PORTS - 1);
    let up = Command::SetPort { port: port(STANDBY), name: name("up1"), role: Role::Uplink };
    world.apply(up);
    for (at, setup) in setups.iter().enumerate() {
        world.set_rules(at, setup.rules(at));
    }
    // Guests 1 to 3 are defined, 4 and 5 are not.
    (1..=3).for_each(|n| world.define(n));
    world.apply(Command::SetService(Served::default().spec("web")));
    for n in [1, 2] {
        world.set_real("web", n, Some(8080), 100);
    }
    world.plane.start(world.now);
    for (at, setup) in setups.iter().enumerate() {
        world.apply(Command::SetLink { port: port(at), up: setup.link_up });
    }
    world
}

impl Sent {
    fn version(&self) -> Version {
        if self.kind & 1 == 0 || self.is_later() { Version::V4 } else { Version::V6 }
    }

    /// A fragment that is not the first, of a datagram whose first may come after it.
    fn is_later(&self) -> bool {
        self.kind == 9
    }

    /// Both parts of a datagram go to one port.
    fn port(&self) -> u16 {
        match self.kind {
            _ if self.to_whom == 7 => 80,
            8.. => 9,
            kind => 7 + u16::from(kind) % 4,
        }
    }

    fn frame(&self) -> Vec<u8> {
        let version = self.version();
        let source = address_of(self.as_whom, version);
        let (destination_mac, destination) = match (self.to_whom, version) {
            (7, Version::V4) => (VIP_MAC, VIP),
            (7, Version::V6) => (VIP_MAC, VIP_V6),
            (8, Version::V4) => (BROADCAST, [255; 4].into()),
            (8, Version::V6) => ([0x33, 0x33, 0, 0, 0, 5], [0xff02, 0, 0, 0, 0, 0, 0, 5].into()),
            (9, _) => ([0x52, 0x54, 0, 0xcc, 0, 9], address_of(5, version)),
            (n, _) => (mac_of(n), address_of(n, version)),
        };
        let ends = Ends {
            vlan: self.vlan,
            source_mac: mac_of(self.as_whom),
            destination_mac,
            source: (source, 1000 + self.as_whom as u16),
            destination: (destination, self.port()),
        };
        match self.kind {
            0 | 1 => ends.tcp("S", &[]),
            2 | 3 => ends.udp(b"?"),
            4 => ends.icmp(8, 0, [0; 4], b"?"),
            5 => ends.icmp(128, 0, [0; 4], b"?"),
            6 => ends.arp(1),
            7 => [&ends.link_header(0x88b5)[..], &[0; 46]].concat(),
            _ => cut(&ends.udp(&[0; 64]), &ends, 7, 40)[usize::from(self.is_later())].clone(),
        }
    }
}

impl Model {
    /// Whether a frame that came in at one port may be switched out of another.
    fn may_be_switched(
        &self,
        sent: &Sent,
        inside: &[u8],
        egress: usize,
    ) -> Result<(), &'static str> {
        let (from, to) = (&self.setups[sent.ingress], &self.setups[egress]);
        let vlan = match inside[12..14] {
            [0x81, 0] => u16::from_be_bytes([inside[14], inside[15]]) & 0x0fff,
            _ => 0,
        };
        let group = |setup: &Setup| setup.group.checked_sub(2);
        let is_apart = |setup: &Setup| setup.isolated || group(setup).is_some();
        let is_one_group = group(from).is_some() && group(from) == group(to);
        let no = |is_wrong: bool, why| if is_wrong { Err(why) } else { Ok(()) };
        no(self.mirror.is_some_and(|mirror| mirror.to == egress), "to a mirror's port")?;
        no(egress == sent.ingress, "back")?;
        no(is_uplink(sent.ingress) && is_uplink(egress), "from uplink to uplink")?;
        no(!to.link_up, "to a link that is down")?;
        no(!from.vlans().carries(vlan) || !to.vlans().carries(vlan), "into another VLAN")?;
        no(is_apart(from) && is_apart(to) && !is_one_group, "between ports that are apart")?;
        no(!self.permits(sent, vlan), "against its list")
    }

    /// The rules one by one.
    fn permits(&self, sent: &Sent, vlan: u16) -> bool {
        let rules = self.setups[sent.ingress].rules(sent.ingress).access;
        let is_arp = sent.kind == 6;
        if rules.is_empty() || is_arp {
            return true;
        }
        let (version, is_opaque) = (sent.version(), sent.kind == 7);
        let destination = match (sent.to_whom, version) {
            (7, Version::V4) => VIP,
            (7, Version::V6) => VIP_V6,
            (8, Version::V4) => [255; 4].into(),
            (8, Version::V6) => [0xff02, 0, 0, 0, 0, 0, 0, 5].into(),
            (9, _) => address_of(5, version),
            (n, _) => address_of(n, version),
        };
        let port = sent.port();
        let is_later = sent.is_later();
        let (is_tcp, is_udp) = (sent.kind < 2, matches!(sent.kind, 2 | 3 | 8..));
        let fits = |rule: &AccessRule| {
            let is_permit = rule.action == Action::Permit;
            let at = |ports: &Ports| {
                if is_later { is_permit } else { (ports.first..=ports.last).contains(&port) }
            };
            match &rule.to {
                Target::Any => true,
                Target::Service(_) => {
                    is_tcp && vlan == 0 && (destination, port) == (VIP, 80) && !is_opaque
                }
                Target::Hosts(hosts) => {
                    let by = match &hosts.transport {
                        None => true,
                        Some(Transport::Icmp) => matches!(sent.kind, 4 | 5),
                        Some(Transport::Of(Protocol::Tcp, ports)) => {
                            is_tcp && ports.as_ref().is_none_or(at)
                        }
                        Some(Transport::Of(Protocol::Udp, ports)) => {
                            is_udp && ports.as_ref().is_none_or(at)
                        }
                    };
                    !is_opaque && by && begins_alike(hosts, destination)
                }
            }
        };
        let first = rules.iter().find(|rule| fits(rule));
        first.is_some_and(|rule| rule.action == Action::Permit)
    }

    /// Whether a frame that leaves may leave there.
    fn check(&mut self, sent: &Sent, inside: &[u8], out: &Out) -> Result<(), String> {
        let vlan = sent.vlan;
        if let Some(mirror) = self.mirror {
            let is_its = sent.ingress == mirror.to && !out.ports.is_empty();
            if is_its || out.ports.contains(&mirror.to) {
                return Err("a mirror's port takes part".into());
            }
        }
        for &egress in &out.ports {
            let judged = match () {
                () if egress == sent.ingress && out.ports.len() == 1 => Ok(()),
                () if sent.to_whom == 7 => self.may_be_delivered(sent, &out.frame, egress),
                () if out.frame != inside => self.may_be_answered(&out.frame, egress),
                () => self.may_be_switched(sent, inside, egress),
            };
            judged.map_err(|why| format!("{why}: to {egress} in VLAN {vlan}"))?;
        }
        Ok(())
    }

    /// A frame that the switch says by itself, or a fragment that has waited.
    fn check_said(&mut self, said: &Out) -> Result<(), String> {
        if self.mirror.is_some_and(|mirror| said.ports.contains(&mirror.to)) {
            return Err("a word of ours to a mirror's port".into());
        }
        if said.frame[6..8] == SWITCH_MAC[..2] {
            return Ok(());
        }
        let held = self.held.iter().find(|(_, frame)| *frame == said.frame).cloned();
        let (sent, inside) = held.ok_or("a frame that nobody sent")?;
        self.check(&sent, &inside, said)
    }

    /// To a real of the service alone.
    fn may_be_delivered(
        &mut self,
        sent: &Sent,
        frame: &[u8],
        egress: usize,
    ) -> Result<(), &'static str> {
        let is_real = [1, 2].contains(&egress) && frame[..6] == guest_mac(egress);
        let address = address_of(sent.as_whom, sent.version());
        self.calls.insert((0, address, 1000 + sent.as_whom as u16));
        match is_real {
            false => Err("to who serves nothing"),
            true if !self.setups[egress].link_up => Err("to a link that is down"),
            true if !self.permits(sent, 0) => Err("to a service against its list"),
            true => Ok(()),
        }
    }

    /// What was changed and not sent to the switch: a real's answer to somebody who has called.
    fn may_be_answered(&self, frame: &[u8], egress: usize) -> Result<(), &'static str> {
        let ends = read_packet(frame).ends;
        let has_called = self.calls.contains(&(0, ends.destination.0, ends.destination.1));
        match (has_called, self.setups[egress].link_up) {
            (true, true) => Ok(()),
            (false, _) => Err("an answer to nobody"),
            (_, false) => Err("to a link that is down"),
        }
    }
}

impl Mirror {
    fn command(self) -> Command {
        let Mirror { from, way, to } = self;
        let (from, to) = (port(from), port(to));
        Command::SetMirror(MirrorSpec { name: name("m"), from, way, filter: Filter::default(), to })
    }
}

/// Whether the copies that are wanted as a frame passes are those that the mirror is to make.
fn check_copies(world: &World, mirror: Option<Mirror>, at: usize, way: Way, frame: &[u8]) {
    let wanted = world.plane.tables().mirrors().wanted(port(at), way, frame);
    let to: Vec<usize> = wanted.iter().map(|wanted| wanted.to.index()).collect();
    let expected = mirror.filter(|m| m.from == at && m.way.is_none_or(|its| its == way));
    assert_eq!(to, expected.map(|mirror| mirror.to).into_iter().collect::<Vec<_>>());
}

/// What becomes of a frame; those that were held may end along with it.
fn receive(world: &mut World, ingress: usize, frame: &[u8]) -> (Verdict, Out) {
    let mut bytes = frame.to_vec();
    let verdict = world.plane.receive(port(ingress), &mut Frame::plain(&mut bytes), world.now);
    world.check();
    let ports = match verdict {
        Verdict::Forward(port) => vec![port.index()],
        Verdict::Flood(ports) => ports.map(PortId::index).collect(),
        Verdict::Reply => vec![ingress],
        Verdict::Punt | Verdict::Hold | Verdict::Drop(_) => vec![],
    };
    (verdict, Out { ports, frame: bytes })
}

fn begins_alike(hosts: &Hosts, address: IpAddr) -> bool {
    let bits = |address: IpAddr| -> Vec<bool> {
        let bit = |byte: u8| (0..8).rev().map(move |at| byte >> at & 1 == 1);
        octets(address).into_iter().flat_map(bit).collect()
    };
    let (one, other) = (bits(hosts.address), bits(address));
    one.len() == other.len() && one[..hosts.prefix_len.into()] == other[..hosts.prefix_len.into()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn nothing_leaves_where_it_must_not(
        setups in prop::collection::vec(setup(), PORTS),
        mirror in mirror(),
        frames in prop::collection::vec(sent(), 1..80),
    ) {
        let mut world = world(&setups);
        mirror.into_iter().for_each(|mirror| world.apply(mirror.command()));
        let mut model = Model { setups, calls: BTreeSet::new(), held: vec![], mirror };
        for (at, sent) in frames.iter().enumerate() {
            if at % 16 == 15 {
                world.now = world.now + Duration::from_millis(300);
                world.plane.housekeep(world.now);
            }
            world.originated();
            let frame = sent.frame();
            let mut inside = frame.clone();
            match world.plane.entry(port(sent.ingress), &frame) {
                Ok(Entry::AsIs) => {}
                Ok(Entry::Push(vlan)) => inside = tagged(vlan.get(), &frame),
                Ok(Entry::Name(_)) | Err(_) => continue,
            }
            check_copies(&world, mirror, sent.ingress, Way::In, &frame);
            let (verdict, out) = receive(&mut world, sent.ingress, &inside);
            out.ports.iter().for_each(|&at| check_copies(&world, mirror, at, Way::Out, &out.frame));
            let judged = model.check(sent, &inside, &out);
            prop_assert!(judged.is_ok(), "{:?}: {}", sent, judged.unwrap_err());
            if verdict == Verdict::Hold {
                model.held.push((*sent, inside));
            }
            for said in world.originated() {
                let judged = model.check_said(&said);
                prop_assert!(judged.is_ok(), "{:?}: {}", said, judged.unwrap_err());
            }
        }
    }
}

/// The model is not content with everything, and the switch does send.
#[test]
fn the_model_tells_right_from_wrong() {
    let open = Setup {
        vlan: 0,
        isolated: false,
        group: 0,
        flood: true,
        learning: true,
        link_up: true,
        list: [None; 3],
    };
    let mut setups = [open; PORTS];
    (setups[1].isolated, setups[2].isolated) = (true, true);
    setups[3].list[0] = Some((false, 0, 0));
    setups[4].vlan = 2;
    setups[5].link_up = false;
    let mirror = Some(Mirror { from: 1, way: None, to: STANDBY });
    let model = Model { setups: setups.to_vec(), calls: BTreeSet::new(), held: vec![], mirror };
    let sent = |ingress, to_whom| Sent { ingress, as_whom: ingress, to_whom, vlan: 0, kind: 2 };
    for (ingress, egress, why) in [
        (1, 2, Err("between ports that are apart")),
        (1, 3, Ok(())),
        (3, 1, Err("against its list")),
        (1, 4, Err("into another VLAN")),
        (1, 5, Err("to a link that is down")),
        (1, 1, Err("back")),
        (1, STANDBY, Err("to a mirror's port")),
    ] {
        let sent = sent(ingress, egress);
        assert_eq!(model.may_be_switched(&sent, &sent.frame(), egress), why, "{sent:?}");
    }
    let mut world = world(&setups);
    let out = world.send(1, &sent(1, 3).frame()).unwrap();
    assert_eq!(out.ports, [3], "it is defined there");
    let call = Sent { kind: 0, ..sent(UPLINK, 7) };
    assert!([1, 2].contains(&world.send(UPLINK, &call.frame()).unwrap().ports[0]));
}
