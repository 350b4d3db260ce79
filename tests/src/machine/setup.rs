//! What kind of machine a test wants, and QEMU's words for it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Reach, image_path};

/// Where QEMU finds the ends that it inherits: control port, consoles, and wires from here on.
pub(super) const QMP_FD: i32 = 11;
pub(super) const CONSOLE_FD: i32 = 12;
pub(super) const SERIAL2_FD: i32 = 13;
pub(super) const VIRTIO_CONSOLE_FD: i32 = 14;
pub(super) const WIRES_FD: i32 = 20;

/// NICs on the first PCI bus; further ones sit behind bridges, as many on each.
const BUS_NICS_MAX: usize = 24;

/// What kind of machine a test wants.
#[derive(Clone, Debug)]
pub struct Setup {
    /// NICs: the uplink and the guests' ports.
    pub ports: usize,
    /// QEMU's names of the first of them; the others are virtio.
    pub models: &'static [&'static str],
    /// Further wires, whose NICs are plugged in later ([`super::Machine::plug`]).
    pub sockets: usize,
    /// Further NICs, on netdevs in QEMU's words, whose other ends the test has.
    pub netdevs: Vec<String>,
    /// NICs behind all of those, whose rings in the machine's memory the test plays itself
    /// ([`super::Machine::devices`]).
    pub shared: usize,
    pub board: Board,
    pub start: Start,
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
    /// Whether there is a watchdog, an i6300esb.
    pub watchdog: bool,
    /// Where it waits to become what another machine is ([`super::Machine::migrate`]).
    pub incoming: Option<PathBuf>,
}

/// How the image gets into memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// QEMU brings it: PVH.
    Kernel,
    /// A firmware starts this disk, and its boot loader the image: multiboot2. The disk's model is
    /// QEMU's name of it.
    Disk { path: PathBuf, model: &'static str, firmware: Firmware },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Firmware {
    Bios,
    Uefi,
}

/// QEMU's kinds of PC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Board {
    /// Of 1996: PCI.
    #[default]
    Pc,
    /// Of 2009: PCI Express.
    Q35,
    /// The same, which leaves plugging to the slots themselves and not to ACPI.
    Q35Native,
    /// Of 2019: neither, and no firmware to speak of. Its devices are virtio's, with registers in memory;
    /// eight there may be.
    Microvm,
}

impl Default for Setup {
    fn default() -> Setup {
        Setup {
            ports: 4,
            models: &[],
            sockets: 0,
            netdevs: Vec::new(),
            shared: 0,
            board: Board::Pc,
            start: Start::Kernel,
            memory_mib: 256,
            configuration: None,
            fw_cfg: None,
            disk: None,
            command_line: "",
            processor: "max",
            reach: Reach::Pipes,
            serial2: false,
            virtio_console: false,
            watchdog: false,
            incoming: None,
        }
    }
}

impl Setup {
    /// The command that starts it; `configuration` and `fw_cfg` are the files that hold those.
    pub(super) fn command(&self, configuration: Option<&Path>, fw_cfg: Option<&Path>) -> Command {
        // A test program that is killed takes its machines along.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--", "qemu-system-x86_64"]);
        command.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]);
        command.args(["-accel", &env::var("FULCRUM_ACCEL").unwrap_or_else(|_| "tcg".into())]);
        command.args(["-machine", self.board.name()]);
        if self.board == Board::Microvm {
            command.args(["-global", "virtio-mmio.force-legacy=false"]);
        }
        command.args(["-cpu", self.processor, "-m", &format!("{}M", self.memory_mib)]);
        if self.shared > 0 {
            let size = self.memory_mib;
            let memory = format!("memory-backend-memfd,id=memory,size={size}M,share=on");
            command.args(["-object", &memory, "-numa", "node,memdev=memory"]);
        }
        self.add_start(&mut command, configuration);
        if let Some(path) = fw_cfg {
            command.args(["-fw_cfg", &format!("name=opt/fulcrum/config,file={}", path.display())]);
        }
        command.args(["-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"]);
        self.add_seats(&mut command);
        self.add_disk(&mut command);
        if self.watchdog {
            command.args(["-device", &self.board.place("i6300esb", "0x1c")]);
        }
        if let Some(path) = &self.incoming {
            command.args(["-incoming", &format!("unix:{}", path.display())]);
        }
        (0..self.ports).for_each(|port| self.add_nic(&mut command, port));
        let sockets = self.ports..self.ports + self.sockets;
        sockets.for_each(|port| self.add_socket(&mut command, port));
        (0..self.netdevs.len()).for_each(|at| self.add_netdev(&mut command, at));
        if self.board == Board::Q35Native {
            let property = "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off";
            command.args(["-global", property]);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        command
    }

    /// The image, and the file that its loader hands over.
    fn add_start(&self, command: &mut Command, configuration: Option<&Path>) {
        match &self.start {
            Start::Kernel => {
                command.arg("-kernel").arg(image_path()).args(["-append", self.command_line]);
                if let Some(path) = configuration {
                    command.arg("-initrd").arg(path);
                }
            }
            Start::Disk { path, model, firmware } => {
                let path = path.display();
                command.args(["-drive", &format!("if=none,format=raw,file={path},id=start")]);
                command.args(["-device", &format!("{model},drive=start,bootindex=1")]);
                if *firmware == Firmware::Uefi {
                    command.args(["-bios", "OVMF.fd"]);
                }
            }
        }
    }

    /// Consoles and the control port.
    fn add_seats(&self, command: &mut Command) {
        command.args(["-chardev", &self.reach.chardev(), "-serial", "chardev:console"]);
        if self.serial2 {
            command.args(["-chardev", &format!("socket,id=serial2,fd={SERIAL2_FD}")]);
            command.args(["-serial", "chardev:serial2"]);
        }
        if self.virtio_console {
            command.args(["-chardev", &format!("socket,id=virtio,fd={VIRTIO_CONSOLE_FD}")]);
            command.args(["-device", &self.board.device("virtio-serial", "0x1d")]);
            command.args(["-device", "virtconsole,chardev=virtio"]);
        }
        command.args(["-chardev", &format!("socket,id=qmp,fd={QMP_FD}")]);
        command.args(["-mon", "chardev=qmp,mode=control"]);
    }

    fn add_disk(&self, command: &mut Command) {
        let Some(path) = &self.disk else { return };
        command.args(["-drive", &format!("if=none,format=raw,file={},id=disk", path.display())]);
        command.args(["-device", &(self.board.device("virtio-blk", "0x1e") + ",drive=disk")]);
    }

    fn add_nic(&self, command: &mut Command, port: usize) {
        add_wire(command, port);
        let (bridge, at) = (port / BUS_NICS_MAX, port % BUS_NICS_MAX);
        if bridge > 0 && at == 0 {
            let slot = format!("{:#x}", 2 + BUS_NICS_MAX + bridge);
            let device = format!("pci-bridge,id=bridge{bridge},chassis_nr={bridge}");
            command.args(["-device", &self.board.place(&device, &slot)]);
        }
        let slot = format!("{:#x}", 2 + at);
        let nic = match (self.models.get(port), bridge) {
            (None, 0) => self.board.device("virtio-net", &slot),
            (Some(model), 0) => self.board.place(model, &slot),
            (model, _) => {
                let model = model.unwrap_or(&"virtio-net-pci");
                format!("{model},bus=bridge{bridge},addr={slot}")
            }
        };
        let no_rom = if self.board == Board::Microvm { "" } else { ",romfile=" };
        command.args(["-device", &format!("{nic},netdev=n{port}{no_rom}")]);
    }

    /// A NIC in whose memory somebody at this socket looks himself. With MSI-X QEMU 7.2 does not live to see
    /// that without KVM.
    pub(super) fn add_shared(&self, command: &mut Command, at: usize, socket: &Path) {
        let path = socket.display();
        command.args(["-chardev", &format!("socket,id=c{at},path={path}")]);
        command.args(["-netdev", &format!("vhost-user,id=v{at},chardev=c{at}")]);
        let nic = self.further_nic(self.netdevs.len() + at);
        command.args(["-device", &format!("{nic},netdev=v{at},vectors=0,romfile=")]);
    }

    fn add_netdev(&self, command: &mut Command, at: usize) {
        let (netdev, nic) = (&self.netdevs[at], self.further_nic(at));
        command.args(["-netdev", &format!("{netdev},id=f{at}")]);
        command.args(["-device", &format!("{nic},netdev=f{at},romfile=")]);
    }

    /// One in a slot behind those of wires.
    fn further_nic(&self, at: usize) -> String {
        let slot = format!("{:#x}", 2 + self.ports + self.sockets + at);
        self.board.device("virtio-net", &slot)
    }

    /// A wire without a NIC, and on PCI Express a slot for one.
    fn add_socket(&self, command: &mut Command, port: usize) {
        add_wire(command, port);
        let (bus, _) = self.board.socket(port);
        if self.board != Board::Pc {
            let device = format!("pcie-root-port,id={bus},chassis={port},slot={port}");
            command.args(["-device", &format!("{device},addr={:#x}", 2 + port)]);
        }
    }
}

fn add_wire(command: &mut Command, port: usize) {
    let fd = WIRES_FD + port as i32;
    command.args(["-netdev", &format!("dgram,id=n{port},local.type=fd,local.str={fd}")]);
}

impl Board {
    fn name(self) -> &'static str {
        match self {
            Board::Pc => "pc",
            Board::Q35 | Board::Q35Native => "q35",
            Board::Microvm => "microvm,acpi=off",
        }
    }

    /// A virtio device of a family, in a slot where there are slots.
    fn device(self, family: &str, slot: &str) -> String {
        match self {
            Board::Pc | Board::Q35 | Board::Q35Native => self.place(&format!("{family}-pci"), slot),
            Board::Microvm => format!("{family}-device"),
        }
    }

    /// A device on the first bus.
    fn place(self, device: &str, slot: &str) -> String {
        match self {
            Board::Pc => format!("{device},bus=pci.0,addr={slot}"),
            Board::Q35 | Board::Q35Native => format!("{device},bus=pcie.0,addr={slot}"),
            Board::Microvm => device.into(),
        }
    }

    /// Where a NIC is plugged in: the bus, and the slot on it.
    pub(super) fn socket(self, port: usize) -> (String, usize) {
        match self {
            Board::Pc => ("pci.0".into(), 2 + port),
            Board::Q35 | Board::Q35Native => (format!("socket{port}"), 0),
            Board::Microvm => panic!("there is nothing to plug a NIC into"),
        }
    }
}
