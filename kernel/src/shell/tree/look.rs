//! Looking at one frame, `test packet`, and at numbers that change, `monitor`.

use super::{show, value, word};
use crate::shell::grammar::Then::{self, End, EndOr, Next};
use crate::shell::grammar::{Action, Node, Show};
use crate::shell::value::Kind;

pub(super) static TEST_PACKET: &[Node] = &[word("port", "where it comes in", Next(PACKET_PORT))];
static PACKET_PORT: &[Node] = &[value(Kind::Port, "which port", Next(PACKET_BYTES))];
static PACKET_BYTES: &[Node] = &[value(
    Kind::Frame,
    "the frame, from its destination MAC on",
    EndOr(Action::Show(Show::Packet), PACKET_LEN),
)];
static PACKET_LEN: &[Node] = &[word(
    "length",
    "how long it is, if that is only its beginning",
    Next(&[value(Kind::FrameLen, "bytes of the whole frame", show(Show::Packet))]),
)];

pub(super) static MONITOR: &[Node] = &[
    word("counters", "frames and how they ended", monitor(Show::Counters)),
    word("health", "who may have new flows, and by whose word", monitor(Show::Health)),
    word("load", "what guests say of their load, and what it does", monitor(Show::Load)),
    word("port", "ports and their NICs", EndOr(Action::Monitor(Show::Ports), MONITOR_PORT)),
    word("real", "the guests behind services", EndOr(Action::Monitor(Show::Reals), MONITOR_REAL)),
    word("service", "services", EndOr(Action::Monitor(Show::Services), MONITOR_SERVICE)),
];
static MONITOR_PORT: &[Node] =
    &[value(Kind::Port, "everything about this port", monitor(Show::Ports))];
static MONITOR_REAL: &[Node] = &[value(Kind::Service, "of this service", monitor(Show::Reals))];
static MONITOR_SERVICE: &[Node] =
    &[value(Kind::Service, "everything about this service", monitor(Show::Services))];

const fn monitor(what: Show) -> Then {
    End(Action::Monitor(what))
}
