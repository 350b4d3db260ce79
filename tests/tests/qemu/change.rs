//! Changes at the console while traffic flows: what is new counts at once, what is open goes on.

use std::net::SocketAddrV4;

use tests::world::{VIP, WEB, World, guest_line};
use tests::{Arp, Ends, MacAddr, Station, Tcp, TcpFlags, TcpFlow};

/// Two guests, and everything else typed in.
fn world_with_guests() -> World {
    let world = World::with_configuration(2, &[guest_line(1), guest_line(2)]);
    world.command("configure");
    world
}

#[test]
fn a_service_begins_when_it_is_set_and_ends_when_it_is_deleted() {
    let world = world_with_guests();
    world.commit(&["set service web vip 10.0.2.100 tcp 80", "set service web real g1 port 8080"]);
    world.await_up(1);
    assert_eq!(world.client.await_announcement().sender, VIP);
    let mut flow = TcpFlow::open(&world.client, 40_000, WEB, &world.reals());
    flow.client_says(b"before");

    let said = world.commit(&["delete service web"]);
    assert!(
        said.contains("real g1 has 1 open flow, which goes on until it ends (or: commit now)."),
        "{said}"
    );
    flow.real_says(b"what is open goes on");
    flow.client_says(b"yes");
    flow.close();
    // The VIP is still answered for, for those who have a connection; a new one finds nobody.
    let syn = Tcp {
        ends: Ends {
            from_mac: world.client.mac,
            to_mac: MacAddr::virtual_of(VIP.into()),
            from: SocketAddrV4::new(world.client.address, 40_001),
            to: WEB.vip,
        },
        sequence: 1,
        acknowledged: None,
        flags: TcpFlags::SYN,
        payload: vec![],
    };
    world.client.send(syn);
    let arrived = Station::settle(&world.stations());
    assert!(arrived.iter().all(Vec::is_empty), "{arrived:?}");
}

#[test]
fn reals_come_and_go_under_traffic() {
    let world = world_with_guests();
    world.commit(&["set service web vip 10.0.2.100 tcp 80", "set service web real g1 port 8080"]);
    world.await_up(1);
    let mut first = TcpFlow::open(&world.client, 40_000, WEB, &world.reals());
    assert_eq!(first.real.port, 1, "the only real");

    world.commit(&["set service web real g2 port 8080"]);
    world.await_up(2);
    world.commit(&["delete service web real g1"]);
    let second = TcpFlow::open(&world.client, 40_001, WEB, &world.reals());
    assert_eq!(second.real.port, 2, "the only real that is left");
    first.client_says(b"still here?");
    first.real_says(b"still here");

    // Back with another weight; the old connection is the old real's and stays where it is.
    world.commit(&["set service web real g1 port 8080 weight 500"]);
    first.client_says(b"and now?");
    first.real_says(b"now too");
    first.close();
    second.close();
    world.machine.assert_accounted();
}

#[test]
fn a_refused_line_changes_nothing() {
    let world = world_with_guests();
    let before = world.command("show configuration");
    let refusals = [
        ("set service web real g7", "% E2"),
        ("set guest g3 port p1 mac 01:00:5e:00:00:01 address 10.0.2.30", "% E104"),
        ("set guest g3 port p1 mac 52:54:00:01:00:02 address 10.0.2.30", "% E2"),
        ("set guest g3 port p9 mac 52:54:00:01:00:03 address 10.0.2.30", "% E2"),
        ("set service web vip 10.0.2.21 tcp 80", "% E2"),
        ("set service web vip 10.0.2.100 tcp 0", "% E104"),
        ("set service web vip 10.0.2.100 tcp 65536", "% E104"),
        ("delete guest g9", "% E2"),
    ];
    for (line, code) in refusals {
        // What a line says by itself is refused at once, what it is to the whole by the commit.
        let console = &world.machine.console;
        let refused = console.ask(line).and_then(|_| console.ask("commit"));
        assert!(refused.as_ref().is_err_and(|said| said.contains(code)), "{line}: {refused:?}");
        assert_eq!(world.command("show configuration"), before);
        world.command("discard");
    }
}

/// The appliance takes a commit back by itself that nobody confirms, while frames and flows go on.
#[test]
fn a_commit_on_trial_is_taken_back() {
    let world = world_with_guests();
    world.commit(&["set service web vip 10.0.2.100 tcp 80", "set service web real g1 port 8080"]);
    world.await_up(1);
    let mut flow = TcpFlow::open(&world.client, 40_000, WEB, &world.reals());
    let before = world.command("show configuration");
    world.command("delete service web");
    world.command("commit confirmed 2s");
    flow.client_says(b"on trial");
    assert_ne!(world.command("show configuration"), before);
    world.machine.console.command_until("show configuration", |shown| shown == before);
    assert!(world.command("show log").contains("was not confirmed in time"));
    flow.real_says(b"still here");
    flow.close();
}

/// An idle machine halts; the first frame and the first key wake it.
#[test]
fn an_idle_machine_wakes() {
    let world = world_with_guests();
    for _ in 0..3 {
        std::thread::sleep(std::time::Duration::from_millis(700));
        let request =
            Arp::request(world.client.mac, world.client.address, "10.0.2.99".parse().unwrap());
        world.client.send(request);
        world.guests[0].expect(request);
        world.guests[1].expect(request);
        std::thread::sleep(std::time::Duration::from_millis(700));
        assert!(world.command("show mac").contains(&world.client.mac.to_string()));
    }
    assert!(!world.command("show mac").contains(&MacAddr::BROADCAST.to_string()));
}
