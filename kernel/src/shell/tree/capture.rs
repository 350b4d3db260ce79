//! `capture`, and which frames it takes.

use lb::Protocol;

use super::{choice, value, word};
use crate::capture::{Proto, Way};
use crate::shell::grammar::Then::{MaybeClauses, Next, Once};
use crate::shell::grammar::{Action, Node};
use crate::shell::value::{Choice, Kind};

pub(super) const CAPTURE: Node = word(
    "capture",
    "frames as they pass, as a pcap file in base64",
    MaybeClauses(Action::Capture, CLAUSES),
);

/// Every word that is said must hold of a frame.
static CLAUSES: &[Node] = &[
    word("bytes", "how much of each frame is kept (default: 1514)", Next(BYTES)),
    word("count", "how many frames (default: 100)", Next(COUNT)),
    word("for", "how long at most (default: 10s)", Next(FOR)),
    word("host", "to or from this address, or about it", Next(HOST)),
    choice("in", Choice::Way(Way::In), "only what is received", Once),
    word("l4-port", "a TCP or UDP port of either end", Next(L4_PORT)),
    choice("out", Choice::Way(Way::Out), "only what is sent", Once),
    word("port", "only at this port of the appliance", Next(PORT)),
    word("proto", "what the frame carries", Next(PROTO)),
    word("service", "a service's segments, on both sides of the appliance", Next(SERVICE)),
    word("vlan", "with this VLAN's tag", Next(VLAN)),
];

static BYTES: &[Node] = &[value(Kind::SnapBytes, "from the frame's beginning", Once)];
static COUNT: &[Node] = &[value(Kind::Frames, "it ends with the last one", Once)];
static FOR: &[Node] = &[value(Kind::Look, "it ends then, or at Ctrl-C", Once)];
static HOST: &[Node] = &[value(Kind::Address, "IPv4 or IPv6", Once)];
static L4_PORT: &[Node] = &[value(Kind::L4Port, "as the packet names it", Once)];
static PORT: &[Node] = &[value(Kind::Port, "which port", Once)];
static PROTO: &[Node] = &[
    choice("arp", Choice::Proto(Proto::Arp), "who has which IPv4 address", Once),
    choice("icmp", Choice::Proto(Proto::Icmp), "ICMP, ICMPv6, neighbor discovery", Once),
    choice("tcp", Choice::Proto(Proto::Transport(Protocol::Tcp)), "TCP", Once),
    choice("udp", Choice::Proto(Proto::Transport(Protocol::Udp)), "UDP", Once),
];
static SERVICE: &[Node] = &[value(Kind::Service, "at its VIP and at its reals", Once)];
static VLAN: &[Node] = &[value(Kind::Vlan, "the tag's number", Once)];
