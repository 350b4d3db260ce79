//! `capture`, and which frames it takes.

use super::mirror::{HOST, IN, L4_PORT, OUT, PROTO, SERVICE, VLAN};
use super::{value, word};
use crate::shell::grammar::Then::{MaybeClauses, Next, Once};
use crate::shell::grammar::{Action, Node};
use crate::shell::value::Kind;

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
    HOST,
    IN,
    L4_PORT,
    OUT,
    word("port", "only at this port of the appliance", Next(PORT)),
    PROTO,
    SERVICE,
    VLAN,
];

static BYTES: &[Node] = &[value(Kind::SnapBytes, "from the frame's beginning", Once)];
static COUNT: &[Node] = &[value(Kind::Frames, "it ends with the last one", Once)];
static FOR: &[Node] = &[value(Kind::Look, "it ends then, or at Ctrl-C", Once)];
static PORT: &[Node] = &[value(Kind::Port, "which port", Once)];
