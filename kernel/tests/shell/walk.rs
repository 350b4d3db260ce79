//! Configuration at random, beside what must hold: the text says what is configured, the tables are
//! what the text says, and a refusal changes nothing.

use std::time::Duration;

use kernel::config::{check, read};
use lb::Empty;

use crate::desk::{Bench, guest_mac};

/// Commands of every kind, right and wrong, whole and torn, with frames between them: nothing panics,
/// a refusal changes nothing, only a commit changes what runs, both configurations can be read back,
/// the tables are what the running one says, and every frame has ended once. 100,000 commands in all.
macro_rules! walks {
    ($($name:ident: $seed:literal,)*) => {
        $(#[test]
        fn $name() {
            walk($seed, 20_000);
        })*
    };
}

walks! {
    a_random_walk: 2026,
    another_random_walk: 7,
    a_third_random_walk: 1849,
    a_fourth_random_walk: 99,
    a_fifth_random_walk: 31_337,
}

#[derive(Debug, Default)]
struct Walked {
    accepted: usize,
    refused: usize,
    committed: usize,
}

fn walk(seed: u64, commands: usize) {
    let mut bench = Bench::new(4);
    bench.type_in(b"terminal script on\rconfigure\r");
    let mut random = Random(seed);
    let mut walked = Walked::default();
    for at in 0..commands {
        let mut line = random.command().into_bytes();
        // The lines of a load whose first one is spoilt would be commands.
        if !line.contains(&b'\n') {
            random.spoil(&mut line);
        }
        line.push(b'\n');
        walked.step(&mut bench, &line);
        if at % 10 == 0 {
            let candidate = bench.control.candidate();
            assert_eq!(read(candidate.to_string().as_bytes()).config, *candidate);
        }
        if at % 50 == 0 {
            frames(&mut bench, &mut random);
            add_up(&bench);
        }
    }
    let Walked { accepted, refused, committed } = walked;
    let enough = accepted > commands / 7 && refused > commands / 7 && committed > commands / 100;
    assert!(enough, "{walked:?}");
    bench.run(Duration::from_secs(1));
    add_up(&bench);
}

impl Walked {
    /// One line, and what it changed.
    fn step(&mut self, bench: &mut Bench, line: &[u8]) {
        let before = bench.control.config().clone();
        let candidate = bench.control.candidate().clone();
        let epoch = bench.appliance.dataplane.tables().epoch();
        let answer = bench.type_in(line);
        let now = bench.appliance.dataplane.tables().epoch();
        let said = || format!("{:?}: {answer}", String::from_utf8_lossy(line));
        let is_refused = answer.contains("% E") || answer.contains(r#""ok":false"#);
        if is_refused {
            self.refused += 1;
            // A line that begins like a request is answered as one.
            let is_request = answer.starts_with(r#"{"schema":"fulcrum.reply/1""#);
            assert!(answer.ends_with("% FAILED\r\n") || is_request, "{}", said());
        } else {
            self.accepted += 1;
            // A comment is no command.
            assert!(answer.ends_with("% OK\r\n") || answer.is_empty(), "{}", said());
        }
        if answer.starts_with("Generation") {
            self.committed += 1;
            assert_eq!(*bench.control.config(), candidate);
            agree(bench);
        } else {
            assert_eq!((bench.control.config(), now), (&before, epoch), "{}", said());
        }
        assert!(!is_refused || *bench.control.candidate() == candidate, "{}", said());
        if line.starts_with(b"commit") && answer.contains("% E202") {
            // What is wrong once would be so for long.
            bench.type_in(b"discard\n");
        }
    }
}

/// Some frames, of guests, strangers and nobody, at any port.
fn frames(bench: &mut Bench, random: &mut Random) {
    for _ in 0..random.below(8) {
        let at = random.below(4);
        let mut frame: Vec<u8> = (0..60 + random.below(40)).map(|_| random.next() as u8).collect();
        if random.below(2) == 0 {
            frame[..6].copy_from_slice(&guest_mac(random.below(4)));
            frame[6..12].copy_from_slice(&guest_mac(at));
            frame[12..14].copy_from_slice(&[8, 6 * (random.below(2) as u8)]);
        }
        bench.put(at, frame);
    }
    bench.run(Duration::from_millis(20));
}

/// What each port received is what became of it.
fn add_up(bench: &Bench) {
    let dataplane = &bench.appliance.dataplane;
    for (id, port) in dataplane.tables().ports() {
        let endings = dataplane.endings(id);
        assert_eq!(endings.rx, endings.sum(), "{}", port.name);
    }
}

/// A configuration takes any other's place, whatever stands in its way.
#[test]
fn one_configuration_takes_anothers_place() {
    let mut bench = Bench::new(4);
    bench.type_in(b"terminal script on\rconfigure\r");
    let mut random = Random(7);
    let mut texts = vec![String::new()];
    for _ in 0..30 {
        for _ in 0..15 {
            bench.type_in(format!("{}\ncommit\n", random.command()).as_bytes());
            bench.type_in(b"discard\n");
        }
        texts.push(bench.control.config().to_string());
    }
    for _ in 0..200 {
        let text = &texts[random.below(texts.len())];
        assert_eq!(bench.start_up(text), Ok(()));
        assert_eq!(bench.control.config().to_string(), *text);
        agree(&bench);
    }
}

/// Changes of which no order of kinds would do: each thing takes what another gives up.
#[test]
fn one_thing_takes_what_another_gives_up() {
    const G1: &str = "set guest g1 port p1 mac 52:54:00:01:00:01 address 10.0.0.1\n";
    const G2: &str = "set guest g2 port p2 mac 52:54:00:01:00:02 address 10.0.0.2\n";
    const WEB: &str = "set service web vip 10.0.0.100 tcp 80\nset service web real g1\n";
    const WEB_MOVED: &str = "set service web vip 10.0.0.102 tcp 80\nset service web real g1\n";
    let exchange = |text: &str, one: &str, other: &str| {
        text.replace(one, "@").replace(other, one).replace('@', other)
    };
    let both = format!("{G1}{G2}{WEB}set service web real g2\n");
    let two = format!("{both}set service api vip 10.0.0.101 tcp 80\nset service api real g2\n");
    let cases = [
        ("two guests their MACs", both.clone(), exchange(&both, "00:01 ", "00:02 ")),
        ("two guests their addresses", both.clone(), exchange(&both, "0.0.1\n", "0.0.2\n")),
        ("two guests all", both.clone(), exchange(&both, "set guest g1", "set guest g2")),
        ("two services their VIPs", two.clone(), exchange(&two, "0.100", "0.101")),
        (
            "a guest and a service an address",
            two.clone(),
            two.replace("s 10.0.0.1\n", "s 10.0.0.100\n").replace("vip 10.0.0.100", "vip 10.0.0.1"),
        ),
        (
            "from one IP version to the other",
            format!("{G1}{WEB}"),
            format!("{G1}{WEB}").replace("10.0.0.", "fd00::"),
        ),
        (
            "a guest the address of a service",
            format!("{G1}{WEB}"),
            format!("{G1}set guest g1 address 10.0.0.100\n{WEB_MOVED}"),
        ),
        (
            "a service the address of another",
            format!("{G1}{WEB}set service api vip 10.0.0.101 tcp 80\n"),
            format!("{G1}{WEB_MOVED}set service api vip 10.0.0.100 tcp 80\n"),
        ),
        (
            "the sorry guest goes",
            format!("{G1}{G2}{WEB}set service web empty sorry g2\n"),
            format!("{G1}{WEB}"),
        ),
        (
            "another sorry guest",
            format!("{G1}{G2}{WEB}set service web empty sorry g2\n"),
            format!("{G1}{WEB}set service web empty sorry g1\n"),
        ),
        (
            "to direct, without the port",
            format!("{G1}{WEB}set service web real g1 port 8080\n"),
            format!("{G1}{WEB}set service web forwarding direct\n"),
        ),
        (
            "from direct, with a port",
            format!("{G1}{WEB}set service web forwarding direct\n"),
            format!("{G1}{WEB}set service web real g1 port 8080\n"),
        ),
    ];
    for (what, before, after) in cases {
        let mut bench = Bench::new(4);
        for text in [&before, &after, &before] {
            assert_eq!(bench.start_up(text), Ok(()), "{what}");
            agree(&bench);
        }
    }
}

/// Configuration, its text, its plan and the tables say the same.
fn agree(bench: &Bench) {
    let (config, plan) = (bench.control.config(), bench.control.plan());
    let reading = read(config.to_string().as_bytes());
    assert_eq!((&reading.config, reading.errors.len()), (config, 0));
    assert_eq!(check(config, &bench.site).as_ref(), Ok(plan));
    let tables = bench.appliance.dataplane.tables();
    let ports: Vec<_> = tables.ports().map(|(_, port)| (port.name.clone(), port.role)).collect();
    let planned: Vec<_> = plan.ports.iter().map(|port| (port.name.clone(), port.role)).collect();
    assert_eq!(ports, planned);
    assert_eq!(tables.guests().count(), plan.guests.len());
    for (_, guest) in tables.guests() {
        assert_eq!(plan.guests.get(&guest.spec.name), Some(&guest.spec));
    }
    assert_eq!(tables.services().count(), plan.services.len());
    for (_, service) in tables.services() {
        let planned = &plan.services[&service.spec.name];
        assert_eq!(planned.spec, service.spec);
        let sorry = service.sorry.and_then(|id| tables.real(id)).map(|real| &real.spec.guest);
        let planned_sorry = match &planned.spec.empty {
            Empty::Sorry(guest) => Some(guest),
            Empty::Drop | Empty::Reset => None,
        };
        assert_eq!(sorry, planned_sorry);
        assert_eq!(planned.reals.len(), service.reals.len());
        for &id in &service.reals {
            let real = tables.real(id).unwrap();
            assert_eq!(planned.reals.get(&real.spec.guest), Some(&real.spec));
        }
    }
}

/// splitmix64
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn pick(&mut self, words: &[&'static str]) -> &'static str {
        words[self.below(words.len())]
    }

    /// A command of few names, so that they meet.
    fn command(&mut self) -> String {
        let guest = self.pick(&["g1", "g2", "g3", "g4"]);
        let port = self.pick(&["up0", "p1", "p2", "p3", "lan"]);
        let mac = self.pick(&["52:54:00:01:00:01", "52:54:00:01:00:02", "52:54:00:aa:00:02"]);
        let address = self.pick(&["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.100", "fd00::1"]);
        let service = self.pick(&["web", "dns", "api"]);
        let number = self.pick(&["0", "1", "80", "100", "65535", "70000"]);
        let aspect = self.pick(&["", " address 10.0.0.1", " address 10.0.0.2"]);
        let part = self.pick(&["", " port", " weight", " max-flows"]);
        let option = self.pick(&[
            "forwarding direct",
            "forwarding nat",
            "persistence source 24 timeout 1m",
            "persistence source 64 timeout 300s",
            "persistence payload 12 4 timeout 60s",
            "empty reset",
            "max-flows 10",
            "idle 30s",
            "one-packet",
            "description \"what customers see\"",
            "check tcp interval 500ms",
            "agent pull 3333",
            "on-down keep",
        ]);
        let rule = self.pick(&[
            "isolated",
            "locked",
            "learning off",
            "flood off",
            "vlan access 10",
            "vlan trunk 1,10-20 native 1",
            "description \"Büro 東京\"",
        ]);
        match self.below(44) {
            0..=3 => format!("set guest {guest} port {port} mac {mac} address {address}"),
            4 => format!("set guest {guest} port {port}"),
            5 => format!("set guest {guest} address {address}"),
            6..=7 => format!("set service {service} vip {address} tcp {number}"),
            8 => format!("set service {service} vip {address} udp {number}"),
            22 => format!("set service {service} vip {address} udp {number} vlan {number}"),
            23..=25 => format!("set service {service} {option}"),
            26 => format!("set service {service} empty sorry {guest}"),
            9..=11 => format!("set service {service} real {guest}"),
            12 => format!("set service {service} real {guest} port {number} weight {number}"),
            13 => format!("set service {service} scheduler {}", self.pick(&["wlc", "wll", "rr"])),
            14 => format!("set port {port} role {}", self.pick(&["guest", "uplink"])),
            15 => {
                let role = self.pick(&["guest", "uplink"]);
                let nic = self.pick(&["pci 00:02.0", "pci 00:04.0", "mac 52:54:00:aa:00:03"]);
                format!("set port {port} role {role} match {nic}")
            }
            16 => format!("delete port {port}{}", self.pick(&["", " match"])),
            17 => format!("delete guest {guest}{aspect}"),
            18 => {
                let parts = ["", " scheduler", " forwarding", " empty", " persistence", " idle"];
                format!("delete service {service}{}", self.pick(&parts))
            }
            19 => format!("no service {service} real {guest}{part}"),
            20 => format!("set system hostname {guest}"),
            28..=29 | 34..=37 => "commit".to_string(),
            30 => self.pick(&["discard", "commit check", "commit comment x"]).to_string(),
            31 => format!("rollback {}", self.pick(&["0", "0", "1", "2", "3", "19"])),
            32 => format!("load merge\nset service {service} {option}\nend"),
            33 => format!("load replace\nset guest {guest} port {port} mac {mac}\nend"),
            38 => format!("set port {port} {rule}"),
            39 => format!("delete port {port} {}", rule.split(' ').next().unwrap_or_default()),
            40 => {
                format!("set mac {mac} port {port}{}", self.pick(&["", " vlan 10", " vlan 4095"]))
            }
            41 => format!("delete mac {mac}"),
            42 => format!("set guest {guest} description \"{service} on {port}\""),
            43 => format!("delete guest {guest} description"),
            _ => {
                let what = self.pick(&[
                    "vlan",
                    "system",
                    "configuration",
                    "flow",
                    "log",
                    "health",
                    "port",
                    "mac",
                    "guest",
                    "service web",
                    "real",
                    "load",
                    "neighbor",
                    "capacity",
                ]);
                format!("show {what} | {}", self.pick(&["count", "match p", "last 2", "first x"]))
            }
        }
    }

    /// More than every third line is torn, misspelt or binary.
    fn spoil(&mut self, line: &mut Vec<u8>) {
        let at = self.below(line.len());
        match self.below(13) {
            0 => line.truncate(at),
            1 => drop(line.remove(at)),
            2 => line.insert(at, b'x'),
            3 => line[at] = (self.next() as u8).max(0x80),
            4 => {
                // Whatever ends a line, or interrupts it, ends it too soon.
                let noise = (0..self.below(99)).map(|_| (self.next() as u8).max(0x1b));
                *line = noise.collect();
            }
            _ => {}
        }
    }
}
