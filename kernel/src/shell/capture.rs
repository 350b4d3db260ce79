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
use core::time::Duration;

use lb::switch::filter::Ends;
use lb::{Instant, Name, PortId};

use super::Desk;
use super::job::{Job, Step};
use super::parse::Sentence;
use super::problem::{Error, Problem};
use crate::capture::{Base64, FRAMES_MAX, Number, SNAP_BYTES_MAX, Tally, Wanted};
use crate::config::{FilterConfig, way};

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
        let filter = FilterConfig::of(said);
        let ends = filter.service.as_ref().map(|service| ends(service, desk)).transpose()?;
        let until = now + said.look().unwrap_or(TIME_DEFAULT);
        let wanted = Wanted {
            port: port(said, desk)?,
            way: way(said),
            filter: filter.resolved(ends),
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

/// The port that a line names, or none.
fn port(said: &Sentence, desk: &Desk<'_>) -> Result<Option<PortId>, Problem> {
    let Some(name) = said.port() else { return Ok(None) };
    let tables = desk.appliance.dataplane.tables();
    let known = || tables.ports().map(|(_, port)| port.name.to_string()).collect();
    tables.port_by_name(&name).map(Some).ok_or_else(|| absent("port", &name, known()))
}

/// The ends at which a service's segments are seen.
fn ends(name: &Name, desk: &Desk<'_>) -> Result<Ends, Problem> {
    let tables = desk.appliance.dataplane.tables();
    let found = tables.service_by_name(name).and_then(|id| Some((id, tables.service(id)?)));
    let Some((id, service)) = found else {
        let known = tables.services().map(|(_, service)| service.spec.name.to_string()).collect();
        return Err(absent("service", name, known));
    };
    let reals = tables.reals().filter(|(_, real)| real.service == id && !real.retired);
    let reals = reals.map(|(_, real)| {
        let guest = tables.guest(real.guest);
        (&real.spec, guest.map_or(&[][..], |guest| &guest.spec.addresses))
    });
    Ok(Ends::of(&service.spec, reals))
}

fn absent(what: &'static str, name: &Name, known: Vec<String>) -> Problem {
    Problem::Absent { what, name: name.to_string(), known }
}
