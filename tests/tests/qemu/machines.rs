//! Where the image runs: kinds of PC, sizes of memory, processors, buses full of NICs.

use tests::machine::Board::{Microvm, Pc, Q35};
use tests::world::guest_line;
use tests::{Console, DiskFile, Machine, Setup};

/// A kind of machine, and the MiB that it has at least for frames and tables.
struct Case {
    what: &'static str,
    setup: Setup,
    usable_mib: u64,
}

fn machine(what: &'static str, usable_mib: u64, setup: Setup) -> Case {
    Case { what, setup, usable_mib }
}

/// Every machine switches, has the memory that it was given, and knows its NICs by name. What lies
/// above the gap for devices (3 GiB on a `pc`, 2 on a `q35`) is used instead of what lies below it
/// where it is more.
#[test]
fn machines_of_all_kinds_and_sizes_switch() {
    let any = Setup::default;
    let cases = [
        machine("the smallest, old", 26, Setup { memory_mib: 32, processor: "qemu64", ..any() }),
        machine("the smallest, new", 26, Setup { memory_mib: 32, board: Q35, ..any() }),
        machine("no guest at all", 250, Setup { ports: 1, ..any() }),
        machine("eight ports", 58, Setup { ports: 8, memory_mib: 64, board: Q35, ..any() }),
        machine("33 ports, some behind a bridge", 250, Setup { ports: 33, board: Pc, ..any() }),
        machine("the same on PCI Express", 250, Setup { ports: 33, board: Q35, ..any() }),
        machine("without PCI", 250, Setup { board: Microvm, ..any() }),
        machine(
            "without PCI, old, as small as it may be, as many ports as there is room for",
            26,
            Setup { board: Microvm, ports: 8, memory_mib: 32, processor: "qemu64", ..any() },
        ),
        machine("all below the gap", 2040, Setup { memory_mib: 2048, board: Q35, ..any() }),
        machine("more above the gap", 5 << 10, Setup { memory_mib: 8 << 10, ..any() }),
        machine(
            "the largest, old",
            6 << 10,
            Setup { memory_mib: 8 << 10, board: Q35, processor: "qemu64", ..any() },
        ),
    ];
    for Case { what, setup, usable_mib } in cases {
        println!("{what}: {setup:?}");
        let ports = setup.ports;
        let machine = Machine::boot(setup);
        machine.assert_switches();
        machine.assert_accounted();
        let table = machine.console.command("show port");
        for name in (1..ports).map(|port| format!("p{port}")) {
            assert!(table.split_whitespace().any(|word| word == name), "no {name} in\n{table}");
        }
        let log = machine.console.command("show log");
        assert!(memory_mib(&log) >= Some(usable_mib), "{usable_mib} MiB are expected:\n{log}");
    }
}

/// What the machine has beside NICs works there too: disk, virtio console, interrupts.
#[test]
fn a_machine_without_pci_has_all_that_others_have() {
    let disk = DiskFile::blank();
    let setup = || Setup {
        board: Microvm,
        disk: Some(disk.path.clone()),
        virtio_console: true,
        serial2: true,
        ..Setup::default()
    };
    let machine = Machine::boot(setup());
    machine.console.command("configure");
    machine.console.command(&guest_line(1));
    assert!(machine.console.command("commit").contains("Saved as generation 1."));
    drop(machine);
    let mut machine = Machine::boot(setup());
    assert_eq!(machine.console.command("show configuration"), guest_line(1) + "\n");
    let far_end = machine.virtio_console.take().expect("it was asked for");
    Console::over(far_end).await_prompt();
    machine.assert_switches();
    machine.assert_accounted();
    let about = machine.console.command("show port p2");
    assert!(about.contains("virtio-net") && !about.contains("faults"), "{about}");
    machine.qmp.set_link(2, false);
    machine.console.command_until("show port p2", |about| about.contains("down"));
    machine.console.press("reboot\r");
    assert_eq!(machine.await_exit(), Some(0), "told not to start again, QEMU ends");
}

/// What the appliance says of its memory in its log.
fn memory_mib(log: &str) -> Option<u64> {
    let (before, _) = log.split_once(" MiB: ")?;
    before.rsplit(' ').next()?.parse().ok()
}
