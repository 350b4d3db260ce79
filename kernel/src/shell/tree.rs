//! The command tree: every word of the language, once.
//!
//! Two modes, and what a configuration file may hold, are three roots over the same nodes. A new
//! command is a new node here, an [`Action`] in `grammar`, and whatever performs it.

use lb::{AdminState, Forwarding, Protocol, Role, Scheduler};

use super::grammar::Then::{Again, Clauses, End, EndOr, MaybeClauses, Next, Once};
use super::grammar::{Action, Aspect, Node, Show, Sieve, Switch, Then, Token};
use super::value::{Choice, Kind};
use crate::config::ServicePart;

/// Operational mode: looking, and what is done to guests while they run.
pub static OPERATIONAL: &[Node] = &[
    CONFIGURE,
    word("drain", "give a guest or a real no new flow; open flows go on", Next(DRAIN)),
    word("enable", "give a guest or a real new flows again", Next(ENABLE)),
    word("exit", "nothing to leave here: this is operational mode", End(Action::Exit)),
    HELP,
    word("maint", "take a guest or a real out of service", Next(MAINT)),
    whole("poweroff", "switch this machine off", End(Action::Poweroff)),
    whole("reboot", "start this machine anew", End(Action::Reboot)),
    word("show", "look at something; disturbs nothing", Next(SHOW)),
    TERMINAL,
    WRITE,
    alias("quit", End(Action::Exit)),
];

/// Configuration mode: what the appliance is to be.
pub static CONFIGURATION: &[Node] = &[
    word("delete", "take a statement back", Next(DELETE)),
    word("exit", "leave configuration mode", End(Action::Exit)),
    HELP,
    word("no", "the same as delete", Next(DELETE)),
    SET,
    word("show", "look at something; by itself: the configuration", CONFIGURATION_SHOW),
    TERMINAL,
    WRITE,
    alias("end", End(Action::End)),
    alias("quit", End(Action::Exit)),
];

/// A configuration file.
pub static FILE: &[Node] = &[SET];

/// After `|`.
pub static FILTERS: &[Node] = &[
    word("begin", "lines from the first that holds a text", Next(FILTER_BEGIN)),
    word("count", "only how many lines", End(Action::Filter(Sieve::Count))),
    word("except", "lines that do not hold a text", Next(FILTER_EXCEPT)),
    word("first", "only so many lines from the top", Next(FILTER_FIRST)),
    word("last", "only so many lines from the bottom", Next(FILTER_LAST)),
    word("match", "lines that hold a text", Next(FILTER_MATCH)),
];

const fn word(word: &'static str, help: &'static str, then: Then) -> Node {
    Node { token: Token::Word(word), help, then }
}

const fn whole(word: &'static str, help: &'static str, then: Then) -> Node {
    Node { token: Token::Whole(word), help, then }
}

const fn alias(word: &'static str, then: Then) -> Node {
    Node { token: Token::Alias(word), help: "", then }
}

const fn choice(word: &'static str, choice: Choice, help: &'static str, then: Then) -> Node {
    Node { token: Token::Choice(word, choice), help, then }
}

const fn value(kind: Kind, help: &'static str, then: Then) -> Node {
    Node { token: Token::Value(kind), help, then }
}

const CONFIGURE: Node = word(
    "configure",
    "change the configuration (set, delete)",
    EndOr(Action::Configure, &[alias("terminal", End(Action::Configure))]),
);
const HELP: Node = word("help", "how this shell works", End(Action::Help));
const WRITE: Node = word("write", "say where the configuration is kept", End(Action::Write));
const TERMINAL: Node = word("terminal", "how this console behaves", Next(TERMINAL_NEXT));

static TERMINAL_NEXT: &[Node] =
    &[word("script", "for programs: no echo, no prompt, a closing line", Next(SCRIPT_NEXT))];
static SCRIPT_NEXT: &[Node] = &[
    word("off", "for a person", End(Action::Script(Switch::Off))),
    word("on", "for a program", End(Action::Script(Switch::On))),
];

// show …

static SHOW: &[Node] = &[
    word("capacity", "how full the tables are", show(Show::Capacity)),
    word("configuration", "the statements that make this appliance", show(Show::Configuration)),
    word(
        "counters",
        "frames and how they ended, port by port",
        EndOr(
            Action::Show(Show::Counters),
            &[
                word("drops", "only what was dropped, by reason", show(Show::Drops)),
                word(
                    "tables",
                    "what the tables and queues took in and gave up",
                    show(Show::Tables),
                ),
            ],
        ),
    ),
    word("flow", "open flows", EndOr(Action::Show(Show::Flows), FLOW_SERVICE)),
    word("guest", "guests, their ports and health", show(Show::Guests)),
    word("load", "what guests say of their load, and what it does", show(Show::Load)),
    word("log", "what happened", show(Show::Log)),
    word(
        "mac",
        "the forwarding database: which MAC is where",
        EndOr(Action::Show(Show::Macs), &[alias("address-table", show(Show::Macs))]),
    ),
    word("neighbor", "guests' addresses and whether they answer", show(Show::Neighbors)),
    word("port", "ports and their NICs", EndOr(Action::Show(Show::Ports), SHOW_PORT)),
    word("real", "the guests behind services", EndOr(Action::Show(Show::Reals), SHOW_REAL)),
    word("service", "services", EndOr(Action::Show(Show::Services), SHOW_SERVICE)),
    word("version", "this appliance: build and time up", show(Show::Version)),
    alias("interfaces", EndOr(Action::Show(Show::Ports), SHOW_PORT)),
    alias("running-config", show(Show::Configuration)),
];

const CONFIGURATION_SHOW: Then = EndOr(Action::Show(Show::Configuration), SHOW);

static SHOW_PORT: &[Node] = &[value(Kind::Port, "everything about this port", show(Show::Ports))];
static SHOW_SERVICE: &[Node] =
    &[value(Kind::Service, "everything about this service", show(Show::Services))];
static SHOW_REAL: &[Node] =
    &[value(Kind::Service, "of this service", EndOr(Action::Show(Show::Reals), SHOW_ONE_REAL))];
static SHOW_ONE_REAL: &[Node] = &[value(Kind::Real, "only this one", show(Show::Reals))];
static FLOW_SERVICE: &[Node] = &[value(Kind::Service, "of this service", show(Show::Flows))];

const fn show(what: Show) -> Then {
    End(Action::Show(what))
}

// drain, enable, maint …

macro_rules! administer {
    ($name:ident, $state:expr) => {
        static $name: &[Node] = &[
            word(
                "guest",
                "a guest, in every service",
                Next(&[value(Kind::Guest, "which guest", End(Action::Administer($state)))]),
            ),
            word(
                "real",
                "a guest, in one service",
                Next(&[value(
                    Kind::Service,
                    "in which service",
                    Next(&[value(Kind::Real, "which guest", End(Action::Administer($state)))]),
                )]),
            ),
        ];
    };
}

administer!(DRAIN, AdminState::Drain);
administer!(ENABLE, AdminState::Ready);
administer!(MAINT, AdminState::Maint);

// set …

const SET: Node = word("set", "make a statement", Next(SET_NEXT));

const fn set(aspect: Aspect) -> Action {
    Action::Set(aspect)
}

static SET_NEXT: &[Node] = &[
    word("guest", "a VM on this host: its port, MAC and addresses", Next(SET_GUEST)),
    word("port", "a port: its role and its NIC", Next(SET_PORT)),
    word("service", "a virtual address and the guests behind it", Next(SET_SERVICE)),
    word("system", "the appliance itself", Next(SET_SYSTEM)),
];

static SET_SYSTEM: &[Node] = &[
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
];
static SET_CAPACITY: &[Node] = &[word(
    "flows",
    "places of the flow table; default: by the memory",
    Next(&[value(
        Kind::Flows,
        "places, if there is memory; from the next start on",
        End(set(Aspect::Flows)),
    )]),
)];

static SET_PORT: &[Node] = &[value(
    Kind::Port,
    "the port's name",
    Next(&[word("role", "what it is for", Next(SET_ROLE))]),
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
    word("mac", "the MAC of its NIC", Next(&[value(Kind::Mac, "such as 52:54:00:01:00:01", Once)])),
    word("port", "the port that it is behind", Next(&[value(Kind::Port, "which port", Once)])),
];

static SET_SERVICE: &[Node] = &[value(Kind::Service, "the service's name", Next(SERVICE_ASPECTS))];
const fn part(part: ServicePart) -> Then {
    End(Action::Set(Aspect::Part(part)))
}

static SERVICE_ASPECTS: &[Node] = &[
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
    choice(
        "one-packet",
        Choice::OnePacket,
        "UDP: every datagram gets a real anew",
        part(ServicePart::OnePacket),
    ),
    word("persistence", "later flows of a client go to its earlier real", Next(SET_PERSISTENCE)),
    word("real", "a guest that serves it", Next(SET_REAL)),
    word("scheduler", "how a new flow gets its real", Next(SET_SCHEDULER)),
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

// delete …

const fn delete(aspect: Aspect) -> Then {
    End(Action::Delete(aspect))
}

static DELETE: &[Node] = &[
    word("guest", "a guest, or one of its addresses", Next(DELETE_GUEST)),
    word("port", "what is said of a port", Next(DELETE_PORT)),
    word("service", "a service, or a part of it", Next(DELETE_SERVICE)),
    word("system", "what is said of the appliance itself", Next(DELETE_SYSTEM)),
];
static DELETE_SYSTEM: &[Node] = &[
    word(
        "capacity",
        "sizes of tables, from the next start on",
        Next(&[word("flows", "back to what the memory gives", delete(Aspect::Flows))]),
    ),
    word("hostname", "back to the default", delete(Aspect::Hostname)),
];
static DELETE_PORT: &[Node] = &[value(
    Kind::Port,
    "which port",
    EndOr(
        Action::Delete(Aspect::Port),
        &[word("match", "only which NIC it is", delete(Aspect::PortMatch))],
    ),
)];
static DELETE_GUEST: &[Node] = &[value(
    Kind::Guest,
    "which guest",
    EndOr(
        Action::Delete(Aspect::Guest),
        &[word(
            "address",
            "only this address",
            Next(&[value(Kind::Address, "which address", delete(Aspect::GuestAddress))]),
        )],
    ),
)];
static DELETE_SERVICE: &[Node] = &[value(
    Kind::Service,
    "which service",
    EndOr(Action::Delete(Aspect::Service), DELETE_SERVICE_ASPECTS),
)];
static DELETE_SERVICE_ASPECTS: &[Node] = &[
    delete_part(ServicePart::Empty, "back to silence"),
    delete_part(ServicePart::Forwarding, "back to nat"),
    delete_part(ServicePart::Idle, "back to 120s"),
    delete_part(ServicePart::FlowsMax, "back to no limit"),
    delete_part(ServicePart::OnePacket, "back to flows"),
    delete_part(ServicePart::Persistence, "back to none"),
    word("real", "a guest that serves it", Next(DELETE_REAL)),
    delete_part(ServicePart::Scheduler, "back to wll"),
];

const fn delete_part(part: ServicePart, help: &'static str) -> Node {
    word(part.as_str(), help, delete(Aspect::Part(part)))
}

static DELETE_REAL: &[Node] = &[value(
    Kind::Real,
    "which guest; its open flows go on until they end",
    EndOr(
        Action::Delete(Aspect::Real),
        &[
            word("max-flows", "back to no limit", delete(Aspect::RealFlowsMax)),
            word("port", "back to the service's port", delete(Aspect::RealPort)),
            word("weight", "back to 100", delete(Aspect::RealWeight)),
        ],
    ),
)];

// | …

static FILTER_BEGIN: &[Node] = &[text(Sieve::Begin)];
static FILTER_EXCEPT: &[Node] = &[text(Sieve::Except)];
static FILTER_FIRST: &[Node] = &[lines(Sieve::First)];
static FILTER_LAST: &[Node] = &[lines(Sieve::Last)];
static FILTER_MATCH: &[Node] = &[text(Sieve::Match)];

const fn text(sieve: Sieve) -> Node {
    value(Kind::Text, "one word; case does not matter", End(Action::Filter(sieve)))
}

const fn lines(sieve: Sieve) -> Node {
    value(Kind::Lines, "how many", End(Action::Filter(sieve)))
}
