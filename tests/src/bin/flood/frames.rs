//! The frames of the flood: made by the harness's own values, told apart by a few bytes, since there
//! are too many of them to be parsed.

use std::net::{Ipv4Addr, SocketAddrV4};

use tests::frame::ArpKind;
use tests::world::{VIP, WEB};
use tests::{Ends, Frame, MacAddr, Raw, Tcp, TcpFlags};

const CLIENT: (MacAddr, Ipv4Addr) = (MacAddr([0x52, 0x54, 0, 2, 0, 1]), Ipv4Addr::new(10, 0, 2, 2));
/// IEEE 802's other ethertype for local experiments.
const ETHERTYPE: u16 = 0x88b6;

/// Where fields of a frame are.
const ETHERTYPE_AT: usize = 12;
const IPV4_AT: usize = 14;
const IPV4_SOURCE_AT: usize = IPV4_AT + 12;
const TCP_AT: usize = IPV4_AT + 20;
const TCP_FLAGS_AT: usize = TCP_AT + 13;

/// What a frame that arrives is.
pub enum Kind {
    Arp,
    BetweenGuests,
    Syn { of_client: bool },
    Segment,
    Other,
}

impl Kind {
    pub fn of(frame: &[u8]) -> Kind {
        const SYN: u8 = 2;
        let ether_type = frame.get(ETHERTYPE_AT..IPV4_AT).map_or([0; 2], |at| [at[0], at[1]]);
        match (u16::from_be_bytes(ether_type), frame.get(TCP_FLAGS_AT)) {
            (0x0806, _) => Kind::Arp,
            (ETHERTYPE, _) => Kind::BetweenGuests,
            (0x0800, Some(flags)) if flags & SYN != 0 => {
                let source = &frame[IPV4_SOURCE_AT..IPV4_SOURCE_AT + 4];
                Kind::Syn { of_client: source == CLIENT.1.octets() }
            }
            (0x0800, Some(_)) => Kind::Segment,
            _ => Kind::Other,
        }
    }
}

/// What a living guest says to a question for its address, and a real to a call.
pub fn answer(port: usize, frame: &[u8]) -> Option<Vec<u8>> {
    let address = Ipv4Addr::new(10, 0, 2, 20 + port as u8);
    match Frame::parse(frame).ok()? {
        Frame::Arp(arp) if arp.kind == ArpKind::Request && arp.target == address => {
            Some(Frame::from(arp.answer(guest_mac(port))).bytes())
        }
        Frame::Tcp(syn) => {
            let acknowledged = Some(syn.sequence.wrapping_add(1));
            // By ARP it knows where the client is.
            let ends = Ends { to_mac: CLIENT.0, ..syn.ends.back() };
            Some(Frame::from(Tcp { ends, acknowledged, ..syn }).bytes())
        }
        _ => None,
    }
}

/// From guest to guest, by their ports: nothing that a VIP is about.
pub fn between_guests(from: usize, to: usize) -> Vec<u8> {
    let [from, to] = [from, to].map(guest_mac);
    Frame::from(Raw { from, to, ether_type: ETHERTYPE, payload: vec![0; 46] }).bytes()
}

fn guest_mac(port: usize) -> MacAddr {
    MacAddr([0x52, 0x54, 0, 1, 0, port as u8])
}

/// A segment of the client's: a SYN, or one in the middle.
pub fn client_frame(flow: u16, flags: TcpFlags) -> Vec<u8> {
    let ends = Ends {
        from_mac: CLIENT.0,
        to_mac: MacAddr::virtual_of(VIP.into()),
        from: SocketAddrV4::new(CLIENT.1, 10_000 + flow),
        to: WEB.vip,
    };
    let acknowledged = (!flags.syn).then_some(1);
    Frame::from(Tcp { ends, sequence: 1, acknowledged, flags, payload: vec![] }).bytes()
}

/// A stranger's, who is behind the same router as the client.
pub fn strangers_syn() -> Vec<u8> {
    client_frame(0, TcpFlags::SYN)
}

/// Another address and port of 198.18.0.0/15 (RFC 2544) for each frame. The switch asks for the
/// header's checksum, which is made anew, and leaves the segment's to the real.
pub fn make_stranger(syn: &mut [u8], at: u64) {
    // An odd factor has them jump about; two in 2³² are alike.
    let mixed = (at as u32).wrapping_mul(0x9e37_79b1);
    let [a, b, c, d] = mixed.to_be_bytes();
    syn[IPV4_SOURCE_AT..IPV4_SOURCE_AT + 4].copy_from_slice(&[198, 18 | (a & 1), b, c]);
    syn[TCP_AT..TCP_AT + 2].copy_from_slice(&[0x40 | (a >> 2), d]);
    let header = &mut syn[IPV4_AT..TCP_AT];
    header[10..12].fill(0);
    let words =
        header.chunks_exact(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
    let sum: u32 = words.sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = !(((sum & 0xffff) + (sum >> 16)) as u16);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
}
