use super::fake::{FakeConfig, Function, address};
use super::*;
use std::vec;

const VIRTIO_NET: (u16, u16) = (0x1af4, 0x1000);

fn nic() -> Function {
    Function::new(VIRTIO_NET.0, VIRTIO_NET.1, CLASS_NETWORK)
}

fn found(config: &FakeConfig) -> Vec<Address> {
    let nics = Bus::new(config.clone()).nics();
    nics.iter().map(|nic| nic.address).collect()
}

#[test]
fn an_empty_bus_has_nothing() {
    assert_eq!(found(&FakeConfig::default()), vec![]);
}

#[test]
fn only_network_controllers_are_nics() {
    let config = FakeConfig::default();
    config.insert(address(0, 0, 0), Function::new(0x8086, 0x29c0, 0x06));
    config.insert(address(0, 1, 0), Function::new(0x1234, 0x1111, 0x03));
    config.insert(address(0, 2, 0), nic());
    config.insert(address(0, 3, 0), Function::new(0x8086, 0x10d3, CLASS_NETWORK));
    let nics = Bus::new(config).nics();
    assert_eq!(
        nics,
        [
            Device {
                address: address(0, 2, 0),
                vendor: 0x1af4,
                device: 0x1000,
                irq_line: Some(11),
            },
            Device {
                address: address(0, 3, 0),
                vendor: 0x8086,
                device: 0x10d3,
                irq_line: Some(11),
            },
        ]
    );
    assert_eq!(nics[0].address.to_string(), "00:02.0");
}

#[test]
fn disks_are_those_that_there_is_a_driver_for() {
    let config = FakeConfig::default();
    let storage = |vendor, device| Function::new(vendor, device, CLASS_STORAGE);
    config.insert(address(0, 1, 0), storage(0x8086, 0x7010));
    config.insert(address(0, 2, 0), nic());
    config.insert(address(0, 3, 0), storage(0x1af4, 0x1001));
    config.insert(address(0, 4, 0), storage(0x1af4, 0x1004));
    config.insert(address(0, 5, 0), storage(0x1af4, 0x1042));
    let disks = Bus::new(config).disks();
    let addresses: Vec<Address> = disks.iter().map(|disk| disk.address).collect();
    assert_eq!(addresses, [address(0, 3, 0), address(0, 5, 0)]);
}

#[test]
fn consoles_are_those_that_there_is_a_driver_for() {
    let config = FakeConfig::default();
    let ports = |vendor, device| Function::new(vendor, device, CLASS_COMMUNICATION);
    config.insert(address(0, 1, 0), ports(0x1b36, 0x0002));
    config.insert(address(0, 2, 0), nic());
    config.insert(address(0, 3, 0), ports(0x1af4, 0x1003));
    config.insert(address(0, 4, 0), ports(0x1af4, 0x1043));
    let consoles = Bus::new(config).consoles();
    let addresses: Vec<Address> = consoles.iter().map(|console| console.address).collect();
    assert_eq!(addresses, [address(0, 3, 0), address(0, 4, 0)]);
}

/// Slots of eight functions and a bus behind a bridge: 40 NICs, in ascending order.
#[test]
fn forty_nics_in_slots_of_eight_functions_and_behind_bridges() {
    let config = FakeConfig::default();
    let mut expected = Vec::new();
    for slot in 3..6 {
        for function in 0..8 {
            config.insert(address(0, slot, function), nic().multifunction());
            expected.push(address(0, slot, function));
        }
    }
    // The later slot leads to the lower bus, and that bus to another.
    config.insert(address(0, 10, 0), Function::bridge(9));
    config.insert(address(0, 11, 0), Function::bridge(1));
    config.insert(address(1, 31, 0), Function::bridge(255));
    for (bus, slots) in [(1, 0..6), (9, 0..6), (255, 28..32)] {
        for slot in slots {
            config.insert(address(bus, slot, 0), nic());
            expected.push(address(bus, slot, 0));
        }
    }
    assert_eq!(expected.len(), 40);
    assert_eq!(found(&config), expected);
}

#[test]
fn a_slot_has_gaps_but_always_function_0() {
    let config = FakeConfig::default();
    config.insert(address(0, 4, 0), nic().multifunction());
    config.insert(address(0, 4, 7), nic());
    config.insert(address(0, 5, 3), nic());
    assert_eq!(found(&config), [address(0, 4, 0), address(0, 4, 7)]);
}

#[test]
fn a_device_of_one_function_is_one_even_if_it_answers_for_eight() {
    let config = FakeConfig::default();
    for function in 0..8 {
        config.insert(address(0, 4, function), nic());
    }
    assert_eq!(found(&config), [address(0, 4, 0)]);
}

#[test]
fn d15_bridges_that_lead_back_or_to_the_same_bus_end() {
    let config = FakeConfig::default();
    config.insert(address(0, 1, 0), Function::bridge(0));
    config.insert(address(0, 2, 0), Function::bridge(3));
    config.insert(address(0, 3, 0), Function::bridge(3));
    config.insert(address(3, 1, 0), Function::bridge(0));
    config.insert(address(3, 2, 0), Function::bridge(3));
    config.insert(address(3, 3, 0), Function::bridge(2));
    config.insert(address(3, 4, 0), nic());
    assert_eq!(found(&config), [address(3, 4, 0)]);
}

#[test]
fn a_nic_without_a_routed_interrupt_has_none() {
    for (register, expected) in
        [(0x010b, Some(11)), (0x0100, None), (0x01ff, None), (0x0110, None), (0x000b, None)]
    {
        assert_eq!(irq_line(register), expected, "{register:#x}");
    }
}

#[test]
fn a_device_is_enabled_with_its_interrupt_and_disabled_again() {
    let config = FakeConfig::default();
    let mut function = nic();
    function.words[1] = 0x0010_0401;
    config.insert(address(0, 2, 0), function);
    let mut bus = Bus::new(config.clone());
    bus.enable(address(0, 2, 0));
    assert_eq!(config.word(address(0, 2, 0), fake::COMMAND), 0x0010_0007);
    bus.disable(address(0, 2, 0));
    assert_eq!(config.word(address(0, 2, 0), fake::COMMAND), 0x0010_0000);
    bus.enable(address(0, 2, 0));
    bus.silence(address(0, 2, 0));
    assert_eq!(config.word(address(0, 2, 0), fake::COMMAND), 0x0010_0406);
}
