//! Ports with VLANs of their own, and with rules: as the far ends of the cables see it.

#[path = "../world/mod.rs"]
mod world;

mod members;
mod mixing;
mod rules;
mod services;

/// A frame of nobody's protocol.
fn frame(source: [u8; 6], destination: [u8; 6]) -> Vec<u8> {
    [&destination[..], &source, &[0x88, 0xb5], &[0; 46]].concat()
}

fn mac(n: u8) -> [u8; 6] {
    [0x52, 0x54, 0, 0xee, 0, n]
}
