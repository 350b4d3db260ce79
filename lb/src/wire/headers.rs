//! All headers of a frame at once, for those who only look at it: who decides about frames reads one
//! after the other, as far as it needs, where the compiler keeps them in registers.

use super::arp::Arp;
use super::ethernet::ETHERTYPE_ARP;
use super::{Ethernet, Ip, Transport};
use crate::DropReason;

/// What a frame says of itself, as far as it can be read.
#[derive(Clone, Debug)]
pub struct Headers {
    pub ethernet: Ethernet,
    pub arp: Option<Arp>,
    /// What its ethertype promises, or what is wrong with it.
    pub ip: Option<Result<Ip, DropReason>>,
    /// Of a fragment only if it is the first.
    pub segment: Option<Transport>,
}

impl Headers {
    /// Those of a frame of `len` bytes that are in `head`; `None` if it is no frame.
    #[cold]
    #[inline(never)]
    pub fn read(head: &[u8], len: usize) -> Option<Headers> {
        let ethernet = Ethernet::parse(head).ok()?;
        let Ethernet { ethertype, payload_at, .. } = ethernet;
        let is_arp = ethertype == ETHERTYPE_ARP;
        let arp = is_arp.then(|| Arp::parse(head, payload_at).ok()).flatten();
        let ip = Ip::parse(head, len, payload_at, ethertype);
        let whole = ip.as_ref().and_then(|ip| ip.as_ref().ok()).filter(|ip| !ip.is_later_part());
        let segment = whole.and_then(|ip| Transport::parse(head, ip).ok());
        Some(Headers { ethernet, arp, ip, segment })
    }
}
