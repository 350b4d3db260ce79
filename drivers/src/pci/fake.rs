//! A configuration space for tests: functions that are there, and registers that hold what real
//! ones would.

use super::{Address, ConfigurationAccess, NarrowAccess};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

pub const COMMAND: u8 = 0x04;
const BAR_FIRST: u8 = 0x10;
const BAR_LAST: u8 = 0x24;

#[derive(Clone, Default)]
pub struct FakeConfig(Rc<RefCell<BTreeMap<Address, Function>>>);

/// The 64 registers of a function.
#[derive(Clone)]
pub struct Function {
    pub words: [u32; 64],
    /// Of each BAR, the bits that can be set.
    pub bar_masks: [u32; 6],
    /// What a slot does when its control or status is written, and where those are.
    pub slot: Option<(u8, SlotRule)>,
}

/// From what stands there and what is written to what stands there then.
pub type SlotRule = fn(u32, u32) -> u32;

const WINDOW: u8 = 0x20;

pub fn address(bus: u8, device: u8, function: u8) -> Address {
    Address { bus, device, function }
}

impl Function {
    pub fn new(vendor: u16, device: u16, class: u8) -> Function {
        let mut words = [0; 64];
        words[0] = u32::from(device) << 16 | u32::from(vendor);
        words[2] = u32::from(class) << 24;
        // IRQ 11 at pin A.
        words[15] = 0x010b;
        Function { words, bar_masks: [0; 6], slot: None }
    }

    pub fn bridge(secondary: u8) -> Function {
        let mut bridge = Function::new(0x1b36, 0x0001, 0x06);
        bridge.words[3] = 1 << 16;
        bridge.words[6] = u32::from(secondary) << 8;
        bridge
    }

    pub fn multifunction(mut self) -> Function {
        self.words[3] |= 0x80 << 16;
        self
    }
}

impl FakeConfig {
    pub fn insert(&self, address: Address, function: Function) {
        self.0.borrow_mut().insert(address, function);
    }

    pub fn remove(&self, address: Address) {
        self.0.borrow_mut().remove(&address);
    }

    /// Has a function's register say something else by itself.
    pub fn set(&self, address: Address, register: u8, word: u32) {
        let mut functions = self.0.borrow_mut();
        let function = functions.get_mut(&address).expect("somebody is there");
        function.words[usize::from(register / 4)] = word;
    }

    pub fn word(&self, address: Address, register: u8) -> u32 {
        self.0.borrow()[&address].words[usize::from(register / 4)]
    }
}

impl ConfigurationAccess for FakeConfig {
    fn read_word(&self, address: Address, register: u8) -> u32 {
        assert!(address.valid() && register.is_multiple_of(4));
        let functions = self.0.borrow();
        functions.get(&address).map_or(u32::MAX, |it| it.words[usize::from(register / 4)])
    }

    fn write_word(&mut self, address: Address, register: u8, data: u32) {
        let mut functions = self.0.borrow_mut();
        let function = functions.get_mut(&address).expect("somebody is there");
        let is_bridge = function.words[3] >> 16 & 0x7f == 1;
        let word = &mut function.words[usize::from(register / 4)];
        match register {
            WINDOW if is_bridge => *word = data,
            _ if function.slot.is_some_and(|(at, _)| at == register) => {
                let (_, rule) = function.slot.expect("as was just seen");
                *word = rule(*word, data);
            }
            COMMAND => *word = *word & 0xffff_0000 | data & 0xffff,
            BAR_FIRST..=BAR_LAST => {
                let mask = function.bar_masks[usize::from((register - BAR_FIRST) / 4)];
                // The lowest bits say what the BAR is and cannot be set.
                *word = data & mask | *word & 0xf & !mask;
            }
            _ => panic!("register {register:#x} is not ours to write"),
        }
    }

    unsafe fn unsafe_clone(&self) -> FakeConfig {
        self.clone()
    }
}

impl NarrowAccess for FakeConfig {
    fn write_half(&mut self, address: Address, register: u8, half: u16) {
        self.set(address, register, half.into());
    }

    fn write_byte(&mut self, address: Address, register: u8, byte: u8) {
        self.set(address, register, byte.into());
    }
}
