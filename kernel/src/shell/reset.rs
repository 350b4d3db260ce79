//! `reset flow`: one flow ends, and whoever speaks next in it is told.

use alloc::format;
use alloc::string::String;

use lb::Protocol;

use super::Desk;
use super::parse::Sentence;
use super::problem::Problem;
use super::show::calls;

/// Cuts the flow between the two ends that were said; what to say of it.
pub fn reset(desk: &mut Desk<'_>, said: &Sentence) -> Result<String, Problem> {
    let now = desk.appliance.now();
    let mut told = String::new();
    for call in calls(said)? {
        if desk.appliance.dataplane.cut(&call, now) {
            let flow = format!("{} to {} {}", call.client, call.vip, call.protocol);
            log::info!("operator: flow {flow}: reset");
            let next = match call.protocol {
                Protocol::Tcp => "Whoever speaks next in it is told.",
                Protocol::Udp => "The client's next datagram begins another.",
            };
            told.push_str(&format!("{flow} is cut. {next}\n"));
        }
    }
    if told.is_empty() { Err(Problem::NoFlow) } else { Ok(told) }
}
