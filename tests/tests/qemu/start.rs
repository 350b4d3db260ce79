//! Which configuration a machine starts with, and what it says of those that it passes over.

use tests::{DiskFile, Frame, MacAddr, Machine, Raw, Setup};

/// What a plain switch shows as its configuration.
const NOTHING: &str = "# nothing is configured: a plain learning switch\n";

fn hostname(name: &str) -> String {
    format!("set system hostname {name}\n")
}

/// Boots, whatever the host name is, and gives what it said until then and its configuration.
fn boot(setup: Setup) -> (String, String, Machine) {
    let machine = Machine::start(setup);
    machine.console.wait_for("> ");
    machine.console.script_mode();
    let said = machine.console.transcript();
    let shown = machine.console.command("show configuration");
    (said, shown, machine)
}

#[test]
fn the_first_configuration_that_is_there_is_taken() {
    let disk = || DiskFile::with(&["set system hostname older\n", "set system hostname newer\n"]);
    let file = |name: &str| Some(hostname(name));
    let cases = [
        ("all three", Some(disk()), file("module"), file("fw"), "newer", "the disk, generation 2"),
        ("no disk", None, file("module"), file("fw"), "module", "the loader's file"),
        ("fw_cfg alone", None, None, file("fw"), "fw", "fw_cfg"),
        ("a blank disk", Some(DiskFile::blank()), file("module"), None, "module", "the loader's"),
    ];
    for (what, disk, configuration, fw_cfg, expected, source) in cases {
        let path = disk.as_ref().map(|disk| disk.path.clone());
        let setup = Setup { ports: 1, configuration, fw_cfg, disk: path, ..Setup::default() };
        let (said, shown, machine) = boot(setup);
        assert_eq!(shown, hostname(expected), "{what}");
        assert!(said.contains(&format!("configuration: {source}")), "{what}: {said}");
        assert!(!said.contains("% E"), "{what}: {said}");
        let log = machine.console.command("show log");
        assert!(log.contains(&format!("configuration: {source}")), "{what}: {log}");
    }
}

/// Without any configuration and with a disk, the disk is left as it was.
#[test]
fn a_blank_disk_stays_blank_until_there_is_a_commit() {
    let disk = DiskFile::blank();
    let setup = Setup { ports: 1, disk: Some(disk.path.clone()), ..Setup::default() };
    let (said, shown, machine) = boot(setup);
    assert_eq!(shown, NOTHING);
    assert!(said.contains("configuration: none, this is a plain switch"), "{said}");
    drop(machine);
    assert!(disk.bytes().iter().all(|&byte| byte == 0));
}

#[test]
fn c20_a_damaged_slot_is_named_and_the_one_before_it_is_taken() {
    let disk = DiskFile::with(&["set system hostname older\n", "set system hostname newer\n"]);
    disk.write(DiskFile::slot_at(1) + 430, b"X");
    let setup = Setup { ports: 1, disk: Some(disk.path.clone()), ..Setup::default() };
    let (said, shown, _machine) = boot(setup);
    assert_eq!(shown, hostname("older"));
    let damaged = "% E510 generation 2 in slot 1 is not taken: it is damaged (bad checksum)";
    assert!(said.contains(damaged), "{said}");
    assert!(said.contains("configuration: the disk, generation 1, 1 statements"), "{said}");
}

/// Every configuration has an error: each is told, and the machine switches plainly.
#[test]
fn configurations_with_errors_are_refused_one_after_the_other() {
    let disk = DiskFile::with(&[
        "set system hostname unused\n",
        "set guest g1 port p9 mac 52:54:00:01:00:01\n",
        "set system hostname all\nset service web real nobody\n",
    ]);
    let setup = Setup {
        disk: Some(disk.path.clone()),
        configuration: Some("set sytem hostname module\n".into()),
        fw_cfg: Some("\nset system hostname -\n".into()),
        ..Setup::default()
    };
    let (said, shown, _machine) = boot(setup);
    assert_eq!(shown, NOTHING, "{said}");
    for words in [
        "The configuration of the disk, generation 3 is refused:",
        "% E204 line 2, column ",
        "The configuration of the disk, generation 2 is refused:",
        "% E201 line 1, column ",
        "The configuration of the loader's file is refused:",
        "% E101 line 1, column 5",
        "The configuration of fw_cfg is refused:",
        "% E104 line 2, column 21",
        "configuration: none, this is a plain switch",
    ] {
        assert!(said.contains(words), "{words} is missing in\n{said}");
    }
}

#[test]
fn disks_that_are_not_for_us_are_named_and_left_alone() {
    let foreign = DiskFile::blank();
    foreign.write(510, &[0x55, 0xaa]);
    let later = DiskFile::with(&["set system hostname later\n"]);
    later.write(2001 * 4096 + 8, &[7]);
    let cases = [
        (foreign, "% E505 something else is on the disk"),
        (later, "% E506 the disk has format 7"),
        (DiskFile::of_bytes(1 << 20), "% E504 the disk has 1048576 bytes; give one of 8388608"),
    ];
    for (disk, words) in cases {
        let before = disk.bytes();
        let setup = Setup {
            ports: 1,
            disk: Some(disk.path.clone()),
            configuration: Some(hostname("module")),
            ..Setup::default()
        };
        let (said, shown, machine) = boot(setup);
        assert!(said.contains(words), "{words} is missing in\n{said}");
        assert_eq!(shown, hostname("module"));
        drop(machine);
        assert!(disk.bytes() == before, "{words}");
    }
}

/// The command line names the host: what another one committed is not taken.
#[test]
fn c20_a_disk_of_another_host_is_named_and_passed_over() {
    let disk = DiskFile::with(&["set system hostname anybody\n"]);
    let setup = |host| Setup {
        ports: 1,
        disk: Some(disk.path.clone()),
        command_line: host,
        ..Setup::default()
    };
    let (_, shown, machine) = boot(setup("host=rack1"));
    assert_eq!(shown, hostname("anybody"), "it was committed by nobody in particular");
    drop(machine);
    disk.commit_for("rack1", 2, "set system hostname theirs\n");
    let (said, shown, machine) = boot(setup("host=rack2"));
    assert_eq!(shown, hostname("anybody"));
    let words = "% E513 generation 2 in slot 1 is not taken: it was committed on host rack1";
    assert!(said.contains(words), "{said}");
    drop(machine);
    let (_, shown, _machine) = boot(setup("host=rack1"));
    assert_eq!(shown, hostname("theirs"));
}

/// F37: without NICs, without an uplink, without a configuration, with nothing but a damaged one:
/// there is a prompt, it says what was taken and why, and the machine is a plain switch.
#[test]
fn f37_whatever_is_missing_there_is_a_prompt_and_a_switch() {
    let no_uplink = Some("set port up0 role guest\n");
    let nothing = "configuration: none, this is a plain switch";
    let file = "configuration: the loader's file, 1 statements";
    let bad = "% E510 generation 1 in slot 0 is not taken: it is damaged (bad checksum)";
    let damaged = DiskFile::with(&["set system hostname only\n"]);
    damaged.write(DiskFile::slot_at(0) + 430, b"X");
    let cases = [
        ("no NIC", 0, None, None, [nothing, ""]),
        ("no uplink", 3, None, no_uplink, [file, ""]),
        ("no configuration", 3, None, None, [nothing, ""]),
        ("a damaged one", 3, Some(&damaged), None, [bad, nothing]),
        ("a damaged one and a file", 3, Some(&damaged), no_uplink, [bad, file]),
    ];
    for (what, ports, disk, configuration, words) in cases {
        let setup = Setup {
            ports,
            disk: disk.map(|disk| disk.path.clone()),
            configuration: configuration.map(str::to_string),
            ..Setup::default()
        };
        let (said, _, machine) = boot(setup);
        for words in words {
            assert!(said.contains(words), "{what}: {words} is missing in\n{said}");
        }
        let stations: Vec<_> = (0..ports).map(|port| machine.station(port)).collect();
        let stations: Vec<_> = stations.iter().collect();
        for &from in &stations {
            let hello = Frame::Raw(Raw {
                from: from.mac,
                to: MacAddr::BROADCAST,
                ether_type: 0x88b6,
                payload: vec![0; 46],
            });
            from.send(hello.clone());
            stations
                .iter()
                .filter(|to| to.port != from.port)
                .for_each(|to| to.expect(hello.clone()));
        }
        machine.assert_accounted();
    }
}
