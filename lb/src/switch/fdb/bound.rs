//! What an operator says of an address: where a guest is, and where a static address is.

use super::{Fdb, FdbEntry, FdbKind, Key};
use crate::{Instant, MacAddr, PortId};

impl Fdb {
    /// Binds a guest's address to its port, wherever it was learned before; VLAN 0 stands for all.
    /// A bucket full of bound addresses leaves this one to be learned and flooded to.
    pub fn pin(&mut self, mac: MacAddr, vlan: u16, port: PortId, now: Instant) {
        if vlan == 0 {
            self.forget_learned(|entry| entry.mac == mac);
        }
        let _ = self.bind(FdbEntry { mac, vlan, port, kind: FdbKind::Pinned, seen: now });
    }

    /// Takes back what [`Fdb::pin`] did, and what it let be learned.
    pub fn unpin(&mut self, mac: MacAddr, vlan: u16) {
        self.unbind(mac, vlan, FdbKind::Pinned);
        if vlan == 0 {
            self.forget_learned(|entry| entry.mac == mac);
        }
    }

    /// Binds an address of one VLAN to a port; `false` if its bucket is full of such.
    pub fn set_static(&mut self, mac: MacAddr, vlan: u16, port: PortId, now: Instant) -> bool {
        self.bind(FdbEntry { mac, vlan, port, kind: FdbKind::Static, seen: now })
    }

    pub fn delete_static(&mut self, mac: MacAddr, vlan: u16) {
        self.unbind(mac, vlan, FdbKind::Static);
    }

    /// The port of a guest that is pinned in all VLANs.
    pub(super) fn pinned_in_all(&self, mac: MacAddr) -> Option<PortId> {
        let key = Key::of(mac, 0)?;
        let bucket = &self.buckets[self.bucket_of(key)];
        let place = &bucket.places[bucket.find(key)?];
        (place.kind == FdbKind::Pinned).then_some(place.port)
    }

    /// Puts an entry that nobody moves where its key belongs; `false` if there is no place.
    fn bind(&mut self, entry: FdbEntry) -> bool {
        let Some(key) = Key::of(entry.mac, entry.vlan) else {
            return false;
        };
        let at = self.bucket_of(key);
        if let Some(way) = self.buckets[at].find(key) {
            self.clear(at, way);
        }
        let bucket = self.buckets[at].entries();
        let learned =
            |entry: &Option<FdbEntry>| entry.is_some_and(|entry| entry.kind == FdbKind::Learned);
        let free = bucket.iter().position(Option::is_none);
        let way = free.or_else(|| bucket.iter().position(learned));
        way.map(|way| self.replace(at, way, entry)).is_some()
    }

    fn unbind(&mut self, mac: MacAddr, vlan: u16, kind: FdbKind) {
        let Some(key) = Key::of(mac, vlan) else {
            return;
        };
        let at = self.bucket_of(key);
        let bucket = &self.buckets[at];
        if let Some(way) = bucket.find(key).filter(|&way| bucket.places[way].kind == kind) {
            self.clear(at, way);
        }
    }
}
