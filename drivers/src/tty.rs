//! What a wire to a person or a program can do: carry bytes both ways, without waiting.

use crate::nic::RingFault;

pub trait Tty {
    /// A byte, if one has come.
    fn read(&mut self) -> Option<u8>;

    /// Takes as many bytes as there is room for and says how many.
    fn write(&mut self, bytes: &[u8]) -> usize;

    /// The rule that the device behind it broke. It was stopped; nothing comes from it any more, and
    /// what is written goes nowhere.
    fn fault(&self) -> Option<RingFault> {
        None
    }
}
