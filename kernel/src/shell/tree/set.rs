//! `set …`: everything that can be stated, in the order of the words.

use lb::{Forwarding, Lldp, OnDown, Protocol, Role, Scheduler};

use super::check::{SET_AGENT, SET_CHECK, SET_REAL_CHECK};
use super::groups::SET_SWITCH;
use super::mirror::SET_MIRROR;
use super::tenants::{GROUP, MAX_MACS, POLICE, RULE, STORM_LIMIT, TRUST};
use super::{choice, value, word};
use crate::config::{PortPart, ServicePart};
use crate::shell::grammar::Then::{Again, Clauses, End, EndOr, MaybeClauses, Next, Once};
use crate::shell::grammar::{Action, Aspect, Node, Then};
use crate::shell::value::{Choice, Kind};

pub(super) const SET: Node = word("set", "make a statement", Next(SET_NEXT));

pub(super) const fn set(aspect: Aspect) -> Action {
    Action::Set(aspect)
}

static SET_NEXT: &[Node] = &[
    word("guest", "a VM on this host: its port, MAC and addresses", Next(SET_GUEST)),
    word("mac", "where a MAC is for good", Next(SET_MAC)),
    SET_MIRROR,
    word("port", "a port: its role, NIC, VLANs and rules", Next(SET_PORT)),
    word("service", "a virtual address and the guests behind it", Next(SET_SERVICE)),
    SET_SWITCH,
    word("system", "the appliance itself", Next(SET_SYSTEM)),
];

static SET_SYSTEM: &[Node] = &[
    word("address", "where it is reached itself, from the uplinks alone", Next(SET_ADDRESS)),
    word("capacity", "sizes of tables, from the next start on", Next(SET_CAPACITY)),
    word(
        "hostname",
        "its name, shown in the prompt",
        Next(&[value(
            Kind::Hostname,
            "a letter, then letters, digits, '-', '_', '.'",
            End(set(Aspect::Hostname)),
        )]),
    ),
    word(
        "mac-ageing",
        "how long a station may be silent; default 300s",
        Next(&[value(
            Kind::Ageing,
            "until its MAC is forgotten, such as 300s",
            End(set(Aspect::MacAgeing)),
        )]),
    ),
];
static SET_ADDRESS: &[Node] = &[
    value(
        Kind::OwnAddress,
        "its own; one IPv4 and one IPv6 at most",
        MaybeClauses(set(Aspect::Address), ADDRESS_CLAUSES),
    ),
    choice(
        "dhcp",
        Choice::Dhcp,
        "what a server on an uplink lends",
        EndOr(set(Aspect::Address), &[ADDRESS_VLAN]),
    ),
];
static ADDRESS_CLAUSES: &[Node] = &[
    word(
        "gateway",
        "the router to all other networks",
        Next(&[value(Kind::Gateway, "its address, on the same network", Once)]),
    ),
    word("vlan", ADDRESS_VLAN_HELP, Next(&[value(Kind::Vlan, "which VLAN", Once)])),
];
const ADDRESS_VLAN: Node = word(
    "vlan",
    ADDRESS_VLAN_HELP,
    Next(&[value(Kind::Vlan, "which VLAN", End(set(Aspect::Address)))]),
);
const ADDRESS_VLAN_HELP: &str = "in this VLAN; default: that of untagged frames there";

static SET_CAPACITY: &[Node] = &[word(
    "flows",
    "places of the flow table; default: by the memory",
    Next(&[value(
        Kind::Flows,
        "places, if there is memory; from the next start on",
        End(set(Aspect::Flows)),
    )]),
)];

static SET_PORT: &[Node] = &[value(Kind::Port, "the port's name", Next(SET_PORT_ASPECTS))];
static SET_PORT_ASPECTS: &[Node] = &[
    word(
        "description",
        "what it is, in your own words",
        Next(&[value(Kind::Description, DESCRIPTION_HELP, End(set(Aspect::PortDescription)))]),
    ),
    choice(
        "fast-leave",
        Choice::FastLeave,
        "who leaves a multicast group is the last one here",
        rule(PortPart::FastLeave),
    ),
    word("flood", "what goes to a station that nobody knows", Next(SET_FLOOD)),
    GROUP,
    choice(
        "isolated",
        Choice::Isolated,
        "reaches no other isolated port, but services",
        rule(PortPart::Isolated),
    ),
    word("learning", "where stations are, by what they send", Next(SET_LEARNING)),
    word("lldp", "who is at the other end; default: on at uplinks", Next(SET_LLDP)),
    choice(
        "locked",
        Choice::Locked,
        "only guests and static MACs may send",
        rule(PortPart::Locked),
    ),
    MAX_MACS,
    word(
        "mtu",
        "the longest packet, in and out; 1500 if nothing is said",
        Next(&[value(Kind::Mtu, "bytes behind the Ethernet header", rule(PortPart::Mtu))]),
    ),
    POLICE,
    word("role", "what it is for", Next(SET_ROLE)),
    RULE,
    choice(
        "standby",
        Choice::Standby,
        "an uplink that carries nothing while another is up",
        rule(PortPart::Standby),
    ),
    STORM_LIMIT,
    word("vlan", "which VLANs are here; default: all, as tagged", Next(SET_PORT_VLAN)),
];

const DESCRIPTION_HELP: &str = "up to 64 characters, in quotes if there are blanks";

pub(super) const fn rule(part: PortPart) -> Then {
    End(set(Aspect::PortPart(part)))
}

static SET_FLOOD: &[Node] =
    &[choice("off", Choice::Off, "is not sent here; groups are", rule(PortPart::Flood))];
static SET_LEARNING: &[Node] =
    &[choice("off", Choice::Off, "is not learned here", rule(PortPart::Learning))];
static SET_LLDP: &[Node] = &[
    lldp(Lldp::Off, "it is not told who we are, and not heard"),
    lldp(Lldp::On, "it is told who we are, and heard"),
    lldp(Lldp::Send, "it is told who we are, and not heard"),
];

const fn lldp(lldp: Lldp, help: &'static str) -> Node {
    choice(lldp.as_str(), Choice::Lldp(lldp), help, rule(PortPart::Lldp))
}

static SET_PORT_VLAN: &[Node] = &[
    choice(
        "access",
        Choice::Access,
        "one, and who is here knows of no tag",
        Next(&[value(Kind::Vlan, "which VLAN", rule(PortPart::Vlan))]),
    ),
    choice("trunk", Choice::Trunk, "these, by their tags", Next(SET_TRUNK)),
];
static SET_TRUNK: &[Node] = &[value(
    Kind::Vlans,
    "such as 10,20,30-39",
    EndOr(
        set(Aspect::PortPart(PortPart::Vlan)),
        &[word(
            "native",
            "what has no tag is in this one; default: is dropped",
            Next(&[value(Kind::Vlan, "which VLAN", rule(PortPart::Vlan))]),
        )],
    ),
)];

static SET_MAC: &[Node] = &[value(
    Kind::Mac,
    "a station's; it never ages and never moves",
    Next(&[word("port", "where it is", Next(SET_MAC_PORT))]),
)];
static SET_MAC_PORT: &[Node] = &[value(
    Kind::Port,
    "which port",
    EndOr(
        set(Aspect::Mac),
        &[word(
            "vlan",
            "in this VLAN; default: that of untagged frames there",
            Next(&[value(Kind::Vlan, "which VLAN", End(set(Aspect::Mac)))]),
        )],
    ),
)];
static SET_ROLE: &[Node] = &[
    choice("guest", Choice::Role(Role::Guest), "a guest is behind it", SET_MATCH),
    choice("uplink", Choice::Role(Role::Uplink), "the world is behind it", SET_MATCH),
];
const SET_MATCH: Then = EndOr(
    Action::Set(Aspect::Port),
    &[word(
        "match",
        "which NIC it is",
        Next(&[
            word(
                "mac",
                "by its MAC",
                Next(&[value(Kind::Mac, "the NIC's MAC", End(set(Aspect::Port)))]),
            ),
            word(
                "pci",
                "by its place",
                Next(&[value(Kind::Pci, "bus:device.function", End(set(Aspect::Port)))]),
            ),
        ]),
    )],
);

static SET_GUEST: &[Node] =
    &[value(Kind::Guest, "the guest's name", Clauses(Action::Set(Aspect::Guest), GUEST_CLAUSES))];
static GUEST_CLAUSES: &[Node] = &[
    word(
        "address",
        "an address of its own; may come again",
        Next(&[value(Kind::Address, "IPv4 or IPv6", Again)]),
    ),
    word(
        "description",
        "what it is, in your own words",
        Next(&[value(Kind::Description, DESCRIPTION_HELP, Once)]),
    ),
    word("mac", "the MAC of its NIC", Next(&[value(Kind::Mac, "such as 52:54:00:01:00:01", Once)])),
    word("port", "the port that it is behind", Next(&[value(Kind::Port, "which port", Once)])),
    word(
        "probe-source",
        "where its probes come from, if it has no route to us",
        Next(&[value(Kind::ProbeSource, "on its subnet, one IPv4 and one IPv6 at most", Again)]),
    ),
    TRUST,
];

static SET_SERVICE: &[Node] = &[value(Kind::Service, "the service's name", Next(SERVICE_ASPECTS))];
pub(super) const fn part(part: ServicePart) -> Then {
    End(Action::Set(Aspect::Part(part)))
}

static SERVICE_ASPECTS: &[Node] = &[
    word("agent", "how load reports come", Next(SET_AGENT)),
    word("check", "what its reals are asked, and how often", Next(SET_CHECK)),
    word(
        "description",
        "what it is, in your own words",
        Next(&[value(Kind::Description, DESCRIPTION_HELP, part(ServicePart::Description))]),
    ),
    word(
        "drain-timeout",
        "how long a drained real keeps flows; else till they end",
        Next(&[value(Kind::Time, "such as 5m or 1h", part(ServicePart::DrainTimeout))]),
    ),
    word("empty", "what a client hears whom no real can take", Next(SET_EMPTY)),
    word("forwarding", "how a packet reaches its real", Next(SET_FORWARDING)),
    word(
        "idle",
        "UDP: how long a flow may be silent; default 120s",
        Next(&[value(Kind::Time, "such as 30s or 5m", part(ServicePart::Idle))]),
    ),
    word(
        "max-flows",
        "no more open flows than this, over all reals",
        Next(&[value(Kind::FlowsMax, "flows", part(ServicePart::FlowsMax))]),
    ),
    word("on-down", "what becomes of flows whose guest is silent", Next(SET_ON_DOWN)),
    choice(
        "one-packet",
        Choice::OnePacket,
        "UDP: every datagram gets a real anew",
        part(ServicePart::OnePacket),
    ),
    word(
        "panic",
        "ignore checks below this part that works; default 40%",
        Next(&[value(Kind::Percent, "of its reals; 0%: never", part(ServicePart::Panic))]),
    ),
    word("persistence", "later flows of a client go to its earlier real", Next(SET_PERSISTENCE)),
    word("real", "a guest that serves it", Next(SET_REAL)),
    word("scheduler", "how a new flow gets its real", Next(SET_SCHEDULER)),
    word(
        "slow-start",
        "how long until a new real has its share; default 10s",
        Next(&[value(Kind::SlowStart, "such as 30s; 0s: at once", part(ServicePart::SlowStart))]),
    ),
    word("vip", "its virtual address, protocol and port", Next(SET_VIP)),
];
static SET_VIP: &[Node] =
    &[value(Kind::Address, "the virtual address, nobody's own", Next(SET_PROTOCOL))];
static SET_PROTOCOL: &[Node] = &[
    choice("tcp", Choice::Protocol(Protocol::Tcp), "connections", Next(SET_VIP_PORT)),
    choice("udp", Choice::Protocol(Protocol::Udp), "datagrams", Next(SET_VIP_PORT)),
];
static SET_VIP_PORT: &[Node] = &[value(
    Kind::L4Port,
    "the port that clients call",
    EndOr(
        Action::Set(Aspect::Part(ServicePart::Vip)),
        &[word(
            "vlan",
            "on this VLAN and no other; default: untagged",
            Next(&[value(Kind::Vlan, "which VLAN", part(ServicePart::Vip))]),
        )],
    ),
)];
static SET_SCHEDULER: &[Node] = &{
    let all = Scheduler::ALL;
    let mut nodes = [scheduler(all[0]); Scheduler::ALL.len()];
    let mut at = 1;
    while at < all.len() {
        nodes[at] = scheduler(all[at]);
        at += 1;
    }
    nodes
};

const fn scheduler(by: Scheduler) -> Node {
    let help = match by {
        Scheduler::Lc => "fewest open flows; weights do not count",
        Scheduler::Mh => "Maglev: by a hash of both ends",
        Scheduler::P2c => "two drawn by weight, the less loaded of them",
        Scheduler::Rr => "by turns; weights do not count",
        Scheduler::Sh => "by a hash of the client's address",
        Scheduler::ShPort => "by a hash of the client's address and port",
        Scheduler::Wlc => "weighted least connections",
        Scheduler::Wll => "weighted least load, by the guests' reports (default)",
        Scheduler::Wrr => "by turns, as many as its weight",
    };
    choice(by.as_str(), Choice::Scheduler(by), help, part(ServicePart::Scheduler))
}

static SET_FORWARDING: &[Node] = &[
    choice(
        "direct",
        Choice::Forwarding(Forwarding::Direct),
        "only the MAC changes; guests have the VIP on a loopback",
        part(ServicePart::Forwarding),
    ),
    choice(
        "nat",
        Choice::Forwarding(Forwarding::Nat),
        "address and port become the real's, and back (default)",
        part(ServicePart::Forwarding),
    ),
];
static SET_EMPTY: &[Node] = &[
    choice("drop", Choice::Drop, "nothing; it tries again (default)", part(ServicePart::Empty)),
    choice("reset", Choice::Reset, "TCP reset, ICMP port unreachable", part(ServicePart::Empty)),
    word(
        "sorry",
        "a guest that serves while no real can",
        Next(&[value(Kind::Guest, "which guest", part(ServicePart::Empty))]),
    ),
];
static SET_ON_DOWN: &[Node] = &[
    choice(
        "keep",
        Choice::OnDown(OnDown::Keep),
        "they wait for the guest to come back",
        part(ServicePart::OnDown),
    ),
    choice(
        "reset",
        Choice::OnDown(OnDown::Reset),
        "clients are told as soon as they speak (default)",
        part(ServicePart::OnDown),
    ),
];
static SET_PERSISTENCE: &[Node] = &[
    word(
        "payload",
        "UDP: by bytes of the payload (TCP sends none at first)",
        Next(&[value(
            Kind::PayloadOffset,
            "how many bytes come before them",
            Next(&[value(Kind::PayloadLen, "how many bytes", Next(SET_TIMEOUT))]),
        )]),
    ),
    word(
        "source",
        "by the client's address",
        Next(&[value(
            Kind::PrefixLen,
            "how many of its leading bits, such as 32 or 64",
            Next(SET_TIMEOUT),
        )]),
    ),
];
static SET_TIMEOUT: &[Node] = &[word(
    "timeout",
    "how long after the client's last flow",
    Next(&[value(Kind::Time, "such as 300s or 5m", part(ServicePart::Persistence))]),
)];
static SET_REAL: &[Node] =
    &[value(Kind::Guest, "which guest", MaybeClauses(set(Aspect::Real), REAL_CLAUSES))];
static REAL_CLAUSES: &[Node] = &[
    word("check", "what this one is asked instead; ends the line", Next(SET_REAL_CHECK)),
    word(
        "max-flows",
        "no more open flows than this",
        Next(&[value(Kind::FlowsMax, "flows", Once)]),
    ),
    word(
        "port",
        "where it listens; default: the service's port",
        Next(&[value(Kind::L4Port, "port", Once)]),
    ),
    word(
        "weight",
        "its share; default 100, with 0 it gets no new flow",
        Next(&[value(Kind::Weight, "share", Once)]),
    ),
];
