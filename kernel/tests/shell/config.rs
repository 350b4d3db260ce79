//! The configuration as text, both ways.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::{NonZeroU8, NonZeroU16, NonZeroU32, NonZeroU64};
use std::time::Duration;

use drivers::pci::Address;
use kernel::config::{
    AgentConfig, Asks, CheckConfig, Config, Description, Difference, FLOWS, FilterConfig,
    GroupConfig, GroupPart, GuestConfig, Item, MirrorConfig, NicMatch, PortConfig, PortPart,
    QuerierConfig, RealConfig, ServiceConfig, ServicePart, Setting, Statement, StaticMac, Vip,
    compare, read,
};
use kernel::shell::parse::parse;
use kernel::shell::tree::CONFIGURATION;
use lb::addr::is_host_address;
use lb::switch::access::{Action, Hosts, Ports, Target, Transport};
use lb::switch::mtu::Mtu;
use lb::wire::ethernet::VLAN_MAX;
use lb::wire::ip::Version;
use lb::{
    AccessRule, AddressSource, AddressSpec, Empty, Expect, Forwarding, HostAddress, Lldp, MacAddr,
    Name, OnDown, Persistence, Policer, PortRules, PortVlan, Proto, Protocol, RealSpec, Role,
    Scheduler, StormLimits, Trust, VlanId, Way,
};
use proptest::collection::{btree_map, vec};
use proptest::option;
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

fn vlan_id() -> impl Strategy<Value = VlanId> {
    (1..=VLAN_MAX).prop_map(|vlan| VlanId::new(vlan).unwrap())
}

fn port_rules() -> impl Strategy<Value = PortRules> {
    let tagged = vec(vlan_id(), 1..9).prop_map(|vlans| Box::new(vlans.into_iter().collect()));
    let native = option::of(vlan_id());
    let vlan = prop_oneof![
        Just(PortVlan::Transparent),
        vlan_id().prop_map(PortVlan::Access),
        (tagged, native).prop_map(|(tagged, native)| PortVlan::Trunk { tagged, native }),
    ];
    let of_switch = (vlan, any::<[bool; 6]>());
    let of_tenants = (option::of(name()), option::of(1..=u32::from(u16::MAX)), access());
    let lldp = option::of(select(&Lldp::ALL[..]));
    let limits = (policer(), policer(), option::of(storm_limits()), lldp, mtu());
    (of_switch, of_tenants, limits).prop_map(
        |((vlan, flags), (group, macs_max, access), limits)| {
            let [isolated, learning, flood, locked, standby, fast_leave] = flags;
            let (police_in, police_out, storm, lldp, mtu) = limits;
            let macs_max = macs_max.and_then(NonZeroU32::new);
            let rules = PortRules {
                vlan,
                isolated,
                group,
                learning,
                flood,
                locked,
                macs_max,
                access,
                ..PortRules::default()
            };
            PortRules { police_in, police_out, standby, storm, lldp, mtu, fast_leave, ..rules }
        },
    )
}

fn groups() -> impl Strategy<Value = GroupConfig> {
    let vlans =
        || option::of(vec(vlan_id(), 1..9).prop_map(|ids| Box::new(ids.into_iter().collect())));
    let interval = option::of((1..=604_800u64).prop_map(Duration::from_secs));
    let querier =
        (interval, vlans()).prop_map(|(interval, vlans)| QuerierConfig { interval, vlans });
    (option::of(vlans()), option::of(querier), any::<bool>()).prop_map(
        |(snooping_off, querier, flood_unknown)| GroupConfig {
            snooping_off,
            querier,
            flood_unknown,
        },
    )
}

fn mtu() -> impl Strategy<Value = Mtu> {
    (Mtu::MIN.get()..=Mtu::MAX.get()).prop_map(|bytes| Mtu::new(bytes).unwrap())
}

fn frame_rate() -> impl Strategy<Value = NonZeroU32> {
    (1..=1_000_000_000u32).prop_map(|frames| NonZeroU32::new(frames).unwrap())
}

fn policer() -> impl Strategy<Value = Policer> {
    let bits = (1..=1_000_000_000_000u64).prop_map(|bits| NonZeroU64::new(bits).unwrap());
    (option::of(bits), option::of(frame_rate())).prop_map(|(bits, frames)| Policer { bits, frames })
}

fn storm_limits() -> impl Strategy<Value = StormLimits> {
    let some = [(); 3].map(|()| option::of(frame_rate()));
    prop_oneof![
        frame_rate().prop_map(StormLimits::each),
        some.prop_map(|[broadcast, multicast, unknown]| StormLimits {
            broadcast,
            multicast,
            unknown,
        }),
    ]
}

/// Rules of an access list, by their numbers.
fn access() -> impl Strategy<Value = Vec<AccessRule>> {
    let ports =
        (1..=u16::MAX, 1..=u16::MAX).prop_map(|(a, b)| Ports { first: a.min(b), last: a.max(b) });
    let transport = prop_oneof![
        Just(Transport::Icmp),
        (select(&Protocol::ALL[..]), option::of(ports))
            .prop_map(|(p, ports)| Transport::Of(p, ports)),
    ];
    let hosts = (any::<IpAddr>(), 0..=128u8, option::of(transport)).prop_map(
        |(address, len, transport)| {
            let prefix_len = if address.is_ipv4() { len % 33 } else { len };
            Target::Hosts(Hosts { address, prefix_len, transport })
        },
    );
    let to = prop_oneof![Just(Target::Any), name().prop_map(Target::Service), hosts];
    let action = select(&[Action::Permit, Action::Deny][..]);
    btree_map(1..=u16::MAX, (action, to), 0..4).prop_map(|rules| {
        let rule = |(number, (action, to))| AccessRule { number, action, to };
        rules.into_iter().map(rule).collect()
    })
}

fn static_mac() -> impl Strategy<Value = StaticMac> {
    (mac(), 0..=VLAN_MAX).prop_map(|(mac, vlan)| StaticMac { mac, vlan })
}

/// Words, blanks between them, quotes, what begins a comment elsewhere, and letters of many bytes.
fn description() -> impl Strategy<Value = Description> {
    let text = prop_oneof![
        "[ -~]{1,64}",
        "[\"#!a ]{1,8}",
        "(\"| |#|!|\\||é|東|\u{301}|⚡){1,64}",
        "\\PC{1,64}",
    ];
    text.prop_filter_map("a description", |text| Description::new(&text))
}

fn port_config() -> impl Strategy<Value = PortConfig> {
    let pci = (any::<u8>(), 0u8..32, 0u8..8)
        .prop_map(|(bus, device, function)| NicMatch::Pci(Address { bus, device, function }));
    let nic = prop_oneof![pci, mac().prop_map(NicMatch::Mac)];
    let role = option::of((select(&Role::ALL[..]), option::of(nic)));
    let stated = (role, option::of(description()), port_rules());
    stated.prop_filter_map("something is said of it", |(role, description, rules)| {
        let (role, nic) = role.map_or((None, None), |(role, nic)| (Some(role), nic));
        let port = PortConfig { role, nic, description, rules };
        Some(port).filter(|port| *port != PortConfig::default())
    })
}

fn addresses(count: usize) -> impl Strategy<Value = Vec<IpAddr>> {
    vec(address(), 0..=count).prop_map(|mut addresses| {
        let mut seen = std::collections::BTreeSet::new();
        addresses.retain(|address| seen.insert(*address));
        addresses
    })
}

fn guest_config() -> impl Strategy<Value = GuestConfig> {
    let place = (option::of(name()), option::of(mac()));
    let trusts = vec(select(&Trust::ALL[..]), 0..3).prop_map(|trusts| trusts.into_iter().collect());
    let words = (trusts, option::of(description()));
    let said = (place, addresses(4), addresses(2), words);
    said.prop_filter_map("something", |((port, mac), addresses, probe_sources, words)| {
        let (trusts, description) = words;
        let guest = GuestConfig { port, mac, addresses, probe_sources, trusts, description };
        Some(guest).filter(|guest| *guest != GuestConfig::default())
    })
}

fn millis(range: std::ops::RangeInclusive<u64>) -> impl Strategy<Value = Duration> {
    range.prop_map(Duration::from_millis)
}

fn asks() -> impl Strategy<Value = Asks> {
    let path = "/[!-~]{0,127}".prop_map(|path| Box::new(path.as_str().try_into().unwrap()));
    let statuses = (100..=599u16, 100..=599u16);
    let statuses = statuses.prop_map(|(a, b)| Expect::Status(a.min(b)..=a.max(b)));
    // A text begins no comment, and not all of it is digits.
    let text = "[$-~]{0,31}[$-,:-~]".prop_filter("a word", |text| !text.starts_with('!'));
    let text = text.prop_map(|text| Expect::Text(text.as_str().try_into().unwrap()));
    let expect = option::of(prop_oneof![statuses, text]);
    prop_oneof![
        (path, expect).prop_map(|(path, expect)| Asks::Http { path, expect }),
        select(&[Asks::Icmp, Asks::Neighbor, Asks::Tcp, Asks::Udp][..]),
    ]
}

fn check_config() -> impl Strategy<Value = CheckConfig> {
    use option::of;
    let in_a_row = || of((1..=100u8).prop_map(|count| NonZeroU8::new(count).unwrap()));
    let times = (of(millis(100..=3_600_000)), of(millis(50..=3_600_000)));
    (asks(), of(any::<NonZeroU16>()), times, in_a_row(), in_a_row()).prop_map(
        |(asks, port, (interval, timeout), rise, fall)| {
            // An echo and an ARP request go to no port.
            let port = port.filter(|_| !matches!(asks, Asks::Icmp | Asks::Neighbor));
            CheckConfig { asks, port, interval, timeout, rise, fall }
        },
    )
}

fn agent_config() -> impl Strategy<Value = AgentConfig> {
    let pull = (any::<NonZeroU16>(), option::of(millis(100..=3_600_000)));
    let pull = pull.prop_map(|(port, interval)| AgentConfig::Pull { port, interval });
    prop_oneof![Just(AgentConfig::Push), pull]
}

fn real_config() -> impl Strategy<Value = RealConfig> {
    let port = option::of(any::<NonZeroU16>());
    let weight = option::of(0..=RealSpec::WEIGHT_MAX);
    let flows_max = option::of(any::<NonZeroU32>());
    let check = option::of(check_config());
    (port, weight, flows_max, check).prop_map(|(port, weight, flows_max, check)| RealConfig {
        port,
        weight,
        flows_max,
        check,
    })
}

fn vip() -> impl Strategy<Value = Vip> {
    (address(), select(&Protocol::ALL[..]), any::<NonZeroU16>(), 0..=VLAN_MAX)
        .prop_map(|(address, protocol, port, vlan)| Vip { address, protocol, port, vlan })
}

fn time() -> impl Strategy<Value = Duration> {
    (1..=7 * 86_400u64).prop_map(Duration::from_secs)
}

fn persistence() -> impl Strategy<Value = Persistence> {
    let source = (1..=128u8, time())
        .prop_map(|(prefix_len, timeout)| Persistence::Source { prefix_len, timeout });
    let len = (1..=32u8).prop_map(|len| NonZeroU8::new(len).unwrap());
    let payload = (0..=65_526u16, len, time()).prop_map(|(offset_bytes, len_bytes, timeout)| {
        Persistence::Payload { offset_bytes, len_bytes, timeout }
    });
    prop_oneof![source, payload]
}

fn empty() -> impl Strategy<Value = Empty> {
    prop_oneof![Just(Empty::Drop), Just(Empty::Reset), name().prop_map(Empty::Sorry)]
}

fn service_config() -> impl Strategy<Value = ServiceConfig> {
    use option::of;
    let choosing = (of(select(&Scheduler::ALL[..])), of(persistence()));
    let otherwise = (of(select(&Forwarding::ALL[..])), of(empty()), of(any::<NonZeroU32>()));
    let udp = (of(time()), any::<bool>());
    let ending = (of(time()), of(select(&OnDown::ALL[..])), of(description()));
    let slow_start = (0..=3600u64).prop_map(Duration::from_secs);
    let probing = (of(check_config()), of(agent_config()), of(slow_start), of(0..=100u8));
    let reals = btree_map(name(), real_config(), 0..5);
    let all = (vip(), choosing, otherwise, udp, probing, ending, reals);
    all.prop_map(|(vip, choosing, otherwise, udp, probing, ending, reals)| {
        let (scheduler, persistence) = choosing;
        let (check, agent, slow_start, panic) = probing;
        let (forwarding, empty, flows_max) = otherwise;
        let (idle, one_packet) = udp;
        ServiceConfig {
            vip: Some(vip),
            scheduler,
            forwarding,
            persistence,
            empty,
            flows_max,
            idle,
            one_packet,
            check,
            agent,
            slow_start,
            drain_timeout: ending.0,
            on_down: ending.1,
            description: ending.2,
            panic,
            reals,
        }
    })
}

/// As they are said: one of each IP version at most.
fn own_addresses() -> impl Strategy<Value = [Option<AddressSpec>; 2]> {
    let fixed = (address(), 1..=128u8, option::of(address()));
    let fixed = fixed.prop_filter_map("a host's", |(address, prefix_len, gateway)| {
        let prefix_len = if address.is_ipv4() { 1 + (prefix_len - 1) % 32 } else { prefix_len };
        let host = HostAddress { address, prefix_len, gateway };
        let fits = HostAddress::is_for_a_host(address, prefix_len);
        fits.then_some(AddressSource::Static(host))
    });
    let source = prop_oneof![2 => fixed, 1 => Just(AddressSource::Dhcp)];
    let said = (source, 0..=VLAN_MAX).prop_map(|(source, vlan)| AddressSpec { source, vlan });
    vec(said, 0..3).prop_map(|said| {
        [Version::V4, Version::V6]
            .map(|version| said.iter().find(|s| s.version() == version).copied())
    })
}

fn mirror_config() -> impl Strategy<Value = MirrorConfig> {
    let (way, proto) = (select(&Way::ALL[..]), select(&Proto::ALL[..]));
    let (host, l4_port) = (option::of(address()), any::<Option<NonZeroU16>>());
    let (service, vlan) = (option::of(name()), option::of(1..=VLAN_MAX));
    let filter = (host, l4_port, option::of(proto), service, vlan);
    let filter = filter.prop_map(|(host, l4_port, proto, service, vlan)| FilterConfig {
        host,
        l4_port,
        proto,
        service,
        vlan,
    });
    (name(), name(), option::of(way), filter).prop_map(|(from, to, way, filter)| MirrorConfig {
        from,
        to,
        way,
        filter,
    })
}

fn config() -> impl Strategy<Value = Config> {
    let hostname = option::of(name());
    let flows = FLOWS.prop_map(NonZeroU32::new);
    let flows = prop_oneof![Just(None), flows];
    let ports = btree_map(name(), port_config(), 0..6);
    let guests = btree_map(name(), guest_config(), 0..6);
    let services = btree_map(name(), service_config(), 0..4);
    let macs = btree_map(static_mac(), name(), 0..4);
    let mac_ageing = option::of((10..=1_000_000u64).prop_map(Duration::from_secs));
    let mirrors = btree_map(name(), mirror_config(), 0..4);
    let of_system = (hostname, flows, mac_ageing, own_addresses());
    (of_system, groups(), ports, guests, macs, services, mirrors).prop_map(
        |(
            (hostname, flows, mac_ageing, addresses),
            groups,
            ports,
            guests,
            macs,
            services,
            mirrors,
        )| Config {
            hostname,
            flows,
            mac_ageing,
            addresses,
            groups,
            ports,
            guests,
            macs,
            services,
            mirrors,
        },
    )
}

/// Every item that `delete` can name.
fn deletable() -> impl Strategy<Value = Item> {
    /// A service without a VIP is none, so that goes with the service.
    const PARTS: [ServicePart; 12] = [
        ServicePart::Description,
        ServicePart::Scheduler,
        ServicePart::Forwarding,
        ServicePart::Persistence,
        ServicePart::Empty,
        ServicePart::FlowsMax,
        ServicePart::Idle,
        ServicePart::OnePacket,
        ServicePart::Check,
        ServicePart::Agent,
        ServicePart::SlowStart,
        ServicePart::Panic,
    ];
    let one = (0..11usize, name(), address()).prop_map(|(which, name, address)| match which {
        0 => Item::Hostname,
        1 => Item::Port(name),
        2 => Item::PortMatch(name),
        3 => Item::Guest(name),
        4 => Item::GuestAddress(name, address),
        5 => Item::Service(name),
        6 => Item::GuestProbeSource(name, address),
        7 => Item::GuestDescription(name),
        8 => Item::PortDescription(name),
        9 => Item::Mirror(name),
        _ => Item::Flows,
    });
    let rule =
        (name(), select(&PortPart::ALL[..])).prop_map(|(port, part)| Item::PortPart(port, part));
    let versions = [None, Some(Version::V4), Some(Version::V6)];
    let of_macs = prop_oneof![
        Just(Item::MacAgeing),
        select(&GroupPart::ALL[..]).prop_map(Item::Groups),
        static_mac().prop_map(Item::Mac),
        select(versions.to_vec()).prop_map(Item::Address),
    ];
    let part = (name(), select(&PARTS[..])).prop_map(|(service, part)| Item::Part(service, part));
    let two = (0..5usize, name(), name()).prop_map(|(which, service, guest)| match which {
        0 => Item::Real(service, guest),
        1 => Item::RealPort(service, guest),
        2 => Item::RealWeight(service, guest),
        3 => Item::RealCheck(service, guest),
        _ => Item::RealFlowsMax(service, guest),
    });
    prop_oneof![one, rule, of_macs, part, two]
}

/// The other configuration with much of the old one: some of it as it was, some of it changed.
fn mixed(old: &Config, mut other: Config) -> Config {
    other.ports.extend(old.ports.clone());
    other.guests.extend(old.guests.clone().into_iter().skip(1));
    let mut one = other.services.values().next().cloned().unwrap_or_default();
    for (at, (name, service)) in old.services.iter().enumerate() {
        let mut service = service.clone();
        if at % 2 == 0 {
            service.reals.values_mut().for_each(|real| real.weight = Some(7));
            service.reals.append(&mut one.reals);
            service.check = one.check.take();
        }
        other.services.insert(name.clone(), service);
    }
    other
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

    /// A difference says what leads from one to the other, in the order of the statements.
    #[test]
    fn a_difference_leads_from_one_configuration_to_the_other(old in config(), other in config()) {
        let new = mixed(&old, other);
        prop_assert_eq!(compare(&old, &old), vec![]);
        let (mut gone, mut made) = (Vec::new(), Vec::new());
        for difference in compare(&old, &new) {
            let line = difference.to_string();
            match difference {
                Difference::Gone(statement) => {
                    prop_assert_eq!(line, format!("- {statement}"));
                    gone.push(statement);
                }
                Difference::New(statement) => {
                    prop_assert_eq!(line, format!("+ {statement}"));
                    made.push(statement);
                }
            }
        }
        let (old, new) = (old.statements(), new.statements());
        let without = |all: &[Statement], others: &[Statement]| -> Vec<Statement> {
            all.iter().filter(|statement| !others.contains(statement)).cloned().collect()
        };
        prop_assert_eq!(&gone, &without(&old, &new));
        prop_assert_eq!(&made, &without(&new, &old));
    }

    /// What was taken in statement by statement goes out the same way, down to nothing.
    #[test]
    fn deleting_every_statement_leaves_nothing(config in config()) {
        let mut left = config.clone();
        for statement in config.statements() {
            let Statement::Set(setting) = statement else { unreachable!() };
            let item = match setting {
                Setting::Hostname(_) => Item::Hostname,
                Setting::Flows(_) => Item::Flows,
                Setting::MacAgeing(_) => Item::MacAgeing,
                Setting::Address(said) => Item::Address(Some(said.version())),
                Setting::Groups(said) => Item::Groups(said.part()),
                // Its `match` stands with its role.
                Setting::Port { .. } => continue,
                Setting::PortRule { port, rule } => Item::PortPart(port, rule.part()),
                Setting::Mac { mac, .. } => Item::Mac(mac),
                Setting::Mirror { name, .. } => Item::Mirror(name),
                Setting::PortDescription { port, .. } => Item::PortDescription(port),
                Setting::Guest { guest, description: Some(_), .. } => Item::GuestDescription(guest),
                Setting::Guest { guest, .. } => Item::Guest(guest),
                Setting::Service { service, setting } => match setting.part() {
                    ServicePart::Vip => continue,
                    part => Item::Part(service, part),
                },
                Setting::Real { service, guest, .. } => Item::Real(service, guest),
            };
            prop_assert_eq!(left.take(&Statement::Delete(item.clone())), Ok(()));
            prop_assert!(left.take(&Statement::Delete(item)).is_err(), "only once");
        }
        for (name, port) in config.ports.iter().filter(|(_, port)| port.role.is_some()) {
            let PortConfig { role, nic, .. } = *port;
            let rest = PortConfig { role, nic, ..PortConfig::default() };
            prop_assert_eq!(left.ports.get(name), Some(&rest));
            prop_assert_eq!(left.take(&Statement::Delete(Item::Port(name.clone()))), Ok(()));
        }
        for service in config.services.keys() {
            prop_assert_eq!(left.services.get(service), Some(&ServiceConfig {
                vip: config.services[service].vip,
                ..ServiceConfig::default()
            }));
            prop_assert_eq!(left.take(&Statement::Delete(Item::Service(service.clone()))), Ok(()));
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
