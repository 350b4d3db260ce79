//! One QEMU with the image: started, booted, and ended with the value that owns it.
//!
//! Wires, control port and further seats are socket pairs whose far ends QEMU inherits as numbered
//! descriptors, the console is QEMU's standard input and output: no root, no names, nothing to clean
//! up, and no two machines can meet.

use std::collections::BTreeSet;
use std::mem::swap;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::Child;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{env, fs};

use command_fds::{CommandFdExt, FdMapping};

use crate::qmp::NewNic;
use crate::station::Wires;
use crate::trace::Direction;
use crate::vhost::VhostUser;
use crate::{Console, Frame, LIMIT, MacAddr, Qmp, Raw, Station};

pub use setup::{Board, Firmware, Setup, Start};

mod setup;

use setup::{CONSOLE_FD, QMP_FD, SERIAL2_FD, VIRTIO_CONSOLE_FD, WIRES_FD};

/// IEEE 802's second ethertype for local experiments; the harness's markers have the first.
const ETHER_TYPE: u16 = 0x88b6;

/// How a console is reached from outside of the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// QEMU's standard input and output.
    #[default]
    Pipes,
    /// A UNIX socket that QEMU listens at.
    Unix,
    /// A TCP port that QEMU listens at.
    Tcp,
    /// The same, with telnet's negotiation first.
    Telnet,
}

pub struct Machine {
    pub console: Console,
    /// The far end of the second serial port, for a [`Console`] or to be left alone.
    pub serial2: Option<UnixStream>,
    /// The same of the virtio console.
    pub virtio_console: Option<UnixStream>,
    pub qmp: Qmp,
    /// The devices whose rings the test plays ([`Setup::shared`]), for it to take.
    pub devices: Vec<VhostUser>,
    /// Ports that there are or were.
    ports: AtomicUsize,
    /// Of those whose NIC was taken out: with it goes what it has on its way.
    unplugged: Mutex<BTreeSet<usize>>,
    board: Board,
    /// NICs behind those with a wire of ours.
    further: usize,
    wires: Arc<Wires>,
    process: Child,
    /// Files that QEMU reads.
    files: Vec<PathBuf>,
}

impl Machine {
    /// Starts a machine and waits until its console is ready.
    #[track_caller]
    pub fn boot(setup: Setup) -> Machine {
        let machine = Machine::start(setup);
        machine.await_console();
        machine
    }

    /// The same with the far ends of its wires in the caller's hands, for loads that no trace
    /// could hold.
    #[track_caller]
    pub fn boot_unplugged(setup: Setup) -> (Machine, Vec<UnixDatagram>) {
        let mut ends = Vec::new();
        let machine = Machine::launch(setup, |wires| {
            ends = wires;
            Wires::new(Vec::new())
        });
        machine.await_console();
        (machine, ends)
    }

    /// Starts a machine.
    #[track_caller]
    pub fn start(setup: Setup) -> Machine {
        Machine::launch(setup, Wires::new)
    }

    fn await_console(&self) {
        self.console.wait_for("fulcrum>");
        self.console.script_mode();
    }

    #[track_caller]
    fn launch(setup: Setup, plug: impl FnOnce(Vec<UnixDatagram>) -> Arc<Wires>) -> Machine {
        let (qmp, qmp_end) = UnixStream::pair().expect("a descriptor is free");
        let mut inherited = vec![inherit(qmp_end.into(), QMP_FD)];
        let console = setup.reach.connect().map(|(console, listener)| {
            inherited.push(inherit(listener, CONSOLE_FD));
            console
        });
        let mut far_end = |is_wanted: bool, number| {
            is_wanted.then(|| {
                let (near, far) = UnixStream::pair().expect("a descriptor is free");
                inherited.push(inherit(far.into(), number));
                near
            })
        };
        let serial2 = far_end(setup.serial2, SERIAL2_FD);
        let virtio_console = far_end(setup.virtio_console, VIRTIO_CONSOLE_FD);
        let mut wires = Vec::new();
        for port in 0..setup.ports + setup.sockets {
            let (near, far) = UnixDatagram::pair().expect("a descriptor is free");
            wires.push(near);
            inherited.push(inherit(far.into(), WIRES_FD + port as i32));
        }
        let listen = |_| VhostUser::listen().expect("the temporary directory takes sockets");
        let mut devices: Vec<VhostUser> = (0..setup.shared).map(listen).collect();
        let configuration = setup.configuration.as_deref().map(write_file);
        let fw_cfg = setup.fw_cfg.as_deref().map(write_file);
        let mut command = setup.command(configuration.as_deref(), fw_cfg.as_deref());
        devices
            .iter()
            .enumerate()
            .for_each(|(at, it)| setup.add_shared(&mut command, at, &it.path));
        command.fd_mappings(inherited).expect("every number is given once");
        let mut process = command.spawn().expect("QEMU is installed");
        devices.iter_mut().for_each(VhostUser::accept);
        let ends = process.stdin.take().zip(process.stdout.take());
        let (keyboard, screen) = ends.expect("both were asked for");
        // The command held our copies of QEMU's ends.
        drop(command);
        Machine {
            console: console.unwrap_or_else(|| Console::new(keyboard, screen)),
            serial2,
            virtio_console,
            qmp: Qmp::new(qmp),
            devices,
            ports: AtomicUsize::new(setup.ports),
            unplugged: Mutex::default(),
            board: setup.board,
            further: setup.netdevs.len() + setup.shared,
            wires: plug(wires),
            process,
            files: configuration.into_iter().chain(fw_cfg).collect(),
        }
    }

    /// Moves it to another QEMU, which was given the same as this one, while it runs; does something until it
    /// stands still here. When this returns it goes on there, and its wires lead there.
    #[track_caller]
    pub fn migrate(&mut self, setup: Setup, meanwhile: impl FnOnce(&Qmp)) {
        let path = temporary_path();
        let incoming = Some(path.clone());
        let mut far_ends = Vec::new();
        let mut other = Machine::launch(Setup { incoming, ..setup }, |wires| {
            far_ends = wires;
            Wires::new(Vec::new())
        });
        other.qmp.announce_nothing();
        self.qmp.migrate(&path);
        meanwhile(&self.qmp);
        self.qmp.await_event("STOP", "");
        other.qmp.await_event("RESUME", "");
        self.wires.lead_to(far_ends);
        swap(&mut self.process, &mut other.process);
        swap(&mut self.console, &mut other.console);
        swap(&mut self.qmp, &mut other.qmp);
        swap(&mut self.files, &mut other.files);
        let _ = fs::remove_file(&path);
    }

    /// Plugs a NIC of this model in behind a socket's wire.
    #[track_caller]
    pub fn plug(&self, port: usize, model: &str) {
        let (bus, slot) = self.board.socket(port);
        self.qmp.plug(&NewNic { model, port, bus: &bus, slot });
        self.ports.fetch_max(port + 1, Ordering::Relaxed);
    }

    /// Asks for it back, and waits until it is let out.
    #[track_caller]
    pub fn unplug(&self, port: usize) {
        self.unplugged.lock().unwrap().insert(port);
        self.qmp.unplug(port);
    }

    /// The station behind a NIC; 0 is the uplink.
    pub fn station(&self, port: usize) -> Station {
        self.wires.station(port)
    }

    /// A frame of everybody's to all arrives at every other port, and nothing else does.
    #[track_caller]
    pub fn assert_switches(&self) {
        let ports = self.ports.load(Ordering::Relaxed);
        let stations: Vec<Station> = (0..ports).map(|port| self.station(port)).collect();
        let stations: Vec<&Station> = stations.iter().collect();
        let hello = |from: usize| {
            Frame::Raw(Raw {
                from: stations[from].mac,
                to: MacAddr::BROADCAST,
                ether_type: ETHER_TYPE,
                payload: b"hello, everybody; this is long enough for Ethernet".to_vec(),
            })
        };
        for from in 0..ports {
            stations[from].send(hello(from));
            for (port, frames) in Station::settle(&stations).into_iter().enumerate() {
                let expected = if port == from { vec![] } else { vec![hello(from)] };
                assert_eq!(frames, expected, "from port {from} at port {port}");
            }
        }
    }

    /// Every frame that went in or came out is in the appliance's counters, and each that went in
    /// has exactly one ending there; but for what a NIC took along. Asks again while answers to ARP
    /// checks are on their way.
    #[track_caller]
    pub fn assert_accounted(&self) {
        self.console.command_until("show counters", |table| {
            let rows: Vec<&str> = table.lines().skip(1).collect();
            let mut numbered = rows.iter().enumerate();
            rows.len() == self.ports.load(Ordering::Relaxed) + self.further
                && numbered.all(|(port, row)| self.is_accounted(port, row))
        });
    }

    /// A row is port, in, forwarded, flooded, replied, punted, dropped, out.
    fn is_accounted(&self, port: usize, row: &str) -> bool {
        let numbers: Result<Vec<u64>, _> = row.split_whitespace().skip(1).map(str::parse).collect();
        let Ok([received, endings @ .., sent]) = numbers.as_deref() else {
            return false;
        };
        let [went_in, came_out] =
            [Direction::In, Direction::Out].map(|way| self.wires.trace.count(port, way));
        let ended = endings.iter().sum::<u64>();
        if port >= self.ports.load(Ordering::Relaxed) {
            // Nobody counted them on the way, and what its NIC refuses is among the dropped.
            return *received <= ended;
        }
        let is_as_on_the_wire = match self.unplugged.lock().unwrap().contains(&port) {
            true => *received <= went_in && *sent >= came_out,
            false => *received == went_in && *sent == came_out,
        };
        *received == ended && is_as_on_the_wire
    }

    /// Process id of QEMU.
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Waits for the end of QEMU and gives its exit code.
    #[track_caller]
    pub fn await_exit(&mut self) -> Option<i32> {
        let end = Instant::now() + LIMIT;
        while Instant::now() < end {
            if let Some(status) = self.process.try_wait().expect("it is our child") {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("QEMU did not end");
    }

    /// What a person needs to understand a failure.
    fn report(&self) {
        let name = std::thread::current().name().unwrap_or("machine").replace("::", "-");
        let directory = image_path().with_file_name("traces");
        let pcap = directory.join(name + ".pcap");
        let written =
            fs::create_dir_all(&directory).and_then(|()| self.wires.trace.write_pcap(&pcap));
        eprintln!("--- console\n{}", self.console.transcript());
        eprintln!("--- frames, as the appliance sees them\n{}", self.wires.trace.text());
        match written {
            Ok(()) => eprintln!("--- all frames: {}", pcap.display()),
            Err(error) => eprintln!("--- {} was not written: {error}", pcap.display()),
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.report();
        }
        self.wires.stop();
        let _ = self.process.kill();
        let _ = self.process.wait();
        for path in &self.files {
            let _ = fs::remove_file(path);
        }
    }
}

impl Reach {
    /// A console that is connected already, and where QEMU is to listen for it; `None` for pipes.
    #[track_caller]
    fn connect(self) -> Option<(Console, OwnedFd)> {
        match self {
            Reach::Pipes => None,
            Reach::Unix => {
                let path = temporary_path();
                let listener = UnixListener::bind(&path).expect("nobody has the path");
                let stream = UnixStream::connect(&path).expect("it listens");
                let _ = fs::remove_file(&path);
                Some((Console::over(stream), listener.into()))
            }
            Reach::Tcp | Reach::Telnet => {
                let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
                let address = listener.local_addr().expect("it is bound");
                let stream = TcpStream::connect(address).expect("it listens");
                let keyboard = stream.try_clone().expect("a descriptor is free");
                Some((Console::new(keyboard, stream), listener.into()))
            }
        }
    }

    fn chardev(self) -> String {
        let socket = format!("socket,id=console,fd={CONSOLE_FD},server=on,wait=off");
        match self {
            Reach::Pipes => "stdio,id=console,signal=off".into(),
            Reach::Unix | Reach::Tcp => socket,
            Reach::Telnet => socket + ",telnet=on",
        }
    }
}

/// The image under test.
#[track_caller]
pub fn image_path() -> PathBuf {
    let path = env::var_os("FULCRUM_IMAGE").map(PathBuf::from);
    let path = path.expect(
        "FULCRUM_IMAGE is not set: it is the path of the image to test, as the last line of \
         './run-qemu.sh build' says it. './tests/run.sh' does both.",
    );
    assert!(path.is_file(), "FULCRUM_IMAGE: there is no file {}", path.display());
    path
}

fn inherit(parent_fd: OwnedFd, child_fd: i32) -> FdMapping {
    FdMapping { parent_fd, child_fd }
}

/// QEMU reads files, so a configuration has to be one.
fn write_file(text: &str) -> PathBuf {
    let path = temporary_path();
    fs::write(&path, text).expect("the temporary directory takes files");
    path
}

/// A path that nobody has.
pub fn temporary_path() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("fulcrum-test-{}-{number}", std::process::id());
    env::temp_dir().join(name)
}
