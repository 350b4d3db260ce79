//! What is sent to many: to a group it goes to who is in it, and what hosts and routers say of groups is
//! listened to on the way ([`crate::switch::groups`]).
//!
//! ```text
//!   a query                        everywhere
//!   a report                       to routers and uplinks; nobody else hears it, so that no host keeps
//!                                  silent because another has spoken (RFC 4541 §2.1.1)
//!   to a group of IP               to who is in it, to routers and uplinks
//!   of the link, not IP, to all    everywhere
//! ```
//!
//! Everywhere is wherever the ingress may send to, and no other set is larger: it is cut by that.

use crate::dataplane::Dataplane;
use crate::switch::groups::{Key, Question};
use crate::wire::ethernet::{self, ETHERTYPE_IPV4, ETHERTYPE_IPV6, Ethernet};
use crate::wire::group::{self, Message};
use crate::wire::ip::Version;
use crate::wire::{Address, Ip, bytes_at, icmp, igmp, mld, nd};
use crate::{
    Command, DropReason, Instant, MacAddr, Port, PortId, PortSet, PortVlan, Protocol, Role, Tables,
    Verdict, VlanId,
};

/// Where a frame to many goes, and what it says of groups.
pub(super) struct Judged<'a> {
    pub verdict: Result<Verdict, DropReason>,
    said: Option<(Ip, Message<'a>)>,
}

impl Dataplane {
    /// Decides about a frame to many, and listens.
    #[inline(never)]
    pub(super) fn switch_to_many(
        &mut self,
        ingress: PortId,
        header: &Ethernet,
        (head, len): (&[u8], usize),
        now: Instant,
    ) -> Result<Verdict, DropReason> {
        let Judged { verdict, said } = self.judge_to_many(ingress, header, (head, len), now)?;
        if let Some((ip, message)) = said {
            if header.ethertype == ETHERTYPE_IPV4 && !igmp::has_router_alert(head, &ip) {
                self.groups.count_unalerted();
            }
            self.listen(ingress, (header.vlan, ip.source), message, verdict, now);
        }
        verdict
    }

    /// The same, and nothing is done.
    pub(super) fn judge_to_many<'a>(
        &self,
        ingress: PortId,
        header: &Ethernet,
        (head, len): (&'a [u8], usize),
        now: Instant,
    ) -> Result<Judged<'a>, DropReason> {
        let tables = &self.tables;
        self.meters.check_storm(ingress, header.destination, now)?;
        let all = tables.keeping_hidden(tables.switched(ingress, header.vlan), header);
        let flood = Judged { verdict: to_these(all, DropReason::NoPort), said: None };
        let Some(group) = group_of(header, head).filter(|_| self.groups.listens(header.vlan))
        else {
            return Ok(flood);
        };
        if let Some((ip, message)) = read(header, head, len)? {
            let verdict = match message {
                Message::Query(_) => flood.verdict,
                Message::Report(_) => {
                    let routers = self.groups.asker(header.vlan, group.version()).routers;
                    let routers = routers.or(tables.port_sets().uplinks);
                    to_these(routers.and(all), DropReason::GroupReport)
                }
            };
            return Ok(Judged { verdict, said: Some((ip, message)) });
        }
        if group::is_of_the_link(group) {
            return Ok(flood);
        }
        Ok(match self.groups.members(Key { vlan: header.vlan, group }, now) {
            None => flood,
            Some(members) => {
                let ports = members.or(tables.port_sets().uplinks).and(all);
                Judged { verdict: to_these(ports, DropReason::NoMember), said: None }
            }
        })
    }

    /// Takes in what was said of groups. An uplink is a router's anyway, whatever is said there.
    fn listen(
        &mut self,
        ingress: PortId,
        (vlan, source): (u16, Address),
        message: Message<'_>,
        verdict: Result<Verdict, DropReason>,
        now: Instant,
    ) {
        let is_guest = self.is_guest(ingress);
        match message {
            Message::Query(query) => {
                let reached = match verdict {
                    Ok(Verdict::Flood(ports)) => ports,
                    _ => PortSet::EMPTY,
                };
                let port = is_guest.then_some(ingress);
                self.groups.hear_query((vlan, source), port, &query, reached, now);
            }
            Message::Report(report) if is_guest => {
                let leaves_at_once = self.leaves_at_once(ingress);
                let dialect = report.dialect();
                let said = report.changes().filter(|said| !group::is_of_the_link(said.group()));
                for change in said {
                    let said = (dialect, change);
                    let question =
                        self.groups.hear_change(vlan, ingress, said, leaves_at_once, now);
                    question.iter().for_each(|question| self.ask_groups(question));
                }
            }
            Message::Report(_) => {}
        }
    }

    /// Whether nobody can be left behind a port when one leaves a group.
    fn leaves_at_once(&self, port: PortId) -> bool {
        let is_said = self.tables.port(port).is_some_and(|port| port.rules.fast_leave);
        is_said || self.tables.bindings().has_one(port)
    }

    /// What time brings for groups.
    pub(super) fn look_round_groups(&mut self, now: Instant) {
        let Dataplane { groups, tables, outbox, .. } = self;
        let mut asked = 0;
        groups.look_round(now, &mut |question| {
            let egress = egress_of(&question, tables);
            if !egress.is_empty() {
                asked += 1;
                with_frame(&question, |parts| outbox.push(egress, parts));
            }
        });
        groups.count_asked(asked);
    }

    /// Puts a question because of what a guest said.
    fn ask_groups(&mut self, question: &Question) {
        let egress = egress_of(question, &self.tables);
        with_frame(question, |parts| self.outbox.answer(egress, parts));
        self.groups.count_asked(1);
    }

    /// What a command means for who is in which group, after the tables have taken it.
    pub(super) fn follow_groups(&mut self, command: &Command, now: Instant) {
        let Dataplane { groups, tables, .. } = self;
        match command {
            Command::SetGroups(rules) => groups.set_rules(rules),
            Command::SetLink { port, up } => {
                groups.forget(|_, its| its == *port);
                if *up {
                    groups.meet(*port, now);
                }
            }
            Command::SetPort { port, .. } | Command::SetPortRules { port, .. } => {
                let is_guest = |(_, port): &(PortId, &Port)| port.role == Role::Guest;
                let guests = tables.ports().filter(is_guest).count();
                let vlans = tables.ports().flat_map(|(_, port)| named(&port.rules.vlan));
                groups.set_ports(guests, vlans.collect());
                let may_be_in = |vlan: u16| {
                    let port = tables.port(*port).filter(|port| port.role == Role::Guest);
                    port.is_some_and(|port| port.rules.vlan.carries(vlan))
                };
                groups.forget(|key, its| its == *port && !may_be_in(key.vlan));
                groups.meet(*port, now);
            }
            _ => {}
        }
    }
}

/// The group of IP that a frame is for; `None` if it is for none, or says so in one place alone.
fn group_of(header: &Ethernet, head: &[u8]) -> Option<Address> {
    let (version, group) = match header.ethertype {
        ETHERTYPE_IPV4 => {
            let bits = bytes_at(head, header.payload_at + 16).map(u32::from_be_bytes)?;
            (Version::V4, Address::v4(bits))
        }
        ETHERTYPE_IPV6 => (Version::V6, bytes_at(head, header.payload_at + 24).map(Address::v6)?),
        _ => return None,
    };
    let is_alike = group.version() == version && group::mac_of(group) == header.destination;
    (group::is_group(group) && is_alike).then_some(group)
}

/// What a packet to a group says of groups, if that is what it is for.
fn read<'a>(
    header: &Ethernet,
    head: &'a [u8],
    len: usize,
) -> Result<Option<(Ip, Message<'a>)>, DropReason> {
    let at = header.payload_at;
    let may_be_one = match header.ethertype {
        ETHERTYPE_IPV4 => head.get(at + 9) == Some(&igmp::PROTOCOL),
        // Behind options, but for those that nobody believes.
        _ => head.get(at + 6).is_some_and(|next| Protocol::of(*next).is_none()),
    };
    if !may_be_one {
        return Ok(None);
    }
    let said = match Ip::parse(head, len, at, header.ethertype) {
        Some(Ok(ip)) if ip.protocol == igmp::PROTOCOL && ip.version == Version::V4 => {
            igmp::read(head, &ip)?.map(|message| (ip, message))
        }
        Some(Ok(ip)) if ip.protocol == icmp::PROTOCOL_V6 && ip.version == Version::V6 => {
            mld::read(head, &ip)?.map(|message| (ip, message))
        }
        Some(Err(reason)) if header.ethertype == ETHERTYPE_IPV4 => return Err(reason),
        _ => None,
    };
    Ok(said)
}

fn to_these(ports: PortSet, nobody: DropReason) -> Result<Verdict, DropReason> {
    if ports.is_empty() { Err(nobody) } else { Ok(Verdict::Flood(ports)) }
}

/// Where a question is put: to guests alone.
fn egress_of(question: &Question, tables: &Tables) -> PortSet {
    let guests = tables.carriers(question.vlan).minus(tables.port_sets().uplinks);
    question.ports.map_or(guests, |ports| ports.and(guests))
}

/// Writes a question.
fn with_frame(question: &Question, send: impl FnOnce(&[&[u8]])) {
    let Question { vlan, version, query, .. } = question;
    let destination = match (query.group, version) {
        (Some(group), _) => group::mac_of(group),
        (None, Version::V4) => group::mac_of(igmp::ALL_SYSTEMS.into()),
        (None, Version::V6) => group::mac_of(nd::ALL_NODES.into()),
    };
    let header = ethernet::header(destination, MacAddr::SWITCH, *vlan, version.ethertype());
    match version {
        Version::V4 => send(&[&header, &igmp::packet(query)]),
        Version::V6 => send(&[&header, &mld::packet(query)]),
    }
}

/// The VLANs that a port is said to carry.
fn named(vlan: &PortVlan) -> impl Iterator<Item = VlanId> {
    let (tagged, untagged) = match vlan {
        PortVlan::Transparent => (None, None),
        PortVlan::Access(own) => (None, Some(*own)),
        PortVlan::Trunk { tagged, native } => (Some(tagged), *native),
    };
    tagged.into_iter().flat_map(|tagged| tagged.iter()).chain(untagged)
}
