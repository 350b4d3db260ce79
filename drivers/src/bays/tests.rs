use super::*;
use crate::nic::NicState;
use crate::pci::fake::{FakeConfig, Function, address};
use std::cell::RefCell;
use std::rc::Rc;

/// Where the port of PCI Express has its capability, and the slot's registers.
const CAPABILITY: u8 = 0x40;
const SLOT: u8 = CAPABILITY + 0x18;
const PRESSED: u32 = 1 << 16;
const PRESENT: u32 = 1 << 22;
const POWER_OFF: u32 = 1 << 10;
const EVENTS: u32 = 0x1f << 16;
const COMMAND: u8 = 4;

/// As QEMU's root port is: events are cleared by ones, presence is nobody's to write.
fn slot_rule(now: u32, written: u32) -> u32 {
    now & !(written & EVENTS) & 0xffff_0000 | written & 0xffff
}

/// A port at slot 3 of the first bus, with bus 1 behind it.
fn port(slot: u32) -> Function {
    let mut port = Function::bridge(1);
    port.words[1] = 1 << 20;
    port.words[0x34 / 4] = CAPABILITY.into();
    let root_port_with_slot = 0x0142 << 16;
    port.words[usize::from(CAPABILITY) / 4] = root_port_with_slot | 0x10;
    port.words[usize::from(CAPABILITY + 0x14) / 4] = 1 << 6;
    port.words[usize::from(SLOT) / 4] = slot;
    port.words[8] = 0xfe30_fe20;
    port.slot = Some((SLOT, slot_rule));
    port
}

/// A network controller that no driver knows: what matters here is who is told what.
fn stranger() -> Function {
    let mut nic = Function::new(0x8086, 0x0001, 0x02);
    nic.bar_masks[0] = 0xffff_f000;
    nic
}

fn pool() -> &'static Pool {
    Pool::new(1)
}

fn look(bays: &mut Bays<FakeConfig>, pool: &'static Pool) -> Vec<News> {
    // SAFETY: no driver is given any of these devices; there are no registers behind their BARs.
    unsafe { bays.look_at_all(pool, 8, u64::MAX) }
}

fn came(news: &[News]) -> Vec<(Address, &Absent)> {
    let came = news.iter().map(|news| match news {
        News::Came(Found { address, result: Err(reason), .. }) => (*address, reason),
        News::Came(_) | News::Left(_) => panic!("there is no driver for it"),
    });
    came.collect()
}

const UNKNOWN: Absent = Absent::NoDriver { vendor: 0x8086, device: 1 };

#[test]
fn who_is_there_at_the_start_is_met_in_order_and_once() {
    let config = FakeConfig::default();
    config.insert(address(0, 3, 0), port(PRESENT));
    config.insert(address(1, 0, 0), stranger());
    config.insert(address(0, 2, 0), stranger());
    config.insert(address(0, 2, 1), Function::new(0x1234, 0x1111, 0x03));
    let mut bays = Bays::find(Bus::new(config.clone()), None, &[]);
    assert_eq!(bays.empty().count(), 0);
    let pool = pool();
    let news = look(&mut bays, pool);
    assert_eq!(came(&news), [(address(0, 2, 0), &UNKNOWN), (address(1, 0, 0), &UNKNOWN)]);
    assert!(look(&mut bays, pool).is_empty(), "once");
}

#[test]
fn a_slot_of_pci_express_is_switched_on_and_off() {
    let config = FakeConfig::default();
    let at = address(0, 3, 0);
    config.insert(at, port(POWER_OFF));
    let mut bays = Bays::find(Bus::new(config.clone()), None, &[]);
    assert_eq!(bays.empty().collect::<Vec<_>>(), [address(1, 0, 0)]);
    let pool = pool();
    assert!(look(&mut bays, pool).is_empty());
    for _ in 0..3 {
        // Somebody is put in, as QEMU says it: presence, a change of it, and the button.
        config.insert(address(1, 0, 0), stranger());
        config.set(at, SLOT, POWER_OFF | PRESENT | PRESSED | 1 << 19);
        assert!(look(&mut bays, pool).is_empty(), "it is switched on first");
        assert_eq!(config.word(at, SLOT) & (POWER_OFF | EVENTS), 0, "and what told of it is over");
        assert_eq!(came(&look(&mut bays, pool)), [(address(1, 0, 0), &UNKNOWN)]);
        assert_eq!(config.word(address(1, 0, 0), 0x10), 0xfe20_0000, "its registers have a place");
        config.set(address(1, 0, 0), COMMAND, 7);
        assert!(look(&mut bays, pool).is_empty());

        config.set(at, SLOT, config.word(at, SLOT) | PRESSED);
        assert!(look(&mut bays, pool).is_empty(), "nobody has it");
        assert_eq!(config.word(address(1, 0, 0), COMMAND), 0, "it reaches no memory");
        assert_eq!(config.word(at, SLOT) & (POWER_OFF | PRESSED), POWER_OFF);
        // A card stays in until somebody pulls it.
        assert!(look(&mut bays, pool).is_empty());
        assert_eq!(config.word(at, SLOT) & POWER_OFF, POWER_OFF);
        config.remove(address(1, 0, 0));
        config.set(at, SLOT, POWER_OFF);
        assert!(look(&mut bays, pool).is_empty());
    }
}

#[test]
fn a_device_that_is_pulled_out_is_missed() {
    let config = FakeConfig::default();
    let at = address(0, 3, 0);
    config.insert(at, port(PRESENT));
    config.insert(address(1, 0, 0), stranger());
    let mut bays = Bays::find(Bus::new(config.clone()), None, &[]);
    let pool = pool();
    look(&mut bays, pool);
    config.remove(address(1, 0, 0));
    config.set(at, SLOT, 1 << 19);
    assert!(look(&mut bays, pool).is_empty(), "nobody had it");
    assert_eq!(config.word(at, SLOT) & POWER_OFF, POWER_OFF, "ready for the next one");
    assert!(look(&mut bays, pool).is_empty());
}

#[derive(Default)]
struct FakeEjector {
    leaving: Rc<RefCell<Vec<(u32, u8)>>>,
    config: FakeConfig,
}

impl Ejector for FakeEjector {
    fn leaving(&mut self, selector: u32) -> u32 {
        let leaving = self.leaving.borrow();
        leaving.iter().filter(|(its, _)| *its == selector).map(|(_, slot)| 1 << slot).sum()
    }

    fn eject(&mut self, selector: u32, slot: u8) {
        self.leaving.borrow_mut().retain(|it| *it != (selector, slot));
        assert_eq!(selector, 7);
        self.config.remove(address(2, slot, 0));
    }
}

/// A bridge of PCI, whose bus ACPI calls 7, has 32 slots; what else is in them is nobody's business.
#[test]
fn slots_that_acpi_opens() {
    let config = FakeConfig::default();
    let mut bridge = Function::bridge(2);
    bridge.words[8] = 0xfe30_fe20;
    config.insert(address(0, 9, 0), bridge);
    config.insert(address(2, 1, 0), stranger());
    config.insert(address(2, 2, 0), Function::new(0x1234, 0x1111, 0x03));
    let leaving = Rc::new(RefCell::new(Vec::new()));
    let ejector = FakeEjector { leaving: leaving.clone(), config: config.clone() };
    let path = BusPath::from_slice(&[(9, 0)]).unwrap();
    let nowhere = BusPath::from_slice(&[(8, 0)]).unwrap();
    let selectors = [Selector { path, number: 7 }, Selector { path: nowhere, number: 8 }];
    let mut bays = Bays::find(Bus::new(config.clone()), Some(Box::new(ejector)), &selectors);
    assert_eq!(bays.empty().count(), 30);
    let pool = pool();
    assert_eq!(came(&look(&mut bays, pool)), [(address(2, 1, 0), &UNKNOWN)]);

    config.insert(address(2, 30, 0), stranger());
    let news = look(&mut bays, pool);
    assert_eq!(came(&news), [(address(2, 30, 0), &UNKNOWN)]);
    let line = |news: &News| match news {
        News::Came(found) => found.irq_line,
        News::Left(_) => None,
    };
    assert_eq!(line(&news[0]), Some(11), "as it says itself");

    leaving.borrow_mut().extend([(7, 1), (8, 30)]);
    assert!(look(&mut bays, pool).is_empty());
    assert_eq!(*leaving.borrow(), [(8, 30)], "that bus is not known");
    assert_eq!(bays.empty().count(), 30);
}

/// More NICs than there are buffers for are refused, and nothing of them is touched.
#[test]
fn there_are_no_more_nics_than_buffers() {
    let config = FakeConfig::default();
    let nic = |at: u8| {
        config.insert(address(0, at, 0), stranger());
    };
    (2..4).for_each(nic);
    let mut bays = Bays::find(Bus::new(config.clone()), None, &[]);
    // SAFETY: as in `look`.
    let news = unsafe { bays.look_at_all(pool(), 0, u64::MAX) };
    let full = Absent::NoBuffers { nics: 0 };
    assert_eq!(came(&news), [(address(0, 2, 0), &full), (address(0, 3, 0), &full)]);
}

/// A driver whose device is gone: it reads ones, nothing hangs, and all buffers come back.
#[test]
fn a_vacancy_takes_nothing() {
    let pool = Pool::new(4);
    let mut vacancy = crate::Vacancy::of([2; 6]);
    let nic: &mut dyn crate::Nic = &mut vacancy;
    let frame = pool.take_copy(&[0; 60]).unwrap();
    let frame = nic.send(frame).unwrap_err();
    drop(frame);
    nic.flush();
    nic.service(1);
    assert!(nic.arm(), "nothing is waited for");
    assert_eq!((nic.state(), nic.mac(), pool.free()), (NicState::Absent, [2; 6], 4));
    assert_eq!(nic.counters().tx_broken, 1);
}
