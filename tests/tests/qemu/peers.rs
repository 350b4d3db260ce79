//! What is at the other end of a NIC ends, and is started again: its port is as it was, the others lose
//! nothing meanwhile, and frames for somebody who is not there cost nobody else a place.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};

use tests::console::number_after;
use tests::faults::await_buffers_of;
use tests::machine::temporary_path;
use tests::world::World;
use tests::{Frame, LIMIT, MacAddr, Raw, Setup, Station};

/// IEEE 802's second ethertype for local experiments; the harness's markers have the first.
const ETHER_TYPE: u16 = 0x88b6;
/// Its port, behind the client, two guests and the partner.
const PORT: &str = "p4";
const PORTS: u64 = 5;
/// More frames than a ring has places.
const FRAMES: u64 = 1_000;
const MAC: MacAddr = MacAddr([0x52, 0x54, 0, 3, 0, 1]);

/// A connection to a socket that QEMU listens at: each frame behind its length.
#[test]
fn a_stream_whose_peer_is_started_again() {
    let path = temporary_path();
    let netdev = format!("stream,server=on,addr.type=unix,addr.path={}", path.display());
    come_and_go(netdev, || {
        let stream = UnixStream::connect(&path).expect("QEMU listens");
        stream.set_read_timeout(Some(LIMIT)).expect("a timeout above zero");
        Box::new(Connected(stream))
    });
    let _ = fs::remove_file(&path);
}

/// Datagrams to a name that nobody has for a while.
#[test]
fn a_socket_of_datagrams_whose_peer_is_started_again() {
    let [qemu, ours] = [temporary_path(), temporary_path()];
    let netdev = format!(
        "dgram,local.type=unix,local.path={},remote.type=unix,remote.path={}",
        qemu.display(),
        ours.display()
    );
    come_and_go(netdev, || Box::new(Bound::at(&ours, &qemu)));
    let _ = fs::remove_file(&qemu);
}

/// Who is at the other end.
trait Peer {
    fn send(&mut self, frame: &[u8]);
    fn next(&mut self) -> Vec<u8>;
}

#[track_caller]
fn come_and_go(netdev: String, connect: impl Fn() -> Box<dyn Peer>) {
    let setup = Setup { netdevs: vec![netdev], ..Setup::default() };
    let world = World::on(setup, &[100, 100, 0]);
    let partner = &world.guests[2];
    let to_peer = |mark: u8| {
        let payload = vec![mark; 100];
        Raw { from: partner.mac, to: MAC, ether_type: ETHER_TYPE, payload }
    };
    world.under_traffic(40_000, |traffic| {
        for life in 0..3 {
            let mut peer = connect();
            assert_talk(&mut *peer, partner, life);
            traffic.pass(1);
            drop(peer);
            // Known to the switch, and not there: they go out, and nowhere.
            let before = counted(&world, "tx_unicast");
            for _ in 0..FRAMES / 100 {
                (0..100).for_each(|_| partner.send(to_peer(0xff)));
                traffic.pass(1);
            }
            let command = format!("show port {PORT}");
            let is_it = |shown: &str| {
                let counted = |name| number_after(shown, name).unwrap_or(0);
                counted("tx_unicast") + counted("tx_full") >= before + FRAMES
            };
            let shown = world.machine.console.command_until(&command, is_it);
            assert!(shown.contains("up\n"), "{shown}");
            assert_eq!(number_after(&shown, "faults"), None, "{shown}");
            assert_eq!(number_after(&shown, "tx_full"), None, "{shown}");
        }
        assert_talk(&mut *connect(), partner, 99);
        traffic.pass(1);
    });
    world.machine.assert_accounted();
    await_buffers_of(&world.machine.console, PORTS);
}

/// The peer says something, is heard, and hears the answer; what was meant for those before him he does not.
#[track_caller]
fn assert_talk(peer: &mut dyn Peer, partner: &Station, mark: u8) {
    let payload = vec![mark; 100];
    let hello = Raw { from: MAC, to: partner.mac, ether_type: ETHER_TYPE, payload };
    peer.send(&Frame::from(hello.clone()).bytes());
    partner.expect(hello.clone());
    let answer = Raw { from: partner.mac, to: MAC, ..hello };
    partner.send(answer.clone());
    let answer = Frame::from(answer).bytes();
    // What is for all comes here, too.
    loop {
        let frame = peer.next();
        assert!(frame.len() < 64 || frame.last() != Some(&0xff), "it was for another life");
        if frame == answer {
            return;
        }
    }
}

fn counted(world: &World, counter: &str) -> u64 {
    number_after(&world.command(&format!("show port {PORT}")), counter).unwrap_or(0)
}

struct Connected(UnixStream);

impl Peer for Connected {
    fn send(&mut self, frame: &[u8]) {
        let length = (frame.len() as u32).to_be_bytes();
        self.0.write_all(&[&length, frame].concat()).expect("QEMU reads");
    }

    fn next(&mut self) -> Vec<u8> {
        let mut length = [0; 4];
        self.0.read_exact(&mut length).expect("a frame comes");
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        self.0.read_exact(&mut frame).expect("the rest of a frame comes");
        frame
    }
}

struct Bound {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Bound {
    fn at(path: &Path, far: &Path) -> Bound {
        let socket = UnixDatagram::bind(path).expect("nobody has the path");
        socket.connect(far).expect("QEMU has bound its own");
        socket.set_read_timeout(Some(LIMIT)).expect("a timeout above zero");
        Bound { socket, path: path.to_owned() }
    }
}

impl Peer for Bound {
    fn send(&mut self, frame: &[u8]) {
        self.socket.send(frame).expect("QEMU reads");
    }

    fn next(&mut self) -> Vec<u8> {
        let mut frame = vec![0; 2048];
        let length = self.socket.recv(&mut frame).expect("a frame comes");
        frame.truncate(length);
        frame
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}
