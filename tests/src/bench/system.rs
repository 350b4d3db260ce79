//! What is compared: how each machine is made to do the same thing.

use std::env;
use std::fmt;
use std::path::PathBuf;

use lb::MacAddr;

use super::frames::{CLIENT, NICS, REAL_PORT, REALS, SERVICE_PORT, VIP, real_address, real_mac};
use super::wire::Netdev;
use crate::Console;
use crate::machine::image_path;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum System {
    Fulcrum,
    /// Debian's cloud kernel: a bridge, or IPVS.
    Linux,
    /// DPDK's forwarder in such a machine: from one NIC to the other, whatever it is.
    Testpmd,
    /// The same, and source and destination change places.
    Macswap,
    /// QEMU without a machine in it: its two netdevs, joined by a hub.
    Hub,
    /// The harness alone, its ends joined.
    Harness,
}

/// What a machine is to do between its two NICs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Duty {
    Switch,
    /// Spread datagrams and connections over the reals, and translate addresses.
    Translate,
    /// The same, and change MAC addresses alone. Answers need not come back this way.
    Direct,
    /// The same where they have to: a machine that routes would take them for its own.
    DirectBothWays,
}

/// What is between the wires.
pub enum Plan {
    Nothing,
    Hub,
    Guest(Guest),
}

/// What QEMU is given, and what the machine says when it is ready.
pub struct Guest {
    pub kernel: PathBuf,
    pub initrd: Initrd,
    pub command_line: String,
    pub ready: &'static str,
}

pub enum Initrd {
    File(PathBuf),
    Text(String),
}

impl System {
    pub const ALL: [System; 6] = [
        System::Fulcrum,
        System::Linux,
        System::Testpmd,
        System::Macswap,
        System::Hub,
        System::Harness,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            System::Fulcrum => "fulcrum",
            System::Linux => "linux",
            System::Testpmd => "testpmd",
            System::Macswap => "macswap",
            System::Hub => "hub",
            System::Harness => "harness",
        }
    }

    pub fn named(name: &str) -> Option<System> {
        System::ALL.into_iter().find(|system| system.as_str() == name)
    }

    /// For whoever reads the results.
    pub const fn description(self) -> &'static str {
        match self {
            System::Fulcrum => "this image; NIC 0 is the uplink, four guests behind NIC 1, `wll`",
            System::Linux => {
                "Debian's linux-image-cloud-amd64, an initramfs of busybox-static, defaults of the \
                 kernel's package (mitigations on). Switching: a bridge, no STP, no multicast \
                 snooping, no netfilter. Balancing: no bridge but IPVS between two routed NICs, \
                 `rr`, 2^17 buckets (`conn_tab_bits=17`), no rp_filter, no iptables, neighbours \
                 static; direct routing with real stacks, whose answers come back through it, by \
                 IPVS on a bridge"
            }
            System::Testpmd => {
                "DPDK's testpmd (Debian's dpdk-dev), `io` forwarding, in the same Linux machine: \
                 uio_pci_generic, 64 huge pages of 2 MiB, one processor for both of its threads; \
                 it looks at no frame"
            }
            System::Macswap => "the same, `macswap` forwarding: it writes both MAC addresses",
            System::Hub => "QEMU without a machine, both netdevs at one hub: what its loop can do",
            System::Harness => "no QEMU: sender and receiver joined; nothing can be faster",
        }
    }

    pub const fn does(self, duty: Duty) -> bool {
        matches!((self, duty), (System::Fulcrum | System::Linux, _) | (_, Duty::Switch))
    }

    /// Whether it is a router between its NICs, which has the first address of both sides.
    pub const fn routes(self, duty: Duty) -> bool {
        matches!((self, duty), (System::Linux, Duty::Translate | Duty::Direct))
    }

    /// Whether all reals may get flows, by what the appliance's console says. The rivals ask nobody.
    pub fn has_reals(self, duty: Duty, console: &Console) -> bool {
        if self != System::Fulcrum || duty == Duty::Switch {
            return true;
        }
        let is_up = |line: &&str| line.contains(" up ");
        let guests = console.ask("show guest").unwrap_or_default();
        guests.lines().filter(is_up).count() == usize::from(REALS)
    }

    /// What has no sockets has no hub, and needs a guest whose memory it moves frames in.
    pub const fn has(self, netdev: Netdev) -> bool {
        !matches!((self, netdev), (System::Hub | System::Harness, Netdev::VhostUser))
    }

    /// Where a client sends what is for the VIP.
    pub const fn vip_mac(self) -> MacAddr {
        match self {
            System::Fulcrum => MacAddr::virtual_of(std::net::IpAddr::V4(VIP)),
            _ => NICS[0],
        }
    }

    /// Where a real sends what is for a client: to its router, which is the machine itself unless
    /// that is a switch.
    pub const fn reply_mac(self) -> MacAddr {
        match self {
            System::Fulcrum => CLIENT.0,
            _ => NICS[1],
        }
    }

    pub fn plan(self, duty: Duty) -> Plan {
        match self {
            System::Fulcrum => Plan::Guest(Guest {
                kernel: image_path(),
                initrd: Initrd::Text(configuration(duty)),
                command_line: String::new(),
                ready: "fulcrum>",
            }),
            System::Linux => {
                let role = match duty {
                    Duty::Switch => "bridge",
                    Duty::Translate => "masquerade",
                    Duty::Direct => "direct",
                    Duty::DirectBothWays => "bridged",
                };
                rival("linux.gz", role, "rival: ")
            }
            System::Testpmd => rival("testpmd.gz", "io", "Press enter"),
            System::Macswap => rival("testpmd.gz", "macswap", "Press enter"),
            System::Hub => Plan::Hub,
            System::Harness => Plan::Nothing,
        }
    }
}

impl Duty {
    pub const ALL: [Duty; 3] = [Duty::Switch, Duty::Translate, Duty::Direct];

    pub const fn as_str(self) -> &'static str {
        match self {
            Duty::Switch => "switched",
            Duty::Translate => "nat",
            Duty::Direct | Duty::DirectBothWays => "direct",
        }
    }
}

impl fmt::Display for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Guest {
    /// What has to be there for the machine to start, in bytes; a configuration is not counted.
    pub fn size_bytes(&self) -> std::io::Result<u64> {
        let initrd = match &self.initrd {
            Initrd::File(path) => path.metadata()?.len(),
            Initrd::Text(_) => 0,
        };
        Ok(self.kernel.metadata()?.len() + initrd)
    }
}

/// One of those that tests/lib/rivals.sh makes; tests/bench/init reads the role.
fn rival(initrd: &str, role: &str, ready: &'static str) -> Plan {
    let directory = env::var_os("FULCRUM_RIVALS").map(PathBuf::from);
    let directory = directory.expect("FULCRUM_RIVALS is set by ./tests/bench.sh");
    Plan::Guest(Guest {
        kernel: directory.join("vmlinuz"),
        initrd: Initrd::File(directory.join(initrd)),
        command_line: format!("console=ttyS0 quiet panic=-1 role={role}"),
        ready,
    })
}

/// The appliance's configuration: nothing for a switch.
fn configuration(duty: Duty) -> String {
    let (forwarding, real_port) = match duty {
        Duty::Switch => return String::from("# A switch needs no words.\n"),
        Duty::Translate => ("nat", REAL_PORT),
        Duty::Direct | Duty::DirectBothWays => ("direct", SERVICE_PORT),
    };
    let mut lines = Vec::new();
    for real in 1..=REALS {
        let (mac, address) = (real_mac(real), real_address(real));
        lines.push(format!("set guest g{real} port p1 mac {mac} address {address}"));
    }
    for (name, protocol) in [("datagrams", "udp"), ("connections", "tcp")] {
        lines.push(format!("set service {name} vip {VIP} {protocol} {SERVICE_PORT}"));
        lines.push(format!("set service {name} forwarding {forwarding}"));
        for real in 1..=REALS {
            lines.push(format!("set service {name} real g{real} port {real_port}"));
        }
    }
    lines.join("\n") + "\n"
}
