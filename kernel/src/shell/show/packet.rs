//! `test packet`: what would become of a frame, one stage a line.
//!
//! All of it is [`lb::explain::trace`]'s; here it gets words, and the bytes before and after are held against
//! each other.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use lb::explain::decisions::Choice;
use lb::explain::trace::{Over, Step, Whom};
use lb::flow::{Direction, Flow, FlowId};
use lb::switch::fdb::Lesson;
use lb::wire::arp::{Arp, Operation};
use lb::wire::ethernet::{ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, Ethernet};
use lb::wire::transport::TcpFlags;
use lb::wire::{Headers, Ip, Offload, Transport};
use lb::{
    Dataplane, Departure, DropReason, Entry, Frame, PortId, PortSet, Protocol, RealId, ServiceId,
    Verdict,
};

use super::absent;
use crate::edge;
use crate::shell::Desk;
use crate::shell::page::{Page, words};
use crate::shell::parse::Sentence;
use crate::shell::problem::Problem;
use crate::shell::units::Shown;

/// A stage's name and what is found there.
type Stage = (&'static str, String);

/// Traces a frame, which may be the beginning of a longer one.
pub fn trace(desk: &Desk<'_>, said: &Sentence) -> Result<Page, Problem> {
    let mut page = Page::new("fulcrum.test.packet/1");
    let (Some(name), Some(mut bytes)) = (said.port(), said.frame()) else {
        return Ok(page);
    };
    let dataplane = &desk.appliance.dataplane;
    let ports = || dataplane.tables().ports();
    let Some((ingress, port)) = ports().find(|(_, port)| port.name == name) else {
        return Err(absent("port", &name, ports().map(|(_, port)| &port.name)));
    };
    let came = bytes.len();
    let len = said.frame_len().map_or(0, usize::from).max(came);
    let first = words(format!("{len} bytes in on {} port {name}", port.role.as_str()));
    page.row(first.with("frame_bytes", len).with("port", &name).with("role", port.role.as_str()));
    let entry = match port.rules.vlan.enter(&bytes) {
        Ok(entry) => entry,
        Err(reason) => {
            page.each("stages", Vec::new());
            end(&mut page, dataplane, ingress, Verdict::Drop(reason), &[]);
            return Ok(page);
        }
    };
    edge::enter_as(entry, &mut bytes);
    let before = bytes.clone();
    let len = len + (bytes.len() - came);
    let frame = Frame { head: &mut bytes, len, offload: Offload::default() };
    let trace = dataplane.trace(ingress, &frame, desk.appliance.now());
    let mut stages: Vec<Stage> = at_edge(entry).into_iter().collect();
    stages.extend(trace.steps.iter().map(|step| stage(dataplane, step)));
    if let Verdict::Forward(_) | Verdict::Flood(_) | Verdict::Reply = trace.verdict {
        stages.push(("rewritten", changes(&before, &trace.frame)));
    }
    let told = stages.into_iter().map(|(stage, found)| {
        let mut part = Page::part();
        part.fact(stage, words(found.clone()).with("stage", stage).with("found", found.as_str()));
        part
    });
    page.each("stages", told.collect());
    end(&mut page, dataplane, ingress, trace.verdict, &trace.frame);
    Ok(page)
}

fn at_edge(entry: Entry) -> Option<Stage> {
    match entry {
        Entry::AsIs => None,
        Entry::Push(vlan) => Some(("edge", format!("tagged with VLAN {}", vlan.get()))),
        Entry::Name(vlan) => Some(("edge", format!("its tag names VLAN {}", vlan.get()))),
    }
}

fn stage(dataplane: &Dataplane, step: &Step) -> Stage {
    match step {
        Step::Frame(header) => ("frame", frame(header)),
        Step::Source(lesson) => ("source", source(dataplane, *lesson)),
        Step::Arp(its) => ("ARP", arp(its)),
        Step::Packet(ip) => ("packet", packet(ip)),
        Step::Segment(its) => ("segment", segment(its)),
        Step::Whom(whom) => ("for", for_whom(*whom)),
        Step::Flow(id, direction) => ("flow", flow(dataplane, *id, *direction)),
        Step::NoFlow => ("flow", "none that is known".to_string()),
        Step::Over(_, over) => ("flow ends", why_over(*over).to_string()),
        Step::News(service) => {
            let name = service_name(dataplane, *service);
            ("note", format!("{name} is taking in that a real came or went: ask again"))
        }
        Step::Remembered(real) => {
            ("persistence", format!("{} had this client's earlier flows", guest(dataplane, *real)))
        }
        Step::Chosen(service, outcome) => ("service", chosen(dataplane, *service, *outcome)),
        Step::Begins(new) => {
            let guest = guest(dataplane, new.real);
            let ends = (new.client_at_real, new.real_end);
            ("new flow", format!("{guest} sees {} to {}", ends.0, ends.1))
        }
        Step::Waits => ("fragment", "its first has not come; it is copied and waits".to_string()),
    }
}

fn frame(header: &Ethernet) -> String {
    let Ethernet { source, destination, ethertype, vlan, .. } = *header;
    let kind = match ethertype {
        ETHERTYPE_ARP => "ARP".to_string(),
        ETHERTYPE_IPV4 => "IPv4".to_string(),
        ETHERTYPE_IPV6 => "IPv6".to_string(),
        other => format!("ethertype 0x{other:04x}"),
    };
    let tag = if vlan == 0 { "untagged".to_string() } else { format!("VLAN {vlan}") };
    format!("{source} to {destination}, {tag}, {kind}")
}

fn source(dataplane: &Dataplane, lesson: Lesson) -> String {
    let name = |port: PortId| port_name(dataplane, port);
    match lesson {
        Lesson::Known => "known here".to_string(),
        Lesson::New => "new: is learned".to_string(),
        Lesson::Moved { from } => format!("moves here from {}", name(from)),
        Lesson::Restless { at } => {
            format!("has moved this second already, and stays at {}", name(at))
        }
        Lesson::Unlearned => "not known, and this port learns nothing".to_string(),
        Lesson::Refused => "not learned: this port has its share of addresses".to_string(),
        Lesson::TooMany => "one more than this port may have".to_string(),
        Lesson::Pinned { to } => format!("is a guest's, pinned to {}", name(to)),
    }
}

fn arp(arp: &Arp) -> String {
    let Arp { operation, sender_mac, sender, target, .. } = *arp;
    match operation {
        Operation::Request => format!("who has {target}? tell {sender} at {sender_mac}"),
        Operation::Reply => format!("{sender} is at {sender_mac}"),
    }
}

fn packet(ip: &Ip) -> String {
    let carried = match ip.protocol {
        1 => "ICMP".to_string(),
        6 => "TCP".to_string(),
        17 => "UDP".to_string(),
        58 => "ICMPv6".to_string(),
        other => format!("protocol {other}"),
    };
    let part = ip.part().map_or(String::new(), |part| {
        let more = if part.more { ", more follow" } else { ", the last" };
        format!(", a fragment from byte {}{more}", part.offset_bytes)
    });
    format!("{} to {}, {carried}, TTL {}{part}", ip.source, ip.destination, ip.ttl)
}

fn segment(segment: &Transport) -> String {
    let Transport { protocol, source, destination, flags, sequence, .. } = segment;
    let ports = format!("{protocol} {} to {}", source.port, destination.port);
    match protocol {
        Protocol::Udp => ports,
        Protocol::Tcp => {
            let named = [
                (TcpFlags::SYN, "SYN"),
                (TcpFlags::FIN, "FIN"),
                (TcpFlags::RST, "RST"),
                (TcpFlags::ACK, "ACK"),
            ];
            let set = named.iter().filter(|(flag, _)| flags.has(*flag)).map(|(_, name)| *name);
            let set: Vec<_> = set.collect();
            format!("{ports}, {}, sequence {sequence}", set.join(" "))
        }
    }
}

fn for_whom(whom: Whom) -> String {
    match whom {
        Whom::Vip(vip) => format!("the VIP {vip}"),
        Whom::Switch => "the switch itself".to_string(),
        Whom::Station => "a station: it is switched".to_string(),
    }
}

fn flow(dataplane: &Dataplane, id: FlowId, direction: Direction) -> String {
    let Some(flow) = dataplane.flows().get(id) else {
        return String::new();
    };
    let way = match direction {
        Direction::ToReal => "to its real",
        Direction::ToClient => "to its client",
    };
    format!("{}, {way}", said_of(dataplane, flow))
}

fn said_of(dataplane: &Dataplane, flow: &Flow) -> String {
    let (client, vip, state) = (flow.client(), flow.vip(), flow.state.as_str());
    format!("{client} to {vip}, {state}, at {}", guest(dataplane, flow.real))
}

fn why_over(over: Over) -> &'static str {
    match over {
        Over::Severed => "its real is gone for good, or it was cut",
        Over::BegunAnew => "its client begins another with the same ports",
        Over::Unanswered => "its real has not answered: another is asked",
        Over::GuessedWrong => "taken up after the restart, at the wrong real",
    }
}

fn chosen(
    dataplane: &Dataplane,
    service: ServiceId,
    outcome: Result<Choice, DropReason>,
) -> String {
    let name = service_name(dataplane, service);
    let choice = match outcome {
        Ok(choice) => choice,
        Err(reason) => return format!("{name} refuses: {}", reason.as_str()),
    };
    let mut text = format!("{name} gives it to {}", guest(dataplane, choice.real));
    text.push_str(&format!(", by {}", choice.by.as_str()));
    if choice.candidates > 0 {
        text.push_str(&format!(" of {}", choice.candidates));
    }
    if let Some(its) = choice.measured {
        text.push_str(&format!(", score {}", its.words()));
    }
    if let Some((other, its)) = choice.runner_up {
        text.push_str(&format!("; then {}, score {}", guest(dataplane, other), its.words()));
    }
    text
}

/// Where it goes, and how it ends.
fn end(page: &mut Page, dataplane: &Dataplane, ingress: PortId, verdict: Verdict, frame: &[u8]) {
    let (ports, word, told) = match verdict {
        Verdict::Forward(port) => (PortSet::EMPTY.with(port), "forward", "forwarded"),
        Verdict::Flood(ports) => (ports, "flood", "flooded: nobody knows where the station is"),
        Verdict::Reply => (PortSet::EMPTY.with(ingress), "reply", "replied: the switch answers"),
        Verdict::Punt => (PortSet::EMPTY, "punt", "punted: the switch reads it itself"),
        Verdict::Hold => (PortSet::EMPTY, "hold", "held"),
        Verdict::Drop(_) => (PortSet::EMPTY, "drop", "dropped"),
    };
    let names: Vec<_> = ports.map(|port| port_name(dataplane, port)).collect();
    let told_ports: Vec<_> = ports.map(|port| leaving(dataplane, port, frame)).collect();
    match names.is_empty() {
        true => page.unsaid("out", names),
        false => page.fact("out", words(told_ports.join(" ")).with("out", names)),
    }
    let (told, reason) = match verdict {
        Verdict::Drop(reason) => {
            let told = format!("{told}, {}: {}", reason.as_str(), reason.sentence());
            (told, Some(reason.as_str()))
        }
        _ => (told.to_string(), None),
    };
    page.fact("ending", words(told).with("ending", word).with("drop_reason", reason));
}

/// A port, and what its edge does to the frame.
fn leaving(dataplane: &Dataplane, port: PortId, frame: &[u8]) -> String {
    let name = port_name(dataplane, port);
    match dataplane.departure(port, frame) {
        Departure::AsIs => name,
        Departure::Pop => format!("{name} (untagged)"),
        Departure::Never => format!("{name} (not sent: its tag does not belong there)"),
    }
}

/// In what a frame differs from what it was.
fn changes(before: &[u8], after: &[u8]) -> String {
    // The lengths were looked at when the frame was traced.
    let fields = |frame| Headers::read(frame, usize::MAX).map_or(Vec::new(), |its| fields(&its));
    let mut changed = String::new();
    for ((name, was), (_, is)) in fields(before).into_iter().zip(fields(after)) {
        if was != is {
            let comma = if changed.is_empty() { "" } else { ", " };
            changed.push_str(&format!("{comma}{name} {is}"));
        }
    }
    match (changed.is_empty(), before == after) {
        (true, true) => "nothing".to_string(),
        (true, false) => "what it says".to_string(),
        (false, _) => changed,
    }
}

/// What may be rewritten.
fn fields(Headers { ethernet, arp: its_arp, ip, segment }: &Headers) -> Vec<Stage> {
    let mut all = vec![
        ("source MAC", ethernet.source.to_string()),
        ("destination MAC", ethernet.destination.to_string()),
    ];
    all.extend(its_arp.iter().map(|its| ("ARP:", arp(its))));
    if let Some(Ok(ip)) = ip {
        all.push(("source", ip.source.to_string()));
        all.push(("destination", ip.destination.to_string()));
    }
    if let Some(segment) = segment {
        all.push(("source port", segment.source.port.to_string()));
        all.push(("destination port", segment.destination.port.to_string()));
    }
    all
}

fn port_name(dataplane: &Dataplane, port: PortId) -> String {
    let name = dataplane.tables().port(port).map(|port| port.name.to_string());
    name.unwrap_or_default()
}

fn service_name(dataplane: &Dataplane, service: ServiceId) -> String {
    let name = dataplane.tables().service(service).map(|service| service.spec.name.to_string());
    name.unwrap_or_default()
}

fn guest(dataplane: &Dataplane, real: RealId) -> String {
    let name = dataplane.tables().real(real).map(|real| real.spec.guest.to_string());
    name.unwrap_or_default()
}
