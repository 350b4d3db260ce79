//! Mirrors: which are set, and that the port that one leads to is nothing else.

use super::Tables;
use crate::limits::MIRRORS_MAX;
use crate::switch::mirror::CopyEnd;
use crate::{Instant, MirrorSpec, Mirrors, Name, PortId, Refusal};

impl Tables {
    pub fn mirrors(&self) -> &Mirrors {
        &self.mirrors
    }

    pub(crate) fn count_copy(&mut self, mirror: usize, end: CopyEnd) {
        self.mirrors.count(mirror, end);
    }

    pub(super) fn set_mirror(&mut self, spec: &MirrorSpec, now: Instant) -> Result<(), Refusal> {
        self.port(spec.from).ok_or(Refusal::UnknownPort)?;
        let to = self.port(spec.to).ok_or(Refusal::UnknownPort)?;
        let has_guest = self.guests().any(|(_, guest)| guest.spec.port == spec.to);
        if has_guest || spec.from == spec.to {
            return Err(Refusal::MirrorsPort(to.name.clone()));
        }
        match self.mirrors.set(spec) {
            true => self.close_ports(now),
            false => return Err(Refusal::Full { table: "mirrors", max: MIRRORS_MAX }),
        }
        Ok(())
    }

    pub(super) fn delete_mirror(&mut self, name: &Name, now: Instant) {
        self.mirrors.delete(name);
        self.close_ports(now);
    }

    /// Whether a port may have a guest.
    pub(super) fn check_no_mirrors(&self, port: PortId) -> Result<(), Refusal> {
        let destination = self.port(port).filter(|_| self.mirrors.destinations().contains(port));
        destination.map_or(Ok(()), |port| Err(Refusal::MirrorsPort(port.name.clone())))
    }

    /// Closes the ports that are mirrors' now, and opens those that are no more.
    fn close_ports(&mut self, now: Instant) {
        let closed = self.closed();
        self.map_reach();
        if self.closed() != closed {
            self.announce(now);
        }
    }
}
