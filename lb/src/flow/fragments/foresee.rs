//! What would become of a fragment: the questions of [`Fragments::first`] and [`Fragments::later`],
//! asked without entering it.

use super::datagram::{Datagram, Fate};
use super::shares::Room;
use super::{DatagramKey, Fragment, Fragments, HELD_BYTES_MAX, Later, Refused};
use crate::Instant;

/// The datagram of a fragment, as it would be with it.
struct Joined<T> {
    datagram: Datagram<T>,
    /// Where it lies, if it was there before.
    at: Option<usize>,
    /// Another goes for it, and held frames go with that.
    frees_held: bool,
}

impl<T: Copy> Fragments<T> {
    /// What [`Fragments::first`] would say.
    pub fn foresee_first(
        &self,
        key: &DatagramKey,
        fragment: Fragment,
        now: Instant,
    ) -> Result<(), Refused> {
        self.join(key, fragment, now).map(|_| ())
    }

    /// What [`Fragments::later`] would say, of a frame of this length.
    pub fn foresee_later(
        &self,
        key: &DatagramKey,
        fragment: Fragment,
        frame_len: usize,
        now: Instant,
    ) -> Result<Later<T>, Refused> {
        let joined = self.join(key, fragment, now)?;
        match joined.datagram.fate {
            Fate::Decided(decision) => Ok(Later::Decided(decision)),
            Fate::Open if self.can_hold(key, &joined, frame_len) => Ok(Later::Held),
            Fate::Open | Fate::Spoiled => Err(Refused),
        }
    }

    fn join(
        &self,
        key: &DatagramKey,
        fragment: Fragment,
        now: Instant,
    ) -> Result<Joined<T>, Refused> {
        let known = self.find(key);
        let at = known.filter(|&at| !self.is_expired(at, now));
        let kept = at.and_then(|at| self.places[at].as_ref());
        let (mut datagram, goes) = match (kept, known) {
            (Some(kept), _) => (kept.clone(), None),
            // What is over leaves its place and its share to the next.
            (None, Some(over)) => (Datagram::new(*key, now), Some(over)),
            (None, None) => (Datagram::new(*key, now), self.gives_way(key)?),
        };
        datagram.receive(fragment)?;
        let gone = goes.and_then(|at| self.places[at].as_ref());
        Ok(Joined { datagram, at, frees_held: gone.is_some_and(|gone| gone.held.is_some()) })
    }

    /// Who goes for a new datagram, if anybody has to.
    fn gives_way(&self, key: &DatagramKey) -> Result<Option<usize>, Refused> {
        let has_place = self.free_place(key).is_some();
        let is_near = |at: usize| self.buckets_of(key).iter().any(|bucket| bucket.contains(&at));
        match self.shares.room(key.ingress) {
            Room::Free if has_place => Ok(None),
            Room::After(oldest) if has_place || is_near(oldest) => Ok(Some(oldest)),
            Room::Free | Room::After(_) | Room::None => Err(Refused),
        }
    }

    fn can_hold(&self, key: &DatagramKey, joined: &Joined<T>, frame_len: usize) -> bool {
        match self.held.room(key.ingress, frame_len) {
            _ if joined.frees_held => frame_len <= HELD_BYTES_MAX,
            Room::Free => true,
            // One of this very datagram takes all of it along.
            Room::After(oldest) => joined.at.is_none() || self.held.owner(oldest) != joined.at,
            Room::None => false,
        }
    }
}
