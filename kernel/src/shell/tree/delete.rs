//! `delete …`: what can be taken back.

use lb::wire::ip::Version;

use super::groups::DELETE_SWITCH;
use super::tenants::{DELETE_POLICE, DELETE_RULE, DELETE_TRUST};
use super::{choice, value, word};
use crate::config::{PortPart, ServicePart, word_of};
use crate::shell::grammar::Then::{End, EndOr, Next};
use crate::shell::grammar::{Action, Aspect, Node, Then};
use crate::shell::value::{Choice, Kind};

pub(super) const fn delete(aspect: Aspect) -> Then {
    End(Action::Delete(aspect))
}

pub(super) static DELETE: &[Node] = &[
    word("guest", "a guest, or one of its addresses", Next(DELETE_GUEST)),
    word("mac", "a static MAC", Next(DELETE_MAC)),
    word("mirror", "a mirror; its port is one again", Next(DELETE_MIRROR)),
    word("port", "what is said of a port", Next(DELETE_PORT)),
    word("service", "a service, or a part of it", Next(DELETE_SERVICE)),
    DELETE_SWITCH,
    word("system", "what is said of the appliance itself", Next(DELETE_SYSTEM)),
];
static DELETE_SYSTEM: &[Node] = &[
    word(
        "address",
        "where it is reached itself",
        EndOr(
            Action::Delete(Aspect::Address),
            &[delete_version(Version::V4), delete_version(Version::V6)],
        ),
    ),
    word(
        "capacity",
        "sizes of tables, from the next start on",
        Next(&[word("flows", "back to what the memory gives", delete(Aspect::Flows))]),
    ),
    word("hostname", "back to the default", delete(Aspect::Hostname)),
    word("mac-ageing", "back to 300s", delete(Aspect::MacAgeing)),
];
const fn delete_version(version: Version) -> Node {
    let help = match version {
        Version::V4 => "only the IPv4 address, or DHCP",
        Version::V6 => "only the IPv6 address",
    };
    choice(word_of(version), Choice::Version(version), help, delete(Aspect::Address))
}

static DELETE_PORT: &[Node] = &[value(
    Kind::Port,
    "which port",
    EndOr(
        Action::Delete(Aspect::Port),
        &[
            word("description", "what it is in words", delete(Aspect::PortDescription)),
            delete_rule(PortPart::FastLeave, "back to asking who is left"),
            delete_rule(PortPart::Flood, "back to what goes to strangers"),
            delete_rule(PortPart::Group, "back to all other ports"),
            delete_rule(PortPart::Isolated, "back to all other ports"),
            delete_rule(PortPart::Learning, "back to learning"),
            delete_rule(PortPart::Lldp, "back to uplinks alone"),
            delete_rule(PortPart::Locked, "back to everybody"),
            word("match", "only which NIC it is", delete(Aspect::PortMatch)),
            delete_rule(PortPart::MaxMacs, "back to a share of the table"),
            delete_rule(PortPart::Mtu, "back to 1500 bytes"),
            DELETE_POLICE,
            DELETE_RULE,
            delete_rule(PortPart::Standby, "back to always"),
            delete_rule(PortPart::StormLimit, "back to the default"),
            delete_rule(PortPart::Vlan, "back to all VLANs, as tagged"),
        ],
    ),
)];

const fn delete_rule(part: PortPart, help: &'static str) -> Node {
    word(part.as_str(), help, delete(Aspect::PortPart(part)))
}

static DELETE_MAC: &[Node] = &[value(
    Kind::Mac,
    "which MAC",
    EndOr(
        Action::Delete(Aspect::Mac),
        &[word(
            "vlan",
            "the one of this VLAN",
            Next(&[value(Kind::Vlan, "which VLAN", delete(Aspect::Mac))]),
        )],
    ),
)];
static DELETE_MIRROR: &[Node] = &[value(Kind::Mirror, "which mirror", delete(Aspect::Mirror))];
static DELETE_GUEST: &[Node] = &[value(
    Kind::Guest,
    "which guest",
    EndOr(
        Action::Delete(Aspect::Guest),
        &[
            word(
                "address",
                "only this address",
                Next(&[value(Kind::Address, "which address", delete(Aspect::GuestAddress))]),
            ),
            word("description", "what it is in words", delete(Aspect::GuestDescription)),
            word(
                "probe-source",
                "only where its probes come from",
                Next(&[value(
                    Kind::ProbeSource,
                    "which address",
                    delete(Aspect::GuestProbeSource),
                )]),
            ),
            DELETE_TRUST,
        ],
    ),
)];
static DELETE_SERVICE: &[Node] = &[value(
    Kind::Service,
    "which service",
    EndOr(Action::Delete(Aspect::Service), DELETE_SERVICE_ASPECTS),
)];
static DELETE_SERVICE_ASPECTS: &[Node] = &[
    delete_part(ServicePart::Agent, "back to push"),
    delete_part(ServicePart::Check, "back to none"),
    delete_part(ServicePart::Description, "what it is in words"),
    delete_part(ServicePart::DrainTimeout, "back to no limit"),
    delete_part(ServicePart::Empty, "back to silence"),
    delete_part(ServicePart::Forwarding, "back to nat"),
    delete_part(ServicePart::Idle, "back to 120s"),
    delete_part(ServicePart::FlowsMax, "back to no limit"),
    delete_part(ServicePart::OnDown, "back to reset"),
    delete_part(ServicePart::OnePacket, "back to flows"),
    delete_part(ServicePart::Panic, "back to 40%"),
    delete_part(ServicePart::Persistence, "back to none"),
    word("real", "a guest that serves it", Next(DELETE_REAL)),
    delete_part(ServicePart::Scheduler, "back to wll"),
    delete_part(ServicePart::SlowStart, "back to 10s"),
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
            word("check", "back to the service's", delete(Aspect::RealCheck)),
            word("max-flows", "back to no limit", delete(Aspect::RealFlowsMax)),
            word("port", "back to the service's port", delete(Aspect::RealPort)),
            word("weight", "back to 100", delete(Aspect::RealWeight)),
        ],
    ),
)];
