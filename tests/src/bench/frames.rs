//! The frames of the benchmark: made from one template by changing few bytes, told apart by as few.
//!
//! Each carries its number and the time of its sending behind where a UDP header ends, whether or
//! not it has one, and then a word that nothing else has there.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::Range;

use lb::MacAddr;

use crate::frame::ArpKind;
use crate::{Ends, Frame, Raw, Tcp, TcpFlags, Udp};

/// The client, which is also the router of all other clients (198.18.0.0/15, RFC 2544).
pub const CLIENT: (MacAddr, Ipv4Addr) =
    (MacAddr([0x52, 0x54, 0, 2, 0, 1]), Ipv4Addr::new(10, 0, 2, 2));
pub const VIP: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 100);
/// The port of the service; where reals listen when they are translated for.
pub const SERVICE_PORT: u16 = 53;
pub const REAL_PORT: u16 = 5353;
/// All behind one wire.
pub const REALS: u8 = 4;
/// The NICs of the machine that is measured.
pub const NICS: [MacAddr; 2] =
    [MacAddr([0x52, 0x54, 0, 0, 0, 0xf0]), MacAddr([0x52, 0x54, 0, 0, 0, 0xf1])];

/// IEEE 802's other ethertype for local experiments.
const ETHER_TYPE: u16 = 0x88b6;
const MAGIC: [u8; 4] = *b"lvr!";

/// Where fields of a frame are.
pub const IP_AT: usize = 14;
const PROTOCOL_AT: usize = IP_AT + 9;
const IP_SUM_AT: usize = IP_AT + 10;
const SOURCE_AT: usize = IP_AT + 12;
const PORTS_AT: usize = IP_AT + 20;
const TCP_SEQUENCE_AT: usize = PORTS_AT + 4;
const UDP_SUM_AT: usize = PORTS_AT + 6;
const TCP_SUM_AT: usize = PORTS_AT + 16;
const NUMBER_AT: usize = PORTS_AT + 8;
const STAMP_AT: usize = NUMBER_AT + 8;
const MAGIC_AT: usize = STAMP_AT + 8;
/// A frame that has place for all of them.
pub const SHORTEST: usize = 64;

/// Whose end of which wire this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Client,
    Reals,
}

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traffic {
    /// From one station to another, so many bytes a frame.
    Switched { length: usize },
    /// Datagrams of as many flows, one after the other, to the VIP.
    Flows(u32),
    /// A SYN of a client that has not called before, to the VIP. It carries no mark: its sequence
    /// number is its own.
    Connections,
}

/// There are no more senders than this.
const SENDERS: u32 = 60_000_000;

/// A traffic's frames for one machine.
pub struct Template {
    bytes: Vec<u8>,
    differs: Differs,
}

/// What differs from frame to frame.
#[derive(Clone, Copy)]
enum Differs {
    /// Number and stamp alone.
    Mark,
    /// The sender too, of whom there are so many.
    Sender(u32),
    /// Every time another sender, and another sequence number.
    Call,
}

/// What a frame of ours says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    pub number: u64,
    pub sent_ns: u64,
}

impl Template {
    /// `vip_mac` is where the machine has packets for the VIP sent.
    pub fn new(traffic: Traffic, vip_mac: MacAddr) -> Template {
        let ends = Ends {
            from_mac: CLIENT.0,
            to_mac: vip_mac,
            from: SocketAddrV4::new(CLIENT.1, 0),
            to: SocketAddrV4::new(VIP, SERVICE_PORT),
        };
        let (frame, differs): (Frame, Differs) = match traffic {
            Traffic::Switched { length } => {
                let (from, to, payload) = (CLIENT.0, real_mac(1), vec![0; length - IP_AT]);
                (Raw { from, to, ether_type: ETHER_TYPE, payload }.into(), Differs::Mark)
            }
            Traffic::Flows(flows) => {
                let payload = vec![0; SHORTEST - NUMBER_AT];
                (Udp { ends, payload }.into(), Differs::Sender(flows))
            }
            Traffic::Connections => {
                let (flags, payload) = (TcpFlags::SYN, Vec::new());
                let syn = Tcp { ends, sequence: 0, acknowledged: None, flags, payload };
                (syn.into(), Differs::Call)
            }
        };
        let mut bytes = frame.bytes();
        if !matches!(differs, Differs::Call) {
            bytes[MAGIC_AT..][..MAGIC.len()].copy_from_slice(&MAGIC);
        }
        Template { bytes, differs }
    }

    /// Writes a frame and says how long it is.
    pub fn write(&self, mark: Mark, buffer: &mut [u8]) -> usize {
        let frame = &mut buffer[..self.bytes.len()];
        frame.copy_from_slice(&self.bytes);
        let sender_of = |senders: u32| sender((mark.number % u64::from(senders)) as u32);
        match self.differs {
            Differs::Mark => mark.write(frame),
            Differs::Sender(senders) => {
                mark.write(frame);
                set_sender(frame, sender_of(senders));
            }
            Differs::Call => {
                let sequence = (mark.number as u32).to_be_bytes();
                frame[TCP_SEQUENCE_AT..TCP_SEQUENCE_AT + 4].copy_from_slice(&sequence);
                set_sender(frame, sender_of(SENDERS));
            }
        }
        frame.len()
    }
}

impl Mark {
    /// `None` for frames that are not of the benchmark.
    pub fn of(frame: &[u8]) -> Option<Mark> {
        let word = |at| frame.get(at..at + 8)?.try_into().ok().map(u64::from_be_bytes);
        let is_ours = frame.get(MAGIC_AT..)?.starts_with(&MAGIC);
        let (number, sent_ns) = (word(NUMBER_AT)?, word(STAMP_AT)?);
        is_ours.then_some(Mark { number, sent_ns })
    }

    fn write(self, frame: &mut [u8]) {
        frame[NUMBER_AT..STAMP_AT].copy_from_slice(&self.number.to_be_bytes());
        frame[STAMP_AT..MAGIC_AT].copy_from_slice(&self.sent_ns.to_be_bytes());
    }
}

/// From here to where it came from: MACs, and where it is a datagram addresses and ports change
/// places, which changes no checksum. `reply_mac` is who takes answers of reals.
pub fn turn_back(frame: &mut [u8], reply_mac: MacAddr) {
    let is_ipv4 = frame[12..IP_AT] == [8, 0];
    swap(frame, 0, 6);
    if is_ipv4 {
        frame[..6].copy_from_slice(&reply_mac.0);
        swap(frame, SOURCE_AT, 4);
        swap(frame, PORTS_AT, 2);
    }
}

/// The first frame of the reals, by which a switch learns where they are.
pub fn hello() -> Vec<u8> {
    let (from, to) = (real_mac(1), MacAddr::BROADCAST);
    Frame::from(Raw { from, to, ether_type: ETHER_TYPE, payload: vec![0; 46] }).bytes()
}

/// What the stacks on this side would say by themselves: answers to questions for their addresses.
pub fn answer(side: Side, frame: &[u8]) -> Option<Vec<u8>> {
    let Ok(Frame::Arp(arp)) = Frame::parse(frame) else {
        return None;
    };
    let mac = match side {
        Side::Client => (arp.target == CLIENT.1).then_some(CLIENT.0),
        Side::Reals => (1..=REALS).find(|real| real_address(*real) == arp.target).map(real_mac),
    }?;
    (arp.kind == ArpKind::Request).then(|| Frame::from(arp.answer(mac)).bytes())
}

/// Reals count from 1.
pub const fn real_mac(real: u8) -> MacAddr {
    MacAddr([0x52, 0x54, 0, 1, 0, real])
}

pub const fn real_address(real: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 3, 20 + real)
}

/// Who sends the datagrams of a flow: a thousand addresses, then the next port.
fn sender(flow: u32) -> SocketAddrV4 {
    let [_, _, high, low] = (1 + flow % 1000).to_be_bytes();
    SocketAddrV4::new(Ipv4Addr::new(198, 18, high, low), 1024 + (flow / 1000) as u16)
}

/// Writes the sender into a packet, and both checksums anew.
fn set_sender(frame: &mut [u8], sender: SocketAddrV4) {
    frame[SOURCE_AT..SOURCE_AT + 4].copy_from_slice(&sender.ip().octets());
    frame[PORTS_AT..PORTS_AT + 2].copy_from_slice(&sender.port().to_be_bytes());
    put_sum(frame, IP_SUM_AT, IP_AT..PORTS_AT, 0);
    set_sum(frame);
}

/// Writes the checksum of a datagram or a segment anew.
pub fn set_sum(frame: &mut [u8]) {
    let protocol = frame[PROTOCOL_AT];
    let sum_at = if protocol == 6 { TCP_SUM_AT } else { UDP_SUM_AT };
    let (end, pretended) = (frame.len(), u32::from(protocol) + (frame.len() - PORTS_AT) as u32);
    // Both addresses stand before the header, as in the header that the sum pretends.
    put_sum(frame, sum_at, SOURCE_AT..end, pretended);
}

fn put_sum(frame: &mut [u8], at: usize, of: Range<usize>, start: u32) {
    frame[at..at + 2].fill(0);
    // A sum of 0 means that there is none (RFC 768); both are 0 to whoever adds it up.
    let sum = match checksum(&frame[of], start) {
        0 => 0xffff,
        sum => sum,
    };
    frame[at..at + 2].copy_from_slice(&sum.to_be_bytes());
}

/// RFC 1071, of an even number of bytes.
fn checksum(bytes: &[u8], start: u32) -> u16 {
    let words = bytes.chunks_exact(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
    let sum = start + words.sum::<u32>();
    let sum = (sum & 0xffff) + (sum >> 16);
    !((sum & 0xffff) + (sum >> 16)) as u16
}

/// Two fields of this length that follow one another change places.
fn swap(frame: &mut [u8], at: usize, length: usize) {
    let (first, second) = frame[at..at + 2 * length].split_at_mut(length);
    first.swap_with_slice(second);
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: Mark = Mark { number: 123_456_789, sent_ns: 0x0123_4567_89ab_cdef };

    fn frame(traffic: Traffic, mark: Mark) -> Vec<u8> {
        let mut buffer = vec![0xee; 2048];
        let length = Template::new(traffic, MacAddr::SWITCH).write(mark, &mut buffer);
        buffer.truncate(length);
        buffer
    }

    #[test]
    fn a_frame_says_what_was_written() {
        for (traffic, length) in [
            (Traffic::Switched { length: 64 }, 64),
            (Traffic::Switched { length: 1514 }, 1514),
            (Traffic::Flows(1000), 64),
        ] {
            let frame = frame(traffic, MARK);
            assert_eq!((frame.len(), Mark::of(&frame)), (length, Some(MARK)), "{traffic:?}");
            assert_eq!(Mark::of(&frame[..MAGIC_AT]), None);
        }
        assert_eq!(Mark::of(&hello()), None);
    }

    /// etherparse finds no fault with a checksum, there and back.
    #[test]
    fn datagrams_are_whole_both_ways() {
        for number in [0, 1, 999, 1000, 99_999, 65_535] {
            let mut bytes = frame(Traffic::Flows(100_000), Mark { number, ..MARK });
            let there = Frame::parse(&bytes).expect("a datagram");
            turn_back(&mut bytes, CLIENT.0);
            let back = Frame::parse(&bytes).expect("a datagram");
            let (Frame::Udp(there), Frame::Udp(back)) = (there, back) else {
                panic!("{number}: no datagram");
            };
            assert_eq!(there.ends.from, sender(number as u32));
            assert_eq!(back.ends, Ends { to_mac: CLIENT.0, ..there.ends.back() });
        }
    }

    #[test]
    fn no_two_flows_have_one_sender() {
        let senders: std::collections::HashSet<_> = (0..100_000).map(sender).collect();
        assert_eq!(senders.len(), 100_000);
    }

    #[test]
    fn a_question_for_a_real_is_answered_on_its_side() {
        let question = crate::Arp::request(CLIENT.0, CLIENT.1, real_address(3));
        let asked = Frame::from(question).bytes();
        let answered = Frame::from(question.answer(real_mac(3))).bytes();
        assert_eq!(answer(Side::Reals, &asked), Some(answered));
        assert_eq!(answer(Side::Client, &asked), None);
    }
}
