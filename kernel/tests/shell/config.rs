//! The configuration as text: both ways, whole files, and what is refused.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::{NonZeroU16, NonZeroU32};

use drivers::pci::Address;
use kernel::config::{
    Config, ERRORS_MAX, GuestConfig, Item, LINES_MAX, NicId, NicMatch, PortConfig, RealConfig,
    ServiceConfig, Setting, Statement, Vip, check, read,
};
use kernel::shell::parse::parse;
use kernel::shell::tree::CONFIGURATION;
use lb::addr::is_host_address;
use lb::{Forwarding, MacAddr, Name, Protocol, RealSpec, Role, Scheduler};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;

fn name() -> impl Strategy<Value = Name> {
    "[a-zA-Z][a-zA-Z0-9._-]{0,30}".prop_map(|name| name.parse().unwrap())
}

fn mac() -> impl Strategy<Value = MacAddr> {
    any::<[u8; 6]>().prop_map(MacAddr).prop_filter("a station's", |mac| mac.is_station())
}

fn address() -> impl Strategy<Value = IpAddr> {
    let v4 = any::<[u8; 4]>().prop_map(|octets| IpAddr::V4(Ipv4Addr::from(octets)));
    let v6 = any::<[u8; 16]>().prop_map(|octets| IpAddr::V6(Ipv6Addr::from(octets)));
    prop_oneof![v4, v6].prop_filter("a host's", |address| is_host_address(*address))
}

fn port_config() -> impl Strategy<Value = PortConfig> {
    let pci = (any::<u8>(), 0u8..32, 0u8..8)
        .prop_map(|(bus, device, function)| NicMatch::Pci(Address { bus, device, function }));
    let nic = prop_oneof![pci, mac().prop_map(NicMatch::Mac)];
    (select(&Role::ALL[..]), proptest::option::of(nic))
        .prop_map(|(role, nic)| PortConfig { role, nic })
}

fn guest_config() -> impl Strategy<Value = GuestConfig> {
    (name(), mac(), vec(address(), 0..5)).prop_map(|(port, mac, mut addresses)| {
        let mut seen = std::collections::BTreeSet::new();
        addresses.retain(|address| seen.insert(*address));
        GuestConfig { port: Some(port), mac: Some(mac), addresses }
    })
}

fn real_config() -> impl Strategy<Value = RealConfig> {
    let port = proptest::option::of(any::<NonZeroU16>());
    let weight = proptest::option::of(0..=RealSpec::WEIGHT_MAX);
    let flows_max = proptest::option::of(any::<NonZeroU32>());
    (port, weight, flows_max).prop_map(|(port, weight, flows_max)| RealConfig {
        port,
        weight,
        flows_max,
    })
}

fn vip() -> impl Strategy<Value = Vip> {
    (address(), select(&Protocol::ALL[..]), any::<NonZeroU16>())
        .prop_map(|(address, protocol, port)| Vip { address, protocol, port })
}

fn service_config() -> impl Strategy<Value = ServiceConfig> {
    let scheduler = proptest::option::of(select(&Scheduler::ALL[..]));
    let forwarding = proptest::option::of(select(&Forwarding::ALL[..]));
    let reals = btree_map(name(), real_config(), 0..5);
    (vip(), scheduler, forwarding, reals).prop_map(|(vip, scheduler, forwarding, reals)| {
        ServiceConfig { vip: Some(vip), scheduler, forwarding, reals }
    })
}

fn config() -> impl Strategy<Value = Config> {
    let hostname = proptest::option::of(name());
    let ports = btree_map(name(), port_config(), 0..6);
    let guests = btree_map(name(), guest_config(), 0..6);
    let services = btree_map(name(), service_config(), 0..4);
    (hostname, ports, guests, services).prop_map(|(hostname, ports, guests, services)| Config {
        hostname,
        ports,
        guests,
        services,
    })
}

/// Every item that `delete` can name.
fn deletable() -> impl Strategy<Value = Item> {
    let one = (0..7usize, name(), address()).prop_map(|(which, name, address)| match which {
        0 => Item::Hostname,
        1 => Item::Port(name),
        2 => Item::PortMatch(name),
        3 => Item::Guest(name),
        4 => Item::GuestAddress(name, address),
        5 => Item::Service(name),
        _ => Item::Scheduler(name),
    });
    let two = (0..5usize, name(), name()).prop_map(|(which, service, guest)| match which {
        0 => Item::Forwarding(service),
        1 => Item::Real(service, guest),
        2 => Item::RealPort(service, guest),
        3 => Item::RealWeight(service, guest),
        _ => Item::RealFlowsMax(service, guest),
    });
    prop_oneof![one, two]
}

fn statement_of(line: &str) -> Option<Statement> {
    Statement::of(&parse(line, CONFIGURATION).ok()??)
}

proptest! {
    #[test]
    fn a_configuration_reads_as_it_prints(config in config()) {
        let text = config.to_string();
        let reading = read(text.as_bytes());
        prop_assert_eq!(&reading.errors, &[]);
        prop_assert_eq!(&reading.config, &config);
        prop_assert_eq!(reading.config.to_string(), text);
    }

    #[test]
    fn every_statement_reads_as_it_prints(config in config(), item in deletable()) {
        for statement in config.statements().into_iter().chain([Statement::Delete(item)]) {
            let line = statement.to_string();
            let with_no = line.replacen("delete ", "no ", 1);
            prop_assert_eq!(statement_of(&line), Some(statement.clone()), "{}", line);
            prop_assert_eq!(statement_of(&with_no), Some(statement));
        }
    }

    /// What was taken in statement by statement goes out the same way, down to nothing.
    #[test]
    fn deleting_every_statement_leaves_nothing(config in config()) {
        let mut left = config.clone();
        for statement in config.statements() {
            let Statement::Set(setting) = statement else { unreachable!() };
            let item = match setting {
                Setting::Hostname(_) => Item::Hostname,
                Setting::Port { port, .. } => Item::Port(port),
                Setting::Guest { guest, .. } => Item::Guest(guest),
                Setting::Vip { service, .. } => Item::Service(service),
                // Gone with their service.
                Setting::Scheduler { .. } | Setting::Forwarding { .. } | Setting::Real { .. } => continue,
            };
            prop_assert_eq!(left.take(&Statement::Delete(item.clone())), Ok(()));
            prop_assert!(left.take(&Statement::Delete(item)).is_err(), "only once");
        }
        prop_assert_eq!(left, Config::default());
    }

    #[test]
    fn no_bytes_confuse_the_reader(text in vec(any::<u8>(), 0..2000)) {
        let reading = read(&text);
        for error in &reading.errors {
            prop_assert!(error.line.is_some());
        }
    }
}

/// The machine that files are checked for: an uplink and three more NICs.
fn nics() -> Vec<NicId> {
    let nic = |at: u8| NicId {
        pci: Some(Address { bus: 0, device: 2 + at, function: 0 }),
        mac: MacAddr([0x52, 0x54, 0, 0xaa, 0, at]),
    };
    (0..4).map(nic).collect()
}

/// Everything that is wrong with a file, as it is printed.
fn errors(text: &str) -> Vec<String> {
    let reading = read(text.as_bytes());
    if !reading.errors.is_empty() {
        return reading.errors.iter().map(|error| error.to_string()).collect();
    }
    let findings = check(&reading.config, &nics()).err().unwrap_or_default();
    findings.into_iter().map(|finding| reading.locate(finding).to_string()).collect()
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
            "% E204 line 2, column 22: service web: real web1 has no IPv4 address (set guest web1 address …)",
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
fn c8_a_line_may_have_1024_bytes() {
    let fits = format!("{WEB1}#{}\n", "x".repeat(1023));
    assert_eq!(errors(&fits), Vec::<String>::new());
    let long = format!("#{}\n{WEB1}set oops\n", "x".repeat(1024));
    let expected = [
        "% E106 line 1, column 1025: line longer than 1024 bytes",
        "% E101 line 3, column 5: unknown word 'oops'. Expected: guest port service system",
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
        let plan = check(&read(config.as_bytes()).config, nics).unwrap();
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
    let plan = check(&read(text.as_bytes()).config, &nics()).unwrap();
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
        let plan = check(&config, &nics()).unwrap();
        assert_eq!(plan.services.values().next().unwrap().spec.scheduler, scheduler);
    }
    let words: Vec<_> = Scheduler::ALL.iter().map(|scheduler| scheduler.as_str()).collect();
    assert_eq!(words, ["lc", "mh", "p2c", "rr", "sh", "wlc", "wll", "wrr"]);
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
        let findings = check(&read(text.as_bytes()).config, &nics()).err().unwrap_or_default();
        findings.iter().map(|finding| format!("E{} {finding}", finding.code())).collect()
    };
    assert!(wrong(&services(16)).is_empty());
    assert_eq!(wrong(&services(17)), ["E601 service s17: more than 16 services by mh"]);
}
