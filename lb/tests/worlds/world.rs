//! A world in virtual time: a queue of what will happen, in the order of when.
//!
//! Between two events nothing happens, so a world takes as long as its events take, whatever time
//! passes in it. A cable may lose a frame, deliver it late or twice, or damage it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::cable::Carried;
use super::dice::{Dice, mixed};
use super::ledger::{Ledger, Outcome};
use super::packet::{Frame, Mac};
use super::plan::{AgentWord, Plan, Step};
use super::restart::Prospect;
use super::station::Station;
use super::switch::{Egress, Switch, port_of};
use super::{MS, Nanos, SECOND, US};

/// Time before the plan's own begins: guests answer their first probes.
const SETTLES: Nanos = 300 * MS;
const HOUSEKEEPING: Nanos = 10 * MS;
/// Every call is over by then, or never.
const OVER_AT_LATEST: Nanos = 400 * SECOND;
/// Longer than any flow lives, and as many turns of housekeeping as see the whole table.
const LONGEST_FLOW: Nanos = 7441 * SECOND;
const SWEEPS: u64 = 600;
/// Turns of a station at one moment after which it would never stop.
const TURNS_MAX: u32 = 1000;

/// What became of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Of everything that happened, in order.
    pub trace: u64,
    pub frames: u64,
    pub whole: usize,
    pub end_lost: usize,
}

/// Where a frame arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    Switch { port: usize },
    Station(usize),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// At the end of a cable, by the cable of this station.
    Arrive {
        at: End,
        by: usize,
        frame: Carried,
    },
    Wake(usize),
    Call(usize),
    Script(usize),
    Heal,
    Housekeep,
}

pub struct World {
    now: Nanos,
    plan: Plan,
    /// By time, then in the order in which they were thought of.
    queue: BinaryHeap<Reverse<(Nanos, u64, Event)>>,
    thought_of: u64,
    dice: Dice,
    switch: Switch,
    stations: Vec<Station>,
    ledger: Ledger,
    cables_up: Vec<bool>,
    silent: Vec<bool>,
    /// When a station will wake at the soonest.
    wakes_at: Vec<Option<Nanos>>,
    turns: (Nanos, u32),
    trace: u64,
    frames: u64,
    /// Whether what stations hear is printed.
    is_told: bool,
}

impl World {
    /// Runs a world to its end; panics where it does not go as it must.
    pub fn run(seed: u64, is_told: bool) -> Summary {
        let mut world = World::new(Plan::draw(seed), is_told);
        world.run_calls();
        world.run_down();
        Summary {
            trace: world.trace,
            frames: world.frames,
            whole: world.ledger.count(Outcome::Whole),
            end_lost: world.ledger.count(Outcome::EndLost),
        }
    }

    fn new(plan: Plan, is_told: bool) -> World {
        let mut dice = Dice::new(mixed(plan.seed));
        let stations = 0..plan.stations.len();
        let stations: Vec<_> = stations.map(|at| Station::new(at, &plan, dice.fork())).collect();
        let now = SECOND;
        let mut world = World {
            now,
            queue: BinaryHeap::new(),
            thought_of: 0,
            dice,
            switch: Switch::new(&plan, now),
            ledger: Ledger::new(&plan),
            cables_up: vec![true; stations.len()],
            silent: vec![false; stations.len()],
            wakes_at: vec![None; stations.len()],
            turns: (0, 0),
            trace: plan.seed,
            frames: 0,
            is_told,
            stations,
            plan,
        };
        world.arrange();
        world
    }

    /// Puts into the queue all that is known beforehand.
    fn arrange(&mut self) {
        let begin = self.now + SETTLES;
        self.schedule(self.now, Event::Housekeep);
        self.schedule(begin + self.plan.heals_at, Event::Heal);
        for at in 0..self.plan.script.len() {
            self.schedule(begin + self.plan.script[at].0, Event::Script(at));
        }
        for call in 0..self.plan.calls.len() {
            self.schedule(begin + self.plan.calls[call].at, Event::Call(call));
        }
        for guest in 0..self.plan.guests {
            if self.dice.happens(600) {
                self.step(Step::Agent { guest, word: AgentWord::Up });
            }
        }
    }

    fn run_calls(&mut self) {
        while !self.ledger.is_over() || self.now < self.plan.heals_at {
            assert!(self.now < OVER_AT_LATEST, "never over: {:#?}", self.left_over());
            self.next();
        }
    }

    /// Lets time pass until nothing can be left.
    fn run_down(&mut self) {
        self.run_until(self.now + 6 * SECOND);
        let lost = self.ledger.count(Outcome::EndLost) + self.ledger.count_restarted();
        self.switch.check_calls_are_over(lost);
        self.now += LONGEST_FLOW;
        for _ in 0..SWEEPS {
            self.now += HOUSEKEEPING;
            self.switch.housekeep(self.now);
        }
        self.switch.check();
        self.switch.check_is_empty();
    }

    fn run_until(&mut self, time: Nanos) {
        while self.now < time {
            self.next();
        }
    }

    /// The next thing happens.
    fn next(&mut self) {
        let Reverse((at, _, event)) = self.queue.pop().expect("housekeeping never ends");
        self.now = at;
        match event {
            Event::Arrive { at: End::Switch { port }, by, frame } if self.cables_up[by] => {
                self.note(&frame.bytes);
                let is_damaged = frame.is_damaged;
                let outs = self.switch.receive(port, frame.bytes, self.now);
                self.give_up();
                self.leave_switch(outs, is_damaged);
            }
            Event::Arrive { at: End::Station(station), frame, .. } if self.is_there(station) => {
                self.note(&frame.bytes);
                self.arrive(station, &frame);
                self.poll(station);
            }
            Event::Arrive { .. } => {}
            Event::Wake(station) => {
                if self.wakes_at[station].is_some_and(|at| at <= self.now) {
                    self.wakes_at[station] = None;
                    self.poll(station);
                }
            }
            Event::Call(call) => {
                let caller = self.plan.calls[call].caller;
                self.stations[caller].call(call, &mut self.ledger, self.now);
                self.poll(caller);
            }
            Event::Script(at) => self.step(self.plan.script[at].1),
            Event::Heal => self.heal(),
            Event::Housekeep => {
                let outs = self.switch.housekeep(self.now);
                self.leave_switch(outs, false);
                self.switch.check();
                self.schedule(self.now + HOUSEKEEPING, Event::Housekeep);
            }
        }
    }

    /// Does a step of the script on both sides of the switch's ports.
    fn step(&mut self, step: Step) {
        let told = format!("{step:?}");
        self.note(told.as_bytes());
        if self.is_told {
            println!("{:>12} {told}", self.now / US);
        }
        match step {
            Step::Link { guest, up } => self.cables_up[guest] = up,
            Step::Silence { guest, silent } => self.silent[guest] = silent,
            Step::Agent { guest, word } => self.stations[guest].report(word, self.now),
            Step::Restart { guest } => self.lose(guest),
            Step::Remove { guest } => {
                self.lose(guest);
                self.cables_up[guest] = false;
            }
            Step::Define { guest } => self.cables_up[guest] = true,
            Step::Boast { guest, service, boast } => {
                let plan = &self.plan.services[service];
                self.stations[guest].boast((plan.vlan, plan.vip.ip()), boast);
            }
            Step::RestartSwitch { secret } => {
                let under_way = self.ledger.under_way();
                let prospects = self.switch.restart(secret, &under_way, self.now);
                self.ledger.restarted(prospects, self.now);
            }
            Step::Administer { .. }
            | Step::SetReal { .. }
            | Step::DeleteReal { .. }
            | Step::SetService { .. }
            | Step::DeleteService { .. } => {}
        }
        self.disturb(step);
        self.switch.step(step, self.now);
        self.disturb(step);
        self.give_up();
        for station in 0..self.plan.guests {
            self.poll(station);
        }
    }

    /// Hears which calls have become hopeless.
    fn give_up(&mut self) {
        for call in self.switch.given_up() {
            self.ledger.expect(call, Prospect::Lost);
        }
    }

    /// Notes which services a step concerns, as long as they are there.
    fn disturb(&mut self, step: Step) {
        for service in self.switch.disturbed(step) {
            self.ledger.disturb(service, self.now);
        }
    }

    fn heal(&mut self) {
        self.switch.heal(self.now);
        for service in 0..self.plan.services.len() {
            self.ledger.disturb(service, self.now);
        }
        for guest in 0..self.plan.guests {
            self.cables_up[guest] = true;
            self.silent[guest] = false;
            self.step(Step::Agent { guest, word: AgentWord::Up });
        }
    }

    fn lose(&mut self, guest: usize) {
        self.stations[guest].restart();
        self.ledger.lost(guest, self.now);
    }

    fn is_there(&self, station: usize) -> bool {
        self.cables_up[station] && !self.silent[station]
    }

    /// Lets a station do what is due, and sees when to come back.
    fn poll(&mut self, station: usize) {
        if self.silent[station] {
            return;
        }
        self.count_turn();
        self.stations[station].poll(&mut self.ledger, self.now);
        for frame in self.stations[station].sent() {
            self.leave_station(station, frame);
        }
        let Some(at) = self.stations[station].wakes_at() else {
            return;
        };
        if self.wakes_at[station].is_none_or(|planned| at < planned) {
            self.wakes_at[station] = Some(at);
            self.schedule(at.max(self.now), Event::Wake(station));
        }
    }

    fn arrive(&mut self, station: usize, frame: &Carried) {
        let Some(read) = Frame::read(&frame.bytes) else {
            return;
        };
        if self.is_told {
            println!("{:>12} {station} {read}", self.now / US);
        }
        self.stations[station].hear(read, frame.is_damaged, &mut self.ledger, self.now);
    }

    fn leave_station(&mut self, from: usize, frame: Vec<u8>) {
        if !self.cables_up[from] {
            return;
        }
        let port = port_of(&self.plan, from);
        // Behind the uplink there is a wire that all its stations hear.
        let frame = Carried { bytes: frame, is_damaged: false };
        if !self.plan.is_guest(from) {
            self.reach_stations(port, Some(from), &frame);
        }
        self.carry(End::Switch { port }, from, frame);
    }

    fn leave_switch(&mut self, outs: Vec<Egress>, is_damaged: bool) {
        for Egress { port, bytes, is_own } in outs {
            let is_damaged = is_damaged && !is_own;
            self.reach_stations(port, None, &Carried { bytes, is_damaged });
        }
    }

    /// To all stations at a port that would read the frame, but for who has sent it.
    fn reach_stations(&mut self, port: usize, sender: Option<usize>, frame: &Carried) {
        let to = &frame.bytes[..size_of::<Mac>()];
        for station in 0..self.stations.len() {
            let is_here = port_of(&self.plan, station) == port && Some(station) != sender;
            let is_read = to[0] & 1 != 0 || to == self.stations[station].mac;
            if is_here && is_read && self.cables_up[station] {
                self.carry(End::Station(station), station, frame.clone());
            }
        }
    }

    /// Over the cable of station `by`, whatever happens there.
    fn carry(&mut self, to: End, by: usize, mut frame: Carried) {
        self.frames += 1;
        let weather = self.plan.weather;
        if self.dice.happens(weather.duplication) {
            let late = self.dice.between(0, weather.delay_max);
            let event = Event::Arrive { at: to, by, frame: frame.clone() };
            self.schedule(self.now + weather.latency + late, event);
        }
        if self.dice.happens(weather.loss) {
            return;
        }
        if self.dice.happens(weather.corruption) && !frame.damage(&mut self.dice) {
            return;
        }
        let is_late = self.dice.happens(weather.reordering);
        let late = if is_late { self.dice.between(0, weather.delay_max) } else { 0 };
        self.schedule(self.now + weather.latency + late, Event::Arrive { at: to, by, frame });
    }

    fn schedule(&mut self, at: Nanos, event: Event) {
        self.thought_of += 1;
        self.queue.push(Reverse((at, self.thought_of, event)));
    }

    /// Takes something into the trace.
    fn note(&mut self, bytes: &[u8]) {
        self.trace = mixed(self.trace ^ self.now);
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.trace = mixed(self.trace ^ u64::from_le_bytes(word));
        }
    }

    fn count_turn(&mut self) {
        let (at, turns) = self.turns;
        self.turns = if at == self.now { (at, turns + 1) } else { (self.now, 0) };
        assert!(self.turns.1 < TURNS_MAX, "time stands still");
    }

    fn left_over(&self) -> Vec<(usize, &super::ledger::Entry)> {
        let entries = self.ledger.entries.iter().enumerate();
        entries.filter(|(_, entry)| entry.outcome.is_none()).collect()
    }
}
