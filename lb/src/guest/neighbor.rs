//! Whom the appliance wants to reach: whether an address answers, asked again and again, each
//! address by itself.
//!
//! An address is asked four times a second; three questions without an answer and it is down, so a
//! dead guest is known within a second. One that is down is asked no less often: it costs a frame,
//! and it is back as soon as it answers. Nobody waits for anybody: a silent address delays no
//! other's question.

use core::net::IpAddr;
use core::time::Duration;

use crate::addr::LINK_LOCAL_V6;
use crate::wire::arp::Arp;
use crate::wire::ethernet::{self, ETHERTYPE_ARP};
use crate::wire::ip::Version;
use crate::wire::nd;
use crate::{Instant, MacAddr};

/// Time between two questions to one address.
pub const PROBE_INTERVAL: Duration = Duration::from_millis(250);
/// Questions in a row without an answer after which an address is down.
pub const FALL: u32 = 3;

/// What is observed of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// Asked, and silent.
    Down,
    /// No answer yet, and not enough silence either.
    Unknown,
    Up,
}

/// An address that is asked for, and what was found.
#[derive(Clone, Copy, Debug)]
pub struct Neighbor {
    pub address: IpAddr,
    /// Where it is asked; 0 is untagged.
    pub vlan: u16,
    pub health: Health,
    /// Since when `health` says so.
    pub since: Instant,
    /// Questions in a row without an answer.
    pub missed: u32,
    /// Nothing else is heard of its station either.
    pub(crate) is_quiet: bool,
    probe_at: Instant,
}

impl Neighbor {
    pub(crate) fn new(address: IpAddr, vlan: u16, now: Instant) -> Neighbor {
        let health = Health::Unknown;
        let (since, probe_at) = (now, now);
        Neighbor { address, vlan, health, since, missed: 0, is_quiet: false, probe_at }
    }

    /// When the next question is due.
    pub(crate) fn next(&self) -> Instant {
        self.probe_at
    }

    /// Whether a question is due; if so it counts as asked, and as missed until it is answered.
    pub(crate) fn probe(&mut self, now: Instant) -> bool {
        if now < self.probe_at {
            return false;
        }
        self.probe_at = now + PROBE_INTERVAL;
        if self.missed >= FALL {
            self.observe(Health::Down, now);
        }
        self.missed = self.missed.saturating_add(1);
        true
    }

    /// It has answered.
    pub(crate) fn answered(&mut self, now: Instant) {
        self.missed = 0;
        self.observe(Health::Up, now);
    }

    fn observe(&mut self, health: Health, now: Instant) {
        if self.health != health {
            self.health = health;
            self.since = now;
        }
    }
}

/// A question to the station that should have this address. By ARP in nobody's name (RFC 5227
/// §2.1.1): every stack answers, none learns. By neighbor discovery in the switch's, for an answer
/// to nobody would go to everybody.
pub(crate) fn ask(address: IpAddr, vlan: u16, mac: MacAddr, push: impl FnOnce(&[&[u8]])) {
    let ethertype = match address {
        IpAddr::V4(_) => ETHERTYPE_ARP,
        IpAddr::V6(_) => Version::V6.ethertype(),
    };
    let header = ethernet::header(mac, MacAddr::SWITCH, vlan, ethertype);
    match address {
        IpAddr::V4(address) => push(&[&header, &Arp::probe(address).packet()]),
        IpAddr::V6(address) => {
            let question = nd::Neighbor::solicitation(LINK_LOCAL_V6, MacAddr::SWITCH, address);
            push(&[&header, &question.packet()]);
        }
    }
}

/// A question to whoever has this address, in the name of an address of ours.
pub(crate) fn ask_all(
    address: IpAddr,
    vlan: u16,
    (own, mac): (IpAddr, MacAddr),
    push: impl FnOnce(&[&[u8]]),
) {
    match (address, own) {
        (IpAddr::V4(address), IpAddr::V4(own)) => {
            let header = ethernet::header(MacAddr::BROADCAST, mac, vlan, ETHERTYPE_ARP);
            push(&[&header, &Arp::request(own, mac, address).packet()]);
        }
        (IpAddr::V6(address), IpAddr::V6(own)) => {
            let question = nd::Neighbor::solicitation(own, mac, address);
            let group = nd::group_mac(question.destination);
            let header = ethernet::header(group, mac, vlan, Version::V6.ethertype());
            push(&[&header, &question.packet()]);
        }
        // Nobody of one version can be asked in the name of the other.
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => {}
    }
}

/// Says unasked where an address of ours is.
pub(crate) fn announce(address: IpAddr, vlan: u16, mac: MacAddr, push: impl FnOnce(&[&[u8]])) {
    match address {
        IpAddr::V4(address) => {
            let header = ethernet::header(MacAddr::BROADCAST, mac, vlan, ETHERTYPE_ARP);
            push(&[&header, &Arp::announcement(address, mac).packet()]);
        }
        IpAddr::V6(address) => {
            let group = nd::group_mac(nd::ALL_NODES);
            let header = ethernet::header(group, mac, vlan, Version::V6.ethertype());
            push(&[&header, &nd::Neighbor::announcement(address, mac).packet()]);
        }
    }
}

impl Health {
    pub const fn as_str(self) -> &'static str {
        match self {
            Health::Unknown => "unknown",
            Health::Up => "up",
            Health::Down => "down",
        }
    }
}
