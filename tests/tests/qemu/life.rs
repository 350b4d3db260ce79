//! What happens to the machine itself: it is stopped, reset, switched off, and hangs.

use std::thread;
use std::time::Duration;

use tests::disk::DiskFile;
use tests::world::{WEB, World, guest_line};
use tests::{MacAddr, Machine, Raw, Setup, Station, TcpFlow};

/// IEEE 802's second ethertype for local experiments; the harness's markers have the first.
const ETHER_TYPE: u16 = 0x88b6;

/// The power button: what was committed is on the disk, and the next start has it.
#[test]
fn the_power_button_ends_the_machine_with_its_configuration_saved() {
    let disk = DiskFile::blank();
    let setup = || Setup { disk: Some(disk.path.clone()), ..Setup::default() };
    let mut machine = Machine::boot(setup());
    machine.console.command("configure");
    machine.console.command(&guest_line(1));
    machine.console.press("commit\r");
    machine.qmp.press_power();
    assert_eq!(machine.await_exit(), Some(0));
    let machine = Machine::boot(setup());
    let shown = machine.console.command("show configuration");
    assert!(shown.contains(&guest_line(1)), "{shown}");
}

/// A loop that hangs is started anew; one that goes round under traffic for as long is not.
#[test]
fn the_watchdog_starts_a_machine_anew_that_hangs() {
    let hung =
        Machine::start(Setup { watchdog: true, command_line: "crash=hang", ..Setup::default() });
    hung.qmp.allow_resets();
    let going = World::on(Setup { watchdog: true, ..Setup::default() }, &[100, 100]);
    going.under_traffic(40_000, |_| {
        hung.console.wait_for("Fulcrum");
        hung.qmp.await_event("WATCHDOG", "reset");
        hung.qmp.await_event("RESET", "");
        hung.console.wait_for("Fulcrum");
    });
    let log = going.command("show log");
    assert!(log.contains("watchdog: a loop that stands still for 10 s"), "{log}");
    going.machine.assert_accounted();
    assert!(!going.machine.qmp.has_event("WATCHDOG"));
}

/// F13, F24: the machine is stopped and goes on, with frames on their way: nothing is lost, nobody was
/// found dead, and nobody is asked more often than before.
#[test]
fn f13_f24_a_machine_that_was_stopped_goes_on() {
    let world = World::with_weights(&[100, 100]);
    let mut idle = TcpFlow::open(&world.client, 41_000, WEB, &world.reals());
    world.under_traffic(40_000, |traffic| {
        for _ in 0..3 {
            world.machine.qmp.set_running(false);
            thread::sleep(Duration::from_secs(2));
            world.machine.qmp.set_running(true);
            traffic.pass(2);
        }
    });
    idle.client_says(b"after all of that");
    idle.real_says(b"as before");
    idle.close();
    assert_nobody_was_found_dead(&world);
    world.machine.assert_accounted();
}

/// F17: after a reset the flows are where they were, as soon as their reals speak, and new ones begin.
#[test]
fn f17_flows_outlive_a_reset() {
    let world = World::with_weights(&[100, 100]);
    let open = |port| TcpFlow::open(&world.client, port, WEB, &world.reals());
    let mut flows: Vec<TcpFlow> = (40_000..40_020).map(open).collect();
    reset(&world);
    for flow in &mut flows {
        flow.real_says(b"still here");
        flow.client_says(b"so am I");
    }
    flows.push(open(40_020));
    flows.into_iter().for_each(TcpFlow::close);
}

/// F17: where a hash has placed them, it finds them again: the client speaks first.
#[test]
fn f17_a_hash_finds_flows_again_after_a_reset() {
    let mut lines: Vec<String> = (1..=3).map(guest_line).collect();
    lines.push("set service web vip 10.0.2.100 tcp 80".into());
    lines.push("set service web scheduler mh".into());
    lines.extend((1..=3).map(|guest| format!("set service web real g{guest} port 8080")));
    let world = World::with_configuration(3, &lines);
    let open = |port| TcpFlow::open(&world.client, port, WEB, &world.reals());
    let mut flows: Vec<TcpFlow> = (40_000..40_020).map(open).collect();
    reset(&world);
    for flow in &mut flows {
        flow.client_says(b"do you know me");
        flow.real_says(b"who would not");
    }
    flows.into_iter().for_each(TcpFlow::close);
}

/// Presses the button, and waits until everybody is known again.
#[track_caller]
fn reset(world: &World) {
    world.machine.qmp.reset();
    world.machine.console.wait_for("fulcrum>");
    world.machine.console.script_mode();
    (1..=world.guests.len()).for_each(|guest| world.await_up(guest));
    // Where the client is was forgotten, and a gateway says something now and then.
    let (from, to) = (world.client.mac, MacAddr::BROADCAST);
    world.client.send(Raw { from, to, ether_type: ETHER_TYPE, payload: vec![0; 46] });
    Station::settle(&world.stations());
}

/// The whole machine is saved, lives on, and becomes what it was: its clock goes back with it. Flows of
/// then go on, those that began since are known again when their reals speak, and nobody was found dead.
#[test]
fn f24_a_machine_that_is_saved_goes_on_from_there() {
    let file = DiskFile::blank();
    let world = World::on(Setup { memory_mib: 64, ..Setup::default() }, &[100, 100]);
    world.machine.qmp.use_for_snapshots(&file.path);
    let open = |port| TcpFlow::open(&world.client, port, WEB, &world.reals());
    let mut old = open(40_000);
    old.client_says(b"before");
    world.machine.qmp.save();
    let mut young = open(40_001);
    old.real_says(b"between");
    for _ in 0..2 {
        world.machine.qmp.load();
        world.command("show version");
        old.client_says(b"after");
        old.real_says(b"all is well");
        young.real_says(b"who am I");
        young.client_says(b"you are known");
    }
    world.under_traffic(41_000, |traffic| traffic.pass(3));
    old.close();
    young.close();
    assert_nobody_was_found_dead(&world);
}

/// The machine moves to another QEMU and back while frames pass: those of the moment in which it is nowhere
/// are lost at most, flows and the configuration are where they were, and so is what was not committed.
#[test]
fn a_machine_moves_to_another_qemu() {
    let setup = Setup { memory_mib: 64, ..Setup::default() };
    let mut world = World::on(setup.clone(), &[100, 100]);
    world.command("configure");
    world.commit(&["set service web real g1 weight 77"]);
    world.command("set service web real g2 weight 33");
    let [running, candidate] = ["show configuration", "compare"].map(|it| world.command(it));
    let open = |world: &World, port| TcpFlow::open(&world.client, port, WEB, &world.reals());
    let mut flows: Vec<TcpFlow> = (40_000..40_010).map(|port| open(&world, port)).collect();
    let [from, to] = [world.guests[0].clone(), world.guests[1].clone()];
    for round in 0..2 {
        let setup = Setup { ports: 3, ..setup.clone() };
        let mut passed: u64 = 0;
        world.machine.migrate(setup, |qmp| {
            // One at a time, so that only the last may be on its way.
            while let Some(frame) = {
                from.send(numbered(&from, &to, passed));
                to.next_unless(|| qmp.has_event("STOP"))
            } {
                assert_eq!(frame, numbered(&from, &to, passed).into());
                passed += 1;
            }
        });
        assert!(passed > 0, "nothing passed while it moved");
        let [at_client, at_sender, late] = &Station::settle(&world.stations())[..] else {
            panic!("three stations");
        };
        assert!(at_client.is_empty() && at_sender.is_empty(), "{at_client:?} {at_sender:?}");
        assert!(late.is_empty() || *late == [numbered(&from, &to, passed).into()], "{late:?}");
        for flow in &mut flows {
            flow.client_says(b"where are you");
            flow.real_says(b"where I was");
        }
        let next = numbered(&from, &to, u64::MAX);
        from.send(next.clone());
        to.expect(next);
        flows.push(open(&world, 41_000 + round));
        assert_eq!(world.command("show configuration"), running);
        assert_eq!(world.command("compare"), candidate);
    }
    world.under_traffic(42_000, |traffic| traffic.pass(3));
    flows.into_iter().for_each(TcpFlow::close);
    assert_nobody_was_found_dead(&world);
}

fn numbered(from: &Station, to: &Station, number: u64) -> Raw {
    let payload = [&number.to_be_bytes()[..], &[0; 38]].concat();
    Raw { from: from.mac, to: to.mac, ether_type: ETHER_TYPE, payload }
}

#[track_caller]
fn assert_nobody_was_found_dead(world: &World) {
    let log = world.command("show log");
    let is_about_health = |line: &&str| line.contains(" down") || line.contains("broken");
    assert_eq!(log.lines().find(is_about_health), None, "{log}");
}
