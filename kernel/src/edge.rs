//! The edge of a port: tags are put on and taken off here, as [`lb::switch::vlan`] decides.
//!
//! Each copy of a flooded frame passes the edge of its own port, so one may leave with its tag and the
//! next without.

use alloc::vec::Vec;

use drivers::Frame;
use lb::{Dataplane, Departure, Entry, PortId, VlanId};

/// Where a tag is: behind both addresses.
const TAG_AT: usize = 12;
/// Where it names its VLAN.
const TCI_AT: usize = TAG_AT + 2;
/// The bits beside the VLAN's: priority, and whether the frame may be dropped first.
const PRIORITY: u8 = 0xf0;
const ETHERTYPE_TAG: [u8; 2] = [0x81, 0];

/// Lets a frame in, tagged with its VLAN; `false` if it must stay out, which is counted.
pub fn enter(dataplane: &mut Dataplane, ingress: PortId, frame: &mut Frame) -> bool {
    match dataplane.entry(ingress, frame) {
        Ok(Entry::AsIs) => true,
        Ok(Entry::Push(vlan)) => {
            frame.insert(TAG_AT, tag(vlan));
            true
        }
        Ok(Entry::Name(vlan)) => {
            name(frame, vlan);
            true
        }
        Err(_) => false,
    }
}

/// Makes a frame what the port's far end expects; `false` if it must not leave there.
pub fn leave(dataplane: &Dataplane, egress: PortId, frame: &mut Frame) -> bool {
    match dataplane.departure(egress, frame) {
        Departure::AsIs => true,
        Departure::Pop => {
            let _: [u8; 4] = frame.remove(TAG_AT);
            true
        }
        Departure::Never => false,
    }
}

/// Does to the bytes of a frame that is only looked at what was decided of it.
pub fn enter_as(entry: Entry, bytes: &mut Vec<u8>) {
    match entry {
        Entry::AsIs => {}
        Entry::Push(vlan) => drop(bytes.splice(TAG_AT..TAG_AT, tag(vlan))),
        Entry::Name(vlan) => name(bytes, vlan),
    }
}

fn tag(vlan: VlanId) -> [u8; 4] {
    let ([t0, t1], [v0, v1]) = (ETHERTYPE_TAG, vlan.get().to_be_bytes());
    [t0, t1, v0, v1]
}

/// Has a tag that names no VLAN name this one.
fn name(frame: &mut [u8], vlan: VlanId) {
    let [v0, v1] = vlan.get().to_be_bytes();
    frame[TCI_AT] = frame[TCI_AT] & PRIORITY | v0;
    frame[TCI_AT + 1] = v1;
}
