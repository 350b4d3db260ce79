//! What every call was to become, and what became of it: the one who knows both ends.
//!
//! The bytes of a call follow from the seed and its number. A request begins with that number, so
//! that a server knows which call it hears, and the ledger what it may have arrived as.

use std::net::SocketAddr;

use super::dice::{Dice, mixed};
use super::packet::Mac;
use super::plan::{CallPlan, Plan, Target, Transport};
use super::tcp::Cut;
use super::{LINK_LOCAL, Nanos, SWITCH_MAC, virtual_mac};

/// Bytes of a request's head: the call's number and round, under a sum that no chance makes.
pub const HEAD_BYTES: usize = 24;
const HEAD_SALT: u64 = 0xf01c_2a3b_9d5e_4711;

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
    pub outcome: Option<Outcome>,
    served_by: Option<Life>,
    is_heard: [bool; 2],
}

pub struct Ledger {
    seed: u64,
    pub entries: Vec<Entry>,
    destinations: Vec<SocketAddr>,
    macs: Vec<Mac>,
    lives: Vec<u32>,
    /// Machines that began anew, in the order of time.
    losses: Vec<(Nanos, usize)>,
}

impl Ledger {
    pub fn new(plan: &Plan) -> Ledger {
        let entry = |plan: &CallPlan| Entry {
            plan: plan.clone(),
            local: None,
            outcome: None,
            served_by: None,
            is_heard: [false; 2],
        };
        Ledger {
            seed: plan.seed,
            entries: plan.calls.iter().map(entry).collect(),
            destinations: plan.calls.iter().map(|c| plan.destination(c.target)).collect(),
            macs: plan.stations.iter().map(|station| station.mac).collect(),
            lives: vec![0; plan.stations.len()],
            losses: Vec::new(),
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

    pub fn begin(&mut self, call: usize, local: SocketAddr) {
        self.entries[call].local = Some(local);
    }

    /// The whole of one side's bytes.
    pub fn stream(&self, head: Head, side: Side) -> Vec<u8> {
        let plan = &self.entries[head.call].plan;
        let (len, salt) = match side {
            Side::Request => (plan.request_bytes, 1),
            Side::Response => (plan.response_bytes, 2),
        };
        // One datagram carries what it can.
        let len = if plan.transport == Transport::Udp { len.min(1400) } else { len };
        let number = (head.call as u64) << 16 | head.round << 4 | salt;
        let mut bytes = head.write();
        bytes.extend(Dice::new(mixed(self.seed) ^ mixed(number)).bytes(len));
        bytes
    }

    /// A server has heard a call's head: was it the right one, and does it look as it should?
    pub fn arrived(&mut self, head: Head, guest: usize, source: Mac, from: SocketAddr) {
        let life = Life { station: guest, number: self.lives[guest] };
        let local = self.entries[head.call].local.expect("nobody hears a call before it begins");
        let shares_port = |entry: &Entry| entry.local == Some(local);
        let has_port_alone = self.entries.iter().filter(|entry| shares_port(entry)).count() == 1;
        let entry = &mut self.entries[head.call];
        let caller = entry.plan.caller;
        match entry.plan.target {
            Target::Service(_) => {
                assert_eq!(source, SWITCH_MAC, "a balanced frame comes from the switch");
                let address = if caller == guest { LINK_LOCAL } else { local.ip() };
                assert_eq!(from.ip(), address, "the caller's address is kept, call {}", head.call);
                assert!(from.port() == local.port() || !has_port_alone, "and its port");
            }
            Target::Guest { guest: called, .. } => {
                assert_eq!((guest, from), (called, local), "plain traffic arrives as it was sent");
                assert_eq!(source, self.macs[caller]);
            }
        }
        let before = entry.served_by.replace(life);
        // Whoever served a call before has lost it since, or it is the same.
        let is_moved = before.is_some_and(|before| {
            before.station != guest && before.number == self.lives[before.station]
        });
        assert!(!is_moved, "call {}: {before:?}, now {life:?}", head.call);
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
        let begun = entry.plan.at;
        let is_lost = |life: &Life| self.lives[life.station] != life.number;
        let excuse = match &entry.served_by {
            Some(life) => is_lost(life),
            // Whoever it reached before it said who it was.
            None => self.losses.iter().any(|&(at, _)| at >= begun),
        };
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
        let Entry { plan, local, served_by, is_heard, .. } = self;
        write!(f, "{plan:?} from {local:?}, served by {served_by:?}, heard {is_heard:?}")
    }
}
