//! One machine under measurement, with the harness at both of its wires. Nothing here panics, since
//! one machine that does not come up must not cost the figures of the others.

use std::time::{Duration, Instant};

use super::counts::Counts;
use super::frames::{SHORTEST, Template, Traffic, hello};
use super::load::Ends;
use super::qemu::{Launch, Qemu};
use super::system::{Duty, Plan, System};
use super::wire::Netdev;

/// Where QEMU finds its ends of the wires.
const WIRES_FD: i32 = 20;
/// A machine that is not ready by then will not be.
pub const PATIENCE: Duration = Duration::from_secs(90);

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
        let guest = match setup.system.plan(setup.duty) {
            Plan::Nothing => {
                let (client, reals) = setup.netdev.loop_back().map_err(said)?;
                return Ok(Vm { setup, ends: Ends::new(client, reals), qemu: None });
            }
            Plan::Hub => None,
            Plan::Guest(guest) => Some(guest),
        };
        let (mut client, client_far) = setup.netdev.plug("n0", WIRES_FD).map_err(said)?;
        let (mut reals, reals_far) = setup.netdev.plug("n1", WIRES_FD + 1).map_err(said)?;
        let in_memory = setup.netdev == Netdev::VhostUser;
        let qemu = Qemu::start(Launch {
            guest,
            memory_mib: setup.memory_mib,
            shares_memory: in_memory,
            counts: setup.counts,
            wires: [client_far, reals_far],
            // With MSI-X QEMU 7.2 ends there when a driver is ready.
            nic: if in_memory { ",vectors=0" } else { "" },
            space: None,
        });
        let qemu = Some(qemu.map_err(said)?);
        client.connect();
        reals.connect();
        Ok(Vm { setup, ends: Ends::new(client, reals), qemu })
    }

    /// Waits for the machine to say that it is ready.
    pub fn await_ready(&self) -> Result<(), String> {
        match &self.qemu {
            Some(qemu) if !qemu.is_ready_within(PATIENCE) => Err(format!(
                "{} was not ready, but said: {}",
                self.setup.system,
                qemu.console.transcript()
            )),
            _ => Ok(()),
        }
    }

    /// Until frames go through: ports are up, everybody is known, every real may get flows.
    pub fn settle(&mut self) -> Result<(), String> {
        let start = Instant::now();
        if let (System::Fulcrum, Some(qemu)) = (self.setup.system, &self.qemu) {
            qemu.console.script_mode();
        }
        let traffic = match self.setup.duty {
            Duty::Switch => Traffic::Switched { length: SHORTEST },
            Duty::Translate | Duty::Direct | Duty::DirectBothWays => Traffic::Flows(1),
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

    fn has_reals(&self) -> bool {
        match &self.qemu {
            Some(qemu) => self.setup.system.has_reals(self.setup.duty, &qemu.console),
            None => true,
        }
    }

    /// Instructions executed so far.
    pub fn counts(&self) -> Result<Counts, String> {
        let counter = self.qemu.as_ref().and_then(|qemu| qemu.counter.as_ref());
        let counts = counter.ok_or("nobody counts")?.read();
        counts.map_err(|error| format!("the count was not read: {error}"))
    }

    /// Whether the machine has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.qemu.as_mut().is_some_and(Qemu::has_ended)
    }

    /// QEMU's, if there is one.
    pub fn process_id(&self) -> Option<u32> {
        self.qemu.as_ref().map(Qemu::process_id)
    }
}
