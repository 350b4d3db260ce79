//! Persistence beside a map, and its rules when a bucket is full.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::vec::Vec;

const TIMEOUT: Duration = Duration::from_secs(300);
const WEB: ServiceId = ServiceId(3);

fn second(seconds: u64) -> Instant {
    Instant::from_millis(seconds * 1000)
}

fn address(number: u32) -> ClientKey {
    ClientKey::of_source(Ipv4Addr::from_bits(number).into(), 32)
}

fn client_behind(port: usize, number: u32) -> Client {
    Client { service: WEB, key: address(number), ingress: PortId::new(port).unwrap() }
}

fn client(number: u32) -> Client {
    client_behind(0, number)
}

impl PersistenceTable {
    fn real_of(&self, number: u32, now: Instant) -> Option<RealId> {
        self.find(WEB, &address(number), now)
    }

    fn remember_and_confirm(&mut self, client: &Client, real: RealId, now: Instant) {
        self.remember(client, real, TIMEOUT, now);
        self.confirm(client, real, TIMEOUT, now);
    }

    fn in_table(&self) -> usize {
        self.buckets.iter().flatten().flatten().count()
    }
}

#[test]
fn the_time_counts_from_the_last_flow() {
    let mut table = PersistenceTable::new(64, 1);
    table.remember(&client(1), RealId(7), TIMEOUT, second(0));
    table.confirm(&client(1), RealId(7), TIMEOUT, second(10));
    assert_eq!(table.real_of(1, second(299)), Some(RealId(7)));
    assert_eq!(table.real_of(1, second(300)), None, "an answer is no new flow");
    table.remember(&client(1), RealId(7), TIMEOUT, second(299));
    assert_eq!(table.real_of(1, second(598)), Some(RealId(7)));
    assert_eq!(table.real_of(1, second(599)), None, "nor is a question");
    table.remember(&client(1), RealId(8), TIMEOUT, second(600));
    assert_eq!(table.real_of(1, second(600)), Some(RealId(8)));
    let expected = PersistenceCounters { remembered: 2, ..PersistenceCounters::default() };
    assert_eq!((table.counters(), table.len()), (&expected, 1));
}

#[test]
fn clients_are_told_apart_as_the_service_wants_it() {
    let v4 = |text: &str, prefix_len| ClientKey::of_source(text.parse().unwrap(), prefix_len);
    let v6 = v4;
    let same: &[(&str, ClientKey, ClientKey)] = &[
        ("one network", v4("192.0.2.7", 24), v4("192.0.2.200", 24)),
        ("everybody", v4("192.0.2.7", 0), v4("10.0.0.1", 0)),
        ("a prefix beyond the address", v4("192.0.2.7", 33), v4("192.0.2.7", 32)),
        ("a site", v6("2001:db8::1", 64), v6("2001:db8::ffff:0:0:2", 64)),
        ("all of IPv6", v6("2001:db8::1", 0), v6("::2", 0)),
        ("a prefix beyond IPv6", v6("2001:db8::1", 255), v6("2001:db8::1", 128)),
    ];
    for (what, one, other) in same {
        assert_eq!(one, other, "{what}");
    }
    let payload = |bytes: &[u8]| ClientKey::of_payload(bytes).unwrap();
    let different: &[(&str, ClientKey, ClientKey)] = &[
        ("another network", v4("192.0.2.7", 24), v4("192.0.3.7", 24)),
        ("the last bit", v4("192.0.2.6", 32), v4("192.0.2.7", 32)),
        ("another site", v6("2001:db8::1", 64), v6("2001:db8:0:1::1", 64)),
        ("IPv6's last bit", v6("2001:db8::2", 128), v6("2001:db8::3", 128)),
        ("nobody of IPv4 and of IPv6", v4("0.0.0.0", 32), v6("::", 128)),
        ("mapped", v4("192.0.2.7", 32), v6("::ffff:192.0.2.7", 128)),
        ("payloads", payload(b"abc"), payload(b"abd")),
        ("zeros of another length", payload(&[0; 3]), payload(&[0; 4])),
        ("a payload and an address", payload(&[0; 4]), v4("0.0.0.0", 32)),
    ];
    for (what, one, other) in different {
        assert_ne!(one, other, "{what}");
    }
    assert_eq!(ClientKey::of_payload(&[]), None);
    assert!(ClientKey::of_payload(&[1; PERSISTENCE_PAYLOAD_BYTES_MAX]).is_some());
    assert_eq!(ClientKey::of_payload(&[1; PERSISTENCE_PAYLOAD_BYTES_MAX + 1]), None);
}

#[test]
fn a_client_of_two_services_has_two_reals() {
    let mut table = PersistenceTable::new(64, 1);
    let key = ClientKey::of_source(Ipv6Addr::LOCALHOST.into(), 64);
    let ingress = PortId::new(0).unwrap();
    for slot in 0..2 {
        let client = Client { service: ServiceId(slot), key, ingress };
        table.remember(&client, RealId(10 + slot), TIMEOUT, second(0));
    }
    for slot in 0..2 {
        assert_eq!(table.find(ServiceId(slot), &key, second(1)), Some(RealId(10 + slot)));
    }
    table.forget_service(ServiceId(0));
    assert_eq!(table.find(ServiceId(0), &key, second(1)), None);
    assert_eq!(table.find(ServiceId(1), &key, second(1)), Some(RealId(11)));
}

#[test]
fn a_slot_of_a_forgotten_real_is_used_anew_at_once() {
    let mut table = PersistenceTable::new(64, 1);
    table.remember_and_confirm(&client(1), RealId(7), second(0));
    table.remember_and_confirm(&client(2), RealId(8), second(0));
    table.remember_and_confirm(&client(3), RealId(7), second(0));
    table.forget_real(RealId(7));
    assert_eq!([1, 2, 3].map(|n| table.real_of(n, second(1))), [None, Some(RealId(8)), None]);
    table.remember(&client(3), RealId(7), TIMEOUT, second(1));
    assert_eq!(table.real_of(3, second(1)), Some(RealId(7)), "another real in the same slot");
    for _ in 0..SWEEP_TURNS {
        table.sweep(second(1));
    }
    assert_eq!((table.len(), table.in_table()), (2, 2), "the sweep took out client 1");
}

#[test]
fn a_million_unanswered_clients_push_out_nobody_who_was_answered() {
    let mut table = PersistenceTable::new(4096, 7);
    let answered = 0..2000;
    for number in answered.clone() {
        table.remember_and_confirm(&client(number), RealId(1), second(0));
    }
    // Some of them shared a bucket with more than eight others.
    let known: Vec<_> =
        answered.filter(|&number| table.real_of(number, second(1)).is_some()).collect();
    let evicted = table.counters().evicted_confirmed;
    assert_eq!(known.len() as u64 + evicted, 2000);
    for &number in &known {
        table.remember(&client(number), RealId(1), TIMEOUT, second(1)); // Once answered is enough.
    }
    for number in 0..1_000_000 {
        table.remember(&client(10_000 + number), RealId(2), TIMEOUT, second(1));
    }
    assert!(known.iter().all(|&number| table.real_of(number, second(2)) == Some(RealId(1))));
    assert_eq!(table.counters().evicted_confirmed, evicted);
    assert_eq!(table.len(), table.capacity(), "the flood fills what is left, and no more");
    assert_eq!(table.in_table(), table.capacity());

    // Who comes during the flood is lost among it, until the answer comes.
    let newcomer = client(5000);
    table.remember(&newcomer, RealId(3), TIMEOUT, second(2));
    for number in 0..100_000 {
        table.remember(&client(2_000_000 + number), RealId(2), TIMEOUT, second(2));
    }
    assert_eq!(table.real_of(5000, second(2)), None);
    table.confirm(&newcomer, RealId(3), TIMEOUT, second(2));
    assert_eq!(table.real_of(5000, second(2)), Some(RealId(3)));
}

#[test]
fn a_port_with_many_answered_clients_pushes_out_its_own() {
    let mut table = PersistenceTable::new(1024, 7);
    let victims: Vec<_> = (0..40).map(|n| client_behind(2 + n as usize % 4, n)).collect();
    for victim in &victims {
        table.remember_and_confirm(victim, RealId(1), second(0));
    }
    for number in 0..100_000 {
        table.remember_and_confirm(&client_behind(1, 1000 + number), RealId(2), second(1));
    }
    for victim in &victims {
        assert_eq!(table.find(WEB, &victim.key, second(2)), Some(RealId(1)));
    }
    let newcomer = client_behind(6, 500);
    table.confirm(&newcomer, RealId(3), TIMEOUT, second(2));
    assert_eq!(table.real_of(500, second(2)), Some(RealId(3)));
}

#[test]
fn another_real_must_answer_anew() {
    let mut table = PersistenceTable::new(WAYS, 1);
    table.remember_and_confirm(&client(1), RealId(7), second(0));
    table.remember(&client(1), RealId(8), TIMEOUT, second(1));
    table.confirm(&client(1), RealId(7), TIMEOUT, second(2));
    assert_eq!(table.real_of(1, second(2)), Some(RealId(8)), "a late answer of the earlier real");
    for number in 2..10 {
        table.remember(&client(number), RealId(8), TIMEOUT, second(3));
    }
    assert_eq!(table.real_of(1, second(3)), None, "tentative, and the oldest");
    let expected = PersistenceCounters {
        remembered: 9,
        evicted_tentative: 1,
        ..PersistenceCounters::default()
    };
    assert_eq!(table.counters(), &expected);
}

/// Full buckets, as letters: `t`entative, `c`onfirmed, with the port, oldest first; who comes, and
/// the way that gives way.
#[test]
fn who_gives_way() {
    let cases: &[(&str, &str, &str, Option<usize>)] = &[
        ("the oldest tentative", "c1 t1 t1 c1 c1 c1 c1 c1", "t2", Some(1)),
        ("for a confirmed one as well", "c1 c1 c1 c1 c1 c1 c1 t2", "c1", Some(7)),
        ("no confirmed for a tentative", "c1 c1 c1 c1 c1 c1 c1 c1", "t2", None),
        ("the largest holder's oldest", "c2 c1 c2 c1 c1 c3 c4 c5", "c6", Some(1)),
        ("its own, if it has most", "c2 c1 c2 c1 c1 c3 c4 c5", "c1", Some(1)),
        ("its own, if none has more", "c1 c2 c2 c1 c3 c4 c5 c6", "c2", Some(1)),
        ("nobody's last", "c1 c2 c3 c4 c5 c6 c7 c8", "c9", None),
        ("but its own last", "c1 c2 c3 c4 c5 c6 c7 c8", "c4", Some(3)),
    ];
    let table = PersistenceTable::new(WAYS, 1);
    let entry = |at: usize, word: &str| {
        let port = usize::from(word.as_bytes()[1] - b'0');
        let trust = if word.starts_with('t') { Trust::Tentative } else { Trust::Confirmed };
        table.entry(&client_behind(port, at as u32), RealId(0), trust, TIMEOUT, second(at as u64))
    };
    for (what, bucket, newcomer, gives_way) in cases {
        let mut words = bucket.split(' ').enumerate();
        let bucket: Bucket =
            core::array::from_fn(|_| words.next().map(|(at, word)| entry(at, word)));
        assert_eq!(place(&bucket, &entry(20, newcomer)), *gives_way, "{what}");
    }
}

#[test]
fn what_has_expired_gives_way_first() {
    let mut table = PersistenceTable::new(WAYS, 1);
    for number in 0..8 {
        let timeout = if number == 5 { Duration::from_secs(10) } else { TIMEOUT };
        table.remember(&client(number), RealId(1), timeout, second(0));
    }
    table.remember(&client(8), RealId(1), TIMEOUT, second(10));
    let known = (0..9).filter(|&number| table.real_of(number, second(10)).is_some());
    assert_eq!(known.collect::<Vec<_>>(), [0, 1, 2, 3, 4, 6, 7, 8]);
    assert_eq!(table.counters().evicted_tentative, 0);
}

#[derive(Clone, Debug)]
enum Act {
    Remember { client: u32, real: u16, timeout: u64 },
    Confirm { client: u32, real: u16 },
    ForgetReal(u16),
    ForgetService,
    Sweep,
    Wait(u64),
}

fn act() -> impl Strategy<Value = Act> {
    let remember = (0u32..12, 0u16..3, 1u64..100)
        .prop_map(|(client, real, timeout)| Act::Remember { client, real, timeout });
    prop_oneof![
        8 => remember,
        4 => (0u32..12, 0u16..3).prop_map(|(client, real)| Act::Confirm { client, real }),
        1 => (0u16..3).prop_map(Act::ForgetReal),
        1 => Just(Act::ForgetService),
        2 => Just(Act::Sweep),
        4 => (0u64..40).prop_map(Act::Wait),
    ]
}

proptest! {
    /// With room for all, the table is a map of clients to a real and the second of their end.
    #[test]
    fn behaves_as_a_map(acts in proptest::collection::vec(act(), 1..150)) {
        let mut table = PersistenceTable::new(4096, 11);
        let mut model = BTreeMap::<u32, (u16, u64)>::new();
        let mut now = 0;
        for act in acts {
            model.retain(|_, &mut (_, end)| now < end);
            match act {
                Act::Remember { client: number, real, timeout } => {
                    let length = Duration::from_secs(timeout);
                    table.remember(&client(number), RealId(real), length, second(now));
                    model.insert(number, (real, now + timeout));
                }
                Act::Confirm { client: number, real } => {
                    table.confirm(&client(number), RealId(real), TIMEOUT, second(now));
                    model.entry(number).or_insert((real, now + TIMEOUT.as_secs()));
                }
                Act::ForgetReal(real) => {
                    table.forget_real(RealId(real));
                    model.retain(|_, &mut (of, _)| of != real);
                }
                Act::ForgetService => {
                    table.forget_service(WEB);
                    model.clear();
                }
                Act::Sweep => (0..SWEEP_TURNS).for_each(|_| table.sweep(second(now))),
                Act::Wait(seconds) => now += seconds,
            }
            for number in 0..12 {
                let expected = model.get(&number).filter(|(_, end)| now < *end);
                prop_assert_eq!(
                    table.real_of(number, second(now)),
                    expected.map(|&(real, _)| RealId(real))
                );
            }
            prop_assert_eq!(table.len(), table.in_table());
        }
        (0..SWEEP_TURNS).for_each(|_| table.sweep(second(now)));
        prop_assert_eq!(table.len(), model.values().filter(|(_, end)| now < *end).count());
    }

    /// However full a bucket is: nobody's answered client goes for one that was not answered, and
    /// what was just answered is known, unless every place is another port's only one.
    #[test]
    fn a_full_bucket_keeps_its_rules(
        acts in proptest::collection::vec((0u32..40, 1usize..5, any::<bool>()), 1..200),
    ) {
        let mut table = PersistenceTable::new(WAYS, 11);
        for (step, (number, port, answered)) in acts.into_iter().enumerate() {
            let now = second(step as u64 / 4);
            let client = client_behind(port, number);
            let confirmed = table.counters().evicted_confirmed;
            table.remember(&client, RealId(1), TIMEOUT, now);
            prop_assert_eq!(table.counters().evicted_confirmed, confirmed);
            if answered {
                table.confirm(&client, RealId(1), TIMEOUT, now);
                prop_assert_eq!(table.real_of(number, now), Some(RealId(1)));
            }
            prop_assert!(table.len() <= WAYS && table.len() == table.in_table());
        }
    }
}
