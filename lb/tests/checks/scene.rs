//! A service whose reals are checked, and the guests that are asked.

use std::time::Duration;

use lb::*;

use crate::station::{Manner, Station, is_question};
use crate::world::*;

pub struct Scene {
    pub world: World,
    pub stations: Vec<Station>,
    /// How the guests' frames ended that were dropped.
    pub dropped: Vec<DropReason>,
}

/// What is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Tcp,
    HttpStatus,
    HttpText,
    Icmp,
    Udp,
    Neighbor,
}

impl What {
    pub const ALL: [What; 6] =
        [What::Tcp, What::HttpStatus, What::HttpText, What::Icmp, What::Udp, What::Neighbor];

    pub fn kind(self) -> CheckKind {
        let http = |expect| CheckKind::Http { path: "/healthz".try_into().unwrap(), expect };
        match self {
            What::Tcp => CheckKind::Tcp,
            What::HttpStatus => http(Expect::DEFAULT),
            What::HttpText => http(Expect::Text("ready".try_into().unwrap())),
            What::Icmp => CheckKind::Icmp,
            What::Udp => CheckKind::Udp,
            What::Neighbor => CheckKind::Neighbor,
        }
    }

    /// A check once a second that one finding decides.
    pub fn check(self) -> Check {
        let one = 1.try_into().unwrap();
        Check {
            interval: Duration::from_secs(1),
            timeout: Duration::from_millis(600),
            rise: one,
            fall: one,
            ..Check::new(self.kind())
        }
    }

    /// A guest that takes it in this manner.
    pub fn station(self, n: usize, served: Served, manner: Manner) -> Station {
        let answer = match (self, manner) {
            (What::HttpStatus, Manner::Wrong) => "HTTP/1.1 503 Service Unavailable\r\n\r\n",
            (What::HttpText, Manner::Wrong) => "HTTP/1.1 200 OK\r\n\r\nwait",
            (_, Manner::Endless) => "HTTP/1.1 200 OK\r\n\r\n",
            _ => "HTTP/1.1 200 OK\r\n\r\nready",
        };
        Station {
            is_asked_by_neighbor: self == What::Neighbor,
            waits_for_request: self != What::Tcp,
            acknowledges_wrong: self == What::Tcp,
            answer: answer.into(),
            ..Station::new(n, served, manner)
        }
    }
}

impl Scene {
    /// A service whose guests take its check in these manners; each is a real on port 8080.
    pub fn new(what: What, served: Served, check: Check, manners: &[Manner]) -> Scene {
        let world = World::new(manners.len());
        let stations = manners.iter().zip(1..);
        let stations = stations.map(|(&manner, n)| what.station(n, served, manner)).collect();
        let mut scene = Scene { world, stations, dropped: Vec::new() };
        let spec = ServiceSpec { check: Some(check), ..served.spec("web") };
        scene.world.apply(Command::SetService(spec));
        for n in 1..=manners.len() {
            scene.world.define(n);
            scene.world.set_real("web", n, Some(8080), 100);
        }
        scene
    }

    pub fn now_ms(&self) -> u64 {
        self.world.now.as_millis()
    }

    /// Moves time in steps of the housekeeping while guests and switch talk.
    pub fn pass(&mut self, time: Duration) {
        for _ in 0..time.as_millis() / 10 {
            self.step();
        }
    }

    pub fn step(&mut self) {
        self.world.now = self.world.now + Duration::from_millis(10);
        self.world.plane.housekeep(self.world.now);
        let now_ms = self.now_ms();
        for at in 0..self.stations.len() {
            let said = self.stations[at].tick(now_ms);
            self.say(self.stations[at].n, said);
        }
        self.talk();
    }

    /// Guests answer what waits in the outbox, until nobody has anything to say.
    pub fn talk(&mut self) {
        for round in 0.. {
            assert!(round < 100, "a talk without an end");
            let heard = self.world.originated();
            if heard.is_empty() {
                return;
            }
            for Out { ports, frame } in heard {
                self.deliver(&ports, &frame);
            }
        }
    }

    fn deliver(&mut self, ports: &[usize], frame: &[u8]) {
        // Announcements are for everybody.
        if frame[0] & 1 != 0 {
            return;
        }
        let &[n] = ports else { panic!("a probe out of {ports:?}") };
        let now_ms = self.now_ms();
        let station = self.stations.iter_mut().find(|station| station.n == n).expect("a guest");
        let said = station.hear(frame, now_ms);
        self.say(n, said);
    }

    pub fn say(&mut self, n: usize, frames: Vec<Vec<u8>>) {
        for frame in frames {
            match self.world.send(n, &frame) {
                Ok(out) => assert!(out.ports.is_empty(), "for the switch alone: {out:?}"),
                Err(reason) => self.dropped.push(reason),
            }
        }
    }

    pub fn watch(&self, n: usize) -> &Watch {
        self.world.real("web", n).watch.as_ref().expect("a check")
    }

    pub fn counters(&self) -> ProbeCounters {
        *self.world.plane.probes().counters()
    }

    /// What is on the wire first of the first guest's check; its address is answered for meanwhile.
    pub fn first_probe(&mut self) -> Vec<u8> {
        for _ in 0..6000 {
            self.world.now = self.world.now + Duration::from_millis(10);
            self.world.plane.housekeep(self.world.now);
            let outs = self.world.originated();
            if let Some(probe) = outs.into_iter().find(|out| !self.is_told(out)) {
                return probe.frame;
            }
        }
        panic!("no probe")
    }

    /// Whether a frame is no probe of a check: an announcement, or a question for the guest's
    /// address, which is answered.
    pub fn is_told(&mut self, out: &Out) -> bool {
        let is_announcement = out.frame[0] & 1 != 0;
        let is_question = !is_announcement && is_question(&out.frame);
        if is_question {
            self.deliver(&out.ports, &out.frame);
        }
        is_announcement || is_question
    }

    /// What the log heard of checks.
    pub fn told(&mut self) -> Vec<Event> {
        let events = std::iter::from_fn(|| self.world.plane.events().pop());
        events.filter(|event| matches!(event, Event::RealHealth { .. })).collect()
    }
}
