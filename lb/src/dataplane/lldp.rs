//! LLDP at the ports ([`crate::switch::lldp`]): a frame of it is about the link that it came by, so it
//! is heard or dropped, as all frames to the reserved groups are, and never sent on.

use crate::dataplane::Dataplane;
use crate::switch::lldp::{Lldp, TTL_S};
use crate::wire::ethernet::{self, Ethernet};
use crate::wire::lldp::{Advertisement, BRIDGE, ETHERTYPE_LLDP, Id, NEAREST_BRIDGE};
use crate::{Command, DropReason, Instant, Port, PortId, PortSet, Verdict};

impl Dataplane {
    /// What becomes of a frame to a reserved group.
    #[cold]
    pub(super) fn of_the_link(
        &self,
        ingress: PortId,
        header: &Ethernet,
    ) -> Result<Verdict, DropReason> {
        let is_lldp = header.ethertype == ETHERTYPE_LLDP && !header.is_tagged();
        match is_lldp && self.hears_lldp(ingress) {
            true => Ok(Verdict::Punt),
            false => Err(DropReason::LinkLocal),
        }
    }

    fn hears_lldp(&self, ingress: PortId) -> bool {
        let is_on = |port: &Port| port.lldp() == Lldp::On;
        let looks_on = self.tables.mirrors().destinations().contains(ingress);
        !looks_on && self.tables.port(ingress).is_some_and(is_on)
    }

    /// Takes in what somebody says of himself.
    pub(super) fn hear_lldp(
        &mut self,
        ingress: PortId,
        header: &Ethernet,
        frame: &[u8],
        now: Instant,
    ) {
        match Advertisement::parse(&frame[header.payload_at..]) {
            Ok(said) => self.peers.hear(ingress, header.source, said, now),
            Err(_) => self.peers.misheard(),
        }
    }

    /// What a command means for who is to hear of us, and for who is still there.
    pub(super) fn follow_lldp(&mut self, command: &Command) {
        let all = || self.tables.ports().map(|(id, _)| id).collect();
        let news: PortSet = match command {
            Command::SetLink { port, .. }
            | Command::SetPort { port, .. }
            | Command::SetPortRules { port, .. } => PortSet::EMPTY.with(*port),
            Command::SetIdentity(_)
            | Command::SetManagement(_)
            | Command::SetMirror(_)
            | Command::DeleteMirror(_) => all(),
            _ => return,
        };
        let hears = |port: &PortId| {
            let is_up = self.tables.port(*port).is_some_and(|port| port.link_up);
            is_up && self.hears_lldp(*port)
        };
        let deaf: PortSet = news.filter(|port| !hears(port)).collect();
        self.turn.has_news(news);
        self.peers.forget(|port| deaf.contains(port));
    }

    /// Says who we are where it is time to, and forgets who has not done so.
    pub(super) fn speak_lldp(&mut self, now: Instant) {
        self.peers.age(now);
        for port in self.turn.take(self.speaking(), now) {
            self.advertise(port);
        }
    }

    /// When [`Self::speak_lldp`] is due.
    pub(super) fn next_lldp(&self) -> Option<Instant> {
        let words = (!self.speaking().is_empty()).then(|| self.turn.next());
        words.into_iter().chain(self.peers.next()).min()
    }

    fn speaking(&self) -> PortSet {
        let looking_on = self.tables.mirrors().destinations();
        let speaks = |port: &Port| port.link_up && port.lldp() != Lldp::Off;
        let all = self.tables.ports().filter(|(_, port)| speaks(port)).map(|(id, _)| id);
        match self.tables.identity() {
            Some(_) => all.collect::<PortSet>().minus(looking_on),
            None => PortSet::EMPTY,
        }
    }

    fn advertise(&mut self, id: PortId) {
        let Dataplane { tables, outbox, .. } = self;
        let (Some(identity), Some(port)) = (tables.identity(), tables.port(id)) else {
            return;
        };
        let said = Advertisement {
            system_name: Some(identity.system_name.clone()),
            description: Some(identity.description.clone()),
            capabilities: Some([BRIDGE; 2]),
            management: tables.held().iter().map(|held| held.host.address).collect(),
            ..Advertisement::new(Id::mac(identity.chassis), Id::name(port.name.as_str()), TTL_S)
        };
        let header = ethernet::header(NEAREST_BRIDGE, identity.mac_of(id), 0, ETHERTYPE_LLDP);
        outbox.push(PortSet::EMPTY.with(id), &[&header, &said.packet()]);
    }
}
