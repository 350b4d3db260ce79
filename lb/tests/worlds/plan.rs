//! What a seed means: the weather on the cables, who is there, who calls whom, and what the
//! operator and the guests do meanwhile. Everything is drawn before the first frame.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::dice::Dice;
use super::packet::Mac;
use super::{MS, Nanos, SECOND, US};

pub const SERVICES_MAX: u64 = 3;
/// A port of guests that no service has: plain traffic beside the balanced.
const PLAIN_PORT: u16 = 9000;
const REAL_PORT: u16 = 8080;

/// A world before it begins.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    /// What the switch keys its hashes with.
    pub secret: u64,
    pub weather: Weather,
    /// Guests first, guest `n` at port `n + 1`; then those behind the uplink, a router the last.
    pub stations: Vec<StationPlan>,
    pub guests: usize,
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
    pub addresses: Vec<IpAddr>,
    /// Sends to the switch's link-local address by its default route, as a guest without a route
    /// for such addresses does.
    pub routes_link_local: bool,
}

/// How packets reach a real.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Nat,
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
        port: u16,
    },
}

/// One connection, or one exchange of datagrams.
#[derive(Clone, Debug)]
pub struct CallPlan {
    pub at: Nanos,
    pub caller: usize,
    pub from: IpAddr,
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
}

impl Plan {
    pub fn draw(seed: u64) -> Plan {
        let mut dice = Dice::new(seed);
        let secret = dice.roll();
        let guests = dice.between(2, 5) as usize;
        let stations = draw_stations(&mut dice, guests);
        let count = dice.between(1, SERVICES_MAX);
        let services: Vec<_> =
            (0..count).map(|at| ServicePlan::draw(&mut dice, at as u8, guests)).collect();
        let heals_at = dice.pick(&[2, 4, 12]) * SECOND;
        let mut calls: Vec<_> = (0..dice.between(10, 40))
            .map(|_| CallPlan::draw(&mut dice, heals_at, guests, &stations, &services))
            .collect();
        calls.sort_by_key(|call| call.at);
        let mut script = Vec::new();
        for _ in 0..dice.between(0, 24) {
            let at = dice.between(0, heals_at - SECOND);
            let length = dice.between(50 * MS, heals_at - at);
            let services = services.len();
            draw_trouble(&mut dice, guests, services, (at, at + length), &mut script);
        }
        script.sort_by_key(|(at, _)| *at);
        let weather = Weather::draw(&mut dice);
        Plan { seed, secret, weather, stations, guests, services, calls, script, heals_at }
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
            Target::Guest { guest, port } => {
                SocketAddr::new(self.stations[guest].addresses[0], port)
            }
        }
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
    let station = |kind: u8, n: u8, addresses: Vec<Ipv4Addr>, routes_link_local| StationPlan {
        mac: [0x52, 0x54, 0, kind, 0, n],
        addresses: addresses.into_iter().map(IpAddr::V4).collect(),
        routes_link_local,
    };
    let guest = |n: u8| vec![Ipv4Addr::new(10, 0, 2, 20 + n)];
    let far = (7..7 + dice.between(1, 4)).map(|n| Ipv4Addr::new(198, 51, 100, n as u8));
    let router = std::iter::once(Ipv4Addr::new(10, 0, 2, 1)).chain(far).collect();
    let mut stations: Vec<_> =
        (0..guests as u8).map(|n| station(1, n, guest(n), dice.happens(300))).collect();
    let near = dice.between(1, 2) as u8;
    stations.extend((0..near).map(|n| station(2, n, vec![Ipv4Addr::new(10, 0, 2, 2 + n)], false)));
    stations.push(station(3, 0, router, false));
    stations
}

impl ServicePlan {
    fn draw(dice: &mut Dice, at: u8, guests: usize) -> ServicePlan {
        // An address of the guests' own subnet or of another, shared with the service before or not.
        let vip = match dice.between(0, 2) {
            0 => Ipv4Addr::new(10, 0, 2, 100 + at),
            1 => Ipv4Addr::new(203, 0, 113, 10 + at),
            _ => Ipv4Addr::new(10, 0, 2, 99),
        };
        let port = 80 + u16::from(at);
        let mut reals: Vec<_> = (0..guests).filter(|_| dice.happens(700)).collect();
        if reals.is_empty() {
            reals.push(dice.index(guests));
        }
        ServicePlan {
            transport: dice.pick(&[Transport::Tcp, Transport::Tcp, Transport::Udp]),
            vip: SocketAddr::new(vip.into(), port),
            way: Way::Nat,
            real_port: dice.happens(700).then_some(REAL_PORT),
            scheduler: dice.index(usize::from(u8::MAX)),
            reals,
        }
    }
}

impl CallPlan {
    fn draw(
        dice: &mut Dice,
        until: Nanos,
        guests: usize,
        stations: &[StationPlan],
        services: &[ServicePlan],
    ) -> CallPlan {
        let service = dice.index(services.len());
        let caller = match dice.happens(300) {
            true => dice.index(guests),
            false => guests + dice.index(stations.len() - guests),
        };
        // A router's own address is nobody's who calls.
        let own = match caller == stations.len() - 1 {
            true => &stations[caller].addresses[1..],
            false => &stations[caller].addresses[..],
        };
        let from = dice.pick(own);
        let guest = dice.index(guests);
        let is_plain = dice.happens(200) && guest != caller;
        let (target, transport, port_wished) = if is_plain {
            let port = dice.pick(&[PLAIN_PORT, REAL_PORT]);
            let transport = dice.pick(&[Transport::Tcp, Transport::Udp]);
            // Ports that no balanced call uses: a client that called a real both ways from one
            // port would look to it like one connection.
            (Target::Guest { guest, port }, transport, dice.between(50_000, 59_999))
        } else {
            let port_wished = dice.between(40_000, 40_003);
            (Target::Service(service), services[service].transport, port_wished)
        };
        let piece_bytes = dice.between(100, 8000) as usize;
        CallPlan {
            at: dice.between(0, until),
            caller,
            from,
            port_wished: port_wished as u16,
            target,
            transport,
            request_bytes: draw_length(dice),
            response_bytes: draw_length(dice),
            mss_bytes: dice.between(400, 1460) as usize,
            answers_early: dice.happens(300),
            closes_last: dice.happens(500),
            piece_bytes,
            pause: dice.pick(&[0, 10 * MS, 100 * MS, SECOND]),
            rounds: dice.between(1, 6),
        }
    }
}

/// Mostly little, sometimes nothing, now and then some windows full.
fn draw_length(dice: &mut Dice) -> usize {
    let max = dice.pick(&[0, 10, 1500, 1500, 6000, 30_000]);
    dice.between(0, max) as usize
}

/// Something that is done, and undone later.
fn draw_trouble(
    dice: &mut Dice,
    guests: usize,
    services: usize,
    (from, to): (Nanos, Nanos),
    script: &mut Vec<(Nanos, Step)>,
) {
    let guest = dice.index(guests);
    let service = dice.index(services);
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
