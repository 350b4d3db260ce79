//! An address by DHCP (RFC 2131 §4.4): what a client asks, when, and what it makes of the answers.
//!
//! ```text
//!            offer                    ack
//!   asking ─────────▶ requesting ─────────────▶ bound ─┐ half of the time is over: asks its server,
//!     ▲ ▲                 │ nak, no answer       │ ▲   │ at seven eighths everybody (or as it was told)
//!     │ └─────────────────┘                      │ └───┘ ack
//!     └──────────────────── nak, time over ──────┘
//! ```
//!
//! smoltcp has such a client, but it wants an Ethernet interface with neighbours of its own, which is
//! 25 kB of image for four messages, and reads no router where a server tells of two. Here messages go
//! in and out as values: where they go is the data path's matter, and nobody's frame is looked at that
//! does not answer the very question which was asked last. The server is asked again by the MAC from
//! which its answer came, be it its own or a relay's.

use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;

use super::HostAddress;
use crate::wire::dhcp::{Answer, Asked, Said};
use crate::{Instant, MacAddr};

/// Between the first questions; twice as long each time, and some of it by chance (RFC 2131 §4.1).
const RETRY_FIRST: Duration = Duration::from_secs(2);
const RETRY_MAX: Duration = Duration::from_secs(64);
/// How often an offered address is asked for.
const REQUESTS_MAX: u32 = 3;
/// Until everything begins anew where a server takes back its word.
const REFUSED_PAUSE: Duration = Duration::from_secs(2);
/// Between two questions to renew, at least (RFC 2131 §4.4.5).
const RENEW_RETRY_MIN: Duration = Duration::from_secs(60);
/// A lease whose length is not told, and the shortest: who lends for less is asked too often.
const LEASE_DEFAULT: Duration = Duration::from_secs(120);
const LEASE_MIN: Duration = Duration::from_secs(10);

/// Asks for an address, and asks to keep it.
pub(crate) struct LeaseClient {
    pub mac: MacAddr,
    pub vlan: u16,
    transaction: u32,
    /// When the next question is due.
    next: Instant,
    /// Questions of this kind that were asked so far.
    asked: u32,
    step: Step,
}

#[derive(Clone, Copy)]
enum Step {
    Asking,
    Requesting { address: Ipv4Addr, server: Ipv4Addr },
    Bound(Lease),
}

/// What a server has lent us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    pub host: HostAddress,
    pub until: Instant,
    address: Ipv4Addr,
    server: Ipv4Addr,
    /// From whom its answer came.
    by: MacAddr,
    /// When not only its server is asked.
    rebinds: Instant,
}

/// A question, and whom it goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    pub asked: Asked,
    pub transaction: u32,
    pub to: (MacAddr, Ipv4Addr),
    pub from: Ipv4Addr,
}

/// What is news of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    Leased(HostAddress),
    Lost(Ipv4Addr),
}

impl LeaseClient {
    pub fn new(mac: MacAddr, vlan: u16, now: Instant) -> LeaseClient {
        LeaseClient { mac, vlan, transaction: 0, next: now, asked: 0, step: Step::Asking }
    }

    pub fn lease(&self) -> Option<&Lease> {
        match &self.step {
            Step::Bound(lease) => Some(lease),
            Step::Asking | Step::Requesting { .. } => None,
        }
    }

    /// Asks at once, unless there is a lease: somebody may be there who was not before.
    pub fn hurry(&mut self, now: Instant) {
        if self.lease().is_none() {
            self.begin(Step::Asking, now);
        }
    }

    /// The question that is due, if one is.
    pub fn ask(&mut self, now: Instant, roll: impl FnOnce() -> u64) -> Option<Question> {
        const NOBODY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
        const ALL: (MacAddr, Ipv4Addr) = (MacAddr::BROADCAST, Ipv4Addr::BROADCAST);
        if now < self.next {
            return None;
        }
        if matches!(self.step, Step::Requesting { .. }) && self.asked == REQUESTS_MAX {
            self.begin(Step::Asking, now);
        }
        let roll = roll();
        // A request is of its offer's transaction (RFC 2131 §4.4.1).
        if !matches!(self.step, Step::Requesting { .. }) {
            self.transaction = (roll >> 32) as u32;
        }
        let (asked, to, from, pause) = match self.step {
            Step::Asking => (Asked::Discover, ALL, NOBODY, self.pause()),
            Step::Requesting { address, server } => {
                (Asked::Offered { address, server }, ALL, NOBODY, self.pause())
            }
            Step::Bound(Lease { address, server, by, rebinds, until, .. }) => {
                let is_renewing = now < rebinds;
                let (to, end) = if is_renewing { ((by, server), rebinds) } else { (ALL, until) };
                let left = end.since(now);
                (Asked::Own(address), to, address, RENEW_RETRY_MIN.max(left / 2).min(left))
            }
        };
        // A quarter more at most, so that those who began together do not go on together.
        self.next = now + pause + pause * (roll as u32 % 256) / 1024;
        self.asked += 1;
        Some(Question { asked, transaction: self.transaction, to, from })
    }

    /// When time brings something.
    pub fn next(&self) -> Instant {
        self.lease().map_or(self.next, |lease| lease.until.min(self.next))
    }

    /// What time has brought.
    pub fn look(&mut self, now: Instant) -> Option<News> {
        let lease = *self.lease().filter(|lease| lease.until <= now)?;
        self.begin(Step::Asking, now);
        Some(News::Lost(lease.address))
    }

    /// Takes in a server's answer.
    pub fn hear(&mut self, answer: &Answer, by: MacAddr, now: Instant) -> Option<News> {
        if answer.transaction != self.transaction || self.asked == 0 {
            return None;
        }
        match (answer.said, self.step) {
            (Said::Offer, Step::Asking) => {
                let server = answer.server?;
                self.begin(Step::Requesting { address: answer.address, server }, now);
                None
            }
            (Said::Ack, Step::Requesting { server, .. }) => self.bind(answer, server, by, now),
            (Said::Ack, Step::Bound(lease)) => self.bind(answer, lease.server, by, now),
            (Said::Nak, Step::Requesting { .. }) => {
                self.begin(Step::Asking, now + REFUSED_PAUSE);
                None
            }
            (Said::Nak, Step::Bound(lease)) => {
                self.begin(Step::Asking, now + REFUSED_PAUSE);
                Some(News::Lost(lease.address))
            }
            (Said::Offer, Step::Requesting { .. } | Step::Bound(_))
            | (Said::Ack | Said::Nak, Step::Asking) => None,
        }
    }

    fn bind(
        &mut self,
        answer: &Answer,
        server: Ipv4Addr,
        by: MacAddr,
        now: Instant,
    ) -> Option<News> {
        let before = self.lease().map(|lease| lease.host);
        let address = answer.address;
        let seconds = |s: Option<u32>| s.map(|s| Duration::from_secs(s.into()));
        let length = seconds(answer.lease_s).unwrap_or(LEASE_DEFAULT).max(LEASE_MIN);
        let rebinds = seconds(answer.rebinding_s).filter(|&at| at < length);
        let rebinds = rebinds.unwrap_or(length / 8 * 7);
        let renews =
            seconds(answer.renewal_s).filter(|&at| at < rebinds).unwrap_or(rebinds * 4 / 7);
        let prefix_len = answer.prefix_len()?;
        let mut host = HostAddress { address: address.into(), prefix_len, gateway: None };
        let router = answer.router.map(IpAddr::V4);
        host.gateway = router.filter(|&router| host.may_have_gateway(router));
        // Another server may have taken over.
        let server = answer.server.unwrap_or(server);
        let (until, rebinds) = (now + length, now + rebinds);
        self.begin(Step::Bound(Lease { host, until, address, server, by, rebinds }), now + renews);
        (before != Some(host)).then_some(News::Leased(host))
    }

    fn begin(&mut self, step: Step, next: Instant) {
        (self.step, self.next, self.asked) = (step, next, 0);
    }

    /// Until the same question is asked again.
    fn pause(&self) -> Duration {
        RETRY_FIRST.saturating_mul(1 << self.asked.min(5)).min(RETRY_MAX)
    }
}
