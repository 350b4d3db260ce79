//! The command tree: every word of the language, once.
//!
//! Two modes, and what a configuration file may hold, are three roots over the same nodes. A new
//! command is a new node here, an [`Action`] in `grammar`, and whatever performs it.

mod capture;
mod check;
mod configuration;
mod delete;
mod groups;
mod look;
mod mirror;
mod ping;
mod set;
mod tenants;

use lb::flow::FlowState;
use lb::{AdminState, Protocol};

use self::capture::CAPTURE;
pub use self::configuration::CONFIGURATION;
use self::configuration::{CONFIGURE_LINE, SHOW_CONFIGURATION};
use self::look::{MONITOR, TEST_PACKET};
use self::ping::PING;
use self::set::SET;
use super::grammar::Then::{End, EndOr, Next};
use super::grammar::{Action, Node, Show, Sieve, Switch, Then, Token};
use super::json;
use super::value::{Choice, Kind};

/// Operational mode: looking, and what is done to guests while they run.
pub static OPERATIONAL: &[Node] = &[
    CAPTURE,
    word("clear", "let counters begin anew", Next(CLEAR)),
    CONFIGURE,
    word("drain", "give a guest or a real no new flow; open flows go on", Next(DRAIN)),
    word("enable", "give a guest or a real new flows again", Next(ENABLE)),
    word("exit", "nothing to leave here: this is operational mode", End(Action::Exit)),
    HELP,
    word("maint", "take a guest or a real out of service", Next(MAINT)),
    word("monitor", "look at something every second, until a key", Next(MONITOR)),
    PING,
    whole("poweroff", "switch this machine off", End(Action::Poweroff)),
    whole("reboot", "start this machine anew", End(Action::Reboot)),
    word("reset", "end a flow", Next(RESET)),
    word("show", "look at something; disturbs nothing", Next(SHOW)),
    TERMINAL,
    word("test", "ask what would happen; changes nothing", Next(TEST)),
    UNDO,
    WRITE,
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
    word(json::WORD, "one document for a program; comes last", End(Action::Filter(Sieve::Json))),
    word("last", "only so many lines from the bottom", Next(FILTER_LAST)),
    word("match", "lines that hold a text", Next(FILTER_MATCH)),
    word("no-more", "all at once, not a screen at a time", End(Action::Filter(Sieve::NoMore))),
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
    "change the configuration (set, delete, commit)",
    EndOr(Action::Configure, CONFIGURE_LINE),
);
const UNDO: Node =
    whole("undo", "make what ran before the last commit run again", End(Action::Undo));
const HELP: Node = word("help", "how this shell works", End(Action::Help));
const WRITE: Node = word(
    "write",
    "save what runs, should the disk not have it",
    EndOr(Action::Write, &[alias("memory", End(Action::Write))]),
);
const TERMINAL: Node = word("terminal", "how this console behaves", Next(TERMINAL_NEXT));

static TERMINAL_NEXT: &[Node] = &[
    word(
        "length",
        "how many rows it has; default 24",
        Next(&[value(Kind::Rows, "0: nothing stops at --More--", End(Action::Length))]),
    ),
    word("script", "for programs: no echo, no prompt, a closing line", Next(SCRIPT_NEXT)),
];
static SCRIPT_NEXT: &[Node] = &[
    word("off", "for a person", End(Action::Script(Switch::Off))),
    word("on", "for a program", End(Action::Script(Switch::On))),
];

// clear …

static CLEAR: &[Node] = &[word(
    "counters",
    "what show counts of ports, services and reals",
    EndOr(
        Action::Clear,
        &[
            word("port", "of one port", Next(&[value(Kind::Port, "which port", END_CLEAR)])),
            word(
                "service",
                "of one service and its reals",
                Next(&[value(Kind::Service, "which service", END_CLEAR)]),
            ),
        ],
    ),
)];
const END_CLEAR: Then = End(Action::Clear);

// reset …

static RESET: &[Node] = &[word("flow", "both ends are told", Next(RESET_CLIENT))];
static RESET_CLIENT: &[Node] = &[value(Kind::End, CLIENT_HELP, Next(RESET_VIP))];
static RESET_VIP: &[Node] = &[value(Kind::End, VIP_HELP, EndOr(Action::ResetFlow, RESET_PROTOCOL))];
static RESET_PROTOCOL: &[Node] = &[
    choice("tcp", Choice::Protocol(Protocol::Tcp), "only over TCP", End(Action::ResetFlow)),
    choice("udp", Choice::Protocol(Protocol::Udp), "only over UDP", End(Action::ResetFlow)),
];

// show …

static SHOW: &[Node] = &[
    word("capacity", "how full the tables are", show(Show::Capacity)),
    word("commits", "the configurations that ran, the newest first", show(Show::Commits)),
    word(
        "configuration",
        "the statements that make this appliance",
        EndOr(Action::Show(Show::Configuration), SHOW_CONFIGURATION),
    ),
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
    word(
        "flow",
        "open flows, or those of which all holds that is said",
        Then::MaybeClauses(Action::Show(Show::Flows), SHOW_FLOW),
    ),
    word("groups", "multicast groups: who is in each, and who asks", show(Show::Groups)),
    word("guest", "guests, their ports and health", show(Show::Guests)),
    word("health", "who may have new flows, and by whose word", show(Show::Health)),
    word("lb", "how flows get their reals", Next(SHOW_LB)),
    word("lldp", "who is at the other ends of links", show(Show::Lldp)),
    word("load", "what guests say of their load, and what it does", show(Show::Load)),
    word("log", "what happened", show(Show::Log)),
    word(
        "mac",
        "the forwarding database: which MAC is where",
        EndOr(Action::Show(Show::Macs), &[alias("address-table", show(Show::Macs))]),
    ),
    word("mirror", "mirrors, and how many frames they copied", show(Show::Mirrors)),
    word("neighbor", "guests' addresses and whether they answer", show(Show::Neighbors)),
    word("port", "ports and their NICs", EndOr(Action::Show(Show::Ports), SHOW_PORT)),
    word("real", "the guests behind services", EndOr(Action::Show(Show::Reals), SHOW_REAL)),
    word("service", "services", EndOr(Action::Show(Show::Services), SHOW_SERVICE)),
    word("system", "this appliance: name, memory, how busy it is", show(Show::System)),
    word("tech-support", "all that somebody far away needs to see", End(Action::Support)),
    word("version", "this appliance: build and time up", show(Show::Version)),
    word("vlan", "VLANs: the ports in each, who serves and was heard there", show(Show::Vlans)),
    alias("interfaces", EndOr(Action::Show(Show::Ports), SHOW_PORT)),
    alias("running-config", show(Show::Configuration)),
    alias("startup-config", show(Show::StartUp)),
];

static SHOW_LB: &[Node] = &[
    word("events", "the last decisions about new flows", show(Show::Choices)),
    word("why", "why a flow is where it is; where a new one would go", Next(WHY_CLIENT)),
];
static WHY_CLIENT: &[Node] = &[value(Kind::End, CLIENT_HELP, Next(WHY_VIP))];
static WHY_VIP: &[Node] =
    &[value(Kind::End, VIP_HELP, EndOr(Action::Show(Show::Choice), WHY_PROTOCOL))];
static WHY_PROTOCOL: &[Node] = &[
    choice("tcp", Choice::Protocol(Protocol::Tcp), "only over TCP", show(Show::Choice)),
    choice("udp", Choice::Protocol(Protocol::Udp), "only over UDP", show(Show::Choice)),
];
const CLIENT_HELP: &str = "who calls, such as 192.0.2.9:40000 or [2001:db8::9]:40000";
const VIP_HELP: &str = "the VIP that is called and its port";

static SHOW_PORT: &[Node] = &[value(Kind::Port, "everything about this port", show(Show::Ports))];
static SHOW_SERVICE: &[Node] =
    &[value(Kind::Service, "everything about this service", show(Show::Services))];
static SHOW_REAL: &[Node] =
    &[value(Kind::Service, "of this service", EndOr(Action::Show(Show::Reals), SHOW_ONE_REAL))];
static SHOW_ONE_REAL: &[Node] = &[value(Kind::Real, "only this one", show(Show::Reals))];

static SHOW_FLOW: &[Node] = &[
    word(
        "client",
        "of a client or a network of clients",
        Next(&[value(Kind::Prefix, "such as 192.0.2.9 or 192.0.2.0/24", Then::Once)]),
    ),
    word(
        "from",
        "from a place in the table on, to go on after a cut",
        Next(&[value(Kind::Place, "the place that was told", Then::Once)]),
    ),
    word(
        "guest",
        "at this guest",
        Next(&[value(Kind::Guest, "which guest, also one that leaves", Then::Once)]),
    ),
    word(
        "protocol",
        "over TCP or UDP",
        Next(&[
            choice("tcp", Choice::Protocol(Protocol::Tcp), "connections", Then::Once),
            choice("udp", Choice::Protocol(Protocol::Udp), "datagrams", Then::Once),
        ]),
    ),
    word("service", "of this service", Next(&[value(Kind::Service, "which service", Then::Once)])),
    word(
        "state",
        "as far as this",
        Next(&[
            state(FlowState::Closed, "ended; kept for the last segments"),
            state(FlowState::Closing, "one side has ended it"),
            state(FlowState::Cut, "ended by reset flow; not all know it yet"),
            state(FlowState::Embryonic, "not answered, or nobody has heard the answer"),
            state(FlowState::Established, "both sides have spoken"),
        ]),
    ),
    word("vip", "to this VIP", Next(&[value(Kind::Address, "its address", Then::Once)])),
    alias("real", Next(&[value(Kind::Guest, "which guest", Then::Once)])),
];

const fn state(state: FlowState, help: &'static str) -> Node {
    choice(state.as_str(), Choice::State(state), help, Then::Once)
}

const fn show(what: Show) -> Then {
    End(Action::Show(what))
}

// test …

static TEST: &[Node] = &[
    word("lb", "where a new flow would go, and why", Next(TEST_PROTOCOL)),
    word("packet", "what would become of a frame, stage by stage", Next(TEST_PACKET)),
];
static TEST_PROTOCOL: &[Node] = &[
    choice("tcp", Choice::Protocol(Protocol::Tcp), "a connection", Next(TEST_CLIENT)),
    choice("udp", Choice::Protocol(Protocol::Udp), "a datagram", Next(TEST_CLIENT)),
];
static TEST_CLIENT: &[Node] = &[value(Kind::End, CLIENT_HELP, Next(TEST_VIP))];
static TEST_VIP: &[Node] = &[value(Kind::End, VIP_HELP, show(Show::Foretold))];

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
