//! Frames as stations send them, from a few choices.

use std::net::IpAddr;

use lb::wire::ip::Version;
use lb::{MacAddr, Protocol};

use super::mend::mend;

pub const FRAGMENT: u8 = 44;
const DESTINATION_OPTIONS: u8 = 60;

/// Where a packet comes from and goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// 0 is untagged.
    pub vlan: u16,
    pub source_mac: MacAddr,
    pub destination_mac: MacAddr,
    pub source: (IpAddr, u16),
    pub destination: (IpAddr, u16),
}

/// What else a packet may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// TCP's flags.
    pub flags: u8,
    /// The last byte of TCP's sequence number.
    pub sequence: u8,
    pub payload_len: usize,
    pub options: Options,
    pub part: Option<Part>,
}

/// What stands between the IP header and what it carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Options {
    #[default]
    None,
    /// Harmless: NOPs, or an extension header of padding.
    Padding,
    /// IPv6: a fragment header of a whole packet.
    Atomic,
}

/// One fragment of a packet, in units of eight bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    pub identification: u8,
    pub offset: usize,
    pub len: usize,
    pub more: bool,
}

impl Ends {
    /// A segment or datagram.
    pub fn segment(&self, protocol: Protocol, shape: &Shape) -> Vec<u8> {
        let [source, destination] = [self.source.1, self.destination.1].map(u16::to_be_bytes);
        let mut header = [source, destination].concat();
        match protocol {
            Protocol::Tcp => {
                // What it acknowledges is the first SYN of all shapes, so that it may be refused.
                header.extend([0, 0, 3, shape.sequence, 0, 0, 3, 1]);
                header.extend([0x50, shape.flags, 16, 0, 0, 0, 0, 0]);
            }
            Protocol::Udp => header.extend([0; 4]),
        }
        header.extend((0..shape.payload_len).map(|at| at as u8));
        self.packet(protocol.number(), &header, shape.options, shape.part)
    }

    /// A packet of any protocol. Its sums are those of the whole, also in a fragment.
    pub fn packet(
        &self,
        protocol: u8,
        payload: &[u8],
        options: Options,
        part: Option<Part>,
    ) -> Vec<u8> {
        let whole = match Version::of(self.source.0) {
            Version::V4 => self.ipv4(protocol, payload, options),
            Version::V6 => self.ipv6(protocol, payload, options),
        };
        match part {
            Some(part) => self.cut(&whole, payload.len(), part),
            None => whole,
        }
    }

    /// ARP between the ends.
    pub fn arp(&self, operation: u8) -> Vec<u8> {
        let mut frame = self.link(0x0806);
        frame.extend([0, 1, 8, 0, 6, 4, 0, operation]);
        frame.extend(self.source_mac.0);
        frame.extend(octets(self.source.0));
        frame.extend(if operation == 1 { [0; 6] } else { self.destination_mac.0 });
        frame.extend(octets(self.destination.0));
        frame
    }

    fn ipv4(&self, protocol: u8, payload: &[u8], options: Options) -> Vec<u8> {
        let mut frame = self.link(0x0800);
        let options: &[u8] = match options {
            Options::None | Options::Atomic => &[],
            Options::Padding => &[1, 1, 1, 0],
        };
        let first = 0x45 + options.len() as u8 / 4;
        frame.extend([first, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0]);
        frame.extend(octets(self.source.0));
        frame.extend(octets(self.destination.0));
        frame.extend(options);
        frame.extend(payload);
        mend(&mut frame);
        frame
    }

    fn ipv6(&self, protocol: u8, payload: &[u8], options: Options) -> Vec<u8> {
        let mut frame = self.link(0x86dd);
        let (next, extension): (u8, &[u8]) = match options {
            Options::None => (protocol, &[]),
            Options::Padding => (DESTINATION_OPTIONS, &[protocol, 0, 1, 4, 0, 0, 0, 0]),
            Options::Atomic => (FRAGMENT, &[protocol, 0, 0, 0, 0, 0, 0, 9]),
        };
        // Neighbor discovery asks for 255 hops.
        frame.extend([0x60, 0, 0, 0, 0, 0, next, 255]);
        frame.extend(octets(self.source.0));
        frame.extend(octets(self.destination.0));
        frame.extend(extension);
        frame.extend(payload);
        mend(&mut frame);
        frame
    }

    /// Takes one fragment out of a whole packet.
    fn cut(&self, whole: &[u8], payload_len: usize, part: Part) -> Vec<u8> {
        let (headers, payload) = whole.split_at(whole.len() - payload_len);
        let from = (part.offset * 8).min(payload.len());
        let to = (from + part.len * 8).min(payload.len());
        let at = self.link_len();
        let mut frame = headers.to_vec();
        match Version::of(self.source.0) {
            Version::V4 => {
                let word = (from / 8) as u16 | u16::from(part.more) << 13;
                frame[at + 5] = part.identification;
                frame[at + 6..at + 8].copy_from_slice(&word.to_be_bytes());
            }
            Version::V6 => {
                let word = (from as u16) | u16::from(part.more);
                let [high, low] = word.to_be_bytes();
                let next = std::mem::replace(&mut frame[at + 6], FRAGMENT);
                let header = [next, 0, high, low, 0, 0, 0, part.identification];
                frame.splice(at + 40..at + 40, header);
            }
        }
        frame.extend(&payload[from..to]);
        mend(&mut frame);
        frame
    }

    fn link(&self, ethertype: u16) -> Vec<u8> {
        let mut frame = [self.destination_mac.0, self.source_mac.0].concat();
        if self.vlan != 0 {
            frame.extend([0x81, 0]);
            frame.extend(self.vlan.to_be_bytes());
        }
        frame.extend(ethertype.to_be_bytes());
        frame
    }

    fn link_len(&self) -> usize {
        if self.vlan == 0 { 14 } else { 18 }
    }
}

pub fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().into(),
        IpAddr::V6(address) => address.octets().into(),
    }
}
