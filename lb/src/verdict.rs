//! How a frame ends: exactly one [`Verdict`], counted once.

use crate::wire::offload::Malformed;
use crate::{PortId, PortSet};

/// What becomes of a received frame. The frame's bytes are already what they must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Out of this port.
    Forward(PortId),
    /// A copy out of each of these ports (never empty).
    Flood(PortSet),
    /// Back out of the port it came from.
    Reply,
    /// To our own slow path: hand it to [`crate::Dataplane::local`] between batches.
    Punt,
    /// Copied: a fragment that waits for its first. It goes on by the outbox, or ends as a drop.
    Hold,
    Drop(DropReason),
}

macro_rules! drop_reasons {
    ($($(#[doc = $sentence:literal])+ $reason:ident = $word:literal,)*) => {
        /// Why a frame went nowhere.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum DropReason { $($(#[doc = $sentence])+ $reason,)* }

        impl DropReason {
            pub const ALL: &'static [DropReason] = &[$(DropReason::$reason,)*];

            /// The counter's name.
            pub const fn as_str(self) -> &'static str {
                match self { $(DropReason::$reason => $word,)* }
            }

            /// What it means, for a person.
            pub fn sentence(self) -> &'static str {
                let sentence = match self { $(DropReason::$reason => concat!($($sentence),+),)* };
                sentence.trim_ascii()
            }
        }
    };
}

drop_reasons! {
    /// Shorter than an Ethernet header.
    Runt = "runt",
    /// Longer than the port's MTU allows.
    TooBig = "too_big",
    /// A checksum is to be finished where there is none.
    ChecksumRange = "csum_range",
    /// To be cut into segments, but no such packet, or its headers are not all in the first buffer.
    Gso = "gso",
    /// More than its port may send.
    PoliceIn = "police_in",
    /// More than may leave by the port that it was for.
    PoliceOut = "police_out",
    /// More broadcasts than its port may send.
    StormBroadcast = "storm_broadcast",
    /// More multicasts than its port may send.
    StormMulticast = "storm_multicast",
    /// More to stations that nobody knows than its port may send.
    StormUnknown = "storm_unknown",
    /// Source MAC is a group or zero.
    BadSource = "bad_src",
    /// Source MAC is the switch's own, a VIP's, that of a guest on another port, or no guest's on a
    /// port that has one.
    SpoofMac = "spoof_mac",
    /// From an uplink in the name of a guest that is here.
    SpoofUplink = "spoof_uplink",
    /// From a MAC that has moved to another port within this second.
    MacMove = "mac_move",
    /// To a reserved group address (IEEE 802.1Q, table 8-1).
    LinkLocal = "link_local",
    /// A VLAN tag cut short.
    ShortVlan = "short_vlan",
    /// VLAN 4095.
    VlanTag = "vlan_tag",
    /// Of a VLAN that its port does not carry, or without a tag where none may be without.
    VlanIngress = "vlan_ingress",
    /// From an uplink that stands by for another one.
    Standby = "standby",
    /// From a port that only gets the copies of a mirror.
    MirrorPort = "mirror_port",
    /// To a port that does not carry the frame's VLAN.
    VlanEgress = "vlan_egress",
    /// From an isolated port, or one of a group, to another that is not of its group.
    Isolated = "isolated",
    /// To what its port's access list does not permit.
    NotAllowed = "not_allowed",
    /// From a MAC that its locked port was not told of.
    Locked = "locked",
    /// From one MAC more than its port may have.
    MacLimit = "mac_limit",
    /// From a guest, in the name of an address that is not its own.
    SpoofAddress = "spoof_ip",
    /// From a guest, by LLC/SNAP or with a tag of no VLAN among several: it could carry anything.
    Disguise = "disguise",
    /// The ethertype of IP, but not even a header.
    ShortIp = "short_ip",
    /// IP version or IPv4 header length is wrong.
    IpHeader = "ip_hdr",
    /// IPv4 total length is less than the header or more than the frame.
    IpLength = "ip_len",
    /// IPv4 header checksum is wrong.
    IpChecksum = "ip_csum",
    /// IPv4 options: source routed, or a broken list.
    IpOption = "ip_opt",
    /// IPv6 payload length is more than the frame has.
    Ip6Length = "ip6_len",
    /// IPv6 extension headers: too many, out of order, cut short, or a route that is not done.
    Ip6Extension = "ip6_ext",
    /// Source address that no packet may have.
    Martian = "martian",
    /// A fragment that overlaps, is beyond the end, finds no place, or whose first one never came.
    Fragment = "frag",
    /// A first fragment too short for its transport header.
    TinyFragment = "tiny_frag",
    /// TCP data offset out of range.
    TcpHeader = "tcp_hdr",
    /// A combination of TCP flags that no stack sends.
    TcpFlags = "tcp_flags",
    /// UDP or TCP header cut short, port 0, or UDP length out of range.
    L4Header = "l4_hdr",
    /// ICMP that is neither an echo request nor an error to carry, or whose checksum is wrong.
    Icmp = "icmp",
    /// An ICMP error that quotes no packet of a flow, or too little of one.
    IcmpInner = "icmp_inner",
    /// An ICMP error that says "fragmentation needed" to less than 576 bytes.
    IcmpMtu = "icmp_mtu",
    /// A protocol that no VIP carries.
    Protocol = "proto",
    /// ARP that is not IPv4 over Ethernet.
    ArpHeader = "arp_hdr",
    /// A guest claims an address that is not its own in ARP.
    ArpSpoof = "arp_spoof",
    /// Neighbor discovery that no neighbour can have sent, or that is cut short.
    NdHeader = "nd_hdr",
    /// A neighbor discovery option without length or beyond the end.
    NdOption = "nd_opt",
    /// A fragment of neighbor discovery (RFC 6980).
    NdFragment = "nd_frag",
    /// Somebody claims an address that is not its own in neighbor discovery.
    NdSpoof = "nd_spoof",
    /// What a guest that has the VIP on a loopback says of it, kept from the network.
    VipSuppressed = "vip_suppressed",
    /// A guest advertises a router or redirects, or hides that it may.
    RaGuard = "ra_guard",
    /// A guest hands out addresses by DHCP.
    DhcpGuard = "dhcp_guard",
    /// A guest asks for members of multicast groups.
    QueryGuard = "query_guard",
    /// IGMP or MLD that is cut short, comes from afar, or whose sum is wrong.
    GroupMessage = "group_msg",
    /// Who is in which group is told to routers, and none is there; the switch has heard it.
    GroupReport = "group_report",
    /// To a group that nobody is in whom it may reach.
    NoMember = "no_member",
    /// A guest announces its address more than once a second.
    ArpRate = "arp_rate",
    /// To a VIP, but no service listens there.
    VipNoPort = "vip_noport",
    /// TCP in mid-flow that belongs to no flow.
    NoFlow = "no_flow",
    /// A real refuses a flow that another is asked to take instead.
    SecondChance = "second_chance",
    /// Of a flow whose real is gone for good; its sender is told.
    Severed = "severed",
    /// No real is eligible for a new flow.
    NoBackend = "no_backend",
    /// The service has as many flows as it may.
    ServiceFull = "service_full",
    /// `direct` forwarding would give a guest its own call back.
    Hairpin = "hairpin",
    /// The flow table gave no place to a new flow.
    FlowsFull = "flows_full",
    /// From a guest in a VIP's name, without a flow, or in that of the management address.
    VipSource = "vip_src",
    /// The destination is on the port it came from.
    SamePort = "same_port",
    /// No port to go to: uplink to uplink, or every other link is down.
    NoPort = "no_port",
    /// To the switch itself, but nothing that it listens to.
    NotForUs = "not_for_us",
    /// An answer to a probe or a ping, but to none that is under way.
    NoProbe = "no_probe",
    /// A load report, or anything else for the link-local address, from an uplink.
    ReportPort = "report_port",
    /// For the management address, from a guest's port.
    ManagementPort = "mgmt_port",
    /// The queue to the slow path was full for this port.
    PuntFull = "punt_full",
}

impl From<Malformed> for DropReason {
    fn from(malformed: Malformed) -> DropReason {
        match malformed {
            Malformed::Checksum => DropReason::ChecksumRange,
            Malformed::Segments => DropReason::Gso,
        }
    }
}

/// How the frames of one port ended. `rx = forwarded + flooded + replied + punted + held + Σ drops`.
#[derive(Clone, Debug)]
pub struct Endings {
    /// Frames received.
    pub rx: u64,
    pub forwarded: u64,
    pub flooded: u64,
    pub replied: u64,
    pub punted: u64,
    /// Fragments that wait for their first now; they are yet to end.
    pub held: u64,
    drops: [u64; DropReason::ALL.len()],
}

impl Default for Endings {
    fn default() -> Self {
        Endings {
            rx: 0,
            forwarded: 0,
            flooded: 0,
            replied: 0,
            punted: 0,
            held: 0,
            drops: [0; DropReason::ALL.len()],
        }
    }
}

impl Endings {
    /// What [`Endings::count`] does for [`Verdict::Forward`].
    #[inline(always)]
    pub(crate) fn forwarded(&mut self) {
        self.rx += 1;
        self.forwarded += 1;
    }

    pub fn count(&mut self, verdict: Verdict) {
        self.rx += 1;
        match verdict {
            Verdict::Forward(_) => self.forwarded += 1,
            Verdict::Flood(_) => self.flooded += 1,
            Verdict::Reply => self.replied += 1,
            Verdict::Punt => self.punted += 1,
            Verdict::Hold => self.held += 1,
            Verdict::Drop(reason) => self.drops[reason as usize] += 1,
        }
    }

    /// A punted frame found the queue full: it ends as a drop after all.
    pub fn punt_refused(&mut self) {
        self.punted -= 1;
        self.drops[DropReason::PuntFull as usize] += 1;
    }

    /// A held frame has ended after all.
    pub(crate) fn held_ends(&mut self, verdict: Verdict) {
        self.held -= 1;
        self.rx -= 1;
        self.count(verdict);
    }

    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.drops[reason as usize]
    }

    /// Every reason with its count, zeros included.
    pub fn drops(&self) -> impl Iterator<Item = (DropReason, u64)> + '_ {
        DropReason::ALL.iter().map(|&reason| (reason, self.dropped(reason)))
    }

    /// All endings added up: equal to `rx`, always.
    pub fn sum(&self) -> u64 {
        let drops: u64 = self.drops.iter().sum();
        self.forwarded + self.flooded + self.replied + self.punted + self.held + drops
    }
}
