//! Who asks in a VLAN for groups of one version of IP: the switch or another, since when, and for how
//! long that holds.
//!
//! A query says how often it is asked again, so how long silence means nothing. Nobody is believed who
//! says less than the defaults: one word of a liar could else have all be forgotten before they are
//! asked again.

use core::time::Duration;

use super::Key;
use crate::addr::LINK_LOCAL_V6;
use crate::switch::fdb::seconds;
use crate::wire::Address;
use crate::wire::group::{Dialect, INTERVAL, LAST_RESPONSE, Query, RESPONSE, ROBUSTNESS};
use crate::wire::ip::Version;
use crate::{Instant, PortSet};

/// From here nobody asks who could be asked back.
pub(super) const NOBODY_V4: Address = Address::v4(0);
/// How long who said it is in a group, as long as nobody has asked (RFC 3376 §8.4).
pub(super) const MEMBERSHIP_S: u32 =
    ROBUSTNESS as u32 * INTERVAL.as_secs() as u32 + RESPONSE.as_secs() as u32;
/// How long until who is asked has answered, the wait for the question included.
pub(super) const SETTLING_S: u32 = RESPONSE.as_secs() as u32 + 3;
/// How long who asks is there, at least (RFC 3376 §8.5).
const PRESENCE_S: u32 = MEMBERSHIP_S - RESPONSE.as_secs() as u32 / 2;
/// The first questions come sooner, so many of them (RFC 3376 §8.6, §8.7).
const STARTS: u8 = ROBUSTNESS;
const START_PART: u32 = 4;
/// A guest that is asked for what it has left answers within as many seconds, or is lost: each question
/// has one, and time is in whole seconds.
pub(super) const LAST_ANSWER_S: u32 = ROBUSTNESS as u32 * LAST_RESPONSE.as_secs() as u32 + 1;

/// Who asks in a VLAN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asker {
    /// Nobody does where it is not after now.
    until_s: u32,
    /// By then all have answered.
    settled_s: u32,
    /// When the switch asks next, if it does.
    next_s: u32,
    /// How long who answers is in a group.
    pub(super) membership_s: u32,
    /// Who it is; `None`: the switch.
    pub other: Option<Address>,
    /// First questions still to come.
    starts: u8,
    /// Guests' ports where somebody asked that may be a router.
    pub routers: PortSet,
}

/// A question of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    pub vlan: u16,
    pub version: Version,
    pub query: Query,
    /// Where; `None`: at all guests' ports.
    pub ports: Option<PortSet>,
}

impl Asker {
    pub(super) const NOBODY: Asker = Asker {
        until_s: 0,
        settled_s: 0,
        next_s: 0,
        membership_s: MEMBERSHIP_S,
        other: None,
        starts: STARTS,
        routers: PortSet::EMPTY,
    };

    /// Whether somebody asks.
    pub fn is_there(&self, now: Instant) -> bool {
        self.until_s > seconds(now)
    }

    /// Whether somebody asks, and all have had the time to answer.
    pub fn is_settled(&self, now: Instant) -> bool {
        self.is_there(now) && self.settled_s <= seconds(now)
    }

    /// How long until nobody is believed to ask.
    pub fn left(&self, now: Instant) -> Duration {
        Duration::from_secs(self.until_s.into()).saturating_sub(now.since(Instant::START))
    }

    /// Who asks from now on.
    pub(super) fn hear(&mut self, other: Option<Address>, query: &Query, now: Instant) {
        if !self.is_there(now) {
            self.settled_s = after(now, whole_s(query.response) + 1);
        }
        self.other = other;
        self.until_s = after(now, query.presence_s());
        self.membership_s = query.membership_s();
    }

    /// What the switch asks now, if it is time to and nobody asks that wins.
    pub(super) fn ask(
        &mut self,
        version: Version,
        interval: Duration,
        now: Instant,
    ) -> Option<Query> {
        if self.is_there(now) && self.other.is_some_and(wins) {
            self.start();
            return None;
        }
        if seconds(now) < self.next_s {
            return None;
        }
        let query = Query::of_ours(version, None, RESPONSE, interval);
        self.hear(None, &query, now);
        self.starts = self.starts.saturating_sub(1);
        let wait = if self.starts > 0 { interval / START_PART } else { interval };
        self.next_s = after(now, whole_s(wait).max(1));
        Some(query)
    }

    /// Nobody is known to ask; where routers are stays.
    pub(super) fn forget(&mut self) {
        *self = Asker { routers: self.routers, ..Asker::NOBODY };
    }

    /// The next question is a first one, and it is time for it.
    pub(super) fn start(&mut self) {
        (self.next_s, self.starts) = (0, STARTS);
    }
}

impl Question {
    /// Whether somebody on these ports is in this group.
    pub(super) fn of_one(Key { vlan, group }: Key, ports: PortSet) -> Question {
        let version = group.version();
        let query = Query::of_ours(version, Some(group), LAST_RESPONSE, INTERVAL);
        Question { vlan, version, query, ports: Some(ports) }
    }
}

impl Query {
    pub(super) fn of_ours(
        version: Version,
        group: Option<Address>,
        response: Duration,
        interval: Duration,
    ) -> Query {
        let dialect = match version {
            Version::V4 => Dialect::Igmp3,
            Version::V6 => Dialect::Mld2,
        };
        Query {
            dialect,
            group,
            is_of_sources: false,
            is_repeated: false,
            response,
            robustness: ROBUSTNESS,
            interval,
        }
    }

    /// Seconds for which who answers is in a group (RFC 3376 §8.4).
    fn membership_s(&self) -> u32 {
        let told = self.interval.saturating_mul(self.robustness.into()) + self.response;
        whole_s(told).max(MEMBERSHIP_S)
    }

    /// Seconds for which who asks is there (RFC 3376 §8.5).
    pub(super) fn presence_s(&self) -> u32 {
        let told = self.interval.saturating_mul(self.robustness.into()) + self.response / 2;
        whole_s(told).max(PRESENCE_S)
    }
}

/// Whether who asks from here asks, and the switch does not.
pub(super) fn wins(source: Address) -> bool {
    match source.version() {
        Version::V4 => source != NOBODY_V4,
        Version::V6 => source < Address::from(LINK_LOCAL_V6),
    }
}

/// Begun seconds; a query cannot name as many as do not fit.
pub(super) fn whole_s(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX / 2) + u32::from(time.subsec_nanos() > 0)
}

/// So many seconds later; time ends.
pub(super) fn after(now: Instant, seconds_more: u32) -> u32 {
    seconds(now).saturating_add(seconds_more)
}
