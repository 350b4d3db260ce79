//! TCP connections that say nothing: opened, and closed at once, by both sides. Neither side keeps
//! anything: whatever has to be said follows from what was heard.
//!
//! ```text
//!   client ── SYN ──▶ real          a SYN's number is the connection's
//!          ◀─ SYN, ACK ─
//!          ── ACK ──▶   ── FIN, ACK ──▶
//!          ◀─ FIN, ACK ─            it is done when the client has this
//!          ── ACK ──▶
//! ```

use lb::MacAddr;

use super::frames::{IP_AT, set_sum, turn_back};

const TCP_AT: usize = IP_AT + 20;
const SEQUENCE_AT: usize = TCP_AT + 4;
const ACKNOWLEDGED_AT: usize = TCP_AT + 8;
const FLAGS_AT: usize = TCP_AT + 13;
const HEADERS: usize = TCP_AT + 20;

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

/// Where every real begins to count.
const REAL_SEQUENCE: u32 = 0x1000_0000;

/// What a client makes of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    Opened,
    /// This connection is done.
    Closed(u32),
}

/// The segments that a side sends next.
pub type Says = Vec<Vec<u8>>;

/// What a real says to a segment; `reply_mac` is where.
pub fn real_hears(segment: &[u8], reply_mac: MacAddr) -> Says {
    let Some(flags) = flags_of(segment) else {
        return Vec::new();
    };
    let heard = word(segment, SEQUENCE_AT);
    match flags & (SYN | FIN | ACK) {
        SYN => vec![answer(segment, reply_mac, SYN | ACK, REAL_SEQUENCE, heard.wrapping_add(1))],
        flags if flags & FIN != 0 => {
            let sequence = REAL_SEQUENCE.wrapping_add(1);
            vec![answer(segment, reply_mac, FIN | ACK, sequence, heard.wrapping_add(1))]
        }
        _ => Vec::new(),
    }
}

/// What a client says to a segment, and what that one was; `vip_mac` is where.
pub fn client_hears(segment: &[u8], vip_mac: MacAddr) -> Option<(Heard, Says)> {
    let flags = flags_of(segment)?;
    let (heard, sequence) = (word(segment, SEQUENCE_AT), word(segment, ACKNOWLEDGED_AT));
    let says = |flags| answer(segment, vip_mac, flags, sequence, heard.wrapping_add(1));
    match flags & (SYN | FIN | ACK) {
        flags if flags == SYN | ACK => Some((Heard::Opened, vec![says(ACK), says(FIN | ACK)])),
        // Its SYN and its FIN have a number each.
        flags if flags == FIN | ACK => {
            Some((Heard::Closed(sequence.wrapping_sub(2)), vec![says(ACK)]))
        }
        _ => None,
    }
}

/// The flags of a segment without options, over IPv4; none of anything else.
fn flags_of(frame: &[u8]) -> Option<u8> {
    const TCP: u8 = 6;
    let is_tcp = frame.len() >= HEADERS && frame[12..=IP_AT] == [8, 0, 0x45];
    (is_tcp && frame[IP_AT + 9] == TCP).then(|| frame[FLAGS_AT])
}

fn answer(segment: &[u8], to: MacAddr, flags: u8, sequence: u32, acknowledged: u32) -> Vec<u8> {
    let mut answer = segment[..HEADERS].to_vec();
    turn_back(&mut answer, to);
    answer[SEQUENCE_AT..ACKNOWLEDGED_AT].copy_from_slice(&sequence.to_be_bytes());
    answer[ACKNOWLEDGED_AT..ACKNOWLEDGED_AT + 4].copy_from_slice(&acknowledged.to_be_bytes());
    answer[FLAGS_AT] = flags;
    set_sum(&mut answer);
    answer
}

fn word(segment: &[u8], at: usize) -> u32 {
    segment[at..at + 4].iter().fold(0, |word, byte| word << 8 | u32::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::super::frames::{CLIENT, Mark, NICS, Template, Traffic};
    use super::*;
    use crate::{Ends, Frame, Tcp, TcpFlags};

    fn parsed(segment: &[u8]) -> Tcp {
        match Frame::parse(segment) {
            Ok(Frame::Tcp(tcp)) => tcp,
            other => panic!("{other:?} is no segment"),
        }
    }

    /// Every segment of a connection, its checksums looked at by etherparse.
    #[test]
    fn a_connection_is_opened_and_closed() {
        let mut syn = vec![0; 2048];
        let mark = Mark { number: 0xffff_fffe, sent_ns: 0 };
        let length = Template::new(Traffic::Connections, NICS[0]).write(mark, &mut syn);
        syn.truncate(length);
        let first = parsed(&syn);
        assert!(first.flags.syn && first.acknowledged.is_none());

        let syn_ack = &real_hears(&syn, CLIENT.0)[..];
        let [syn_ack] = syn_ack else { panic!("{syn_ack:?}") };
        let seen = parsed(syn_ack);
        assert_eq!((seen.flags, seen.acknowledged), (TcpFlags::SYN, Some(0xffff_ffff)));
        assert_eq!((seen.ends.from, seen.ends.to), (first.ends.to, first.ends.from));

        let (heard, says) = client_hears(syn_ack, NICS[0]).expect("a segment of its own");
        let [ack, fin] = &says[..] else { panic!("{says:?}") };
        assert_eq!(heard, Heard::Opened);
        assert_eq!(parsed(ack).flags, TcpFlags::NONE);
        assert_eq!(parsed(fin).flags, TcpFlags::FIN);
        assert_eq!(parsed(fin).sequence, 0xffff_ffff);
        assert!(real_hears(ack, CLIENT.0).is_empty());

        let says = real_hears(fin, CLIENT.0);
        let [fin_ack] = &says[..] else { panic!("{says:?}") };
        assert_eq!(parsed(fin_ack).acknowledged, Some(0));
        let (heard, says) = client_hears(fin_ack, NICS[0]).expect("a segment of its own");
        assert_eq!((heard, says.len()), (Heard::Closed(0xffff_fffe), 1));
        let last = parsed(&says[0]);
        assert_eq!(last.acknowledged, Some(REAL_SEQUENCE + 2));
        assert_eq!(last.ends, Ends { to_mac: NICS[0], ..first.ends });
        assert!(real_hears(&says[0], CLIENT.0).is_empty());
    }

    #[test]
    fn others_are_not_heard() {
        let mut datagram = vec![0; 2048];
        let mark = Mark { number: 1, sent_ns: 0 };
        let length = Template::new(Traffic::Flows(1), NICS[0]).write(mark, &mut datagram);
        for frame in [&datagram[..length], &[], &[0; 53]] {
            assert!(real_hears(frame, CLIENT.0).is_empty());
            assert_eq!(client_hears(frame, NICS[0]), None);
        }
    }
}
