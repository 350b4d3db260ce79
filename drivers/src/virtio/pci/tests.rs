use super::*;
use crate::disk::Request;
use crate::nic::{BUFFERS_PER_NIC, NicState};
use crate::pci::fake::{COMMAND, FakeConfig, Function, address};
use crate::probe::{self, Found, probe_console, probe_disk};

const MAC: [u8; 6] = [0x52, 0x54, 0, 0xaa, 0, 9];
const BAR_BYTES: usize = 0x4000;
/// Offsets in the BAR, as QEMU lays it out.
const COMMON_AT: u32 = 0;
const ISR_AT: u32 = 0x1000;
const DEVICE_AT: u32 = 0x2000;
const NOTIFY_AT: u32 = 0x3000;
/// Where in configuration space the capabilities lie.
const COMMON_CAP: usize = 0x40;
const ISR_CAP: usize = 0x50;
const DEVICE_CAP: usize = 0x60;
const NOTIFY_CAP: usize = 0x70;

/// Registers that are plain memory: they hold what was written to them, which is enough for a
/// device that agrees to everything.
#[repr(C, align(0x4000))]
struct Registers([u8; BAR_BYTES]);

impl Registers {
    fn new() -> &'static mut Registers {
        let registers = Box::leak(Box::new(Registers([0; BAR_BYTES])));
        // The select registers are ignored, so this is the low and the high half of the features:
        // MAC, MRG_RXBUF and STATUS below, VERSION_1 above.
        registers.put(4, &(1_u32 << 5 | 1 << 15 | 1 << 16 | 1).to_le_bytes());
        registers.put(24, &256_u16.to_le_bytes());
        registers.put(30, &3_u16.to_le_bytes());
        registers.put(DEVICE_AT as usize, &MAC);
        registers.put(DEVICE_AT as usize + 6, &[1, 0]);
        registers.put(NOTIFY_AT as usize, &[0xee; 0x1000]);
        registers
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn doorbell(&self, at: usize) -> u16 {
        // SAFETY: inside of the registers, aligned; the driver writes here behind our back.
        unsafe { self.0.as_ptr().add(NOTIFY_AT as usize + at).cast::<u16>().read_volatile() }
    }
}

/// A virtio-net function whose BAR 4 is `registers`.
fn function(registers: &Registers) -> Function {
    let bar = registers.0.as_ptr() as u64;
    let mut function = Function::new(NET.0, NET.1, 0x02);
    let words = &mut function.words;
    words[1] = STATUS_CAPABILITIES;
    words[8] = bar as u32 | 0b1100;
    words[9] = (bar >> 32) as u32;
    function.bar_masks[4] = !(BAR_BYTES as u32 - 1);
    function.bar_masks[5] = u32::MAX;
    words[usize::from(CAPABILITIES_POINTER) / 4] = 0x98;
    // MSI-X comes first, and is passed over.
    words[0x98 / 4] = u32::from_le_bytes([0x11, COMMON_CAP as u8, 0, 0]);
    let mut capability = |at: usize, next: usize, bytes, kind, offset, length| {
        words[at / 4] = u32::from_le_bytes([PCI_CAP_ID_VNDR, next as u8, bytes, kind]);
        words[at / 4 + 1] = 4;
        words[at / 4 + 2] = offset;
        words[at / 4 + 3] = length;
    };
    capability(COMMON_CAP, ISR_CAP, 16, VIRTIO_PCI_CAP_COMMON_CFG, COMMON_AT, 0x1000);
    capability(ISR_CAP, DEVICE_CAP, 16, VIRTIO_PCI_CAP_ISR_CFG, ISR_AT, 0x1000);
    capability(DEVICE_CAP, NOTIFY_CAP, 16, VIRTIO_PCI_CAP_DEVICE_CFG, DEVICE_AT, 0x1000);
    capability(NOTIFY_CAP, 0, 20, VIRTIO_PCI_CAP_NOTIFY_CFG, NOTIFY_AT, 0x1000);
    words[NOTIFY_CAP / 4 + 4] = 4;
    function
}

fn probe(config: &FakeConfig, pool: &'static Pool, mapped_end: u64) -> Vec<Found> {
    let mut bus = Bus::new(config.clone());
    // SAFETY: the registers are leaked memory of this process, which is all "mapped" means here,
    // and nothing else uses them.
    let probe = |nic| unsafe { probe::probe(&mut bus, nic, pool, mapped_end) };
    Bus::new(config.clone()).nics().into_iter().map(probe).collect()
}

#[test]
fn a_device_comes_up_over_its_registers() {
    let registers = Registers::new();
    let config = FakeConfig::default();
    config.insert(address(0, 2, 0), function(registers));
    let pool = Pool::new(BUFFERS_PER_NIC);
    let mut found = probe(&config, pool, u64::MAX);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].address, found[0].irq_line), (address(0, 2, 0), Some(11)));

    let nic = found[0].result.as_mut().unwrap();
    assert_eq!((nic.mac(), nic.state()), (MAC, NicState::Up));
    assert_eq!(pool.total() - pool.free(), 256, "posted");
    assert_eq!(config.word(address(0, 2, 0), COMMAND) & 0x406, 6, "memory, master, INTx");

    // Offset 3, four bytes each.
    assert_eq!(registers.doorbell(12), 0, "the receive queue's number");
    nic.send(pool.take_copy(&[0; 60]).unwrap()).unwrap();
    nic.flush();
    assert_eq!(registers.doorbell(12), 1, "the transmit queue's");
    assert_eq!((registers.doorbell(10), registers.doorbell(14)), (0xeeee, 0xeeee));
}

/// The first disk of two comes up; the second one is not touched.
#[test]
fn a_disk_comes_up_over_its_registers() {
    let registers = [Registers::new(), Registers::new()];
    let config = FakeConfig::default();
    for (slot, registers) in (2..).zip(&registers) {
        let mut disk = function(registers);
        disk.words[0] = u32::from(BLOCK.1) << 16 | u32::from(BLOCK.0);
        disk.words[2] = 0x01 << 24;
        config.insert(address(0, slot, 0), disk);
    }
    let mut bus = Bus::new(config.clone());
    // SAFETY: as in `probe`.
    let found = unsafe { probe_disk(&mut bus, u64::MAX) }.unwrap();
    assert_eq!(found.address, address(0, 2, 0));
    let mut disk = found.result.unwrap();
    disk.begin(Request::Read { block: 0, blocks: 1 }).unwrap();
    assert_eq!(registers[0].doorbell(12), 0, "the only queue's number");
    assert_eq!(config.word(address(0, 3, 0), COMMAND) & 0x7, 0);
    assert_eq!(registers[1].doorbell(12), 0xeeee);
}

#[test]
fn a_console_comes_up_over_its_registers() {
    let registers = Registers::new();
    let config = FakeConfig::default();
    let mut console = function(registers);
    console.words[0] = u32::from(CONSOLE.1) << 16 | u32::from(CONSOLE.0);
    console.words[2] = 0x07 << 24;
    config.insert(address(0, 2, 0), console);
    // SAFETY: as in `probe`.
    let found = unsafe { probe_console(&mut Bus::new(config.clone()), u64::MAX) }.unwrap();
    assert_eq!(found.address, address(0, 2, 0));
    let mut console = found.result.unwrap();
    assert_eq!(registers.doorbell(12), 0, "the receive queue's number");
    assert_eq!(console.write(b"hello"), 5);
    assert_eq!(registers.doorbell(12), 1, "the transmit queue's");
    assert_eq!(config.word(address(0, 2, 0), COMMAND) & 0x406, 0x406, "memory, master, no INTx");
}

#[test]
fn a_nic_of_a_kind_that_we_do_not_know_says_so() {
    let config = FakeConfig::default();
    config.insert(address(0, 3, 0), Function::new(0x8086, 0x100e, 0x02));
    let found = probe(&config, Pool::new(1), u64::MAX);
    let absent = found[0].result.as_ref().err().unwrap();
    assert_eq!(
        absent.to_string(),
        "no driver for 8086:100e (virtio-net, e1000e and vmxnet3 are supported)"
    );
}

#[test]
fn d15_a_bar_beyond_the_mapping_is_not_touched() {
    let registers = Registers::new();
    let config = FakeConfig::default();
    config.insert(address(0, 2, 0), function(registers));
    let end = registers.0.as_ptr() as u64 + BAR_BYTES as u64;
    let found = probe(&config, Pool::new(1), end - 1);
    let absent = *found[0].result.as_ref().err().unwrap();
    assert_eq!(absent, Absent::BarUnmapped { index: 4 });
    assert!(
        registers.0[..NOTIFY_AT as usize][56..DEVICE_AT as usize].iter().all(|&byte| byte == 0)
    );
}

/// Every broken function is absent for its reason, and the NIC behind it comes up.
#[test]
fn d15_what_is_wrong_in_configuration_space_costs_one_port() {
    type Change = fn(&mut Function);
    let bar = Absent::Bar { index: 4 };
    let cases: &[(&str, Change, Absent)] = &[
        ("loop", |it| it.words[NOTIFY_CAP / 4] |= 0x4000, Absent::CapabilityLoop),
        ("loop of one", |it| it.words[0x98 / 4] = 0x9811, Absent::CapabilityLoop),
        ("into the header", |it| it.words[0x98 / 4] = 0x3c11, Absent::CapabilityRange),
        ("odd pointer", |it| it.words[0x98 / 4] = 0x4111, Absent::CapabilityRange),
        (
            "beyond the end",
            |it| {
                it.words[0x98 / 4] = 0xf811;
                it.words[0xf8 / 4] = u32::from_le_bytes([9, 0, 16, 1]);
            },
            Absent::CapabilityRange,
        ),
        ("no list", |it| it.words[1] = 0, Absent::CapabilityMissing),
        ("no notify", |it| it.words[NOTIFY_CAP / 4] = 0, Absent::CapabilityMissing),
        (
            "notify without multiplier",
            |it| it.words[NOTIFY_CAP / 4] = u32::from_le_bytes([9, 0, 16, 2]),
            Absent::CapabilityMissing,
        ),
        ("BAR 6", |it| it.words[ISR_CAP / 4 + 1] = 6, Absent::CapabilityRange),
        ("BAR 255", |it| it.words[COMMON_CAP / 4 + 1] = 255, Absent::CapabilityRange),
        ("BAR not there", |it| it.words[DEVICE_CAP / 4 + 1] = 1, Absent::Bar { index: 1 }),
        ("BAR of ports", |it| it.words[8] = 0xc001, bar),
        ("BAR of size 0", |it| (it.bar_masks, it.words[9]) = ([0; 6], 0), bar),
        ("BAR without a place", |it| (it.words[8], it.words[9]) = (0b1100, 0), bar),
        ("behind the BAR", |it| it.words[ISR_CAP / 4 + 2] = 0x4000, bar),
        ("longer than the BAR", |it| it.words[NOTIFY_CAP / 4 + 3] = 0x1001, bar),
        ("wraps", |it| it.words[DEVICE_CAP / 4 + 2] = 0xffff_f000, bar),
        ("common too short", |it| it.words[COMMON_CAP / 4 + 3] = 55, Absent::CapabilityRange),
        ("common askew", |it| it.words[COMMON_CAP / 4 + 2] = 2, Absent::CapabilityRange),
        (
            "doorbell outside",
            |it| it.words[NOTIFY_CAP / 4 + 4] = 0x1000,
            Absent::NotifyRange { queue: 0 },
        ),
        (
            "doorbell far outside",
            |it| it.words[NOTIFY_CAP / 4 + 4] = 0xffff_fffe,
            Absent::NotifyRange { queue: 0 },
        ),
        (
            "doorbell at the very end, half of it",
            |it| it.words[NOTIFY_CAP / 4 + 3] = 13,
            Absent::NotifyRange { queue: 0 },
        ),
        ("odd multiplier", |it| it.words[NOTIFY_CAP / 4 + 4] = 3, Absent::CapabilityRange),
    ];
    let healthy = function(Registers::new());
    for &(name, change, reason) in cases {
        let mut broken = function(Registers::new());
        change(&mut broken);
        let config = FakeConfig::default();
        config.insert(address(0, 2, 0), broken);
        config.insert(address(0, 3, 0), healthy.clone());
        let found = probe(&config, Pool::new(BUFFERS_PER_NIC), u64::MAX);
        assert_eq!(found.len(), 2, "{name}");
        assert_eq!(found[0].result.as_ref().err(), Some(&reason), "{name}");
        assert!(found[1].result.is_ok(), "{name}");
    }
}
