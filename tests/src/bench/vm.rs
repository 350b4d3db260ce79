//! One machine under measurement: started, ready, and ended with the value that owns it.
//!
//! All get the same: machine type, processor, memory, two NICs of one kind at the same slots, a
//! serial port. Nothing here panics, since one machine that does not come up must not cost the
//! figures of the others.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use command_fds::{CommandFdExt, FdMapping};

use super::counts::{Counter, Counts};
use super::frames::{NICS, REALS, SHORTEST, Template, Traffic, hello};
use super::load::Ends;
use super::system::{Duty, Guest, Initrd, Plan, System};
use super::wire::Netdev;
use crate::Console;
use crate::machine::temporary_path;

/// Where QEMU finds the ends that it inherits.
const WIRES_FD: i32 = 20;
const COUNTER_FD: i32 = 30;
/// A machine that is not ready by then will not be.
const PATIENCE: Duration = Duration::from_secs(90);

/// What kind of machine.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    pub system: System,
    pub duty: Duty,
    pub netdev: Netdev,
    pub memory_mib: u32,
    /// Whether its instructions are counted, which costs it time.
    pub counts: bool,
}

pub struct Vm {
    pub setup: Setup,
    pub ends: Ends,
    /// Nothing, where the harness's ends are joined.
    pub qemu: Option<Qemu>,
}

pub struct Qemu {
    process: Child,
    console: Console,
    /// What it says when it is ready; a hub says nothing.
    ready: Option<&'static str>,
    /// Of its guest's instructions, where they are counted.
    pub counter: Option<Counter>,
    configuration: Option<PathBuf>,
}

impl Setup {
    /// The memory that all have.
    pub const MEMORY_MIB: u32 = 512;

    pub const fn new(system: System, duty: Duty, netdev: Netdev) -> Setup {
        Setup { system, duty, netdev, memory_mib: Setup::MEMORY_MIB, counts: false }
    }
}

impl Vm {
    /// Starts a machine and waits until it does its duty.
    pub fn boot(setup: Setup) -> Result<Vm, String> {
        let mut vm = Vm::start(setup)?;
        vm.await_ready()?;
        vm.settle()?;
        Ok(vm)
    }

    pub fn start(setup: Setup) -> Result<Vm, String> {
        let said = |error: std::io::Error| format!("{} was not started: {error}", setup.system);
        let (guest, hub) = match setup.system.plan(setup.duty) {
            Plan::Nothing => {
                let (client, reals) = setup.netdev.loop_back().map_err(said)?;
                return Ok(Vm { setup, ends: Ends::new(client, reals), qemu: None });
            }
            Plan::Hub => (None, true),
            Plan::Guest(guest) => (Some(guest), false),
        };
        let (mut client, client_far) = setup.netdev.plug("n0", WIRES_FD).map_err(said)?;
        let (mut reals, reals_far) = setup.netdev.plug("n1", WIRES_FD + 1).map_err(said)?;
        let mut command = qemu(&setup, hub)?;
        let mut inherited = Vec::new();
        for far in [client_far, reals_far] {
            command.args(far.options);
            inherited.extend(far.inherited);
        }
        command.args(if hub { hub_ports() } else { nics(setup.netdev) });
        let counter = setup.counts.then(Counter::new).transpose().map_err(said)?;
        if let Some(counter) = &counter {
            inherited.push((counter.share().map_err(said)?, COUNTER_FD));
        }
        let mut configuration = None;
        if let Some(guest) = &guest {
            configuration = give(&mut command, guest).map_err(said)?;
        }
        let mapping = |(parent_fd, child_fd): (OwnedFd, i32)| FdMapping { parent_fd, child_fd };
        let inherited = inherited.into_iter().map(mapping).collect();
        command.fd_mappings(inherited).map_err(|error| error.to_string())?;
        let mut process = command.spawn().map_err(said)?;
        let ends = process.stdin.take().zip(process.stdout.take());
        let (keyboard, screen) = ends.ok_or("QEMU has no console")?;
        // The command held our copies of QEMU's ends.
        drop(command);
        let console = Console::new(keyboard, screen);
        let ready = guest.map(|guest| guest.ready);
        let qemu = Some(Qemu { process, console, ready, counter, configuration });
        client.connect();
        reals.connect();
        Ok(Vm { setup, ends: Ends::new(client, reals), qemu })
    }

    /// Waits for the machine to say that it is ready.
    pub fn await_ready(&self) -> Result<(), String> {
        self.is_ready_within(PATIENCE).then_some(()).ok_or_else(|| {
            let said = self.qemu.as_ref().map(|qemu| qemu.console.transcript());
            format!("{} was not ready, but said: {}", self.setup.system, said.unwrap_or_default())
        })
    }

    pub fn is_ready_within(&self, limit: Duration) -> bool {
        let Some(Qemu { console, ready: Some(ready), .. }) = &self.qemu else {
            return true;
        };
        console.says_within(limit, ready)
    }

    /// Until frames go through: ports are up, everybody is known, every real may get flows.
    pub fn settle(&mut self) -> Result<(), String> {
        let start = Instant::now();
        if let (System::Fulcrum, Some(qemu)) = (self.setup.system, &self.qemu) {
            qemu.console.script_mode();
        }
        let traffic = match self.setup.duty {
            Duty::Switch => Traffic::Switched { length: SHORTEST },
            Duty::Translate | Duty::Direct => Traffic::Flows(1),
        };
        let template = Template::new(traffic, self.setup.system.vip_mac());
        while start.elapsed() < PATIENCE {
            self.ends.reals_say(hello());
            self.ends.rest(Duration::from_millis(250))?;
            if self.has_reals() && self.ends.try_one(&template, Duration::from_millis(250))? {
                return Ok(());
            }
        }
        Err(format!("{}: no frame goes through", self.setup.system))
    }

    /// Whether all reals may get flows. The rivals ask nobody.
    fn has_reals(&self) -> bool {
        let (System::Fulcrum, Some(qemu)) = (self.setup.system, &self.qemu) else {
            return true;
        };
        let is_up = |line: &&str| line.contains(" up ");
        let guests = qemu.console.ask("show guest").unwrap_or_default();
        self.setup.duty == Duty::Switch
            || guests.lines().filter(is_up).count() == usize::from(REALS)
    }

    /// Instructions executed so far.
    pub fn counts(&self) -> Result<Counts, String> {
        let counter = self.qemu.as_ref().and_then(|qemu| qemu.counter.as_ref());
        let counts = counter.ok_or("nobody counts")?.read();
        counts.map_err(|error| format!("the count was not read: {error}"))
    }

    /// Whether the machine has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        let status = self.qemu.as_mut().map(|qemu| qemu.process.try_wait());
        !matches!(status, None | Some(Ok(None)))
    }

    /// QEMU's, if there is one.
    pub fn process_id(&self) -> Option<u32> {
        self.qemu.as_ref().map(|qemu| qemu.process.id())
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

/// QEMU without anything that is plugged in.
fn qemu(setup: &Setup, hub: bool) -> Result<Command, String> {
    // A benchmark that is killed takes its machines along.
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", "qemu-system-x86_64"]);
    command.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]);
    if hub {
        command.args(["-machine", "none"]);
    } else {
        command.args(["-accel", "tcg", "-cpu", "max", "-m", &format!("{}M", setup.memory_mib)]);
        command.args(["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"]);
    }
    if setup.netdev == Netdev::VhostUser {
        let memory = format!("memory-backend-memfd,id=memory,size={}M,share=on", setup.memory_mib);
        command.args(["-object", &memory, "-numa", "node,memdev=memory"]);
    }
    if setup.counts {
        let plugin = std::env::var("FULCRUM_COUNTER");
        let plugin = plugin.map_err(|_| "FULCRUM_COUNTER is set by ./tests/bench.sh")?;
        command.args(["-plugin", &format!("file={plugin},fd={COUNTER_FD}")]);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    Ok(command)
}

/// Both wires end in a hub.
fn hub_ports() -> Vec<String> {
    let port = |port| ["-netdev".into(), format!("hubport,id=h{port},hubid=0,netdev=n{port}")];
    (0..NICS.len()).flat_map(port).collect()
}

/// Each wire ends in a NIC. With MSI-X and vhost-user QEMU 7.2 ends when a driver is ready, so there
/// they have none.
fn nics(netdev: Netdev) -> Vec<String> {
    let more = if netdev == Netdev::VhostUser { ",vectors=0" } else { "" };
    let nic = |(port, mac)| {
        let slot = 2 + port;
        let nic = format!("virtio-net-pci,netdev=n{port},mac={mac},addr={slot:#x},romfile={more}");
        ["-device".into(), nic]
    };
    NICS.iter().enumerate().flat_map(nic).collect()
}

/// What the guest is made of; the file that was written for it.
fn give(command: &mut Command, guest: &Guest) -> std::io::Result<Option<PathBuf>> {
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
