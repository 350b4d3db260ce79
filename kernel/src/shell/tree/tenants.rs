//! `set port …` and `delete port …` as far as they keep tenants apart: groups, access rules, and how
//! much a port may send and get.

use lb::switch::access::Action as Access;
use lb::{Protocol, Trust};

use super::set::{rule, set};
use super::{choice, value, word};
use crate::config::PortPart;
use crate::shell::grammar::Then::{Again, EndOr, MaybeClauses, Next, Once};
use crate::shell::grammar::{Aspect, Node, Then};
use crate::shell::value::{Choice, Kind};

pub(super) const GROUP: Node = word(
    "group",
    "reaches those of its group, those of none, and services",
    Next(&[value(Kind::Group, "the group's name", rule(PortPart::Group))]),
);

pub(super) const MAX_MACS: Node = word(
    "max-macs",
    "no more stations at once; others may not send",
    Next(&[value(Kind::MacsMax, "MACs, each in its VLAN", rule(PortPart::MaxMacs))]),
);

pub(super) const POLICE: Node = word("police", "how much may come in or leave", Next(POLICE_WAYS));

static POLICE_WAYS: &[Node] = &[
    choice("in", Choice::PoliceIn, "what it sends", Next(POLICE_IN)),
    choice("out", Choice::PoliceOut, "what it gets", Next(POLICE_OUT)),
];

const fn police(part: PortPart, more: &'static [Node]) -> Node {
    let action = set(Aspect::PortPart(part));
    value(Kind::Rate, "bits or frames a second; and a tenth of it at once", EndOr(action, more))
}

const fn and_frames(part: PortPart) -> Node {
    value(Kind::FrameRate, "and of so many frames", rule(part))
}

static POLICE_IN: &[Node] = &[police(PortPart::PoliceIn, &[and_frames(PortPart::PoliceIn)])];
static POLICE_OUT: &[Node] = &[police(PortPart::PoliceOut, &[and_frames(PortPart::PoliceOut)])];

pub(super) const RULE: Node =
    word("rule", "what it may send to: the first that matches decides", Next(RULE_NUMBER));

static RULE_NUMBER: &[Node] =
    &[value(Kind::RuleNumber, "its place in the list", Next(RULE_ACTIONS))];

static RULE_ACTIONS: &[Node] = &[
    choice("deny", Choice::Rule(Access::Deny), "it may not send to", Next(RULE_TARGETS)),
    choice(
        "permit",
        Choice::Rule(Access::Permit),
        "it may send to; nothing that no rule permits",
        Next(RULE_TARGETS),
    ),
];

/// The part that a rule is, whatever its number.
const RULE_END: Then = rule(PortPart::Rule(0));

static RULE_TARGETS: &[Node] = &[
    word(
        "address",
        "one, or those that begin alike",
        Next(&[value(
            Kind::Prefix,
            "such as 10.0.2.0/24",
            EndOr(set(Aspect::PortPart(PortPart::Rule(0))), RULE_TRANSPORTS),
        )]),
    ),
    choice("any", Choice::Any, "everything, what is not IP too", RULE_END),
    word(
        "service",
        "a VIP at its protocol and port",
        Next(&[value(Kind::Service, "which service", RULE_END)]),
    ),
];

static RULE_TRANSPORTS: &[Node] = &[
    choice("icmp", Choice::Icmp, "by ICMP or ICMPv6", RULE_END),
    choice("tcp", Choice::Protocol(Protocol::Tcp), "by TCP", RULE_PORTS),
    choice("udp", Choice::Protocol(Protocol::Udp), "by UDP", RULE_PORTS),
];

const RULE_PORTS: Then = EndOr(
    set(Aspect::PortPart(PortPart::Rule(0))),
    &[value(Kind::Ports, "at these ports; default: all", RULE_END)],
);

pub(super) const STORM_LIMIT: Node = word(
    "storm-limit",
    "what it may send to many; guests: 1000pps to all",
    Next(&[value(Kind::StormRate, "of each kind a second, or no limit", STORM_CLAUSES)]),
);

const STORM_CLAUSES: Then = MaybeClauses(
    set(Aspect::PortPart(PortPart::StormLimit)),
    &[
        word("broadcast", "to all", Next(&[value(Kind::Broadcasts, "so many a second", Once)])),
        word("multicast", "to groups", Next(&[value(Kind::Multicasts, "so many a second", Once)])),
        word(
            "unknown",
            "to stations that nobody knows",
            Next(&[value(Kind::Unknowns, "so many a second", Once)]),
        ),
    ],
);

pub(super) const TRUST: Node = word(
    "trust",
    "what it may do that guests do not; may come again",
    Next(&[
        trust(Trust::Address, Again),
        trust(Trust::Mac, Again),
        trust(Trust::Dhcp, Again),
        trust(Trust::Querier, Again),
        trust(Trust::Router, Again),
    ]),
);

pub(super) const DELETE_TRUST: Node = word(
    "trust",
    "what it may do no longer",
    Next(&[
        trust(Trust::Address, UNTRUST),
        trust(Trust::Mac, UNTRUST),
        trust(Trust::Dhcp, UNTRUST),
        trust(Trust::Querier, UNTRUST),
        trust(Trust::Router, UNTRUST),
    ]),
);

const UNTRUST: Then = super::delete::delete(Aspect::GuestTrust);

const fn trust(trust: Trust, then: Then) -> Node {
    let help = match trust {
        Trust::Address => "send from addresses that are not its own",
        Trust::Dhcp => "hand out addresses",
        Trust::Mac => "send from MACs that are not its own",
        Trust::Querier => "ask for members of groups",
        Trust::Router => "advertise itself as a router",
    };
    choice(trust.as_str(), Choice::Trust(trust), help, then)
}

pub(super) const DELETE_POLICE: Node = word(
    "police",
    "back to as much as comes",
    Next(&[
        word("in", "what it sends", super::delete::delete(Aspect::PortPart(PortPart::PoliceIn))),
        word("out", "what it gets", super::delete::delete(Aspect::PortPart(PortPart::PoliceOut))),
    ]),
);

pub(super) const DELETE_RULE: Node = word(
    "rule",
    "one rule of its list",
    Next(&[value(
        Kind::RuleNumber,
        "which rule",
        super::delete::delete(Aspect::PortPart(PortPart::Rule(0))),
    )]),
);
