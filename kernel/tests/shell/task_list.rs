//! The tasks of `docs/operator.md`: where they begin, what happens meanwhile, what has to hold in the
//! end, and what others type for them.
//!
//! What others type is in their manuals: vtysh(1) and the manual of FRR, the documentation of VyOS
//! (cli, troubleshooting, bridge), that of RouterOS (configuration management, connection tracking,
//! packet sniffer, bridge), ipvsadm(8). It counts from their first prompt, and what is said of any
//! statement counts for ours. Where they have nothing of the kind, or only the half of it, nothing is
//! here.

use std::time::Duration;

use lb::{DropReason, PortId};

use crate::desk::{Bench, guest_mac};
use crate::plate::Plate;
use crate::tasks::Other::{Ipvsadm, RouterOs, Vtysh, Vyos};
use crate::tasks::Task;
use crate::worlds::enter;

const STRANGE_MAC: [u8; 6] = [0x52, 0x54, 0, 0x66, 0x66, 0x66];

pub const TASKS: &[Task] = &[
    Task {
        title: "Why is this client at that guest?",
        begin: serving,
        meanwhile: &[],
        reads: &["open flow           at web2, established", "placed by: scheduler"],
        holds: |bench| assert!(!bench.is_reset(40_000), "it is still there"),
        pasted: 0,
        others: &[],
    },
    Task {
        title: "Who would get the next connection?",
        begin: serving,
        meanwhile: &[],
        reads: &["a new flow          goes to web2", "next best           web3, "],
        holds: |bench| assert_eq!(bench.appliance.dataplane.flows().len(), 12, "nobody got it"),
        pasted: 0,
        others: &[],
    },
    Task {
        title: "Take a guest out for maintenance, lose no connection, and put it back",
        begin: serving,
        meanwhile: &[clients_of_web1_end, call_twelve_more],
        reads: &["real web1 has 4 open flows", "real web1 has no open flow"],
        holds: |bench| {
            assert_eq!(new_flows(bench, "web1"), 4, "none came while it was drained");
            call(bench, 40_200);
            assert!(new_flows(bench, "web1") > 4, "it serves again");
        },
        pasted: 0,
        others: &[(
            Ipvsadm,
            &[
                "ipvsadm -e -t VIP:80 -r REAL:80 -m -w 0",
                "ipvsadm -L -n",
                "ipvsadm -e -t VIP:80 -r REAL:80 -m -w 1",
            ],
        )],
    },
    Task {
        title: "Which port floods?",
        begin: flooded,
        meanwhile: &[],
        reads: &["p2    514          4      500"],
        holds: |_| {},
        pasted: 0,
        others: &[(RouterOs, &["/interface print stats"])],
    },
    Task {
        title: "Undo the last change",
        begin: changed_wrongly,
        meanwhile: &[],
        reads: &["- set service web real web2 port 8080 weight 0\n"],
        holds: |bench| assert_eq!(config(bench), config(&serving())),
        pasted: 0,
        others: &[(Vyos, &["configure", "rollback 1"]), (RouterOs, &["/undo"])],
    },
    Task {
        title: "Change a weight over a line that may break",
        begin: serving,
        meanwhile: &[call_twelve_more],
        reads: &["On trial for 120 seconds"],
        holds: |bench| {
            bench.run(Duration::from_secs(130));
            assert!(config(bench).contains("real web2 port 8080 weight 50"), "it has stayed");
        },
        pasted: 0,
        others: &[
            (Vyos, &["configure", "set …", "commit-confirm 2", "confirm", "save"]),
            (RouterOs, &["Ctrl-X", "… set …", "Ctrl-X"]),
        ],
    },
    Task {
        title: "Why is a real down?",
        begin: || enter("# world: much goes wrong"),
        meanwhile: &[],
        reads: &[
            "p3 down  down 230ms  down 4s, no answer",
            "panic: ejected",
            "ejected for 8s, flaps",
        ],
        holds: |_| {},
        pasted: 0,
        others: &[],
    },
    Task {
        title: "Where is a guest, and what is its MAC?",
        begin: serving,
        meanwhile: &[],
        reads: &["52:54:00:01:00:02     -  p2"],
        holds: |_| {},
        pasted: 0,
        others: &[
            (Vyos, &["show bridge br0 fdb"]),
            (RouterOs, &["/interface bridge host print where mac-address=MAC"]),
        ],
    },
    Task {
        title: "Why are frames dropped at p2?",
        begin: pretended,
        meanwhile: &[],
        reads: &["p2    spoof_mac      40"],
        holds: |_| {},
        pasted: 0,
        others: &[],
    },
    Task {
        title: "Who has the most flows?",
        begin: leaned_to_one_side,
        meanwhile: &[],
        reads: &["web3  10.0.2.23:80    up            100     -      4"],
        holds: |_| {},
        pasted: 0,
        others: &[(Ipvsadm, &["ipvsadm -L -n"])],
    },
    Task {
        title: "End one connection of a client",
        begin: serving,
        meanwhile: &[],
        reads: &["is cut"],
        holds: |bench| {
            assert!(bench.is_reset(40_000), "the client hears of it");
            assert!(!bench.is_reset(40_003), "and nobody else, at the same guest");
        },
        pasted: 0,
        others: &[(RouterOs, &["/ip firewall connection remove [find src-address=CLIENT:PORT]"])],
    },
    Task {
        title: "Move a service to another guest",
        begin: served_by_two,
        meanwhile: &[],
        reads: &["real web1 has 2 open flows, which go on until they end"],
        holds: |bench| {
            call(bench, 40_100);
            assert_eq!(new_flows(bench, "web1"), 2, "it gets none");
            assert!(new_flows(bench, "web3") > 0, "who came gets some");
            assert!(!bench.is_reset(40_000) && !bench.is_reset(40_001), "nobody is moved");
        },
        pasted: 0,
        others: &[(
            Ipvsadm,
            &[
                "ipvsadm -a -t VIP:80 -r NEW:80 -m",
                "ipvsadm -e -t VIP:80 -r OLD:80 -m -w 0",
                "ipvsadm -d -t VIP:80 -r OLD:80",
            ],
        )],
    },
    Task {
        title: "Add a real, slowly",
        begin: served_by_two,
        meanwhile: &[|bench| bench.run(Duration::from_secs(3))],
        reads: &["36 of 100"],
        holds: |bench| {
            bench.run(Duration::from_secs(8));
            assert!(bench.type_in(b"show real | match web3\r").contains(" 100 "), "all of it");
        },
        pasted: 0,
        others: &[],
    },
    Task {
        title: "Capture the packets of a client",
        begin: about_to_call,
        meanwhile: &[],
        reads: &["-----BEGIN PCAP-----", "# 2 frames: 1 received, 1 sent"],
        holds: |_| {},
        pasted: 0,
        others: &[
            (Vyos, &["monitor traffic interface eth0 filter 'host CLIENT'"]),
            (RouterOs, &["/tool sniffer quick ip-address=CLIENT"]),
        ],
    },
    Task {
        title: "Copy the configuration to another appliance",
        begin: serving,
        meanwhile: &[|bench| *bench = Bench::new(4)],
        reads: &["set service web real web3 max-flows 100"],
        holds: |bench| assert_eq!(config(bench), config(&serving())),
        pasted: 9,
        others: &[
            (Vtysh, &["show running-config", "configure terminal", "end", "write"]),
            (Vyos, &["show configuration commands", "configure", "commit", "save"]),
            (RouterOs, &["/export file=edge1", "scp edge1.rsc …", "/import file-name=edge1.rsc"]),
            (Ipvsadm, &["ipvsadm -S -n > edge1", "scp edge1 …", "ipvsadm -R < edge1"]),
        ],
    },
    Task {
        title: "What would a commit change?",
        begin: edited_by_somebody,
        meanwhile: &[],
        reads: &["- set service web scheduler wll", "+ set service web scheduler rr"],
        holds: |bench| assert_eq!(config(bench), config(&serving()), "nothing was changed"),
        pasted: 0,
        others: &[(Vyos, &["configure", "compare"])],
    },
    Task {
        title: "Restore yesterday's configuration",
        begin: changed_all_day,
        meanwhile: &[],
        reads: &["1d", "Saved as generation 6"],
        holds: |bench| assert!(config(bench).starts_with("set system hostname yesterday\n")),
        pasted: 0,
        others: &[(Vyos, &["show system commit", "configure", "rollback 2"])],
    },
    Task {
        title: "Send a report to somebody who can help",
        begin: serving,
        meanwhile: &[],
        reads: &["show version", "show configuration", "show log"],
        holds: |_| {},
        pasted: 0,
        others: &[
            (Vyos, &["show tech-support report"]),
            (RouterOs, &["/system sup-output name=supout.rif"]),
        ],
    },
    Task {
        title: "Lock a port to its guest",
        begin: serving,
        meanwhile: &[],
        reads: &["Generation 2 runs"],
        holds: |bench| {
            bench.shout(1, STRANGE_MAC, 3);
            assert_eq!(dropped(bench, 1, DropReason::Locked), 3);
            assert!(!bench.is_reset(40_002), "its guest goes on");
        },
        pasted: 0,
        others: &[],
    },
    Task {
        title: "What would a frame meet?",
        begin: serving,
        meanwhile: &[],
        reads: &["pinned to p2", "dropped, spoof_mac: "],
        holds: |bench| assert_eq!(dropped(bench, 1, DropReason::SpoofMac), 0, "it was not sent"),
        pasted: 0,
        others: &[],
    },
];

/// Twelve clients have called: the first is at web2, the next at web3, then web1, and so on.
fn serving() -> Bench {
    enter("# world: three guests that serve the web")
}

/// web1 and web2 serve four clients; web3 is defined and serves nobody.
fn served_by_two() -> Bench {
    let mut bench = Bench::new(4);
    bench.configure(
        "set system hostname edge1\n\
         set guest web1 port p1 mac 52:54:00:01:00:01 address 10.0.2.21\n\
         set guest web2 port p2 mac 52:54:00:01:00:02 address 10.0.2.22\n\
         set guest web3 port p3 mac 52:54:00:01:00:03 address 10.0.2.23\n\
         set service web vip 10.0.2.100 tcp 80\n\
         set service web real web1\n\
         set service web real web2\n",
    );
    bench.run(Duration::from_secs(12));
    (0..4).for_each(|at| bench.call(40_000 + at));
    bench
}

fn flooded() -> Bench {
    let mut bench = serving();
    bench.shout(2, guest_mac(2), 500);
    bench
}

fn pretended() -> Bench {
    let mut bench = serving();
    bench.shout(2, guest_mac(1), 40);
    bench
}

fn changed_wrongly() -> Bench {
    let mut bench = serving();
    bench.type_in(b"configure set service web real web2 port 8080 weight 0\rcommit\rexit\r");
    bench
}

/// The clients of web1 and web2 are gone.
fn leaned_to_one_side() -> Bench {
    let mut bench = serving();
    (0..12).filter(|at| at % 3 != 1).for_each(|at| bench.hang_up(40_000 + at));
    bench
}

/// A segment waits at the uplink until somebody looks.
fn about_to_call() -> Bench {
    let bench = serving();
    bench.knock(40_300);
    bench
}

fn edited_by_somebody() -> Bench {
    let mut bench = serving();
    bench.type_in(b"configure set service web scheduler rr\rexit\r");
    bench
}

/// Three commits of yesterday and two of today, with a restart between them.
fn changed_all_day() -> Bench {
    const YESTERDAY: u64 = 1_800_000_000;
    const DAY: u64 = 24 * 3600;
    let (disk, mut before, mut bench) = (Plate::blank(), Bench::new(4), Bench::new(4));
    disk.start(&mut before, Some(YESTERDAY));
    before.type_in(b"configure\r");
    for hostname in ["morning", "noon", "yesterday"] {
        before.type_in(format!("set system hostname {hostname}\rcommit\r").as_bytes());
    }
    disk.start(&mut bench, Some(YESTERDAY + DAY));
    bench.type_in(b"configure set system mac-ageing 600s\rcommit comment \"try this\"\r");
    bench.type_in(b"set system mac-ageing 900s\rcommit comment \"and that\"\rexit\r");
    bench
}

fn clients_of_web1_end(bench: &mut Bench) {
    for at in [2, 5, 8, 11] {
        assert!(!bench.is_reset(40_000 + at), "it goes on until its client ends it");
        bench.hang_up(40_000 + at);
    }
}

fn call_twelve_more(bench: &mut Bench) {
    call(bench, 40_100);
}

fn call(bench: &mut Bench, first: u16) {
    (0..12).for_each(|at| bench.call(first + at));
}

fn config(bench: &Bench) -> String {
    bench.control.config().to_string()
}

fn new_flows(bench: &Bench, guest: &str) -> u64 {
    let tables = bench.appliance.dataplane.tables();
    let reals = tables.reals().filter(|(_, real)| real.spec.guest.as_str() == guest);
    reals.map(|(_, real)| real.counters.flows_new).sum()
}

fn dropped(bench: &Bench, port: usize, reason: DropReason) -> u64 {
    let port = PortId::new(port).expect("a port");
    let mut drops = bench.appliance.dataplane.endings(port).drops();
    drops.find(|(it, _)| *it == reason).map_or(0, |(_, count)| count)
}
