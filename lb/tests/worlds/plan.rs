//! What a seed means: the weather on the cables, who is there, who calls whom, and what the
//! operator and the guests do meanwhile. Everything is drawn before the first frame.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::dice::Dice;
use super::neighbours::{Boast, Place};
use super::packet::Mac;
use super::{MS, Nanos, SECOND, US};

pub const SERVICES_MAX: u64 = 3;
/// A port of guests that no service has: plain traffic beside the balanced.
const PLAIN_PORT: u16 = 9000;
const REAL_PORT: u16 = 8080;
/// With a pause after each a stream takes half a minute at most.
const PIECES_MAX: usize = 30;

/// A world before it begins.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    /// What the switch keys its hashes with.
    pub secret: u64,
    /// Whether the switch is told that it starts, as after its start-up configuration.
    pub is_started: bool,
    pub weather: Weather,
    /// Guests first, guest `n` at port `n + 1`; then those behind the uplink, a router the last.
    pub stations: Vec<StationPlan>,
    pub guests: usize,
    pub vlans: [u16; 2],
    pub services: Vec<ServicePlan>,
    pub calls: Vec<CallPlan>,
    /// In the order of time.
    pub script: Vec<(Nanos, Step)>,
    /// From here on everything is well: links up, guests awake, services and reals as at first.
    pub heals_at: Nanos,
}

/// How often a thousand frames on a cable suffer what, and how long they take.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    pub loss: u64,
    pub duplication: u64,
    pub reordering: u64,
    pub corruption: u64,
    pub latency: Nanos,
    /// What a late frame or a second copy is late at most.
    pub delay_max: Nanos,
}

#[derive(Clone, Debug)]
pub struct StationPlan {
    pub mac: Mac,
    /// One of each version; behind a router those of far clients.
    pub addresses: Vec<IpAddr>,
    pub mtu_bytes: usize,
    /// Sends to the switch's link-local address by its default route, as a guest without a route
    /// for such addresses does.
    pub routes_link_local: bool,
}

/// How packets reach a real.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Nat,
    /// The reals have the VIP on a loopback, and talk about it as a stock Linux does.
    Direct,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Tcp,
    Udp,
}

#[derive(Clone, Debug)]
pub struct ServicePlan {
    pub transport: Transport,
    pub vip: SocketAddr,
    pub vlan: u16,
    pub way: Way,
    /// The reals' port, if it is another.
    pub real_port: Option<u16>,
    /// An index into the schedulers that there are.
    pub scheduler: usize,
    pub reals: Vec<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    Service(usize),
    /// A guest's own address.
    Guest {
        guest: usize,
        end: SocketAddr,
    },
}

/// One connection, or one exchange of datagrams.
#[derive(Clone, Debug)]
pub struct CallPlan {
    pub at: Nanos,
    pub caller: usize,
    pub from: IpAddr,
    pub vlan: u16,
    /// Taken if it is free.
    pub port_wished: u16,
    pub target: Target,
    pub transport: Transport,
    pub request_bytes: usize,
    pub response_bytes: usize,
    pub mss_bytes: usize,
    /// The server's bytes begin before it has heard the whole request.
    pub answers_early: bool,
    /// The client's FIN waits for the whole response.
    pub closes_last: bool,
    /// Streams are written in pieces, so that a connection sees something of the world.
    pub piece_bytes: usize,
    pub pause: Nanos,
    /// Datagrams there and back.
    pub rounds: u64,
}

/// What an agent says of its guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AgentWord {
    Up,
    Drain,
    Down,
    Silent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admin {
    Ready,
    Drain,
    Maint,
}

#[derive(Clone, Copy, Debug)]
pub enum Step {
    Administer {
        service: Option<usize>,
        guest: usize,
        state: Admin,
    },
    SetReal {
        service: usize,
        guest: usize,
        weight: u16,
        flows_max: Option<u32>,
    },
    DeleteReal {
        service: usize,
        guest: usize,
    },
    SetService {
        service: usize,
        scheduler: usize,
    },
    DeleteService {
        service: usize,
    },
    Link {
        guest: usize,
        up: bool,
    },
    /// The guest is paused: it hears nothing and says nothing, and has forgotten nothing later.
    Silence {
        guest: usize,
        silent: bool,
    },
    Agent {
        guest: usize,
        word: AgentWord,
    },
    /// The guest's machine begins anew and knows no connection.
    Restart {
        guest: usize,
    },
    /// The guest goes from every service, from the table of guests and from its port.
    Remove {
        guest: usize,
    },
    Define {
        guest: usize,
    },
    /// The guest talks about the VIP that it has on a loopback.
    Boast {
        guest: usize,
        service: usize,
        boast: Boast,
    },
    /// The switch begins anew, with its configuration and nothing else.
    RestartSwitch {
        secret: u64,
    },
}

/// Who and what there is, for what is drawn about them.
#[derive(Clone, Copy)]
struct Scene<'a> {
    guests: usize,
    vlans: [u16; 2],
    stations: &'a [StationPlan],
    services: &'a [ServicePlan],
    heals_at: Nanos,
}

impl Plan {
    pub fn draw(seed: u64) -> Plan {
        let mut dice = Dice::new(seed);
        let secret = dice.roll();
        let guests = dice.between(2, 5) as usize;
        let stations = draw_stations(&mut dice, guests);
        let vlans = [0, dice.between(1, 4094) as u16];
        let count = dice.between(1, SERVICES_MAX);
        let services: Vec<_> =
            (0..count).map(|at| ServicePlan::draw(&mut dice, at as u8, guests, vlans)).collect();
        let heals_at = dice.pick(&[2, 4, 12]) * SECOND;
        let scene = Scene { guests, vlans, stations: &stations, services: &services, heals_at };
        let mut calls: Vec<_> =
            (0..dice.between(10, 40)).map(|_| CallPlan::draw(&mut dice, &scene)).collect();
        calls.sort_by_key(|call| call.at);
        let script = scene.draw_script(&mut dice);
        let is_started = dice.happens(500);
        let weather = Weather::draw(&mut dice);
        Plan {
            seed,
            secret,
            is_started,
            weather,
            stations,
            guests,
            vlans,
            services,
            calls,
            script,
            heals_at,
        }
    }

    pub fn is_guest(&self, station: usize) -> bool {
        station < self.guests
    }

    pub fn router(&self) -> usize {
        self.stations.len() - 1
    }

    /// Where a call goes to.
    pub fn destination(&self, target: Target) -> SocketAddr {
        match target {
            Target::Service(service) => self.services[service].vip,
            Target::Guest { end, .. } => end,
        }
    }

    /// The VIPs that a station has on a loopback.
    pub fn loopback(&self, station: usize) -> Vec<Place> {
        let held = self.services.iter().filter(|service| service.is_held_by(station));
        held.map(|service| (service.vlan, service.vip.ip())).collect()
    }

    /// The VIPs that are the switch's all the time: of a service that is deleted a guest may say
    /// what it likes.
    pub fn lasting_vips(&self) -> Vec<Place> {
        let services = self.services.iter().enumerate();
        let lasting = services.filter(|&(at, _)| !is_deleted(&self.script, at));
        lasting.map(|(_, service)| (service.vlan, service.vip.ip())).collect()
    }
}

impl Weather {
    fn draw(dice: &mut Dice) -> Weather {
        let mut often = |per_mille_max| match dice.between(0, 2) {
            0 => 0,
            _ => dice.between(0, per_mille_max),
        };
        let (loss, duplication, corruption) = (often(60), often(60), often(40));
        Weather {
            loss,
            duplication,
            reordering: often(200),
            corruption,
            latency: dice.between(20 * US, 2 * MS),
            delay_max: dice.between(100 * US, 20 * MS),
        }
    }
}

fn draw_stations(dice: &mut Dice, guests: usize) -> Vec<StationPlan> {
    let near = |n: u8| {
        let v6 = Ipv6Addr::new(0xfd00, 2, 0, 0, 0, 0, 0, n.into());
        [Ipv4Addr::new(10, 0, 2, n).into(), v6.into()]
    };
    let far = |n: u8| {
        let v6 = Ipv6Addr::new(0x2001, 0xdb8, 0x51, 0, 0, 0, 0, n.into());
        [Ipv4Addr::new(198, 51, 100, n).into(), v6.into()]
    };
    let station = |dice: &mut Dice, kind: u8, n: u8, addresses: Vec<IpAddr>| StationPlan {
        mac: [0x52, 0x54, 0, kind, 0, n],
        addresses,
        mtu_bytes: dice.pick(&[1280, 1500]),
        routes_link_local: kind == 1 && dice.happens(300),
    };
    let mut stations: Vec<_> =
        (0..guests as u8).map(|n| station(dice, 1, n, near(20 + n).to_vec())).collect();
    let clients = dice.between(1, 2) as u8;
    stations.extend((0..clients).map(|n| station(dice, 2, n, near(2 + n).to_vec())));
    let far = (7..7 + dice.between(1, 4)).flat_map(|n| far(n as u8));
    let router = near(1).into_iter().chain(far).collect();
    stations.push(station(dice, 3, 0, router));
    stations
}

impl ServicePlan {
    fn draw(dice: &mut Dice, at: u8, guests: usize, vlans: [u16; 2]) -> ServicePlan {
        // An address of the guests' own subnet or of another, shared with the service before or not.
        let (v4, v6) = match dice.between(0, 2) {
            0 => (Ipv4Addr::new(10, 0, 2, 100 + at), [0xfd00, 2, 0, 0x100 + u16::from(at)]),
            1 => (Ipv4Addr::new(203, 0, 113, 10 + at), [0x2001, 0xdb8, 0x113, at.into()]),
            _ => (Ipv4Addr::new(10, 0, 2, 99), [0xfd00, 2, 0, 0x99]),
        };
        let [a, b, c, h] = v6;
        let v6 = Ipv6Addr::new(a, b, c, 0, 0, 0, 0, h);
        let vip: IpAddr = if dice.happens(500) { v4.into() } else { v6.into() };
        let way = dice.pick(&[Way::Nat, Way::Nat, Way::Direct]);
        let mut reals: Vec<_> = (0..guests).filter(|_| dice.happens(700)).collect();
        if reals.is_empty() {
            reals.push(dice.index(guests));
        }
        ServicePlan {
            transport: dice.pick(&[Transport::Tcp, Transport::Tcp, Transport::Udp]),
            vip: SocketAddr::new(vip, 80 + u16::from(at)),
            vlan: dice.pick(&vlans),
            way,
            real_port: (way == Way::Nat && dice.happens(700)).then_some(REAL_PORT),
            scheduler: dice.index(usize::from(u8::MAX)),
            reals,
        }
    }

    /// Whether a station has the VIP on a loopback.
    fn is_held_by(&self, station: usize) -> bool {
        self.way == Way::Direct && self.reals.contains(&station)
    }
}

impl CallPlan {
    fn draw(dice: &mut Dice, scene: &Scene<'_>) -> CallPlan {
        let Scene { guests, vlans, stations, services, heals_at } = *scene;
        let (service, guest) = (dice.index(services.len()), dice.index(guests));
        let is_plain = dice.happens(200);
        let (target, vlan, transport, port_wished) = if is_plain {
            let port = dice.pick(&[PLAIN_PORT, REAL_PORT]);
            let end = SocketAddr::new(stations[guest].addresses[dice.index(2)], port);
            let transport = dice.pick(&[Transport::Tcp, Transport::Udp]);
            // Ports that no balanced call uses: a client that called a real both ways from one
            // port would look to it like one connection.
            let port_wished = dice.between(50_000, 59_999);
            (Target::Guest { guest, end }, dice.pick(&vlans), transport, port_wished)
        } else {
            let ServicePlan { vlan, transport, .. } = services[service];
            (Target::Service(service), vlan, transport, dice.between(40_000, 40_003))
        };
        // Who has the called address itself calls nobody with it.
        let may_call = |&caller: &usize| match target {
            Target::Service(called) => {
                let vip = services[called].vip.ip();
                let shared = services.iter().filter(|service| service.vip.ip() == vip);
                !shared.into_iter().any(|service| service.is_held_by(caller))
            }
            Target::Guest { guest, .. } => guest != caller,
        };
        let outside = guests + dice.index(stations.len() - guests);
        let inside = dice.happens(300).then(|| dice.index(guests)).filter(may_call);
        let caller = inside.unwrap_or(outside);
        // A router's own addresses are nobody's who calls.
        let own = if caller == stations.len() - 1 { 2.. } else { 0.. };
        let is_ipv4 = match target {
            Target::Service(called) => services[called].vip.is_ipv4(),
            Target::Guest { end, .. } => end.is_ipv4(),
        };
        let own = stations[caller].addresses[own].iter().copied();
        let own: Vec<_> = own.filter(|address| address.is_ipv4() == is_ipv4).collect();
        let lengths_max: &[u64] = match transport {
            Transport::Tcp => &[0, 10, 1500, 1500, 6000, 30_000],
            Transport::Udp => &[0, 10, 1400, 1400, 3000, 8000],
        };
        let [request_bytes, response_bytes] = [(); 2].map(|()| draw_length(dice, lengths_max));
        let piece_bytes = dice.between(100, 8000) as usize;
        CallPlan {
            at: dice.between(0, heals_at),
            caller,
            from: dice.pick(&own),
            vlan,
            port_wished: port_wished as u16,
            target,
            transport,
            request_bytes,
            response_bytes,
            mss_bytes: dice.between(400, 1440) as usize,
            answers_early: dice.happens(300),
            closes_last: dice.happens(500),
            piece_bytes: piece_bytes.max(request_bytes.max(response_bytes) / PIECES_MAX),
            pause: dice.pick(&[0, 10 * MS, 100 * MS, SECOND]),
            rounds: dice.between(1, 6),
        }
    }
}

/// Mostly little, sometimes nothing, now and then some windows or frames full.
fn draw_length(dice: &mut Dice, lengths_max: &[u64]) -> usize {
    let max = dice.pick(lengths_max);
    dice.between(0, max) as usize
}

impl Scene<'_> {
    /// Everything that is done while calls are under way.
    fn draw_script(&self, dice: &mut Dice) -> Vec<(Nanos, Step)> {
        let restarts = if dice.happens(350) { dice.between(1, 2) } else { 0 };
        let troubles_max = if restarts > 0 { 6 } else { 24 };
        let mut script = Vec::new();
        for _ in 0..dice.between(0, troubles_max) {
            let at = dice.between(0, self.heals_at - SECOND);
            let length = dice.between(50 * MS, self.heals_at - at);
            self.draw_trouble(dice, (at, at + length), &mut script);
        }
        for _ in 0..restarts {
            let at = dice.between(0, self.heals_at + 2 * SECOND);
            script.push((at, Step::RestartSwitch { secret: dice.roll() }));
        }
        // A switch that comes back without a service knows nothing of its VIP, which guests that
        // serve it still would talk about.
        let services = self.services;
        script.retain(|(_, step)| match step {
            Step::DeleteService { service } => restarts == 0 || services[*service].way == Way::Nat,
            _ => true,
        });
        for (service, plan) in services.iter().enumerate() {
            for &guest in plan.reals.iter().filter(|&&guest| plan.is_held_by(guest)) {
                let times = if is_deleted(&script, service) { 0 } else { dice.between(0, 3) };
                script.extend((0..times).map(|_| {
                    let boast = dice.pick(&[Boast::Announces, Boast::Answers, Boast::Probes]);
                    (dice.between(0, self.heals_at), Step::Boast { guest, service, boast })
                }));
            }
        }
        script.sort_by_key(|(at, _)| *at);
        script
    }

    /// Something that is done, and undone later.
    fn draw_trouble(
        &self,
        dice: &mut Dice,
        (from, to): (Nanos, Nanos),
        script: &mut Vec<(Nanos, Step)>,
    ) {
        let service = dice.index(self.services.len());
        let guest = match self.services[service].way {
            Way::Nat => dice.index(self.guests),
            // Nobody else has the VIP.
            Way::Direct => dice.pick(&self.services[service].reals),
        };
        let which = dice.happens(700).then_some(service);
        let scheduler = dice.index(usize::from(u8::MAX));
        let mut weight = || dice.pick(&[0, 1, 10, 100, 100, 1000]);
        let (before, after) = (weight(), weight());
        let set_real = |weight| {
            let flows_max = (weight == 10).then_some(2);
            Step::SetReal { service, guest, weight, flows_max }
        };
        let administer = |state| Step::Administer { service: which, guest, state };
        let agent = |word| Step::Agent { guest, word };
        let (begins, ends) = match dice.between(0, 11) {
            0 => (administer(Admin::Drain), administer(Admin::Ready)),
            1 => (administer(Admin::Maint), administer(Admin::Ready)),
            2 | 3 => (Step::DeleteReal { service, guest }, set_real(after)),
            4 => (set_real(before), set_real(after)),
            5 => (Step::DeleteService { service }, Step::SetService { service, scheduler }),
            6 => (Step::Link { guest, up: false }, Step::Link { guest, up: true }),
            7 => (Step::Silence { guest, silent: true }, Step::Silence { guest, silent: false }),
            8 => (agent(dice.pick(&[AgentWord::Drain, AgentWord::Down])), agent(AgentWord::Up)),
            9 => (agent(AgentWord::Silent), agent(AgentWord::Up)),
            10 => (Step::SetService { service, scheduler }, Step::Restart { guest }),
            _ => (Step::Remove { guest }, Step::Define { guest }),
        };
        script.extend([(from, begins), (to, ends)]);
    }
}

/// Whether a script ever takes a service away.
fn is_deleted(script: &[(Nanos, Step)], service: usize) -> bool {
    let deletes =
        |step: &Step| matches!(step, Step::DeleteService { service: of } if *of == service);
    script.iter().any(|(_, step)| deletes(step))
}
