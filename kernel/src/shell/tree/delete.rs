//! `delete …`: what can be taken back.

use super::{value, word};
use crate::config::ServicePart;
use crate::shell::grammar::Then::{End, EndOr, Next};
use crate::shell::grammar::{Action, Aspect, Node, Then};
use crate::shell::value::Kind;

const fn delete(aspect: Aspect) -> Then {
    End(Action::Delete(aspect))
}

pub(super) static DELETE: &[Node] = &[
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
        &[
            word(
                "address",
                "only this address",
                Next(&[value(Kind::Address, "which address", delete(Aspect::GuestAddress))]),
            ),
            word(
                "probe-source",
                "only where its probes come from",
                Next(&[value(
                    Kind::ProbeSource,
                    "which address",
                    delete(Aspect::GuestProbeSource),
                )]),
            ),
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
