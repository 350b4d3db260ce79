//! What a device that breaks the rules writes to its used rings.
//!
//! A lie is data: answers, and how far the ring is shown to have gone. Nothing is written but to the ring,
//! so whatever comes of it comes of what the guest believes.

use super::device::Ring;
use super::{VhostUser, lock};
use crate::Dice;
use vm_memory::GuestMemoryMmap;

/// Answers, and by how many places the index moves, whether or not so many are written.
#[derive(Clone, Copy, Debug)]
pub struct Lie {
    pub answers: &'static [Answer],
    pub step: u16,
}

/// An element of the used ring.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    pub named: Named,
    pub length: u32,
}

#[derive(Clone, Copy, Debug)]
pub enum Named {
    /// The chain that the guest gave first, second, … of those that nobody has taken.
    Chain(usize),
    /// This number, whatever it is.
    Number(u32),
}

impl VhostUser {
    /// Tells the guest this on one of its rings.
    ///
    /// # Errors
    /// When the guest has no such ring, or has not given as many chains as are named.
    pub fn lie(&mut self, at: usize, lie: &Lie) -> Result<(), String> {
        let mut device = lock(&self.device);
        let (ring, memory) = device.ring(at).ok_or("the ring is not in use")?;
        let chains = lie.answers.iter().filter_map(|answer| match answer.named {
            Named::Chain(at) => Some(at + 1),
            Named::Number(_) => None,
        });
        let chains = take(ring, memory, chains.max().unwrap_or(0))?;
        let first = ring.next_used();
        for (place, answer) in (0..).zip(lie.answers) {
            let id = match answer.named {
                Named::Chain(at) => u32::from(chains[at]),
                Named::Number(number) => number,
            };
            ring.write_used(memory, first.wrapping_add(place), [id, answer.length])?;
        }
        ring.show_used(memory, first.wrapping_add(lie.step))
    }

    /// Fills a used ring with answers of which chance has made a field or all, and shows some of them.
    ///
    /// # Errors
    /// When the guest has no such ring.
    pub fn babble(&mut self, at: usize, dice: &mut Dice) -> Result<(), String> {
        let mut device = lock(&self.device);
        let (ring, memory) = device.ring(at).ok_or("the ring is not in use")?;
        let first = ring.next_used();
        let any = |dice: &mut Dice| (dice.roll(1 << 16) << 16 | dice.roll(1 << 16)) as u32;
        for place in 0..256 {
            let id = if dice.roll(2) > 0 { dice.roll(256) as u32 } else { any(dice) };
            let length = if dice.roll(2) > 0 { dice.roll(2048) as u32 } else { any(dice) };
            ring.write_used(memory, first.wrapping_add(place), [id, length])?;
        }
        // One step alone may be the truth by chance; a whole ring is not.
        let step = if dice.roll(2) > 0 { 256 } else { 257 + dice.roll(1 << 15) };
        ring.show_used(memory, first.wrapping_add(step as u16))
    }
}

/// Heads of the next chains.
fn take(ring: &mut Ring, memory: &GuestMemoryMmap, count: usize) -> Result<Vec<u16>, String> {
    let chains: Vec<u16> =
        (0..count).map_while(|_| ring.take(memory)).map(|chain| chain.head_index()).collect();
    match chains.len() == count {
        true => Ok(chains),
        false => Err(format!("only {} of {count} chains are there", chains.len())),
    }
}
