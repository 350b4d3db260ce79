//! `capture`: frames as they pass, printed as a pcap file in base64.
//!
//! The file stands between two marker lines, so that it can be cut out of a log of the console:
//!
//! ```text
//! sed '1,/BEGIN PCAP/d;/END PCAP/,$d' console.log | base64 -di | tshark -r -
//! ```
//!
//! It ends when it has its frames, when its time is over, or at Ctrl-C; what it has by then is a whole
//! file. Who comes while another seat captures is told so and gets none.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use lb::wire::Endpoint;
use lb::{Instant, Name, Real, Service};

use super::Desk;
use super::job::{Job, Step};
use super::parse::Sentence;
use super::problem::{Error, Problem};
use super::value::{Choice, Value};
use crate::capture::{Base64, Ends, FRAMES_MAX, Filter, Number, SNAP_BYTES_MAX, Tally, Wanted};

const BEGIN: &str = "-----BEGIN PCAP-----\n";
const END: &str = "-----END PCAP-----\n";
/// How many frames are taken, and for how long, if nothing is said.
const FRAMES_DEFAULT: u16 = 100;
const TIME_DEFAULT: Duration = Duration::from_secs(10);
/// Bytes of the file that are printed in a step.
const STEP_BYTES: usize = 1024;

pub struct Capturing {
    number: Number,
    until: Instant,
    text: Base64,
    is_begun: bool,
}

impl Capturing {
    /// Begins what a line asks for.
    pub fn begin(said: &Sentence, desk: &mut Desk<'_>) -> Result<Capturing, Problem> {
        let now = desk.appliance.now();
        if let Some(left) = desk.appliance.capture.is_taken_for(now) {
            return Err(Problem::CaptureTaken { left });
        }
        let until = now + said.look().unwrap_or(TIME_DEFAULT);
        let wanted = Wanted {
            filter: filter(said, desk)?,
            frames: said.frames().unwrap_or(FRAMES_DEFAULT).min(FRAMES_MAX),
            snap_bytes: said.snap_bytes().unwrap_or(SNAP_BYTES_MAX),
            until,
        };
        let number = desk.appliance.capture.begin(wanted);
        Ok(Capturing { number, until, text: Base64::default(), is_begun: false })
    }
}

impl Job for Capturing {
    fn step(&mut self, desk: &mut Desk<'_>) -> Step {
        let now = desk.appliance.now();
        let capture = &mut desk.appliance.capture;
        if capture.number() != self.number {
            return Step::Ends(Err(vec![Error::whole(Problem::CaptureLost)]));
        }
        if now >= self.until {
            capture.stop();
        }
        let mut text = String::new();
        if !core::mem::replace(&mut self.is_begun, true) {
            text.push_str(BEGIN);
        }
        self.text.write(capture.read(STEP_BYTES), &mut text);
        if capture.is_on() || capture.waiting() > 0 {
            return Step::Goes(text);
        }
        self.text.end(&mut text);
        text.push_str(END);
        text.push_str(&summary(capture.tally()));
        Step::Ends(Ok(text))
    }

    fn stop(&mut self, desk: &mut Desk<'_>) {
        if desk.appliance.capture.number() == self.number {
            desk.appliance.capture.stop();
        }
    }
}

/// What a reader of the file should know, as remarks that no shell takes for commands.
fn summary(tally: Tally) -> String {
    let Tally { received, sent, missed, cut_short, unfinished, uncut } = tally;
    let mut text =
        format!("# {}: {received} received, {sent} sent\n", frames(tally.frames().into()));
    let mut remark = |count: u64, what: &str| {
        if count > 0 {
            text.push_str(&format!("# {} {what}\n", frames(count)));
        }
    };
    remark(missed, "more found no room: the console was too slow");
    remark(cut_short.into(), "longer than what was kept");
    remark(unfinished.into(), "with a checksum that a NIC is still to finish: it is not wrong");
    remark(uncut.into(), "that a NIC is still to cut into segments");
    text
}

fn frames(count: u64) -> String {
    if count == 1 { "1 frame".to_string() } else { format!("{count} frames") }
}

fn filter(said: &Sentence, desk: &Desk<'_>) -> Result<Filter, Problem> {
    let mut filter = Filter {
        vlan: said.vlan(),
        host: said.address(),
        l4_port: said.l4_port().map(|port| port.get()),
        ..Filter::default()
    };
    for value in said.said.iter().map(|said| &said.value) {
        match value {
            Value::Choice(Choice::Way(way)) => filter.way = Some(*way),
            Value::Choice(Choice::Proto(proto)) => filter.proto = Some(*proto),
            _ => {}
        }
    }
    if let Some(name) = said.port() {
        let ports = || desk.appliance.dataplane.tables().ports();
        let found = ports().find(|(_, port)| port.name == name);
        let known = || ports().map(|(_, port)| port.name.to_string()).collect();
        filter.port = Some(found.map(|(id, _)| id).ok_or_else(|| absent("port", &name, known()))?);
    }
    if let Some(name) = said.service() {
        filter.ends = Some(ends(&name, desk)?);
    }
    Ok(filter)
}

/// The ends at which a service's segments are seen: its VIP's, and its reals'.
fn ends(name: &Name, desk: &Desk<'_>) -> Result<Ends, Problem> {
    let tables = desk.appliance.dataplane.tables();
    let named = |(_, service): &(_, &Service)| service.spec.name == *name && !service.retired;
    let Some((id, service)) = tables.services().find(named) else {
        let known = tables.services().map(|(_, service)| service.spec.name.to_string()).collect();
        return Err(absent("service", name, known));
    };
    let spec = &service.spec;
    let at_real = |real: &Real| {
        let port = real.spec.port.unwrap_or(spec.port).get();
        let addresses = tables.guest(real.guest).map(|guest| guest.spec.addresses.clone());
        let end = move |address: IpAddr| Endpoint { address: address.into(), port };
        addresses.into_iter().flatten().map(end)
    };
    let reals = tables.reals().filter(|(_, real)| real.service == id && !real.retired);
    let vip = Endpoint { address: spec.vip.into(), port: spec.port.get() };
    let ends = reals.flat_map(|(_, real)| at_real(real)).chain([vip]).collect();
    Ok(Ends { protocol: spec.protocol, ends })
}

fn absent(what: &'static str, name: &Name, known: Vec<String>) -> Problem {
    Problem::Absent { what, name: name.to_string(), known }
}
