//! `set switch …` and `delete switch …`: multicast groups.

use super::delete::delete;
use super::set::set;
use super::{choice, value, word};
use crate::config::GroupPart;
use crate::shell::grammar::Then::{MaybeClauses, Next, Once};
use crate::shell::grammar::{Aspect, Node, Then};
use crate::shell::value::{Choice, Kind};

pub(super) const SET_SWITCH: Node =
    word("switch", "how multicast groups are listened for", Next(PARTS));

pub(super) const DELETE_SWITCH: Node =
    word("switch", "what is said of multicast groups", Next(DELETE_PARTS));

static PARTS: &[Node] = &[
    choice(
        GroupPart::Querier.as_str(),
        Choice::Querier,
        "asks guests who is in which group, while nobody else does",
        clauses(GroupPart::Querier, &[INTERVAL, VLAN]),
    ),
    word(
        GroupPart::Snooping.as_str(),
        "listening for who is in which group; default: on",
        Next(&[choice(
            "off",
            Choice::Off,
            "what is for a group goes everywhere",
            clauses(GroupPart::Snooping, &[VLAN]),
        )]),
    ),
    word(
        GroupPart::Unknown.as_str(),
        "what is for a group that nobody is in",
        Next(&[choice(
            "flood",
            Choice::Flood,
            "goes everywhere; default: to routers and uplinks",
            Then::End(set(Aspect::Groups(GroupPart::Unknown))),
        )]),
    ),
];

const fn clauses(part: GroupPart, nodes: &'static [Node]) -> Then {
    MaybeClauses(set(Aspect::Groups(part)), nodes)
}

const INTERVAL: Node = word(
    "interval",
    "how often; default 125s",
    Next(&[value(Kind::Time, "such as 125s or 1m", Once)]),
);

const VLAN: Node = word(
    "vlan",
    "in these VLANs alone; default: all",
    Next(&[value(Kind::Vlans, "such as 10,20-29", Once)]),
);

static DELETE_PARTS: &[Node] = &[
    back(GroupPart::Querier, "back to asking nobody"),
    back(GroupPart::Snooping, "back to listening"),
    back(GroupPart::Unknown, "back to routers and uplinks"),
];

const fn back(part: GroupPart, help: &'static str) -> Node {
    word(part.as_str(), help, delete(Aspect::Groups(part)))
}
