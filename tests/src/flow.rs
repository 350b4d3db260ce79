//! A TCP connection through a VIP, with both of its ends in the test's hands.
//!
//! Whatever one end sends must arrive at the other with exactly the addresses that the switch owes
//! it, and not another byte changed. The ends keep sequence numbers like any stack; nothing is ever
//! lost on these wires, so nothing is ever sent again.

use std::net::SocketAddrV4;

use lb::MacAddr;

use crate::frame::{Ends, Frame, Tcp, TcpFlags};
use crate::station::Station;

/// An open connection.
pub struct TcpFlow {
    pub client: Station,
    pub real: Station,
    /// What the client sends, as the client and as the real see it.
    pub at_client: Ends,
    pub at_real: Ends,
    client_sequence: u32,
    real_sequence: u32,
}

/// Where a service is: its address, and the port at which its reals listen.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    pub vip: SocketAddrV4,
    pub real_port: u16,
}

const CLIENT_ISN: u32 = u32::MAX - 2;
const REAL_ISN: u32 = 0x1000_0000;

impl TcpFlow {
    /// Opens a connection from `port` of the client; one of the reals gets it.
    #[track_caller]
    pub fn open(client: &Station, port: u16, target: Target, reals: &[&Station]) -> TcpFlow {
        let at_client = Ends {
            from_mac: client.mac,
            to_mac: MacAddr::virtual_of((*target.vip.ip()).into()),
            from: SocketAddrV4::new(client.address, port),
            to: target.vip,
        };
        let syn = Tcp {
            ends: at_client,
            sequence: CLIENT_ISN,
            acknowledged: None,
            flags: TcpFlags::SYN,
            payload: vec![],
        };
        client.send(syn.clone());
        let (real, seen) = Station::first_of(reals, "SYN");
        let at_real = delivered(at_client, client, real, target.real_port);
        assert_eq!(seen, Frame::Tcp(Tcp { ends: at_real, ..syn }), "the SYN at {real:?}");
        let mut flow = TcpFlow {
            client: client.clone(),
            real: real.clone(),
            at_client,
            at_real,
            client_sequence: CLIENT_ISN.wrapping_add(1),
            real_sequence: REAL_ISN,
        };
        flow.real_sends(TcpFlags::SYN, &[]);
        flow.client_sends(TcpFlags::NONE, &[]);
        flow
    }

    #[track_caller]
    pub fn client_says(&mut self, payload: &[u8]) {
        self.client_sends(TcpFlags::PSH, payload);
    }

    #[track_caller]
    pub fn real_says(&mut self, payload: &[u8]) {
        self.real_sends(TcpFlags::PSH, payload);
    }

    /// Both ends say goodbye, the client first.
    #[track_caller]
    pub fn close(mut self) {
        self.client_sends(TcpFlags::FIN, &[]);
        self.real_sends(TcpFlags::FIN, &[]);
        self.client_sends(TcpFlags::NONE, &[]);
    }

    /// The client has had enough.
    #[track_caller]
    pub fn reset(mut self) {
        self.client_sends(TcpFlags::RST, &[]);
    }

    #[track_caller]
    fn client_sends(&mut self, flags: TcpFlags, payload: &[u8]) {
        let segment = Tcp {
            ends: self.at_client,
            sequence: self.client_sequence,
            acknowledged: Some(self.real_sequence),
            flags,
            payload: payload.to_vec(),
        };
        self.client_sequence = after(&segment);
        self.client.send(segment.clone());
        self.real.expect(Tcp { ends: self.at_real, ..segment });
    }

    #[track_caller]
    fn real_sends(&mut self, flags: TcpFlags, payload: &[u8]) {
        // A stack answers to where it learnt the sender's MAC, and the switch takes either.
        let segment = Tcp {
            ends: Ends { to_mac: self.next_hop(), ..self.at_real.back() },
            sequence: self.real_sequence,
            acknowledged: Some(self.client_sequence),
            flags,
            payload: payload.to_vec(),
        };
        self.real_sequence = after(&segment);
        self.real.send(segment.clone());
        self.client.expect(Tcp { ends: self.at_client.back(), ..segment });
    }

    /// The MAC to which the real's stack sends: that of the client, which it has by ARP, or the
    /// switch's for the switch's own address.
    fn next_hop(&self) -> MacAddr {
        if *self.at_real.from.ip() == self.client.address {
            self.client.mac
        } else {
            MacAddr::SWITCH
        }
    }
}

/// What a packet of a client to a VIP is at the chosen real: its MAC, address and port, from the
/// switch's MAC; and a guest that is given its own flow sees the switch's address as the client.
pub fn delivered(sent: Ends, client: &Station, real: &Station, real_port: u16) -> Ends {
    let own = client.port == real.port;
    let from = if own { lb::addr::LINK_LOCAL } else { *sent.from.ip() };
    Ends {
        from_mac: MacAddr::SWITCH,
        to_mac: real.mac,
        from: SocketAddrV4::new(from, sent.from.port()),
        to: SocketAddrV4::new(real.address, real_port),
    }
}

/// The sequence number after this segment; SYN and FIN count as one byte (RFC 9293, 3.4).
fn after(segment: &Tcp) -> u32 {
    let length = segment.payload.len() as u32;
    let flags = u32::from(segment.flags.syn) + u32::from(segment.flags.fin);
    segment.sequence.wrapping_add(length + flags)
}
