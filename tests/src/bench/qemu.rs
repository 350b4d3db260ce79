//! One QEMU of the benchmark: a machine between two wires, or a hub. All machines get the same: type,
//! processor, memory, two NICs at the same slots, a serial port.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};

use super::counts::Counter;
use super::frames::NICS;
use super::system::{Guest, Initrd};
use super::wire::Far;
use crate::Console;
use crate::machine::temporary_path;

/// Where QEMU finds the counter's table.
const COUNTER_FD: i32 = 30;

/// How a QEMU is started.
pub struct Launch {
    /// None for a hub.
    pub guest: Option<Guest>,
    pub memory_mib: u32,
    /// Whether others look into the guest's memory.
    pub shares_memory: bool,
    pub counts: bool,
    /// Named `n0` and `n1`.
    pub wires: [Far; 2],
    /// More options of every NIC, each after a comma.
    pub nic: &'static str,
    /// The network namespace that it is in.
    pub space: Option<String>,
}

pub struct Qemu {
    process: Child,
    pub console: Console,
    /// What it says when it is ready; a hub says nothing.
    ready: Option<&'static str>,
    /// Of its guest's instructions, where they are counted.
    pub counter: Option<Counter>,
    configuration: Option<PathBuf>,
}

impl Qemu {
    pub fn start(launch: Launch) -> io::Result<Qemu> {
        let mut command = launch.command();
        let mut inherited = Vec::new();
        for far in launch.wires {
            command.args(far.options);
            inherited.extend(far.inherited);
        }
        command.args(if launch.guest.is_some() { nics(launch.nic) } else { hub_ports() });
        let counter = launch.counts.then(Counter::new).transpose()?;
        if let Some(counter) = &counter {
            inherited.push((counter.share()?, COUNTER_FD));
            let plugin = std::env::var("FULCRUM_COUNTER").map_err(io::Error::other)?;
            command.args(["-plugin", &format!("file={plugin},fd={COUNTER_FD}")]);
        }
        let configuration = match &launch.guest {
            Some(guest) => give(&mut command, guest)?,
            None => None,
        };
        let mapping = |(parent_fd, child_fd): (OwnedFd, i32)| FdMapping { parent_fd, child_fd };
        let inherited = inherited.into_iter().map(mapping).collect();
        command.fd_mappings(inherited).map_err(io::Error::other)?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        // Our copies of QEMU's ends go with the command.
        let mut process = command.spawn()?;
        let ends = process.stdin.take().zip(process.stdout.take());
        let (keyboard, screen) = ends.expect("both were asked for");
        let console = Console::new(keyboard, screen);
        let ready = launch.guest.map(|guest| guest.ready);
        Ok(Qemu { process, console, ready, counter, configuration })
    }

    pub fn is_ready_within(&self, limit: Duration) -> bool {
        self.ready.is_none_or(|ready| self.console.says_within(limit, ready))
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.process.try_wait(), Ok(None))
    }

    pub fn process_id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if let Some(path) = &self.configuration {
            let _ = fs::remove_file(path);
        }
    }
}

impl Launch {
    /// Without anything that is plugged in.
    fn command(&self) -> Command {
        // A benchmark that is killed takes its machines along.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]);
        if let Some(space) = &self.space {
            command.args(["ip", "netns", "exec", space]);
        }
        command.args(["qemu-system-x86_64", "-nodefaults", "-no-user-config"]);
        command.args(["-display", "none", "-no-reboot"]);
        if self.guest.is_some() {
            command.args(["-accel", "tcg", "-cpu", "max", "-m", &format!("{}M", self.memory_mib)]);
            command.args(["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"]);
        } else {
            command.args(["-machine", "none"]);
        }
        if self.shares_memory {
            let size = self.memory_mib;
            let memory = format!("memory-backend-memfd,id=memory,size={size}M,share=on");
            command.args(["-object", &memory, "-numa", "node,memdev=memory"]);
        }
        command
    }
}

/// Both wires end in a hub.
fn hub_ports() -> Vec<String> {
    let port = |port| ["-netdev".into(), format!("hubport,id=h{port},hubid=0,netdev=n{port}")];
    (0..NICS.len()).flat_map(port).collect()
}

/// Each wire ends in a NIC.
fn nics(more: &str) -> Vec<String> {
    let nic = |(port, mac)| {
        let slot = 2 + port;
        let nic = format!("virtio-net-pci,netdev=n{port},mac={mac},addr={slot:#x},romfile={more}");
        ["-device".into(), nic]
    };
    NICS.iter().enumerate().flat_map(nic).collect()
}

/// What the guest is made of; the file that was written for it.
fn give(command: &mut Command, guest: &Guest) -> io::Result<Option<PathBuf>> {
    command.arg("-kernel").arg(&guest.kernel).args(["-append", &guest.command_line]);
    let written = match &guest.initrd {
        Initrd::File(path) => {
            command.arg("-initrd").arg(path);
            None
        }
        Initrd::Text(text) => {
            let path = temporary_path();
            fs::write(&path, text)?;
            command.arg("-initrd").arg(&path);
            Some(path)
        }
    };
    Ok(written)
}
