//! Seats: every place at which somebody can sit at the appliance, each a wire with a console behind
//! it.
//!
//! Each seat has its own mode, line and job; the appliance and the candidate are one for all. At a
//! visit every seat gets its bounded step, but only one of them a command or a piece of a job: the
//! next visit begins with the seat after it. So the loop is never away from frames for longer than
//! one seat's slowest line, and a seat that never stops talking does not keep the others waiting.
//!
//! Seats do not wait for each other either. Whoever does not read has a full queue, for which their
//! own input is not read any more; nobody else notices. A seat whose device breaks a rule is taken away.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::appliance::Appliance;
use crate::console::{Console, Tty, Visit};
use crate::control::Control;

/// Where a seat is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// COM1: a person's.
    #[default]
    Serial1,
    /// COM2: a program's.
    Serial2,
    /// A virtio console: a person's.
    Virtio,
}

/// Who is expected at a seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sitter {
    Person,
    Program,
}

/// All seats of the machine.
#[derive(Default)]
pub struct Seats {
    seats: Vec<Seat>,
    /// Whose turn it is to be the first.
    first: usize,
}

struct Seat {
    place: Place,
    console: Console,
    tty: Box<dyn Tty>,
}

/// A wire, and whether anything has passed over it.
struct Watched<'a> {
    tty: &'a mut dyn Tty,
    has_moved: bool,
}

impl Place {
    pub fn as_str(self) -> &'static str {
        match self {
            Place::Serial1 => "serial1",
            Place::Serial2 => "serial2",
            Place::Virtio => "virtio",
        }
    }

    pub fn sitter(self) -> Sitter {
        match self {
            Place::Serial1 | Place::Virtio => Sitter::Person,
            Place::Serial2 => Sitter::Program,
        }
    }
}

impl Seats {
    pub fn add(&mut self, place: Place, tty: Box<dyn Tty>) {
        self.seats.push(Seat { place, console: Console::at(place), tty });
    }

    /// Text that people find when they sit down: how the machine has started.
    pub fn print(&mut self, text: &str) {
        let people = self.seats.iter_mut().filter(|seat| !seat.console.is_script());
        people.for_each(|seat| seat.console.print(text));
    }

    /// Says the first words and shows the prompt, to people.
    pub fn greet(&mut self, control: &Control) {
        self.seats.iter_mut().for_each(|seat| seat.console.greet(control));
    }

    /// News for people.
    pub fn tell(&mut self, text: &str) {
        self.seats.iter_mut().for_each(|seat| seat.console.tell(text));
    }

    /// A bounded step of every seat; whether bytes came or went. Once the machine is to end nothing is
    /// read any more, jobs are ended, and what was said before goes out.
    #[inline(never)]
    pub fn poll(&mut self, control: &mut Control, appliance: &mut Appliance) -> bool {
        let mut has_moved = false;
        for step in 0..self.seats.len() {
            let at = (self.first + step) % self.seats.len();
            let Seat { console, tty, .. } = &mut self.seats[at];
            let mut tty = Watched { tty: &mut **tty, has_moved: false };
            let visit = match appliance.request {
                None => console.poll(&mut tty, control, appliance),
                Some(_) => console.wind_up(&mut tty, control, appliance),
            };
            has_moved |= tty.has_moved;
            if visit == Visit::Work {
                self.first = at + 1;
                break;
            }
        }
        self.seats.retain_mut(|seat| seat.is_there(control, appliance));
        has_moved
    }

    /// Whether a byte may come to one of them without an interrupt, so that it has to be looked for.
    pub fn is_polled(&self) -> bool {
        self.seats.iter().any(|seat| seat.place == Place::Virtio)
    }

    /// Output that was not taken yet.
    pub fn waiting(&self) -> usize {
        self.seats.iter().map(|seat| seat.console.waiting()).sum()
    }
}

impl Seat {
    fn is_there(&mut self, control: &mut Control, appliance: &mut Appliance) -> bool {
        let Some(fault) = self.tty.fault() else {
            return true;
        };
        let (name, rule) = (self.place.as_str(), fault.as_str());
        log::error!("seat {name}: its device broke a rule ({rule}) and was stopped");
        self.console.leave(control, appliance);
        false
    }
}

impl Tty for Watched<'_> {
    fn read(&mut self) -> Option<u8> {
        let byte = self.tty.read();
        self.has_moved |= byte.is_some();
        byte
    }

    fn write(&mut self, bytes: &[u8]) -> usize {
        let taken = self.tty.write(bytes);
        self.has_moved |= taken > 0;
        taken
    }
}
