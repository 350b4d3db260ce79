//! Configuration files: what they come to, and what is refused, with its line and column.

use std::collections::BTreeMap;
use std::num::NonZeroU16;

use drivers::pci::Address;
use kernel::config::{ERRORS_MAX, LINES_MAX, NicId, Site, check, load, read};
use lb::{MacAddr, Name, Protocol, Scheduler};

/// The machine that files are checked for: an uplink and three more NICs.
fn nics() -> Vec<NicId> {
    let nic = |at: u8| NicId {
        pci: Some(Address { bus: 0, device: 2 + at, function: 0 }),
        mac: Some(MacAddr([0x52, 0x54, 0, 0xaa, 0, at])),
    };
    (0..4).map(nic).collect()
}

/// The machine with its memory.
fn site(nics: Vec<NicId>) -> Site {
    Site { nics, bays: Vec::new(), flows_fit: 262_144 }
}

/// Everything that is wrong with a file, as it is printed, but for the line that counts it.
fn errors(text: &str) -> Vec<String> {
    let errors = load(text.as_bytes(), &site(nics())).err().unwrap_or_default();
    let mut lines: Vec<_> = errors.iter().map(|error| error.to_string()).collect();
    let count = lines.pop();
    assert!(count.is_none_or(|count| count.starts_with("% E202 ")));
    lines
}

const WEB1: &str = "set guest web1 port p1 mac 52:54:00:01:00:01 address 10.0.0.21\n";

/// (row of the list of hostile inputs, file, what is said of it)
const REFUSED: &[(&str, &str, &[&str])] = &[
    (
        "C1",
        "set service web vip 10.0.0.300 tcp 80",
        &[
            "% E104 line 1, column 21: '10.0.0.300' is not an IPv4 or IPv6 address (column 28: '300' is no octet, 0..255)",
        ],
    ),
    (
        "C2",
        "set service web vip 10.0.0.5 tcp 0\nset service web vip 10.0.0.5 tcp 65536\nset service web vip 10.0.0.5 tcp 8O",
        &[
            "% E104 line 1, column 34: '0' is not a port number, 1..65535",
            "% E104 line 2, column 34: '65536' is not a port number, 1..65535",
            "% E104 line 3, column 34: '8O' is not a port number, 1..65535 (column 35: 'O' is no digit)",
        ],
    ),
    (
        "C3 twice",
        "# a comment\nset service web vip 10.0.0.5 tcp 80\n\nset service web vip 10.0.0.5 tcp 80",
        &["% E203 line 4, column 21: service web vip was stated on line 2"],
    ),
    (
        "a check that contradicts itself",
        "set service web vip 10.0.0.5 tcp 80 # clients\nset service web check tcp port 81 timeout 2500ms\n\
         set service web real web1 port 8080 check http get /ok interval 1s timeout 2s\n\
         set guest web1 port p1 mac 52:54:00:01:00:01 address 10.0.0.21",
        &[
            "% E205 line 2, column 23: service web: the check's timeout 2500ms is longer than its interval 2s",
            "% E205 line 3, column 43: service web: real web1: the check's timeout 2s is longer than its interval 1s",
        ],
    ),
    (
        "two checks of one service",
        "set service web vip 10.0.0.5 tcp 80\nset service web check tcp\nset service web check icmp",
        &["% E203 line 3, column 23: service web check was stated on line 2"],
    ),
    (
        "a source of probes that somebody has",
        "set guest web1 port p1 mac 52:54:00:01:00:01 address 10.0.0.21\n\
         set service web vip 10.0.0.5 tcp 80\n\
         set guest web2 port p2 mac 52:54:00:01:00:02 probe-source 10.0.0.21 probe-source fd00::1\n\
         set guest web3 port p3 mac 52:54:00:01:00:03 probe-source 10.0.0.5 probe-source 10.0.0.6",
        &[
            "% E203 line 3, column 59: guest web2: 10.0.0.21 is also guest web1's (line 1)",
            "% E203 line 4, column 59: guest web3: 10.0.0.5 is service web's VIP; probes need an address that nobody has (line 2)",
            "% E205 line 4, column 81: guest web3: probes have 10.0.0.5 as their IPv4 source, so not 10.0.0.6 too (line 4)",
        ],
    ),
    (
        "C3 two services",
        "set service a vip 10.0.0.5 tcp 80\nset service b vip 10.0.0.5 tcp 80",
        &["% E203 line 2, column 19: service b: 10.0.0.5 tcp 80 is also service a's (line 1)"],
    ),
    (
        "C4 a guest",
        "set service web vip 10.0.0.5 tcp 80\nset service web real g9",
        &["% E201 line 2, column 22: service web: real g9 is no guest (set guest g9 …)"],
    ),
    (
        "C4 a port",
        "set guest web1 port p9 mac 52:54:00:01:00:01",
        &["% E201 line 1, column 21: guest web1: there is no port p9 (ports: up0 p1 p2 p3)"],
    ),
    (
        "C5",
        "set guest web1 port p1 mac 02:00:00:00:00\nset guest web2 port p1 mac 01:00:5e:00:00:01",
        &[
            "% E104 line 1, column 28: '02:00:00:00:00' is not a MAC address such as 52:54:00:aa:00:01",
            "% E104 line 2, column 28: '01:00:5e:00:00:01' is not a MAC that a station may have (column 28: it is a group address)",
        ],
    ),
    (
        "C5 taken",
        "set guest web2 port p2 mac 52:54:00:01:00:01\nset guest web1 port p1 mac 52:54:00:01:00:01",
        &["% E203 line 1, column 28: guest web2: 52:54:00:01:00:01 is also guest web1's (line 2)"],
    ),
    (
        "C6",
        "set service web real web1 weight 1001\nset service web real web1 weight -1\nset service web real web1 max-flows 99999999999999999999",
        &[
            "% E104 line 1, column 34: '1001' is not a weight, 0..1000",
            "% E104 line 2, column 34: '-1' is not a weight, 0..1000 (column 34: '-' is no digit)",
            "% E104 line 3, column 37: '99999999999999999999' is not a number of flows, 1..4294967295",
        ],
    ),
    (
        "C10",
        "set system hostname a\0b\nset \x1b[A",
        &[
            "% E107 line 1, column 22: byte 0x00 is no text",
            "% E107 line 2, column 5: byte 0x1b is no text",
        ],
    ),
    (
        "C12",
        "set servce web vip 10.0.0.5 tcp 80\nset service web reel web1\nshow port",
        &[
            "% E101 line 1, column 5: unknown word 'servce'. Expected: service … Did you mean 'service'?",
            "% E101 line 2, column 17: unknown word 'reel'. Expected: real … Did you mean 'real'?",
            "% E101 line 3, column 1: unknown word 'show'. Expected: set",
        ],
    ),
    (
        "C16 a guest's own address",
        "set guest web1 port p1 mac 52:54:00:01:00:01 address 10.0.0.21\nset service web vip 10.0.0.21 tcp 80",
        &[
            "% E203 line 2, column 21: service web: 10.0.0.21 is guest web1's own address; a VIP is nobody's own (line 1)",
        ],
    ),
    (
        "C16 the appliance's address",
        "set service web vip 169.254.2.1 tcp 80",
        &["% E203 line 1, column 21: service web: 169.254.2.1 is the appliance's own"],
    ),
    (
        "C16 the appliance's address at a guest",
        "set guest web1 port p1 mac 52:54:00:01:00:01 address 169.254.2.1",
        &["% E203 line 1, column 54: guest web1: 169.254.2.1 is the appliance's own"],
    ),
    (
        "what is missing",
        "set guest web1 address fd00::1\nset service web real web1",
        &[
            "% E204 line 1, column 11: guest web1: it has no MAC (set guest … mac …)",
            "% E204 line 1, column 11: guest web1: it has no port (set guest … port …)",
            "% E204 line 2, column 13: service web: it has no VIP (set service … vip …)",
        ],
    ),
    (
        "NICs",
        "set port a role guest match pci 00:1f.0\nset port b role guest match pci 00:03.0\nset port c role guest match mac 52:54:00:aa:00:01\nset port d role guest",
        &[
            "% E201 line 1, column 33: port a: no NIC has pci 00:1f.0 (NICs: 00:02.0=52:54:00:aa:00:00 00:03.0=52:54:00:aa:00:01 00:04.0=52:54:00:aa:00:02 00:05.0=52:54:00:aa:00:03)",
            "% E203 line 3, column 33: port c: that NIC is also port b's (line 2)",
            "% E201 line 4, column 10: port d: no NIC is called so by itself (ports: up0 b p2 p3); say which it is: match pci … or match mac …",
        ],
    ),
    (
        "guests that cannot serve",
        "set guest web1 port p1 mac 52:54:00:01:00:01 address 10.0.0.21\nset service dns vip 2001:db8::53 udp 53\nset service dns real web1\nset service dns empty sorry web1\nset service web vip 10.0.0.5 tcp 80\nset service web empty sorry web9",
        &[
            "% E204 line 3, column 22: service dns: real web1 has no IPv6 address (set guest web1 address …)",
            "% E204 line 4, column 29: service dns: sorry web1 has no IPv6 address (set guest web1 address …)",
            "% E201 line 6, column 29: service web: sorry web9 is no guest (set guest web9 …)",
        ],
    ),
    (
        "what only UDP can have",
        "set service web vip 10.0.0.5 tcp 80\nset service web persistence payload 12 4 timeout 60s\nset service web idle 30s\nset service web one-packet",
        &[
            "% E205 line 2, column 37: service web: persistence by payload is for UDP: TCP has no payload yet when the real is chosen",
            "% E205 line 3, column 22: service web: idle is for UDP: a TCP connection says itself when it ends",
            "% E205 line 4, column 17: service web: one-packet is for UDP: a TCP connection stays at its real",
        ],
    ),
    (
        "prefixes",
        "set service web vip 10.0.0.5 tcp 80\nset service web persistence source 33 timeout 1m\nset service v6 vip fd00::5 tcp 80\nset service v6 persistence source 128 timeout 1m\nset service v7 persistence source 129 timeout 1m",
        &[
            "% E205 line 2, column 36: service web: a prefix of 33 bits is longer than an IPv4 address (32)",
            "% E104 line 5, column 35: '129' is not a prefix length, 1..128",
        ],
    ),
    (
        "payloads and times",
        "set service d persistence payload 65527 1 timeout 1s\nset service d persistence payload 0 33 timeout 1s\nset service d persistence payload 0 0 timeout 1s\nset service d idle 0s\nset service d idle 30\nset service d idle 8d\nset service d idle 5x\nset service d idle 99999999999s\nset service d idle s",
        &[
            "% E104 line 1, column 35: '65527' is not an offset in a payload, 0..65526",
            "% E104 line 2, column 37: '33' is not a number of bytes, 1..32",
            "% E104 line 3, column 37: '0' is not a number of bytes, 1..32",
            "% E104 line 4, column 20: '0s' is not a time such as 30s or 5m, 1s..7d",
            "% E104 line 5, column 20: '30' is not a time such as 30s or 5m, 1s..7d",
            "% E104 line 6, column 20: '8d' is not a time such as 30s or 5m, 1s..7d",
            "% E104 line 7, column 20: '5x' is not a time such as 30s or 5m, 1s..7d",
            "% E104 line 8, column 20: '99999999999s' is not a time such as 30s or 5m, 1s..7d",
            "% E104 line 9, column 20: 's' is not a time such as 30s or 5m, 1s..7d",
        ],
    ),
    (
        "direct forwarding with another port",
        "set guest web1 port p1 mac 52:54:00:01:00:01 address 10.0.0.21\nset service web vip 10.0.0.5 tcp 80\nset service web forwarding direct\nset service web real web1 port 8080",
        &[
            "% E205 line 4, column 32: service web: real web1 has port 8080, but direct forwarding leaves the service's port 80 as it is",
        ],
    ),
    (
        "VLANs",
        "set service a vip 10.0.0.5 tcp 80\nset service b vip 10.0.0.5 tcp 80 vlan 10\nset service c vip 10.0.0.5 tcp 80 vlan 10\n",
        &[
            "% E203 line 3, column 19: service c: 10.0.0.5 tcp 80 vlan 10 is also service b's (line 2)",
        ],
    ),
    (
        "VLANs out of range",
        "set service a vip 10.0.0.5 tcp 80 vlan 0\nset service a vip 10.0.0.5 tcp 80 vlan 4095",
        &[
            "% E104 line 1, column 40: '0' is not a VLAN, 1..4094",
            "% E104 line 2, column 40: '4095' is not a VLAN, 1..4094",
        ],
    ),
    (
        "said twice",
        "set service a vip 10.0.0.5 udp 80\nset service a one-packet\nset service a one-packet\nset service a empty drop\nset service a empty sorry g\nset service a idle 5s\nset service a idle 5s",
        &[
            "% E203 line 3, column 15: service a one-packet was stated on line 2",
            "% E203 line 5, column 27: service a empty was stated on line 4",
            "% E203 line 7, column 20: service a idle was stated on line 6",
        ],
    ),
    (
        "IPv6 addresses of the appliance and of guests",
        "set guest web1 port p1 mac 52:54:00:01:00:01 address fe80::6c:62 address fd00::5\nset service a vip FD00:0:0::5 udp 80",
        &[
            "% E203 line 1, column 54: guest web1: fe80::6c:62 is the appliance's own",
            "% E203 line 2, column 19: service a: fd00::5 is guest web1's own address; a VIP is nobody's own (line 1)",
        ],
    ),
    (
        "more flows than there is memory for",
        "set system capacity flows 262145",
        &["% E601 line 1, column 27: system: there is no memory for 262145 flows; 262144 fit"],
    ),
    (
        "flows out of range",
        "set system capacity flows 1023\nset system capacity flows 16777217\nset system capacity flows 65536",
        &[
            "% E104 line 1, column 27: '1023' is not a number of flows, 1024..16777216",
            "% E104 line 2, column 27: '16777217' is not a number of flows, 1024..16777216",
        ],
    ),
    (
        "the switch's own MAC",
        "set guest web1 port p1 mac 02:6c:a9:fe:02:01",
        &["% E203 line 1, column 28: guest web1: 02:6c:a9:fe:02:01 is the switch's own"],
    ),
    (
        "five addresses",
        "set guest web1 port p1 mac 52:54:00:01:00:01 address 10.0.0.1 address 10.0.0.2 address 10.0.0.3 address 10.0.0.4 address 10.0.0.5",
        &["% E601 line 1, column 122: guest web1: more than 4 addresses"],
    ),
];

#[test]
fn refusals_say_where_and_what_and_why() {
    for (row, text, expected) in REFUSED {
        assert_eq!(errors(text), *expected, "{row}");
    }
}

#[test]
fn a_guest_has_no_vips_mac() {
    for vip in ["10.0.0.5", "2001:db8::5"] {
        let mac = MacAddr::virtual_of(vip.parse().unwrap());
        let text = format!("set service a vip {vip} udp 80\nset guest g port p1 mac {mac}");
        let expected = format!("% E203 line 2, column 25: guest g: {mac} is the switch's own");
        assert_eq!(errors(&text), [expected]);
    }
}

#[test]
fn c8_a_line_may_have_1024_bytes() {
    let fits = format!("{WEB1}#{}\n", "x".repeat(1023));
    assert_eq!(errors(&fits), Vec::<String>::new());
    let long = format!("#{}\n{WEB1}set oops\n", "x".repeat(1024));
    let expected = [
        "% E106 line 1, column 1025: line longer than 1024 bytes",
        "% E101 line 3, column 5: unknown word 'oops'. Expected: guest mac mirror port service switch system",
    ];
    assert_eq!(errors(&long), expected, "the rest is read on");
}

#[test]
fn c9_every_editors_file_is_read_and_columns_stay_right() {
    let file = "\u{feff}set\tsystem hostname  edge1  \r\n\r\n! a comment\r\n\tset guest web1 port p1 mac \
                52:54:00:01:00:01 # here too\r\nset system\thostname ä\r\n";
    let reading = read(file.as_bytes());
    assert_eq!(reading.config.hostname, Some("edge1".parse().unwrap()));
    assert_eq!(reading.config.guests.len(), 1);
    let errors: Vec<_> = reading.errors.iter().map(|error| error.to_string()).collect();
    assert_eq!(errors.len(), 1);
    assert!(
        errors[0].starts_with("% E104 line 5, column 21: 'ä' is not a host name"),
        "{errors:?}"
    );
}

#[test]
fn c10_bytes_that_are_no_text() {
    for (bytes, said) in [
        (&b"# caf\xe9 closed"[..], "% E107 line 1, column 6: byte 0xe9 is no text"),
        (b"set \xed\xa0\x80", "% E107 line 1, column 5: byte 0xed is no text"),
        ("# \u{e4}\u{e4}\u{ff}".as_bytes(), ""),
    ] {
        let said_of_it: String = read(bytes).errors.iter().map(|error| error.to_string()).collect();
        assert_eq!(said_of_it, said);
    }
}

#[test]
fn c13_a_file_without_end_is_read_to_the_limit() {
    let lines = "# nothing\n".repeat(LINES_MAX);
    assert_eq!(errors(&lines), Vec::<String>::new(), "the limit itself");
    let one_more = format!("{lines}# one more");
    assert_eq!(
        errors(&one_more),
        ["% E602 line 10001: more than 10000 lines; the rest was not read"]
    );
    let wrong = "set x\n".repeat(100_000);
    let reading = read(wrong.as_bytes());
    assert_eq!(reading.errors.len(), ERRORS_MAX + 1);
    let last = reading.errors.last().unwrap().to_string();
    assert_eq!(last, "% E603 line 251: more than 250 errors; the rest was not read");
}

#[test]
fn ports_have_names_by_themselves() {
    let names = |config: &str, nics: &[NicId]| {
        let plan = check(&read(config.as_bytes()).config, &site(nics.to_vec())).unwrap();
        let ports = plan.ports.iter().map(|port| format!("{}={}", port.name, port.role.as_str()));
        ports.collect::<Vec<_>>().join(" ")
    };
    let cases = [
        ("", "up0=uplink p1=guest p2=guest p3=guest"),
        ("set port p1 role uplink", "up0=uplink p1=uplink p2=guest p3=guest"),
        ("set port up0 role guest", "up0=guest p1=guest p2=guest p3=guest"),
        ("set port lan role uplink match pci 00:04.0", "p0=guest p1=guest lan=uplink p3=guest"),
        ("set port p1 role guest match pci 00:05.0", "up0=uplink p3=guest p2=guest p1=guest"),
        ("set port p9 role guest match pci 00:02.0", "p9=guest p1=guest p2=guest p3=guest"),
    ];
    for (config, expected) in cases {
        assert_eq!(names(config, &nics()), expected, "{config}");
    }
    assert_eq!(names("", &[]), "");
}

#[test]
fn a_plan_has_what_the_statements_say() {
    let text = format!(
        "{WEB1}set service web vip 10.0.0.100 udp 53\nset service web scheduler wlc\n\
         set service web real web1 weight 0 port 5353\n"
    );
    let plan = check(&read(text.as_bytes()).config, &site(nics())).unwrap();
    let web = &plan.services[&"web".parse::<Name>().unwrap()];
    assert_eq!((web.spec.protocol, web.spec.scheduler), (Protocol::Udp, Scheduler::Wlc));
    let real = web.reals.values().next().unwrap();
    assert_eq!((real.weight, real.port, real.flows_max), (0, NonZeroU16::new(5353), None));
    let addresses: BTreeMap<_, _> =
        plan.guests.iter().map(|(name, spec)| (name.as_str(), spec.port.index())).collect();
    assert_eq!(addresses, BTreeMap::from([("web1", 1)]));
}

#[test]
fn every_scheduler_is_said_by_its_word() {
    for scheduler in Scheduler::ALL {
        let line = format!("set service web scheduler {}", scheduler.as_str());
        let text = format!("{WEB1}set service web vip 10.0.0.100 udp 53\n{line}\n");
        let config = read(text.as_bytes()).config;
        assert!(config.to_string().contains(&line), "{line}");
        let plan = check(&config, &site(nics())).unwrap();
        assert_eq!(plan.services.values().next().unwrap().spec.scheduler, scheduler);
    }
    let words: Vec<_> = Scheduler::ALL.iter().map(|scheduler| scheduler.as_str()).collect();
    assert_eq!(words, ["lc", "mh", "p2c", "rr", "sh", "sh-port", "wlc", "wll", "wrr"]);
}

#[test]
fn no_more_services_by_mh_than_have_tables() {
    let services = |count| -> String {
        let service = |n| {
            format!(
                "set service s{n:02} vip 10.0.0.100 udp {n}\nset service s{n:02} scheduler mh\n"
            )
        };
        (1..=count).map(service).collect()
    };
    let wrong = |text: &str| -> Vec<String> {
        let findings =
            check(&read(text.as_bytes()).config, &site(nics())).err().unwrap_or_default();
        findings.iter().map(|finding| format!("E{} {finding}", finding.code())).collect()
    };
    assert!(wrong(&services(16)).is_empty());
    assert_eq!(wrong(&services(17)), ["E601 service s17: more than 16 services by mh"]);
}
