//! `set service … check …` and `… agent …`: what is asked of reals, and where their reports come
//! from. A check of one real has the words of a service's.

use super::set::{part, set};
use super::{choice, value, word};
use crate::config::{Asking, ServicePart};
use crate::shell::grammar::Then::{EndOr, MaybeClauses, Next, Once};
use crate::shell::grammar::{Action, Aspect, Node, Then};
use crate::shell::value::{Choice, Kind};

/// What a check asks, and then how; each clause once.
macro_rules! check {
    ($name:ident, $action:expr) => {
        pub(super) static $name: &[Node] = &[
            choice(
                "http",
                Choice::Check(Asking::Http),
                "for a page, and what the answer says",
                Next(&[word(
                    "get",
                    "by GET",
                    Next(&[value(
                        Kind::Path,
                        "such as /healthz",
                        MaybeClauses($action, HTTP_CLAUSES),
                    )]),
                )]),
            ),
            choice(
                "icmp",
                Choice::Check(Asking::Icmp),
                "for an echo",
                MaybeClauses($action, CLAUSES),
            ),
            choice(
                "neighbor",
                Choice::Check(Asking::Neighbor),
                "for its address alone (ARP, ND), as every guest is",
                MaybeClauses($action, CLAUSES),
            ),
            choice(
                "tcp",
                Choice::Check(Asking::Tcp),
                "for a connection",
                MaybeClauses($action, PORT_CLAUSES),
            ),
            choice(
                "udp",
                Choice::Check(Asking::Udp),
                "by a datagram; fails if the port is unreachable",
                MaybeClauses($action, PORT_CLAUSES),
            ),
        ];
    };
}

check!(SET_CHECK, set(Aspect::Part(ServicePart::Check)));
check!(SET_REAL_CHECK, set(Aspect::Real));

static CLAUSES: &[Node] = &[FALL, INTERVAL, RISE, TIMEOUT];
static PORT_CLAUSES: &[Node] = &[FALL, INTERVAL, PORT, RISE, TIMEOUT];
static HTTP_CLAUSES: &[Node] = &[EXPECT, FALL, INTERVAL, PORT, RISE, TIMEOUT];

const EXPECT: Node = word(
    "expect",
    "what the answer must be like; default 200-399",
    Next(&[value(Kind::Expect, "such as 200 or 200-399, or a text that it holds", Once)]),
);
const FALL: Node = word(
    "fall",
    "failures in a row that take a real out; default 3",
    Next(&[value(Kind::Fall, "probes in a row", Once)]),
);
const INTERVAL: Node = word(
    "interval",
    "how often; default 2s",
    Next(&[value(Kind::Interval, "such as 500ms or 2s", Once)]),
);
const PORT: Node = word(
    "port",
    "where it is asked; default: the real's own port",
    Next(&[value(Kind::CheckPort, "port", Once)]),
);
const RISE: Node = word(
    "rise",
    "successes in a row that bring it back; default 2",
    Next(&[value(Kind::Rise, "probes in a row", Once)]),
);
const TIMEOUT: Node = word(
    "timeout",
    "how long for an answer; default 1s, or the interval",
    Next(&[value(Kind::Timeout, "at most the interval", Once)]),
);

pub(super) static SET_AGENT: &[Node] = &[
    choice(
        "pull",
        Choice::Pull,
        "a line by TCP from the guest, as HAProxy's agent-check",
        Next(&[value(Kind::L4Port, "where the guest's agent listens", PULL_INTERVAL)]),
    ),
    choice("push", Choice::Push, "the guest sends them (default)", part(ServicePart::Agent)),
];
const PULL_INTERVAL: Then = EndOr(
    Action::Set(Aspect::Part(ServicePart::Agent)),
    &[word(
        "interval",
        "how often; default 2s",
        Next(&[value(Kind::Interval, "such as 500ms or 2s", part(ServicePart::Agent))]),
    )],
);
