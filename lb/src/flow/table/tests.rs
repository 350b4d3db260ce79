//! The flow table beside a slow and obvious model, and its rules when it is full.

use super::*;
use crate::Protocol;
use crate::explain::decisions::Placed;
use crate::flow::{CLOSED_IDLE, CLOSING_IDLE, EMBRYONIC_IDLE, Stage, TCP_IDLE, UDP_IDLE};
use crate::wire::Endpoint;
use core::net::Ipv4Addr;
use proptest::prelude::*;
use std::vec::Vec;

const ACK: TcpFlags = TcpFlags::ACK;

fn end(host: u8, port: u16) -> Endpoint {
    Endpoint { address: Ipv4Addr::new(10, 0, 0, host).into(), port }
}

fn new_flow(client_port: u16) -> NewFlow {
    NewFlow {
        protocol: Protocol::Tcp,
        vlan: 0,
        client: end(1, client_port),
        vip: end(100, 80),
        client_at_real: end(1, client_port),
        real_end: end(21, 8080),
        real: RealId(0),
        udp_idle: UDP_IDLE,
        one_packet: false,
        placed: Placed::Scheduler,
        stage: Stage::Asked { sequence: 0 },
    }
}

fn second(seconds: u64) -> Instant {
    Instant::from_millis(seconds * 1000)
}

/// A table, and the real's count of open flows that its owner would keep.
struct Counted {
    table: FlowTable,
    open: i64,
    held: i64,
}

impl Counted {
    fn new(capacity: usize) -> Counted {
        Counted { table: FlowTable::new(capacity, 42), open: 0, held: 0 }
    }

    fn insert(&mut self, client_port: u16, now: Instant) -> Result<FlowId, InsertError> {
        let (mut open, mut held) = (0, 0);
        let inserted = self.table.insert(new_flow(client_port), now, &mut |gone| {
            held -= 1;
            open -= i64::from(gone.was_open);
        });
        self.open += open + i64::from(inserted.is_ok());
        self.held += held + i64::from(inserted.is_ok());
        inserted
    }

    fn observe(&mut self, id: FlowId, direction: Direction, flags: TcpFlags, now: Instant) -> Step {
        let step = self.table.observe(id, direction, flags, now);
        self.open -= i64::from(matches!(step, Step::Closed { .. } | Step::Refused { .. }));
        step
    }

    fn establish(&mut self, id: FlowId, now: Instant) {
        self.observe(id, Direction::ToReal, TcpFlags::SYN, now);
        self.observe(id, Direction::ToClient, TcpFlags(0x12), now);
        self.observe(id, Direction::ToReal, ACK, now);
    }

    fn sweep_all(&mut self, now: Instant) {
        let (open, held) = (&mut self.open, &mut self.held);
        for _ in 0..SWEEP_TURNS {
            self.table.sweep(now, &mut |gone| {
                *held -= 1;
                *open -= i64::from(gone.was_open);
            });
        }
    }

    fn check(&self) {
        assert_eq!(self.held, self.table.len() as i64);
        assert_eq!(self.open, self.table.iter().filter(|flow| flow.is_open()).count() as i64);
        let of = |state| self.table.iter().filter(|flow| flow.state == state).count();
        assert_eq!(self.table.embryonic.len, of(FlowState::Embryonic));
        assert_eq!(self.table.closed.len, of(FlowState::Closed));
        assert_eq!(self.table.index.len(), 2 * self.table.len());
        assert!(self.table.index.counts_its_strangers());
    }
}

fn state(counted: &Counted, id: FlowId) -> FlowState {
    counted.table.get(id).unwrap().state
}

#[test]
fn a_look_sees_the_flows_of_a_part_of_the_places() {
    let mut counted = Counted::new(64);
    let ids: Vec<_> = (0..8).map(|port| counted.insert(port, second(0)).unwrap()).collect();
    for at in [0, 3, 7] {
        assert!(counted.table.remove(ids[at]).is_some());
    }
    let look = |first, places| -> Vec<(usize, u16)> {
        let flows = counted.table.look(first, places);
        flows.map(|(place, flow)| (place, flow.client().port)).collect()
    };
    assert_eq!(look(0, 4), [(1, 1), (2, 2)]);
    assert_eq!(look(4, 64), [(4, 4), (5, 5), (6, 6)]);
    assert_eq!([look(8, 64), look(usize::MAX, usize::MAX)], [[], []]);
    assert_eq!(look(0, usize::MAX).len(), counted.table.len());
    assert_eq!(counted.table.places(), 8, "as many as there were flows at once");
}

#[test]
fn found_from_both_ends() {
    let mut counted = Counted::new(64);
    let id = counted.insert(5000, second(0)).unwrap();
    let flow = counted.table.get(id).unwrap().clone();
    for direction in [Direction::ToReal, Direction::ToClient] {
        assert_eq!(counted.table.find(flow.key(direction), direction), Some(id));
    }
    let udp = FlowKey::new(Protocol::Udp, 0, flow.client(), flow.vip());
    assert_eq!(counted.table.find(&udp, Direction::ToReal), None, "the protocol is in the key");
    assert_eq!(counted.table.find(flow.key(Direction::ToReal), Direction::ToClient), None);
    assert_eq!(counted.insert(5000, second(0)), Err(InsertError::TupleTaken));
    counted.table.remove(id).unwrap();
    assert_eq!(counted.table.find(flow.key(Direction::ToReal), Direction::ToReal), None);
    assert!(counted.table.is_empty());
}

#[test]
fn a_connection_lives_and_ends() {
    let mut counted = Counted::new(64);
    let id = counted.insert(5000, second(0)).unwrap();
    let (to_real, to_client) = (Direction::ToReal, Direction::ToClient);
    let fin = TcpFlags(0x11);
    let steps = [
        ("SYN", to_real, TcpFlags::SYN, FlowState::Embryonic),
        ("SYN again", to_real, TcpFlags::SYN, FlowState::Embryonic),
        ("SYN-ACK", to_client, TcpFlags(0x12), FlowState::Embryonic),
        ("ACK", to_real, ACK, FlowState::Established),
        ("data", to_client, ACK, FlowState::Established),
        ("FIN of the client", to_real, fin, FlowState::Closing),
        ("data of the real", to_client, ACK, FlowState::Closing),
        ("FIN of the real", to_client, fin, FlowState::Closed),
        ("last ACK", to_real, ACK, FlowState::Closed),
    ];
    for (what, direction, flags, expected) in steps {
        counted.observe(id, direction, flags, second(1));
        assert_eq!(state(&counted, id), expected, "{what}");
        counted.check();
    }
}

#[test]
fn first_answers_and_resets_are_told_once() {
    let mut counted = Counted::new(64);
    let id = counted.insert(5000, second(0)).unwrap();
    counted.observe(id, Direction::ToReal, TcpFlags::SYN, second(0));
    let rst = TcpFlags::RST;
    let answered = Step::Answered { after: Duration::from_secs(2) };
    assert_eq!(counted.observe(id, Direction::ToClient, TcpFlags(0x12), second(2)), answered);
    assert_eq!(counted.observe(id, Direction::ToClient, ACK, second(3)), Step::Nothing);
    let closed = Step::Closed { was_waiting: true };
    assert_eq!(counted.observe(id, Direction::ToClient, rst, second(3)), closed);
    assert_eq!(counted.observe(id, Direction::ToReal, rst, second(3)), Step::Nothing);
    counted.check();
}

#[test]
fn udp_is_established_by_an_answer() {
    let mut counted = Counted::new(64);
    let new = NewFlow { protocol: Protocol::Udp, ..new_flow(53) };
    let id = counted.table.insert(new, second(0), &mut |_| ()).unwrap();
    counted.observe(id, Direction::ToReal, TcpFlags::default(), second(0));
    assert_eq!(state(&counted, id), FlowState::Embryonic);
    counted.observe(id, Direction::ToClient, TcpFlags::default(), second(0));
    assert_eq!(state(&counted, id), FlowState::Established);
}

#[test]
fn every_state_has_its_idle_time() {
    let cases = [
        (FlowState::Embryonic, None, EMBRYONIC_IDLE),
        (FlowState::Established, Some(ACK), TCP_IDLE),
        (FlowState::Closing, Some(TcpFlags(0x11)), CLOSING_IDLE),
        (FlowState::Closed, Some(TcpFlags::RST), CLOSED_IDLE),
    ];
    for (expected, last_flags, idle) in cases {
        let mut counted = Counted::new(64);
        let id = counted.insert(5000, second(5)).unwrap();
        if let Some(flags) = last_flags {
            counted.establish(id, second(5));
            counted.observe(id, Direction::ToReal, flags, second(5));
        }
        assert_eq!(state(&counted, id), expected);
        counted.sweep_all(second(4));
        counted.sweep_all(second(5 + idle.as_secs() - 1));
        assert_eq!(counted.table.len(), 1, "{expected:?} is kept");
        counted.sweep_all(second(5 + idle.as_secs()));
        assert_eq!(counted.table.len(), 0, "{expected:?} is expired");
        counted.check();
    }
}

#[test]
fn p39_a_flood_of_syns_costs_no_established_flow() {
    let mut counted = Counted::new(1024);
    let established: Vec<_> = (0..500)
        .map(|client_port| {
            let id = counted.insert(client_port, second(0)).unwrap();
            counted.establish(id, second(0));
            id
        })
        .collect();
    for client_port in 1000..11_240 {
        counted.insert(client_port, second(1)).expect("a newcomer gets in");
    }
    counted.check();
    assert_eq!(counted.table.embryonic(), 256, "the quota of embryonic flows");
    for (client_port, id) in established.into_iter().enumerate() {
        let key = *counted.table.get(id).unwrap().key(Direction::ToReal);
        assert_eq!(key.client().port, client_port as u16);
        assert_eq!(counted.table.find(&key, Direction::ToReal), Some(id));
    }
}

#[test]
fn a_table_full_of_established_flows_refuses() {
    let mut counted = Counted::new(16);
    for client_port in 0..16 {
        let id = counted.insert(client_port, second(0)).unwrap();
        counted.establish(id, second(0));
    }
    assert_eq!(counted.insert(99, second(0)), Err(InsertError::Full));
    assert_eq!(counted.table.counters().refused, 1);
    counted.check();
}

#[test]
fn the_oldest_closed_flow_gives_way_first() {
    let mut counted = Counted::new(16);
    let ids: Vec<_> = (0..16)
        .map(|port| {
            let id = counted.insert(port, second(0)).unwrap();
            counted.establish(id, second(0));
            id
        })
        .collect();
    for at in [7, 3] {
        counted.observe(ids[at], Direction::ToReal, TcpFlags::RST, second(1));
    }
    let reused = counted.insert(99, second(2)).unwrap();
    assert_eq!(reused, ids[7], "closed first, so it goes first");
    assert_eq!(counted.table.counters().evicted_closed, 1);
    counted.check();
}

#[test]
fn a_full_slab_fits_the_index() {
    for seed in 0..4 {
        let mut table = FlowTable::new(4096, seed);
        for number in 0..4096u32 {
            let client =
                Endpoint { address: Ipv4Addr::from_bits(0x0a00_0000 + number).into(), port: 7 };
            let new = NewFlow { client, client_at_real: client, ..new_flow(0) };
            let id = table.insert(new, second(0), &mut |_| ()).expect("two buckets suffice");
            table.observe(id, Direction::ToClient, TcpFlags(0x12), second(0));
            table.observe(id, Direction::ToReal, ACK, second(0));
        }
        assert_eq!(table.len(), 4096);
    }
}

/// Fills a table of this key with established flows of these clients; how many found a place.
fn fill(secret: u64, clients: &[Endpoint]) -> usize {
    let mut table = FlowTable::new(clients.len(), secret);
    for &client in clients {
        let new = NewFlow { client, client_at_real: client, ..new_flow(0) };
        if let Ok(id) = table.insert(new, second(0), &mut |_| ()) {
            table.observe(id, Direction::ToClient, TcpFlags(0x12), second(0));
            table.observe(id, Direction::ToReal, ACK, second(0));
        }
    }
    table.len()
}

#[test]
fn f8_what_collides_under_another_key_spreads_under_the_secret_one() {
    const FLOWS: usize = 2048;
    let leaked = FlowTable::new(FLOWS, 0);
    let client =
        |n: u32| Endpoint { address: Ipv4Addr::from_bits(0x0a00_0000 + n).into(), port: 7 };
    let aimed_at = |client: &Endpoint| {
        let new = NewFlow { client: *client, client_at_real: *client, ..new_flow(0) };
        let flow = Flow::new(new, second(0));
        leaked
            .index
            .is_in_first(64, leaked.index.hash(flow.key(Direction::ToReal), Direction::ToReal))
    };
    let aimed: Vec<_> = (0..).map(client).filter(aimed_at).take(FLOWS).collect();
    assert!(fill(0, &aimed) < FLOWS / 3, "whoever knows the key fills a few buckets");
    assert_eq!(fill(0x5ec2_e700, &aimed), FLOWS, "under another key all have room");
}

proptest! {
    /// Whatever is done in whatever order, the table finds exactly what it holds.
    #[test]
    fn finds_what_it_holds(
        steps in proptest::collection::vec((0u8..6, 0u16..40, 0u8..64, any::<bool>()), 1..300),
    ) {
        let mut counted = Counted::new(24);
        let mut now = second(0);
        for (what, client_port, flags, to_real) in steps {
            let key = *Flow::new(new_flow(client_port), now).key(Direction::ToReal);
            let id = counted.table.find(&key, Direction::ToReal);
            let direction = if to_real { Direction::ToReal } else { Direction::ToClient };
            match (what, id) {
                (0 | 1, _) => {
                    let known = id.is_some();
                    let result = counted.insert(client_port, now);
                    prop_assert_eq!(result == Err(InsertError::TupleTaken), known);
                }
                (2 | 3, Some(id)) => { counted.observe(id, direction, TcpFlags(flags), now); }
                (4, _) => {
                    now = now + Duration::from_secs(u64::from(flags));
                    counted.sweep_all(now);
                }
                (5, Some(id)) => {
                    let gone = counted.table.remove(id).unwrap();
                    counted.held -= 1;
                    counted.open -= i64::from(gone.was_open);
                }
                _ => {}
            }
            counted.check();
            for flow in counted.table.iter() {
                for direction in [Direction::ToReal, Direction::ToClient] {
                    let found = counted.table.find(flow.key(direction), direction);
                    let found = found.and_then(|id| counted.table.get(id));
                    prop_assert_eq!(found.map(|f| f.client()), Some(flow.client()));
                }
            }
        }
    }
}
