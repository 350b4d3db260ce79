//! `set mirror …`, and the words by which frames are chosen.

use lb::{Proto, Protocol, Way};

use super::{choice, value, word};
use crate::shell::grammar::Then::{MaybeClauses, Next, Once};
use crate::shell::grammar::{Action, Aspect, Node};
use crate::shell::value::{Choice, Kind};

pub(super) const SET_MIRROR: Node =
    word("mirror", "copies of a port's frames, to another port", Next(NAME));
static NAME: &[Node] = &[value(Kind::Mirror, "the mirror's name", Next(FROM))];
static FROM: &[Node] =
    &[word("from", "of what passes this port", Next(&[value(Kind::Port, "which port", Next(TO))]))];
static TO: &[Node] = &[word("to", "where they go, and nothing else", Next(DESTINATION))];
static DESTINATION: &[Node] = &[value(
    Kind::Destination,
    "a port of its own: what it sends is dropped",
    MaybeClauses(Action::Set(Aspect::Mirror), CLAUSES),
)];

/// Every word that is said must hold of a frame.
static CLAUSES: &[Node] = &[HOST, IN, L4_PORT, OUT, PROTO, SERVICE, VLAN];

pub(super) const HOST: Node = word(
    "host",
    "to or from this address, or about it",
    Next(&[value(Kind::Address, "IPv4 or IPv6", Once)]),
);
pub(super) const IN: Node = choice("in", Choice::Way(Way::In), "only what is received", Once);
pub(super) const L4_PORT: Node = word(
    "l4-port",
    "a TCP or UDP port of either end",
    Next(&[value(Kind::L4Port, "as the packet names it", Once)]),
);
pub(super) const OUT: Node = choice("out", Choice::Way(Way::Out), "only what is sent", Once);
pub(super) const PROTO: Node = word("proto", "what the frame carries", Next(PROTOCOLS));
pub(super) const SERVICE: Node = word(
    "service",
    "a service's segments, on both sides of the appliance",
    Next(&[value(Kind::Service, "at its VIP and at its reals", Once)]),
);
pub(super) const VLAN: Node =
    word("vlan", "with this VLAN's tag", Next(&[value(Kind::Vlan, "the tag's number", Once)]));

static PROTOCOLS: &[Node] = &[
    choice("arp", Choice::Proto(Proto::Arp), "who has which IPv4 address", Once),
    choice("icmp", Choice::Proto(Proto::Icmp), "ICMP, ICMPv6, neighbor discovery", Once),
    choice("tcp", Choice::Proto(Proto::Transport(Protocol::Tcp)), "TCP", Once),
    choice("udp", Choice::Proto(Proto::Transport(Protocol::Udp)), "UDP", Once),
];
