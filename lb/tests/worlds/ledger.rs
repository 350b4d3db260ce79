//! What every call was to become, and what became of it: the one who knows both ends.
//!
//! The bytes of a call follow from the seed and its number. A request begins with that number, so
//! that a server knows which call it hears, and the ledger what it may have arrived as.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use super::dice::{Dice, mixed};
use super::packet::Mac;
use super::parts::Part;
use super::plan::{CallPlan, Plan, Target, Transport};
use super::restart::{Prospect, UnderWay};
use super::tcp::Cut;
use super::{Nanos, SECOND, SWITCH_MAC, link_local, virtual_mac};

/// Bytes of a request's head: the call's number and round, under a sum that no chance makes.
pub const HEAD_BYTES: usize = 24;
const HEAD_SALT: u64 = 0xf01c_2a3b_9d5e_4711;
/// An identification is not used again for so long.
const PARTS_ARRIVE_WITHIN: Nanos = 3 * SECOND;
/// What happens to a guest is known to the switch by then.
const KNOWN_AFTER: Nanos = 3 * SECOND;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Request,
    Response,
}

/// One machine between two restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    pub station: usize,
    pub number: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every byte arrived, both ways.
    Whole,
    /// The machine at one of its ends began anew, or left the world.
    EndLost,
}

/// A call's head as it arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    pub call: usize,
    pub round: u64,
}

pub struct Entry {
    pub plan: CallPlan,
    /// The caller's end, once it has begun.
    pub local: Option<SocketAddr>,
    begun: Nanos,
    /// What the last restart of the switch means for it.
    prospect: Prospect,
    pub outcome: Option<Outcome>,
    served_by: Option<Life>,
    is_heard: [bool; 2],
}

pub struct Ledger {
    seed: u64,
    pub entries: Vec<Entry>,
    destinations: Vec<SocketAddr>,
    macs: Vec<Mac>,
    /// Whether cables damage what they carry.
    has_damage: bool,
    lives: Vec<u32>,
    /// Machines that began anew, in the order of time.
    losses: Vec<(Nanos, usize)>,
    /// When the switch began anew.
    restarts: Vec<Nanos>,
    /// When something changed that decides where a hash places the calls of a service.
    disturbances: Vec<(Nanos, usize)>,
    /// Where the parts of a datagram have come to, by sender and identification.
    parts: BTreeMap<(u16, IpAddr, u32), (usize, Nanos)>,
}

impl Ledger {
    pub fn new(plan: &Plan) -> Ledger {
        let entry = |plan: &CallPlan| Entry {
            plan: plan.clone(),
            local: None,
            begun: 0,
            prospect: Prospect::Owed,
            outcome: None,
            served_by: None,
            is_heard: [false; 2],
        };
        Ledger {
            seed: plan.seed,
            entries: plan.calls.iter().map(entry).collect(),
            destinations: plan.calls.iter().map(|c| plan.destination(c.target)).collect(),
            macs: plan.stations.iter().map(|station| station.mac).collect(),
            has_damage: plan.weather.corruption > 0,
            lives: vec![0; plan.stations.len()],
            losses: Vec::new(),
            restarts: Vec::new(),
            disturbances: Vec::new(),
            parts: BTreeMap::new(),
        }
    }

    pub fn destination(&self, call: usize) -> SocketAddr {
        self.destinations[call]
    }

    pub fn is_over(&self) -> bool {
        self.entries.iter().all(|entry| entry.outcome.is_some())
    }

    pub fn count(&self, outcome: Outcome) -> usize {
        self.entries.iter().filter(|entry| entry.outcome == Some(outcome)).count()
    }

    pub fn begin(&mut self, call: usize, local: SocketAddr, now: Nanos) {
        let entry = &mut self.entries[call];
        (entry.local, entry.begun, entry.prospect) = (Some(local), now, Prospect::Owed);
        // Until both are known again, they may look like one connection to a real.
        for other in self.sharing_port(call) {
            self.expect(other, Prospect::Lost);
        }
    }

    /// The connections that have begun and are not over.
    pub fn under_way(&self) -> Vec<UnderWay> {
        let entries = self.entries.iter().enumerate().filter(|(_, entry)| entry.outcome.is_none());
        let connections = entries.filter(|(_, entry)| entry.plan.transport == Transport::Tcp);
        let under_way = connections.filter_map(|(call, entry)| {
            let CallPlan { vlan, target, .. } = entry.plan;
            Some(UnderWay {
                call,
                vlan,
                local: entry.local?,
                remote: self.destinations[call],
                target,
            })
        });
        under_way.collect()
    }

    /// The whole of one side's bytes.
    pub fn stream(&self, head: Head, side: Side) -> Vec<u8> {
        let plan = &self.entries[head.call].plan;
        let (len, salt) = match side {
            Side::Request => (plan.request_bytes, 1),
            Side::Response => (plan.response_bytes, 2),
        };
        let number = (head.call as u64) << 16 | head.round << 4 | salt;
        let mut bytes = head.write();
        bytes.extend(Dice::new(mixed(self.seed) ^ mixed(number)).bytes(len));
        bytes
    }

    /// A server has heard a call's head: was it the right one, and does it look as it should?
    pub fn arrived(&mut self, head: Head, guest: usize, source: Mac, from: SocketAddr) {
        let life = Life { station: guest, number: self.lives[guest] };
        let local = self.entries[head.call].local.expect("nobody hears a call before it begins");
        let has_port_alone = self.has_port_alone(head.call);
        let is_restarted = self.is_restarted_since(head.call);
        let entry = &mut self.entries[head.call];
        let caller = entry.plan.caller;
        match entry.plan.target {
            Target::Service(_) => {
                assert_eq!(source, SWITCH_MAC, "a balanced frame comes from the switch");
                let own = link_local(local.ip());
                let address = if caller == guest { own } else { local.ip() };
                assert_eq!(from.ip(), address, "the caller's address is kept, call {}", head.call);
                // A damaged segment may have taken its place: the switch sums nothing up.
                let may_differ = !has_port_alone || self.has_damage;
                assert!(from.port() == local.port() || may_differ, "and its port");
            }
            Target::Guest { guest: called, .. } => {
                assert_eq!((guest, from), (called, local), "plain traffic arrives as it was sent");
                assert_eq!(source, self.macs[caller]);
            }
        }
        let before = entry.served_by.replace(life);
        // Whoever served a call before has lost it since, or it is the same; datagrams find another
        // real when the switch has forgotten them.
        let may_move = is_restarted && entry.plan.transport == Transport::Udp;
        let is_moved = before.is_some_and(|before| {
            before.station != guest && before.number == self.lives[before.station]
        });
        assert!(!is_moved || may_move, "call {}: {before:?}, now {life:?}", head.call);
    }

    /// Everything of one side has arrived at the other and was right.
    pub fn heard(&mut self, call: usize, side: Side) {
        let entry = &mut self.entries[call];
        entry.is_heard[side as usize] = true;
        if entry.is_heard == [true; 2] {
            entry.outcome = entry.outcome.or(Some(Outcome::Whole));
        }
    }

    /// One end of a connection had to give it up: only a lost machine is a reason.
    pub fn cut(&mut self, call: usize, cut: Cut) {
        let entry = &self.entries[call];
        if entry.outcome.is_some() {
            return;
        }
        let is_lost = |life: &Life| self.lives[life.station] != life.number;
        let excuse = match &entry.served_by {
            Some(life) => is_lost(life),
            // Whoever it reached before it said who it was.
            None => self.losses.iter().any(|&(at, _)| at >= entry.begun),
        };
        let excuse = excuse || self.may_be_forgotten(call);
        assert!(excuse, "call {call} was cut ({cut:?}) though no machine was lost: {entry:?}");
        self.entries[call].outcome = Some(Outcome::EndLost);
    }

    /// A machine has lost all that it knew.
    pub fn lost(&mut self, station: usize, now: Nanos) {
        self.lives[station] += 1;
        self.losses.push((now, station));
        let begun = |entry: &&mut Entry| entry.local.is_some() && entry.outcome.is_none();
        for entry in self.entries.iter_mut().filter(begun) {
            if entry.plan.caller == station {
                entry.outcome = Some(Outcome::EndLost);
            }
        }
    }

    /// The switch began anew, and this became of the connections under way.
    pub fn restarted(&mut self, prospects: Vec<(usize, Prospect)>, now: Nanos) {
        self.restarts.push(now);
        for (call, prospect) in prospects {
            let shares_port = !self.sharing_port(call).is_empty();
            // Its real may still say what only the real of a call past the services says.
            let is_in_handshake = self.entries[call].served_by.is_none();
            let is_unclear = shares_port || is_in_handshake;
            self.expect(call, if is_unclear { Prospect::Lost } else { prospect });
        }
    }

    pub fn expect(&mut self, call: usize, prospect: Prospect) {
        let expected = &mut self.entries[call].prospect;
        *expected = prospect.max(*expected);
    }

    pub fn is_restarted_since(&self, call: usize) -> bool {
        self.restarts.iter().any(|&at| at >= self.entries[call].begun)
    }

    /// Calls that a restart of the switch has met.
    pub fn count_restarted(&self) -> usize {
        let begun = |&call: &usize| self.entries[call].local.is_some();
        (0..self.entries.len()).filter(begun).filter(|&call| self.is_restarted_since(call)).count()
    }

    /// From now on a hash may place calls of this service elsewhere.
    pub fn disturb(&mut self, service: usize, now: Nanos) {
        self.disturbances.push((now, service));
    }

    /// A part of a datagram has come to a station: all others have to come there as well.
    pub fn part(&mut self, station: usize, vlan: u16, part: &Part, now: Nanos) {
        let key = (vlan, part.from, part.identification);
        let is_recent = |at: Nanos| now < at + PARTS_ARRIVE_WITHIN;
        let before = self.parts.insert(key, (station, now)).filter(|&(_, at)| is_recent(at));
        let is_torn = before.is_some_and(|(before, _)| before != station);
        let is_restarted = self.restarts.iter().any(|&at| is_recent(at));
        assert!(!is_torn || is_restarted, "parts at {before:?} and at {station}: {part:?}");
    }

    /// Whether a call may be lost because the switch began anew.
    fn may_be_forgotten(&self, call: usize) -> bool {
        let entry = &self.entries[call];
        let known_before = entry.begun.saturating_sub(KNOWN_AFTER);
        let is_disturbed =
            |service| self.disturbances.iter().any(|&(at, of)| of == service && at >= known_before);
        let is_forgotten = match (entry.prospect, entry.plan.target) {
            (Prospect::Owed, _) => false,
            (Prospect::ByHash, Target::Service(service)) => is_disturbed(service),
            (Prospect::ByHash, Target::Guest { .. }) => false,
            (Prospect::Lost, _) => true,
        };
        self.is_restarted_since(call) && is_forgotten
    }

    /// The other connections that are under way from the same end of the caller's.
    fn sharing_port(&self, call: usize) -> Vec<usize> {
        let local = self.entries[call].local;
        let sharing = self.under_way().into_iter().filter(|way| Some(way.local) == local);
        sharing.map(|way| way.call).filter(|&other| other != call).collect()
    }

    /// Whether no other call has begun at the same end of the caller's.
    fn has_port_alone(&self, call: usize) -> bool {
        let local = self.entries[call].local;
        self.entries.iter().filter(|entry| entry.local == local).count() == 1
    }

    /// The MAC that a caller has to see its answers come from.
    pub fn mac_called(&self, call: usize) -> Mac {
        match self.entries[call].plan.target {
            Target::Service(_) => virtual_mac(self.destinations[call].ip()),
            Target::Guest { guest, .. } => self.macs[guest],
        }
    }
}

impl Head {
    pub fn read(bytes: &[u8]) -> Option<Head> {
        let word = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let (call, round) = (word(0)?, word(8)?);
        assert_eq!(word(16)?, mixed(call ^ round << 32 ^ HEAD_SALT), "these bytes nobody wrote");
        Some(Head { call: call as usize, round })
    }

    fn write(self) -> Vec<u8> {
        let (call, round) = (self.call as u64, self.round);
        let sum = mixed(call ^ round << 32 ^ HEAD_SALT);
        [call, round, sum].into_iter().flat_map(u64::to_le_bytes).collect()
    }
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Entry { plan, local, served_by, is_heard, prospect, .. } = self;
        write!(
            f,
            "{plan:?} from {local:?}, {prospect:?}, served by {served_by:?}, heard {is_heard:?}"
        )
    }
}
