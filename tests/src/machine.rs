//! One QEMU with the image: started, booted, and ended with the value that owns it.
//!
//! Wires, control port and further seats are socket pairs whose far ends QEMU inherits as numbered
//! descriptors, the console is QEMU's standard input and output: no root, no names, nothing to clean
//! up, and no two machines can meet.

use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{env, fs};

use command_fds::{CommandFdExt, FdMapping};

use crate::station::Wires;
use crate::trace::Direction;
use crate::{Console, LIMIT, Qmp, Station};

/// Where QEMU finds the ends that it inherits: control port, consoles, and wires from here on.
const QMP_FD: i32 = 11;
const CONSOLE_FD: i32 = 12;
const SERIAL2_FD: i32 = 13;
const VIRTIO_CONSOLE_FD: i32 = 14;
const WIRES_FD: i32 = 20;

/// NICs on the first PCI bus; further ones sit behind bridges, as many on each.
const BUS_NICS_MAX: usize = 24;

/// What kind of machine a test wants.
#[derive(Clone, Debug)]
pub struct Setup {
    /// NICs: the uplink and the guests' ports.
    pub ports: usize,
    /// QEMU's names of the first of them; the others are virtio.
    pub models: &'static [&'static str],
    pub memory_mib: u32,
    /// The file that the loader hands over.
    pub configuration: Option<String>,
    /// The file that QEMU's fw_cfg hands over.
    pub fw_cfg: Option<String>,
    /// The disk that configurations are saved on.
    pub disk: Option<PathBuf>,
    /// The kernel command line.
    pub command_line: &'static str,
    /// QEMU's name of the processor.
    pub processor: &'static str,
    /// How the console is reached.
    pub reach: Reach,
    /// Whether there is a second serial port.
    pub serial2: bool,
    /// Whether there is a virtio console.
    pub virtio_console: bool,
}

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
    ports: usize,
    wires: Arc<Wires>,
    process: Child,
    /// Files that QEMU reads.
    files: Vec<PathBuf>,
}

impl Default for Setup {
    fn default() -> Setup {
        Setup {
            ports: 4,
            models: &[],
            memory_mib: 256,
            configuration: None,
            fw_cfg: None,
            disk: None,
            command_line: "",
            processor: "max",
            reach: Reach::Pipes,
            serial2: false,
            virtio_console: false,
        }
    }
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
        for port in 0..setup.ports {
            let (near, far) = UnixDatagram::pair().expect("a descriptor is free");
            wires.push(near);
            inherited.push(inherit(far.into(), WIRES_FD + port as i32));
        }
        let configuration = setup.configuration.as_deref().map(write_file);
        let fw_cfg = setup.fw_cfg.as_deref().map(write_file);
        let mut command = qemu(&setup, configuration.as_deref(), fw_cfg.as_deref());
        command.fd_mappings(inherited).expect("every number is given once");
        let mut process = command.spawn().expect("QEMU is installed");
        let ends = process.stdin.take().zip(process.stdout.take());
        let (keyboard, screen) = ends.expect("both were asked for");
        // The command held our copies of QEMU's ends.
        drop(command);
        Machine {
            console: console.unwrap_or_else(|| Console::new(keyboard, screen)),
            serial2,
            virtio_console,
            qmp: Qmp::new(qmp),
            ports: setup.ports,
            wires: plug(wires),
            process,
            files: configuration.into_iter().chain(fw_cfg).collect(),
        }
    }

    /// The station behind a NIC; 0 is the uplink.
    pub fn station(&self, port: usize) -> Station {
        self.wires.station(port)
    }

    /// Every frame that went in or came out is in the appliance's counters, and each that went in
    /// has exactly one ending there. Asks again while answers to ARP checks are on their way.
    #[track_caller]
    pub fn assert_accounted(&self) {
        self.console.command_until("show counters", |table| {
            let rows: Vec<&str> = table.lines().skip(1).collect();
            let mut numbered = rows.iter().enumerate();
            rows.len() == self.ports && numbered.all(|(port, row)| self.is_accounted(port, row))
        });
    }

    /// A row is port, in, forwarded, flooded, replied, punted, dropped, out.
    fn is_accounted(&self, port: usize, row: &str) -> bool {
        let numbers: Result<Vec<u64>, _> = row.split_whitespace().skip(1).map(str::parse).collect();
        let Ok([received, endings @ .., sent]) = numbers.as_deref() else {
            return false;
        };
        *received == endings.iter().sum::<u64>()
            && *received == self.wires.trace.count(port, Direction::In)
            && *sent == self.wires.trace.count(port, Direction::Out)
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

fn qemu(setup: &Setup, configuration: Option<&Path>, fw_cfg: Option<&Path>) -> Command {
    // A test program that is killed takes its machines along.
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", "qemu-system-x86_64"]);
    command.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]);
    command.args(["-accel", &env::var("FULCRUM_ACCEL").unwrap_or_else(|_| "tcg".into())]);
    command.args(["-cpu", setup.processor, "-m", &format!("{}M", setup.memory_mib)]);
    command.arg("-kernel").arg(image_path()).args(["-append", setup.command_line]);
    if let Some(path) = configuration {
        command.arg("-initrd").arg(path);
    }
    if let Some(path) = fw_cfg {
        command.args(["-fw_cfg", &format!("name=opt/fulcrum/config,file={}", path.display())]);
    }
    if let Some(path) = &setup.disk {
        let path = path.display();
        command.args(["-drive", &format!("if=none,format=raw,file={path},id=disk")]);
        command.args(["-device", "virtio-blk-pci,drive=disk,bus=pci.0,addr=0x1e"]);
    }
    command.args(["-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"]);
    command.args(["-chardev", &setup.reach.chardev(), "-serial", "chardev:console"]);
    if setup.serial2 {
        command.args(["-chardev", &format!("socket,id=serial2,fd={SERIAL2_FD}")]);
        command.args(["-serial", "chardev:serial2"]);
    }
    if setup.virtio_console {
        command.args(["-chardev", &format!("socket,id=virtio,fd={VIRTIO_CONSOLE_FD}")]);
        command.args(["-device", "virtio-serial-pci,bus=pci.0,addr=0x1f"]);
        command.args(["-device", "virtconsole,chardev=virtio"]);
    }
    command.args(["-chardev", &format!("socket,id=qmp,fd={QMP_FD}")]);
    command.args(["-mon", "chardev=qmp,mode=control"]);
    for port in 0..setup.ports {
        let (bus, at) = (port / BUS_NICS_MAX, port % BUS_NICS_MAX);
        if bus > 0 && at == 0 {
            let slot = 2 + BUS_NICS_MAX + bus;
            let bridge = format!("pci-bridge,id=bridge{bus},chassis_nr={bus},addr={slot:#x}");
            command.args(["-device", &bridge]);
        }
        let bus = if bus == 0 { "pci.0".into() } else { format!("bridge{bus}") };
        let (slot, fd) = (2 + at, WIRES_FD + port as i32);
        command.args(["-netdev", &format!("dgram,id=n{port},local.type=fd,local.str={fd}")]);
        let model = setup.models.get(port).unwrap_or(&"virtio-net-pci");
        let nic = format!("{model},netdev=n{port},bus={bus},addr={slot:#x},romfile=");
        command.args(["-device", &nic]);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command
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
pub(crate) fn temporary_path() -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("fulcrum-test-{}-{number}", std::process::id());
    env::temp_dir().join(name)
}
