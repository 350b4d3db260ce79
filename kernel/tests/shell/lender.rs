//! A DHCP server of a few lines (RFC 2131): it lends one address to whoever asks.

use std::net::Ipv4Addr;

use etherparse::{NetSlice, PacketBuilder, SlicedPacket, TransportSlice};

const DISCOVER: u8 = 1;
const OFFER: u8 = 2;
const REQUEST: u8 = 3;
const ACK: u8 = 5;
const COOKIE: [u8; 4] = [0x63, 0x82, 0x53, 0x63];
const MESSAGE_KIND: u8 = 53;
/// Bytes before the options' cookie.
const FIXED_BYTES: usize = 236;

/// What it lends, and who it is.
#[derive(Clone, Copy, Debug)]
pub struct Lender {
    pub mac: [u8; 6],
    pub server: Ipv4Addr,
    pub lent: Ipv4Addr,
    pub lease_s: u32,
}

impl Lender {
    /// What it says to a frame, if that is a client's question; to everybody, as some servers do.
    pub fn answer(&self, frame: &[u8]) -> Option<Vec<u8>> {
        let packet = SlicedPacket::from_ethernet(frame).ok()?;
        let (Some(NetSlice::Ipv4(_)), Some(TransportSlice::Udp(udp))) =
            (&packet.net, &packet.transport)
        else {
            return None;
        };
        let question = udp.payload();
        if (udp.source_port(), udp.destination_port()) != (68, 67) {
            return None;
        }
        let options = question.get(FIXED_BYTES..)?.strip_prefix(&COOKIE)?;
        let kind = match options.windows(3).find(|option| option[..2] == [MESSAGE_KIND, 1])?[2] {
            DISCOVER => OFFER,
            REQUEST => ACK,
            _ => return None,
        };
        let mut answer = vec![0; FIXED_BYTES];
        answer[..3].copy_from_slice(&[2, 1, 6]);
        answer[4..8].copy_from_slice(&question[4..8]);
        answer[16..20].copy_from_slice(&self.lent.octets());
        answer[28..44].copy_from_slice(&question[28..44]);
        answer.extend(COOKIE);
        answer.extend([MESSAGE_KIND, 1, kind]);
        let words = [
            (54, self.server.octets()),
            (51, self.lease_s.to_be_bytes()),
            (1, [255, 255, 255, 0]),
            (3, self.server.octets()),
        ];
        for (option, word) in words {
            answer.extend([option, 4]);
            answer.extend(word);
        }
        answer.push(255);
        let link = PacketBuilder::ethernet2(self.mac, [0xff; 6]);
        let mut frame = Vec::new();
        let builder = match packet.vlan_ids().first() {
            Some(vlan) => link.single_vlan(*vlan).ipv4(self.server.octets(), [255; 4], 64),
            None => link.ipv4(self.server.octets(), [255; 4], 64),
        };
        builder.udp(67, 68).write(&mut frame, &answer).ok()?;
        Some(frame)
    }
}
