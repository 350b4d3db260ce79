//! What a choice costs, apart from the frame: each scheduler among few and many reals.
//!
//! ```text
//!  cargo bench -p lb --bench choose
//! ```
//!
//! `choice` is what one new flow makes of a [`Board`]: the real is chosen, its flow counted, and its
//! place brought up to date. `making` is a board made anew, once in 10 ms at most where nothing but
//! flows happens. Reports are there and differ; everything lies in the first cache, where boards of
//! a busy service are. `frames` has new flows as a whole.

use std::fmt;
use std::time::Duration;

use divan::{Bencher, black_box};
use lb::guest::load::RealLoad;
use lb::guest::report::LoadReport;
use lb::service::RealCounters;
use lb::service::sched::{Arrival, Board, Candidate, FlowHash, NameHash};
use lb::*;

const REALS_MAX: usize = 64;
const WEIGHT: u16 = 100;

fn main() {
    divan::main();
}

/// Who chooses, and among how many.
struct Case {
    scheduler: Scheduler,
    reals: usize,
}

/// A real as far as a scheduler looks at it.
struct Asked {
    id: RealId,
    name: NameHash,
    flows_open: u32,
    flows_waiting: u32,
    load: RealLoad,
}

#[divan::bench(args = cases(), sample_count = 1000, sample_size = 256)]
fn choice(bencher: Bencher, case: &Case) {
    let mut now = Instant::from_millis(10_000);
    let mut asked = asked(case.reals, now);
    let mut board = Board::new();
    make(&mut board, case.scheduler, &asked, now);
    let mut number = 0u64;
    bencher.bench_local(|| {
        number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
        now = now + Duration::from_nanos(10);
        let key = FlowHash::of_client([10, 0, (number >> 40) as u8, (number >> 50) as u8].into());
        let chosen = board.choose(&Arrival { now, dice: number, key }).expect("all may be chosen");
        // The table was empty: slots are places.
        let real = &mut asked[chosen.index()];
        real.flows_open += 1;
        real.flows_waiting += 1;
        real.load.asked(now);
        board.update(chosen.index(), &real.candidate(now));
    });
}

#[divan::bench(args = cases(), sample_count = 100, sample_size = 16)]
fn making(bencher: Bencher, case: &Case) {
    let now = Instant::from_millis(10_000);
    let asked = asked(case.reals, now);
    let mut board = Board::new();
    bencher.bench_local(|| make(&mut board, case.scheduler, black_box(&asked), now));
}

fn cases() -> impl Iterator<Item = Case> {
    let counts = |scheduler| [3, REALS_MAX].map(|reals| Case { scheduler, reals });
    Scheduler::ALL.into_iter().flat_map(counts)
}

/// Reals of a service, each with a report.
fn asked(reals: usize, now: Instant) -> Vec<Asked> {
    let mut tables = Tables::new();
    let mut apply = |command| tables.apply(&command, now).expect("a command that holds");
    let name = |text: String| text.parse::<Name>().expect("a name");
    let port = PortId::new(1).expect("a port");
    let (web, vip) = (name("web".into()), [10, 0, 2, 100].into());
    let http = 80.try_into().expect("not 0");
    apply(Command::SetPort { port, name: name("p1".into()), role: Role::Guest });
    apply(Command::SetService(ServiceSpec::new(web.clone(), vip, Protocol::Tcp, http)));
    for n in 1..=reals as u8 {
        let guest = name(format!("web{n}"));
        let addresses = [[10, 0, 2, n].into()].into_iter().collect();
        let mac = MacAddr([0x52, 0x54, 0, 1, 0, n]);
        apply(Command::SetGuest(GuestSpec {
            addresses,
            ..GuestSpec::new(guest.clone(), port, mac)
        }));
        apply(Command::SetReal { service: web.clone(), real: RealSpec::new(guest) });
    }
    let asked = |(id, real): (RealId, &Real)| {
        let line = format!("up cpu=0.{:02}", 10 + id.index());
        let report = LoadReport::parse(line.as_bytes()).expect("a report");
        let mut load = RealLoad::default();
        load.accept(&report, now, &RealCounters::default(), Agent::Push).expect("the first one");
        Asked { id, name: NameHash::of(&real.spec.guest), flows_open: 0, flows_waiting: 0, load }
    };
    tables.reals().map(asked).collect()
}

fn make(board: &mut Board, scheduler: Scheduler, asked: &[Asked], now: Instant) {
    let candidates: Vec<_> = asked.iter().map(|real| real.candidate(now)).collect();
    board.make(scheduler, &candidates, now);
}

impl Asked {
    fn candidate(&self, now: Instant) -> Candidate<'_> {
        Candidate {
            real: self.id,
            weight: self.load.effective_weight(WEIGHT, now),
            weight_set: WEIGHT,
            name: self.name,
            flows_open: self.flows_open,
            flows_waiting: self.flows_waiting,
            answer_time: None,
            load: &self.load,
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.scheduler.as_str(), self.reals)
    }
}
