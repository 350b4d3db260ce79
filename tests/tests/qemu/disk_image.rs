//! A disk that boots by itself: by every firmware the same appliance, which keeps its configuration on
//! that very disk.

use tests::machine::Board::{self, Pc, Q35};
use tests::machine::Firmware::{self, Bios, Uefi};
use tests::machine::Start;
use tests::world::guest_line;
use tests::{DiskFile, Machine, Setup};

/// Where the partition for commits begins (tests/lib/disk-image.sh).
const SAVED_START: usize = 21 << 20;

/// QEMU's word for a disk that the appliance has a driver for, where no NIC is.
const VIRTIO: &str = "virtio-blk-pci,addr=0x1e";

fn setup(disk: &DiskFile, model: &'static str, board: Board, firmware: Firmware) -> Setup {
    let start = Start::Disk { path: disk.path.clone(), model, firmware };
    Setup { board, start, ..Setup::default() }
}

fn configuration(machine: &Machine) -> String {
    machine.console.command("show configuration")
}

/// It starts with the file on the disk and switches; what is committed is there when another machine
/// starts from the disk, whose other parts nobody has touched; ACPI is known, so it can be switched off.
#[test]
fn every_firmware_starts_it_and_commits_are_kept() {
    for (board, firmware) in [(Pc, Bios), (Q35, Bios), (Pc, Uefi), (Q35, Uefi)] {
        println!("{board:?}, {firmware:?}");
        let given = guest_line(1) + "\n";
        let disk = DiskFile::bootable(&given);
        let blank = disk.bytes();
        let machine = Machine::boot(setup(&disk, VIRTIO, board, firmware));
        assert_eq!(configuration(&machine), given);
        assert!(machine.console.transcript().contains("configuration: the loader's file"));
        machine.assert_switches();
        machine.assert_accounted();
        machine.console.command("configure");
        machine.console.command(&guest_line(2));
        let said = machine.console.command("commit");
        assert!(said.contains("Saved as generation "), "{said}");
        drop(machine);

        let saved = disk.bytes();
        assert_eq!(saved.len(), blank.len());
        assert!(saved[..SAVED_START] == blank[..SAVED_START], "something else was written to");
        assert!(saved[SAVED_START..] != blank[SAVED_START..], "nothing was saved");

        let mut machine = Machine::boot(setup(&disk, VIRTIO, board, firmware));
        assert_eq!(configuration(&machine), given + &guest_line(2) + "\n");
        assert!(machine.console.transcript().contains("configuration: the disk, generation "));
        machine.console.press("poweroff\r");
        assert_eq!(machine.await_exit(), Some(0));
    }
}

/// As on a hypervisor without virtio: it boots, and says that there is nothing to save on.
#[test]
fn from_a_disk_that_it_has_no_driver_for_it_boots_and_saves_nothing() {
    for (model, board) in [("ide-hd", Pc), ("ide-hd", Q35)] {
        let disk = DiskFile::bootable(&guest_line(1));
        let blank = disk.bytes();
        let machine = Machine::boot(setup(&disk, model, board, Bios));
        machine.assert_switches();
        machine.console.command("configure");
        machine.console.command(&guest_line(2));
        let said = machine.console.command("commit");
        assert!(said.contains("runs until the machine stops"), "{said}");
        drop(machine);
        assert!(disk.bytes() == blank, "something was written to");
    }
}
