//! DHCP messages (RFC 2131, RFC 2132), as far as a client of one address says and reads them.
//!
//! ```text
//!   op htype hlen hops │ transaction │ … │ client, yours, server, relay │ client's MAC │ … │ cookie │ options
//!   0                  │ 4           │   │ 12     16                    │ 28           │   │ 236    │ 240
//! ```

use core::net::Ipv4Addr;

use super::{bytes_at, put};
use crate::MacAddr;

/// UDP ports (RFC 2131 §4.1).
pub const SERVER_PORT: u16 = 67;
pub const CLIENT_PORT: u16 = 68;

/// Bytes of a question: the least that relays of BOOTP take (RFC 951 §3).
const QUESTION_BYTES: usize = 300;
const TRANSACTION_AT: usize = 4;
const OWN_AT: usize = 12;
const YOURS_AT: usize = 16;
const MAC_AT: usize = 28;
const COOKIE_AT: usize = 236;
const COOKIE: [u8; 4] = [0x63, 0x82, 0x53, 0x63];
/// Ethernet, and how long its addresses are.
const HARDWARE: [u8; 2] = [1, 6];
const QUESTION: u8 = 1;
const ANSWER: u8 = 2;

// Options (RFC 2132).
const PAD: u8 = 0;
const MASK: u8 = 1;
const ROUTER: u8 = 3;
const REQUESTED: u8 = 50;
const LEASE_TIME: u8 = 51;
const KIND: u8 = 53;
const SERVER: u8 = 54;
const PARAMETERS: u8 = 55;
const RENEWAL_TIME: u8 = 58;
const REBINDING_TIME: u8 = 59;
const CLIENT: u8 = 61;
const END: u8 = 255;

/// What a client asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Who lends an address?
    Discover,
    /// The one that this server has offered.
    Offered { address: Ipv4Addr, server: Ipv4Addr },
    /// To keep its own.
    Own(Ipv4Addr),
}

/// What a server says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    Offer,
    Ack,
    Nak,
}

/// A server's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    pub said: Said,
    pub transaction: u32,
    pub address: Ipv4Addr,
    pub server: Option<Ipv4Addr>,
    pub mask: Option<Ipv4Addr>,
    /// The first one.
    pub router: Option<Ipv4Addr>,
    pub lease_s: Option<u32>,
    pub renewal_s: Option<u32>,
    pub rebinding_s: Option<u32>,
}

impl Asked {
    /// The message as it is sent.
    pub fn message(self, mac: MacAddr, transaction: u32) -> [u8; QUESTION_BYTES] {
        let mut message = [0; QUESTION_BYTES];
        message[0] = QUESTION;
        put(&mut message, 1, HARDWARE);
        put(&mut message, TRANSACTION_AT, transaction.to_be_bytes());
        put(&mut message, MAC_AT, mac.0);
        put(&mut message, COOKIE_AT, COOKIE);
        let kind = if self == Asked::Discover { 1 } else { 3 };
        let mut at = COOKIE_AT + COOKIE.len();
        let mut option = |option: u8, value: &[u8]| {
            message[at..at + 2].copy_from_slice(&[option, value.len() as u8]);
            message[at + 2..at + 2 + value.len()].copy_from_slice(value);
            at += 2 + value.len();
        };
        option(KIND, &[kind]);
        let [a, b, c, d, e, f] = mac.0;
        option(CLIENT, &[HARDWARE[0], a, b, c, d, e, f]);
        option(PARAMETERS, &[MASK, ROUTER]);
        if let Asked::Offered { address, server } = self {
            option(REQUESTED, &address.octets());
            option(SERVER, &server.octets());
        }
        message[at] = END;
        if let Asked::Own(address) = self {
            put(&mut message, OWN_AT, address.octets());
        }
        message
    }
}

/// Whether a datagram's payload is a server's answer to whoever has this MAC, by its place alone.
pub fn is_answer_to(message: &[u8], mac: MacAddr) -> bool {
    message.first() == Some(&ANSWER) && bytes_at(message, MAC_AT) == Some(mac.0)
}

impl Answer {
    /// Reads a message of which [`is_answer_to`] holds; `None` if it is none that a client waits for.
    pub fn parse(message: &[u8]) -> Option<Answer> {
        let is_dhcp = bytes_at(message, 1) == Some(HARDWARE);
        let mut options = message.get(COOKIE_AT..)?.strip_prefix(&COOKIE).filter(|_| is_dhcp)?;
        let mut said = None;
        let mut answer = Answer {
            said: Said::Nak,
            transaction: u32::from_be_bytes(bytes_at(message, TRANSACTION_AT)?),
            address: Ipv4Addr::from_octets(bytes_at(message, YOURS_AT)?),
            server: None,
            mask: None,
            router: None,
            lease_s: None,
            renewal_s: None,
            rebinding_s: None,
        };
        while let [option, rest @ ..] = options {
            let (&option, [len, rest @ ..]) = (option, rest) else {
                // An end needs no length.
                break;
            };
            match option {
                PAD => {
                    options = &options[1..];
                    continue;
                }
                END => break,
                _ => {}
            }
            let value = rest.get(..usize::from(*len))?;
            options = &rest[value.len()..];
            let word = bytes_at(value, 0);
            let (address, number) = (word.map(Ipv4Addr::from_octets), word.map(u32::from_be_bytes));
            match option {
                KIND => said = value.first().copied(),
                SERVER => answer.server = address,
                MASK => answer.mask = address,
                ROUTER => answer.router = address,
                LEASE_TIME => answer.lease_s = number,
                RENEWAL_TIME => answer.renewal_s = number,
                REBINDING_TIME => answer.rebinding_s = number,
                _ => {}
            }
        }
        answer.said = match said? {
            2 => Said::Offer,
            5 => Said::Ack,
            6 => Said::Nak,
            _ => return None,
        };
        Some(answer)
    }

    /// How long the network's prefix is; `None` if there is no such.
    pub fn prefix_len(&self) -> Option<u8> {
        let bits = self.mask?.to_bits();
        let len = bits.leading_ones();
        (bits.count_ones() == len).then_some(len as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const MAC: MacAddr = MacAddr([2, 0x6e, 6, 0xaa, 0, 0]);

    /// An answer with these options.
    fn answer(options: &[u8]) -> Vec<u8> {
        let mut message = Asked::Discover.message(MAC, 7).to_vec();
        message.truncate(COOKIE_AT + COOKIE.len());
        message[0] = ANSWER;
        put(&mut message, YOURS_AT, [10, 0, 2, 77]);
        message.extend(options);
        message
    }

    #[test]
    fn what_a_server_says() {
        let message = answer(&[
            PAD,
            KIND,
            1,
            5,
            SERVER,
            4,
            10,
            0,
            2,
            2,
            MASK,
            4,
            255,
            255,
            254,
            0,
            ROUTER,
            8,
            10,
            0,
            2,
            1,
            10,
            0,
            2,
            3,
            LEASE_TIME,
            4,
            0,
            0,
            2,
            88,
            RENEWAL_TIME,
            2,
            1,
            2,
            99,
            0,
            END,
            1,
        ]);
        assert!(is_answer_to(&message, MAC) && !is_answer_to(&message, MacAddr::SWITCH));
        let read = Answer::parse(&message).unwrap();
        let expected = Answer {
            said: Said::Ack,
            transaction: 7,
            address: Ipv4Addr::new(10, 0, 2, 77),
            server: Some(Ipv4Addr::new(10, 0, 2, 2)),
            mask: Some(Ipv4Addr::new(255, 255, 254, 0)),
            router: Some(Ipv4Addr::new(10, 0, 2, 1)),
            lease_s: Some(600),
            renewal_s: None,
            rebinding_s: None,
        };
        assert_eq!((read, read.prefix_len()), (expected, Some(23)));
        let odd = Answer { mask: Some(Ipv4Addr::new(255, 0, 255, 0)), ..read };
        assert_eq!(odd.prefix_len(), None);
    }

    #[test]
    fn what_is_no_answer() {
        assert!(!is_answer_to(&Asked::Discover.message(MAC, 7), MAC), "a question");
        for (what, options) in [
            ("nothing said", &[][..]),
            ("no kind", &[END]),
            ("another kind", &[KIND, 1, 3, END]),
            ("an empty kind", &[KIND, 0, END]),
            ("cut short", &[KIND, 1, 5, SERVER, 4, 10, 0, 2]),
            ("a length beyond the end", &[KIND, 1, 5, 99, 255, END]),
        ] {
            assert_eq!(Answer::parse(&answer(options)), None, "{what}");
        }
        let good = answer(&[KIND, 1, 5, END]);
        assert!(Answer::parse(&good).is_some());
        for len in 0..good.len() - 1 {
            assert_eq!(Answer::parse(&good[..len]), None, "{len} bytes");
        }
        for at in [1, 2, COOKIE_AT] {
            let mut bad = good.clone();
            bad[at] ^= 4;
            assert_eq!(Answer::parse(&bad), None, "byte {at}");
        }
    }
}
