//! What a real's own flows show of it, and what clients and guests can make of that.

mod world;

use std::time::Duration;

use lb::service::passive::{Cause, PassiveCounters};
use lb::*;
use world::*;

use Manner::{Answers, Resets, Silent};

/// How guests meet a SYN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Answers,
    Resets,
    Silent,
}

/// The way back of a call that guest `n` got.
fn answer_of(n: usize, call: &Ends) -> Ends {
    Ends {
        source_mac: guest_mac(n),
        source: (guest_address(n), 8080),
        ..call.reversed_to(CLIENT_MAC)
    }
}

/// A service of which guest `n` behaves as told, with clients that call ten times a second and
/// repeat what stays unanswered after a second.
struct Served {
    world: World,
    manners: Vec<Manner>,
    next_port: u16,
    asked: Vec<(Instant, Ends)>,
    given: Vec<u32>,
}

impl Served {
    fn new(manners: &[Manner]) -> Served {
        let mut world = World::serving(manners.len());
        world.set_service("web", Protocol::Tcp, 80, Scheduler::Rr);
        let given = vec![0; manners.len() + 1];
        Served { world, manners: manners.to_vec(), next_port: 1, asked: Vec::new(), given }
    }

    /// A client calls; the guest answers or not, and who is answered ends it at once.
    fn call(&mut self) {
        let call = Ends::call(self.next_port, 80);
        self.next_port += 1;
        let out = self.world.send(UPLINK, &call.tcp("S", &[])).unwrap();
        let n = out.ports[0];
        self.given[n] += 1;
        let back = answer_of(n, &call);
        match self.manners[n - 1] {
            Answers => {
                self.world.send(n, &back.tcp("SA", &[])).unwrap();
                self.world.send(UPLINK, &call.tcp("R", &[])).unwrap();
            }
            Resets => drop(self.world.send(n, &back.tcp("RA", &[])).unwrap()),
            Silent => self.asked.push((self.world.now, call)),
        }
    }

    fn run(&mut self, seconds: u64) {
        for _ in 0..seconds * 10 {
            self.call();
            self.world.pass(Duration::from_millis(100));
            let now = self.world.now;
            let (due, asked) =
                self.asked.iter().partition(|(at, _)| now.since(*at) >= Duration::from_secs(1));
            self.asked = asked;
            for (_, call) in due {
                self.world.send(UPLINK, &call.tcp("S", &[])).unwrap();
            }
        }
    }

    fn is_ejected(&self, n: usize) -> bool {
        self.world.standing("web", n).sources.passive.is_some()
    }

    fn ejected(&self) -> Vec<usize> {
        (1..=self.manners.len()).filter(|&n| self.is_ejected(n)).collect()
    }

    fn counters(&self, n: usize) -> PassiveCounters {
        self.world.real("web", n).passive.counters
    }

    /// Names of guests that were ejected (`-`) or came back (`+`), as the log hears it.
    fn told(&mut self) -> Vec<String> {
        let told = |event| match event {
            Event::Ejected { guest, cause: Cause::Failures, .. } => Some(format!("-{guest}")),
            Event::Ejected { guest, cause: Cause::Flaps, .. } => Some(format!("~{guest}")),
            Event::Returned { guest, .. } => Some(format!("+{guest}")),
            _ => None,
        };
        std::iter::from_fn(|| self.world.plane.events().pop()).filter_map(told).collect()
    }
}

#[test]
fn who_fails_its_flows_is_ejected_and_comes_back_by_and_by() {
    for manner in [Resets, Silent] {
        let mut served = Served::new(&[manner, Answers, Answers]);
        served.run(5);
        assert_eq!(served.ejected(), [1], "{manner:?}");
        assert_eq!(served.world.standing("web", 1).eligibility, Err(Ineligible::Ejected));
        assert_eq!(served.told(), ["-web1"], "{manner:?}");
        let counters = served.counters(1);
        let failures = counters.refused.max(counters.unanswered);
        assert!((5..20).contains(&failures) && counters.ejections == 1, "{counters:?}");
        assert_eq!([2, 3].map(|n| served.counters(n)), [PassiveCounters::default(); 2]);

        let before = served.given[1];
        served.run(5);
        assert_eq!(served.given[1], before, "{manner:?}: nothing new while it is out");
        served.manners[0] = Answers;
        served.run(5);
        assert_eq!(served.told(), ["+web1"], "{manner:?}");
        let Standing { eligibility, factors, .. } = served.world.standing("web", 1);
        assert_eq!(eligibility, Ok(()));
        assert!(factors.slow_start.get() < 100, "{manner:?}");
        served.run(10);
        assert!(served.given[1] > before && served.ejected().is_empty(), "{manner:?}");
        assert!(served.world.real("web", 1).passive.answer_time().is_some());
    }
}

#[test]
fn who_fails_again_is_out_for_longer() {
    let mut served = Served::new(&[Resets, Answers]);
    let mut out_s = [0; 60];
    for (second, out) in out_s.iter_mut().enumerate() {
        served.run(1);
        *out = usize::from(served.is_ejected(1)) * (second + 1);
    }
    let spells: Vec<usize> =
        out_s.split(|&out| out == 0).map(<[usize]>::len).filter(|&len| len > 0).collect();
    assert!(spells.len() >= 2, "{spells:?}");
    assert!((9..=11).contains(&spells[0]) && (19..=21).contains(&spells[1]), "{spells:?}");
}

#[test]
fn never_more_than_half_never_the_last_and_nobody_where_all_fail() {
    let cases: [(&str, &[Manner], usize); 6] = [
        ("the only one", &[Resets], 0),
        ("one of two", &[Resets, Answers], 1),
        ("both of two", &[Resets, Resets], 0),
        ("all of four", &[Silent, Silent, Silent, Silent], 0),
        ("three of four", &[Resets, Resets, Silent, Answers], 2),
        ("two of three", &[Resets, Resets, Answers], 1),
    ];
    for (what, manners, expected) in cases {
        let mut served = Served::new(manners);
        let mut most = 0;
        for _ in 0..15 {
            served.run(1);
            most = most.max(served.ejected().len());
        }
        assert_eq!(most, expected, "{what}");
    }
}

#[test]
fn f6_a_flood_of_spoofed_syns_ejects_nobody_who_answers() {
    let mut served = Served::new(&[Answers, Answers]);
    for second in 0..12u16 {
        for flood in 0..200 {
            let from = [172, 16, second as u8, flood as u8];
            let call = Ends { source: (from.into(), 1000 + flood), ..Ends::call(1, 80) };
            let n = served.world.send(UPLINK, &call.tcp("S", &[])).unwrap().ports[0];
            served.world.send(n, &answer_of(n, &call).tcp("SA", &[])).unwrap();
        }
        served.run(1);
    }
    served.run(12);
    assert_eq!(served.told(), Vec::<String>::new());
    assert_eq!([1, 2].map(|n| served.counters(n)), [PassiveCounters::default(); 2]);
}

#[test]
fn syns_that_no_guest_would_answer_eject_nobody_who_answers_others() {
    let mut served = Served::new(&[Answers, Answers, Answers]);
    for second in 0..20u16 {
        for bad in 0..60 {
            let from = [172, 16, second as u8, bad as u8];
            let call = Ends { source: (from.into(), 1000), ..Ends::call(1, 80) };
            let n = served.world.send(UPLINK, &call.tcp("S", &[])).unwrap().ports[0];
            if bad % 2 == 0 {
                served.world.send(n, &answer_of(n, &call).tcp("RA", &[])).unwrap();
            } else {
                served.asked.push((served.world.now, call));
            }
        }
        served.run(1);
    }
    assert_eq!(served.told(), Vec::<String>::new());
    let failed = |n| served.counters(n).refused.min(served.counters(n).unanswered);
    assert!((1..=3).all(|n| failed(n) > 50), "they are counted as what they are");
}

#[test]
fn a_guest_that_says_that_nobody_listens_is_ejected_and_only_for_itself() {
    let mut world = World::serving(2);
    world.set_service("web", Protocol::Tcp, 80, Scheduler::Rr);
    world.set_service("dns", Protocol::Udp, 53, Scheduler::Rr);
    (1..=2).for_each(|n| world.set_real("dns", n, Some(5353), 100));
    world.settle();
    for client_port in 1..=40 {
        let call = Ends::call(client_port, 53);
        let out = world.send(UPLINK, &call.udp(b"who?")).unwrap();
        let (n, quote) = (out.ports[0], &out.frame[call.ip_at()..]);
        let back = Ends { source: (guest_address(n), 5353), ..answer_of(n, &call) };
        match n {
            1 => {
                let time_exceeded = back.icmp(11, 0, [0; 4], quote);
                world.send(1, &time_exceeded).unwrap();
                world.send(1, &back.icmp(3, 3, [0; 4], quote)).unwrap();
            }
            // Another guest's word about it, and its own answer.
            _ => {
                let stranger = Ends { source_mac: guest_mac(1), ..back };
                let said = world.send(1, &stranger.icmp(3, 3, [0; 4], quote));
                assert_eq!(said.unwrap_err(), DropReason::SpoofAddress);
                world.send(2, &back.udp(b"me")).unwrap();
            }
        }
        world.pass(Duration::from_millis(100));
    }
    assert_eq!(world.standing("dns", 1).eligibility, Err(Ineligible::Ejected));
    let counters = world.real("dns", 1).passive.counters;
    let expected = PassiveCounters { ejections: 1, ..PassiveCounters::default() };
    assert_eq!(PassiveCounters { unreachable: 0, ..counters }, expected);
    assert!((5..=12).contains(&counters.unreachable), "{counters:?}");
    assert_eq!(world.real("dns", 2).passive.counters, PassiveCounters::default());
    assert_eq!(world.standing("web", 1).eligibility, Ok(()), "another service's real is another");
}

#[test]
fn a_hasty_repetition_is_no_failure_and_a_flow_fails_once() {
    let mut world = World::serving(1);
    let call = Ends::call(1, 80);
    for wait_ms in [0, 100, 600, 600, 2_000] {
        world.pass(Duration::from_millis(wait_ms));
        world.send(UPLINK, &call.tcp("S", &[])).unwrap();
    }
    let other = Ends::call(2, 80);
    for wait_ms in [0, 500, 600, 2_000] {
        world.pass(Duration::from_millis(wait_ms));
        world.send(UPLINK, &other.tcp("S", &[])).unwrap();
    }
    world.send(UPLINK, &Ends::call(3, 80).tcp("S", &[])).unwrap();
    world.pass(Duration::from_secs(30));
    assert!(world.plane.flows().is_empty());
    let expected = PassiveCounters { unanswered: 2, ..PassiveCounters::default() };
    assert_eq!(world.real("web", 1).passive.counters, expected, "the second and the third flow");
}

#[test]
fn f4_who_comes_and_goes_is_damped_and_costs_the_others_no_flow() {
    let mut served = Served::new(&[Answers, Answers, Answers]);
    let begin = |long: Ends| (served.world.send(UPLINK, &long.tcp("S", &[])).unwrap(), long);
    let mut begun = [60_000, 60_001].map(|port| Ends::call(port, 80)).map(begin).into_iter();
    let (out, long) = begun.find(|(out, _)| out.ports != [1]).unwrap();
    let home = out.ports[0];
    served.world.send(home, &answer_of(home, &long).tcp("SA", &[])).unwrap();
    let (mut well, mut in_use) = (0, 0);
    for tenth in 0..600 {
        for up in [false, true] {
            served.world.apply(Command::SetLink { port: port(1), up });
            served.call();
            served.world.pass(Duration::from_millis(50));
        }
        let out = served.world.send(UPLINK, &long.tcp("A", b"on")).unwrap();
        assert_eq!(out.ports, [home], "after {tenth} tenths");
        well += u32::from(tenth >= 10);
        in_use += u32::from(tenth >= 10 && !served.is_ejected(1));
    }
    assert_eq!((well, in_use), (590, 0), "out from the first second on");
    assert_eq!(served.counters(1).ejections, 1);
    served.run(12);
    assert_eq!(served.told(), ["~web1", "+web1"]);
    assert!(served.counters(1).flaps > 100);
    assert_eq!([2, 3].map(|n| served.counters(n)), [PassiveCounters::default(); 2]);
}
