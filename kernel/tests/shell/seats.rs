//! Several seats at one appliance: what each has for itself, what they share, and that none of them
//! stands in another's way.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use drivers::RingFault;
use kernel::appliance::Request;
use kernel::console::{OUTPUT_MARK, Tty};
use kernel::seats::{Place, Seats};
use lb::Instant;

use crate::desk::{Bench, Terminal};

/// A terminal that test and seat both hold.
#[derive(Clone)]
struct Wire(Rc<RefCell<Terminal>>);

/// An appliance with all of its seats.
struct Room {
    bench: Bench,
    seats: Seats,
    wires: Vec<(Place, Wire)>,
    now: Instant,
}

impl Tty for Wire {
    fn read(&mut self) -> Option<u8> {
        self.0.borrow_mut().read()
    }

    fn write(&mut self, bytes: &[u8]) -> usize {
        self.0.borrow_mut().write(bytes)
    }

    fn fault(&self) -> Option<RingFault> {
        self.0.borrow().fault()
    }
}

impl Room {
    fn new() -> Room {
        let mut seats = Seats::default();
        let wires = [Place::Serial1, Place::Serial2, Place::Virtio].map(|place| {
            let terminal = Terminal { takes: 4096, ..Terminal::default() };
            let wire = Wire(Rc::new(RefCell::new(terminal)));
            seats.add(place, Box::new(wire.clone()));
            (place, wire)
        });
        let bench = Bench::new(4);
        let now = bench.appliance.now();
        Room { bench, seats, wires: wires.into(), now }
    }

    /// The same with everybody at a prompt.
    fn greeted() -> Room {
        let mut room = Room::new();
        room.seats.greet(&room.bench.control);
        room.settle();
        room.wires.iter().for_each(|(place, _)| drop(room.look(*place)));
        room
    }

    fn terminal(&self, place: Place) -> &RefCell<Terminal> {
        let (_, wire) = self.wires.iter().find(|(at, _)| *at == place).expect("every place");
        &wire.0
    }

    fn poll(&mut self) -> bool {
        self.seats.poll(&mut self.bench.control, &mut self.bench.appliance)
    }

    /// Lets time pass, with a visit every 10 ms.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now = self.now + Duration::from_millis(10);
            self.bench.appliance.turn(self.now);
            if let Some(news) = self.bench.control.tick(&mut self.bench.appliance) {
                self.seats.tell(&news);
            }
            self.poll();
        }
    }

    fn press(&self, place: Place, keys: &str) {
        self.terminal(place).borrow_mut().keys.extend(keys.bytes());
    }

    /// What a seat's terminal was told to show since the last look.
    fn look(&self, place: Place) -> String {
        let screen = std::mem::take(&mut self.terminal(place).borrow_mut().screen);
        String::from_utf8(screen).unwrap()
    }

    /// Until no seat has anything to do any more; a job at one of them may end a visit early.
    fn settle(&mut self) {
        let mut quiet = 0;
        while quiet < self.wires.len() {
            quiet = if self.poll() { 0 } else { quiet + 1 };
        }
    }

    /// Types something at one seat and gives what is shown there.
    fn type_at(&mut self, place: Place, keys: &str) -> String {
        self.press(place, keys);
        self.settle();
        self.look(place)
    }
}

#[test]
fn people_are_greeted_and_programs_are_not() {
    let mut room = Room::new();
    room.seats.print("Started.\n");
    room.seats.greet(&room.bench.control);
    room.settle();
    let greeting = room.look(Place::Serial1);
    assert!(greeting.starts_with("Started.\r\nNothing is configured yet"), "{greeting}");
    assert!(greeting.ends_with("fulcrum> "), "{greeting}");
    assert_eq!(room.look(Place::Virtio), greeting);
    assert_eq!(room.look(Place::Serial2), "");
    assert_eq!(room.type_at(Place::Serial2, "show port | count\n"), "4\r\n% OK\r\n");
    assert_eq!(room.type_at(Place::Serial2, "show prot\n").lines().last(), Some("% FAILED"));
    assert_eq!([Place::Serial1, Place::Virtio].map(|place| room.look(place)), ["", ""]);
}

/// Each seat is in its own mode, with its own line; the candidate is everybody's, and who is there
/// already is named to whoever comes.
#[test]
fn seats_share_the_candidate_and_nothing_else() {
    let mut room = Room::greeted();
    assert_eq!(room.type_at(Place::Serial2, "configure\n"), "% OK\r\n");
    let entered = room.type_at(Place::Serial1, "configure\r");
    assert_eq!(
        entered,
        "configure\r\nAlso in configuration mode: serial2. You share one candidate.\r\n\
         fulcrum(config)# "
    );
    assert_eq!(room.type_at(Place::Serial1, "set system host"), "set system host");
    let entered = room.type_at(Place::Virtio, "configure\r");
    assert!(entered.contains("mode: serial2, serial1. You share one candidate.\r\n"), "{entered}");
    assert!(room.type_at(Place::Virtio, "exit\rshow version\r").contains("Fulcrum"));
    assert_eq!(room.type_at(Place::Serial2, "set system hostname b\n"), "% OK\r\n");
    let typed_on = room.type_at(Place::Serial1, "name a\r");
    assert_eq!(typed_on, "name a\r\nfulcrum(config*)# ");
    assert_eq!(room.type_at(Place::Serial2, "show\n"), "set system hostname a\r\n% OK\r\n");
    assert_eq!(room.type_at(Place::Serial2, "exit\n").lines().last(), Some("% OK"));
    assert!(room.type_at(Place::Virtio, "configure\r").contains("mode: serial1. You"));
}

/// What one seat loads on top of the candidate does not undo what another has changed meanwhile.
#[test]
fn a_merge_is_not_for_a_candidate_that_has_changed() {
    let mut room = Room::greeted();
    room.type_at(Place::Serial2, "configure\nload merge\nset system hostname a\n");
    room.type_at(Place::Serial1, "configure\rset guest g1 port p1\r");
    let refused = room.type_at(Place::Serial2, "end\n");
    assert!(refused.starts_with("% E309 another seat has changed"), "{refused}");
    let mine = room.type_at(Place::Serial2, "load merge\nset system hostname a\nend\nshow\n");
    assert!(mine.contains("set system hostname a\r\nset guest g1 port p1\r\n"), "{mine}");
    room.type_at(Place::Serial2, "load replace\nset system hostname b\n");
    room.type_at(Place::Serial1, "set system hostname c\r");
    room.type_at(Place::Serial2, "end\n");
    let replaced = room.type_at(Place::Serial2, "show\n");
    assert_eq!(replaced, "set system hostname b\r\n% OK\r\n", "whatever there was");
}

#[test]
fn news_are_for_people() {
    let mut room = Room::greeted();
    room.type_at(
        Place::Serial2,
        "configure\nset system hostname a\ncommit confirmed 60s\nload merge\n",
    );
    room.type_at(Place::Virtio, "show ver");
    room.pass(Duration::from_secs(61));
    let news = "Configuration: the commit was not confirmed in time and is taken back.";
    assert!(room.look(Place::Serial1).contains(news));
    let told = room.look(Place::Virtio);
    assert!(told.contains(news) && told.ends_with("fulcrum> show ver\x1b[K"), "{told:?}");
    assert_eq!(room.look(Place::Serial2), "");
}

/// Two terminals hang, one in a long answer and one under news without end: their queues are bounded,
/// and the third notices nothing.
#[test]
fn who_does_not_read_stands_in_nobodys_way() {
    let mut room = Room::greeted();
    for place in [Place::Serial1, Place::Virtio] {
        room.terminal(place).borrow_mut().takes = 0;
    }
    room.press(Place::Virtio, &"show tech-support\r".repeat(100));
    for _ in 0..2000 {
        room.seats.tell("Something happened that everybody wants to know about.\n");
        room.pass(Duration::from_millis(10));
    }
    assert!(room.seats.waiting() < 8 * OUTPUT_MARK, "{}", room.seats.waiting());
    assert_eq!(room.type_at(Place::Serial2, "show port | count\n"), "4\r\n% OK\r\n");
}

/// However much is typed everywhere, a visit performs one command, and every seat has its turn.
#[test]
fn a_visit_is_for_one_command_of_one_seat() {
    let mut room = Room::greeted();
    let places = [Place::Serial1, Place::Serial2, Place::Virtio];
    for place in places {
        room.press(place, &"show version | count\r".repeat(4));
    }
    let left = |room: &Room| places.map(|at| room.terminal(at).borrow().keys.len() / 21);
    let lefts: Vec<[usize; 3]> = (0..6)
        .map(|_| {
            room.poll();
            left(&room)
        })
        .collect();
    assert_eq!(lefts, [[3, 4, 4], [3, 3, 4], [3, 3, 3], [2, 3, 3], [2, 2, 3], [2, 2, 2]]);
}

/// There is one capture at a time; one that nobody reads gives way, and whoever began it is told.
#[test]
fn one_seat_captures_at_a_time() {
    let mut room = Room::greeted();
    room.type_at(Place::Serial1, "capture port p1 for 60s\r");
    let refused = room.type_at(Place::Serial2, "capture port p2\n");
    assert_eq!(
        refused,
        "% E307 another seat captures, for 90 seconds more at most\r\n% FAILED\r\n"
    );
    room.terminal(Place::Serial1).borrow_mut().takes = 0;
    // Until it hangs for good, there is more to show than it takes.
    room.seats.tell(&"x".repeat(2 * OUTPUT_MARK));
    room.pass(Duration::from_secs(91));
    let begun = room.type_at(Place::Serial2, "capture port p2\n");
    assert!(begun.starts_with("-----BEGIN PCAP-----"), "{begun}");
    room.terminal(Place::Serial1).borrow_mut().takes = 4096;
    room.settle();
    let told = room.look(Place::Serial1);
    assert!(told.ends_with("has begun its own\r\nfulcrum> "), "{told}");
    room.pass(Duration::from_secs(11));
    let file = room.look(Place::Serial2);
    assert!(file.contains("-----END PCAP-----") && file.ends_with("% OK\r\n"), "{file}");
}

/// The seat of a device that breaks a rule is taken away, and what its person was at is ended.
#[test]
fn a_seat_without_a_wire_is_gone() {
    let mut room = Room::greeted();
    room.type_at(Place::Virtio, "configure\r");
    room.terminal(Place::Virtio).borrow_mut().fault = Some(RingFault::UsedIdx);
    room.settle();
    let entered = room.type_at(Place::Serial1, "configure\r");
    assert_eq!(entered, "configure\r\nfulcrum(config)# ", "nobody else is there");
    assert!(room.type_at(Place::Virtio, "show version\r").is_empty());
    assert_eq!(room.type_at(Place::Serial2, "show port | count\n"), "4\r\n% OK\r\n");
    assert_eq!(room.seats.waiting(), 0);
}

/// The machine ends at one seat's word: what was said goes out, jobs at others are ended, and what is
/// typed from then on is not done.
#[test]
fn the_last_words_of_all_seats_go_out() {
    let mut room = Room::greeted();
    room.type_at(Place::Serial1, "capture port p1 count 10 for 60s\r");
    room.terminal(Place::Virtio).borrow_mut().takes = 0;
    room.type_at(Place::Virtio, "show tech-support\r");
    room.press(Place::Serial2, "poweroff\nconfigure\nset system hostname oops\n");
    room.pass(Duration::from_millis(100));
    assert_eq!(room.bench.appliance.request, Some(Request::PowerOff));
    assert_eq!(room.look(Place::Serial2), "% OK\r\n");
    let captured = room.look(Place::Serial1);
    assert!(captured.contains("-----END PCAP-----\r\n# 0 frames"), "{captured}");
    assert_eq!(room.bench.control.candidate().hostname, None);
    assert!(!room.poll() && room.seats.waiting() > 0, "only who does not read has not got it");
}
