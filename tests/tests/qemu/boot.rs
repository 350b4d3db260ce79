//! From power on to a running switch, with configurations of all kinds; and how a run ends.

use tests::machine::image_path;
use tests::world::guest_line;
use tests::{Machine, Setup};

/// Exit status of QEMU when the image wrote its code for "crashed" to isa-debug-exit.
const CRASHED: i32 = 0x2a << 1 | 1;

#[test]
fn the_image_is_small() {
    let bytes = image_path().metadata().expect("the image is a file").len();
    assert!(bytes <= 5 << 18, "the image has {bytes} bytes, more than 1.25 MiB");
}

#[test]
fn a_machine_without_any_nic_has_a_console() {
    let machine = Machine::boot(Setup { ports: 0, ..Setup::default() });
    assert!(machine.console.command("show version").contains("Fulcrum"));
}

#[test]
fn a_configuration_is_taken_and_shown_as_it_was() {
    let lines = [
        guest_line(1),
        guest_line(2),
        "set service web vip 10.0.2.100 tcp 80".into(),
        "set service web real g1".into(),
        "set service web real g2 port 8080 weight 50".into(),
    ];
    let machine =
        Machine::boot(Setup { configuration: Some(lines.join("\r\n")), ..Setup::default() });
    let shown = machine.console.command("show configuration");
    for line in &lines {
        assert!(shown.lines().any(|shown| shown == line), "{line} is missing in\n{shown}");
    }
    machine.assert_switches();
}

/// A configuration with errors is refused whole, every error by line and column; switching works.
#[test]
fn a_broken_configuration_is_refused_and_named() {
    let text = "set guest g1 port p1 mac 52:54:00:01:00:01 address 10.0.2.21\n\
                set servce web vip 10.0.2.100 tcp 80\n\
                \n\
                set service web vip 10.0.0.300 tcp 80\n";
    let machine = Machine::boot(Setup { configuration: Some(text.into()), ..Setup::default() });
    let said = machine.console.transcript();
    for error in ["% E101 line 2, column 5: ", "% E104 line 4, column 21: "] {
        assert!(said.contains(error), "{error} is missing in\n{said}");
    }
    let log = machine.console.command("show log");
    assert!(log.contains("line 2, column 5") && log.contains("line 4, column 21"), "{log}");
    let shown = machine.console.command("show configuration");
    assert!(!shown.contains("g1"), "a refused configuration was taken in part:\n{shown}");
    machine.assert_switches();
}

#[test]
fn poweroff_ends_the_machine() {
    let mut machine = Machine::boot(Setup::default());
    machine.console.press("poweroff\r");
    assert_eq!(machine.await_exit(), Some(0));
}

/// QEMU was told not to start again, so a reset ends it.
#[test]
fn reboot_resets_the_machine() {
    let mut machine = Machine::boot(Setup::default());
    machine.console.press("reboot\r");
    assert_eq!(machine.await_exit(), Some(0));
}

/// All ways to die leave last words and, when asked to, a code for whoever watches.
#[test]
fn a_crash_has_last_words() {
    let ways = [
        ("panic=exit crash=panic", "asked for on the command line"),
        ("panic=exit crash=fault", "invalid instruction"),
        ("panic=exit crash=stack", "guard page"),
        ("panic=exit crash=text", "in the code"),
        ("panic=exit crash=data", "in the variables"),
        ("panic=exit crash=null", "page 0"),
        ("panic=exit crash=heap", "panicked"),
    ];
    for (command_line, words) in ways {
        let mut machine = Machine::start(Setup { command_line, ..Setup::default() });
        assert_eq!(machine.await_exit(), Some(CRASHED), "{command_line}");
        machine.console.wait_for("exiting");
        let said = machine.console.transcript();
        for part in [words, "rip ", "trace 0x", "last lines of the journal"] {
            assert!(said.contains(part), "{command_line}: no {part:?} in\n{said}");
        }
    }
}
