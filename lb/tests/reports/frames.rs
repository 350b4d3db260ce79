//! From where, in whose name and in what kind of packet a report comes.

use super::*;

#[test]
fn reports_in_odd_frames() {
    for version in VERSIONS {
        let sent = [strangers(version), datagrams(version), headers(version)].concat();
        for (what, ingress, ends, frame, ending) in sent {
            try_out(&Row { what, before: BEFORE, ingress, ends, frame, ending });
        }
    }
}

/// A row by its frame: what, on which port, between which ends, the bytes, and what comes of it.
type Sent = (&'static str, usize, Ends, Vec<u8>, Ending);

const LINE: &[u8] = b"up 40% id=a seq=6 app=0.1";

fn heard() -> Ending {
    taken("seq=6 state=up weight=40 flows=0 new=0 ended=0")
}

/// From where, and in whose name.
fn strangers(version: Version) -> Vec<Sent> {
    let own = ends_of_report(1, own_address(1, version));
    let link_local = match version {
        Version::V4 => [169, 254, 7, 7].into(),
        Version::V6 => IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, 7]),
    };
    let (switch, client, vip) = match version {
        Version::V4 => (SWITCH, CLIENT, VIP),
        Version::V6 => (SWITCH_V6, CLIENT_V6, VIP_V6),
    };
    let from = |address| ends_of_report(1, address);
    let outside = Ends { source_mac: CLIENT_MAC, ..from(client) };
    let unknown_mac = Ends { source_mac: [0x52, 0x54, 0, 9, 9, 9], ..own };
    let others_mac = Ends { source_mac: guest_mac(2), ..own };
    let spoofed = Ending::Dropped(DropReason::SpoofMac);
    let stranger = Ending::Silence(IDENTITY);
    let from_uplink = Ending::Dropped(DropReason::ReportPort);
    let rows = [
        ("its own address", 1, own, heard()),
        ("a link-local address", 1, from(link_local), heard()),
        ("to the switch's own MAC", 1, Ends { destination_mac: SWITCH_MAC, ..own }, heard()),
        ("to everybody's MAC", 1, Ends { destination_mac: BROADCAST, ..own }, heard()),
        ("in a VLAN in which the guest has nothing", 1, Ends { vlan: 77, ..own }, heard()),
        ("L3 on another guest's port", 2, own, spoofed.clone()),
        ("L3 with another guest's MAC", 1, others_mac, spoofed.clone()),
        ("L3 with nobody's MAC", 1, unknown_mac, spoofed),
        ("L3 another guest's address", 1, from(own_address(2, version)), stranger.clone()),
        ("L3 a client's address", 1, from(client), stranger.clone()),
        ("L3 a VIP's address", 1, from(vip), stranger),
        ("L3 the switch's address", 1, from(switch), Ending::Dropped(DropReason::Martian)),
        ("L4 from an uplink", UPLINK, outside, from_uplink.clone()),
        ("L4 from a VLAN of an uplink", UPLINK, Ends { vlan: 10, ..outside }, from_uplink),
    ];
    rows.map(|(what, ingress, ends, ending)| (what, ingress, ends, ends.udp(LINE), ending)).into()
}

/// To which port, by which protocol, and with which UDP header.
fn datagrams(version: Version) -> Vec<Sent> {
    let own = ends_of_report(1, own_address(1, version));
    let at = own.payload_at();
    let whole = own.udp(LINE);
    let with = |patches: &[(usize, u8)]| {
        let mut frame = whole.clone();
        patches.iter().for_each(|&(offset, value)| frame[at + offset] = value);
        frame
    };
    let wrong_sum = with(&[(7, whole[at + 7] ^ 1)]);
    let to = |port| Ends { destination: (own.destination.0, port), ..own };
    let vip = if own.source.0.is_ipv4() { VIP } else { VIP_V6 };
    let to_vip =
        Ends { destination_mac: MacAddr::virtual_of(vip).0, destination: (vip, 3333), ..own };
    let dropped = Ending::Dropped;
    let without_sum = match version {
        Version::V4 => heard(),
        Version::V6 => Ending::Silence(MALFORMED),
    };
    let padded = own.raw(17, &[&own.udp(b"up")[at..], b" down"].concat());
    let up = taken("state=up weight=100 flows=0 new=0 ended=0");
    vec![
        ("L4 with a wrong checksum", 1, own, wrong_sum, Ending::Silence(MALFORMED)),
        ("L4 without a checksum", 1, own, with(&[(6, 0), (7, 0)]), without_sum),
        ("bytes beyond the datagram", 1, own, padded, up),
        ("L4 a length beyond the packet", 1, own, with(&[(5, 34)]), dropped(DropReason::L4Header)),
        ("L4 a length of 7", 1, own, with(&[(5, 7)]), dropped(DropReason::L4Header)),
        ("L4 from port 0", 1, own, with(&[(0, 0), (1, 0)]), dropped(DropReason::L4Header)),
        ("L4 by TCP", 1, own, own.tcp("S", &[]), dropped(DropReason::NotForUs)),
        ("L4 by TCP, at once", 1, own, own.tcp("PA", LINE), dropped(DropReason::NotForUs)),
        ("L4 by SCTP", 1, own, own.raw(132, &[7; 20]), dropped(DropReason::Protocol)),
        ("L4 to another port", 1, to(3334), to(3334).udp(LINE), dropped(DropReason::NotForUs)),
        ("L4 to a VIP", 1, to_vip, to_vip.udp(LINE), dropped(DropReason::VipNoPort)),
    ]
}

/// In which IP packet.
fn headers(version: Version) -> Vec<Sent> {
    let own = ends_of_report(1, own_address(1, version));
    let (at, whole) = (own.ip_at(), own.udp(LINE));
    let dropped = Ending::Dropped;
    let mut rows: Vec<_> = match version {
        Version::V4 => {
            let options = |options: &[u8]| with_options(&whole, at, options);
            let mut wrong_sum = whole.clone();
            wrong_sum[at + 10] ^= 1;
            vec![
                ("with options that say nothing", options(&[1; 40]), heard()),
                ("with a recorded route", options(&[7, 7, 4, 0, 0, 0, 0, 0]), heard()),
                ("L4 source routed", options(&[131, 3, 4, 0]), dropped(DropReason::IpOption)),
                ("L4 an option of length 0", options(&[7, 0, 0, 0]), dropped(DropReason::IpOption)),
                ("L4 a wrong header checksum", wrong_sum, dropped(DropReason::IpChecksum)),
            ]
        }
        Version::V6 => {
            let behind = |all: &[(u8, &[u8])]| with_extensions(&whole, at, all);
            let padding: &[u8] = &[0, 0, 1, 4, 0, 0, 0, 0];
            let route: &[u8] = &[0, 2, 0, 1, 0, 0, 0, 0];
            let many = [(60, padding); 9];
            vec![
                ("with options for every hop", behind(&[(0, padding)]), heard()),
                ("with options for the end", behind(&[(60, padding)]), heard()),
                ("in an atomic fragment", behind(&[(44, &[0; 8])]), heard()),
                ("L4 source routed", behind(&[(43, route)]), dropped(DropReason::Ip6Extension)),
                ("L4 nine headers", behind(&many), dropped(DropReason::Ip6Extension)),
            ]
        }
    };
    // What follows it fares alike: see `the_switch_itself_takes_no_fragments`.
    let first = cut(&whole, &own, 7, 16).swap_remove(0);
    rows.push(("L4 in fragments", first, dropped(DropReason::Fragment)));
    rows.into_iter().map(|(what, frame, ending)| (what, 1, own, frame, ending)).collect()
}
