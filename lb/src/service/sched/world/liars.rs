//! Guests that report what is not so.

use super::*;

/// What guests get in thousandths, after half a minute.
fn shares(world: &mut World, per_second: u64) -> Vec<u32> {
    world.run(10_000, per_second, SHORT);
    world.shares();
    world.run(20_000, per_second, SHORT);
    let all: u32 = world.guests.iter().map(|guest| guest.given).sum();
    world.guests.iter().map(|guest| guest.given * 1000 / all).collect()
}

fn trust(world: &World) -> Vec<u32> {
    let candidates: Vec<_> = (0..world.guests.len()).map(|at| world.candidate(at)).collect();
    let outlook = Outlook::of(&candidates, world.now).unwrap();
    let trust = |candidate| outlook.forecast(candidate).trust.millionths();
    candidates.iter().map(trust).collect()
}

#[test]
fn l9_f27_who_always_says_nothing_gets_little_more_than_its_share() {
    for guests in [2, 3, 8, 16] {
        for percent in [40, 70, 85] {
            let mut world = World::new(4, &std::vec![1000; guests as usize]);
            world.guests[0].habit = Habit::Liar(|_| Fraction::ZERO);
            let shares = shares(&mut world, guests * percent * 2);
            let at = std::format!("{guests} guests, {percent} %: {shares:?}");
            // 1.5 / (N + 0.5), and nine tenths of 1 / N.
            assert!(u64::from(shares[0]) <= 15_000 / (10 * guests + 5), "{at}");
            let floor = 900 / guests;
            assert!(shares[1..].iter().all(|&share| u64::from(share) >= floor - 2), "{at}");
            assert_eq!(trust(&world)[0], 0, "{at}");
            assert!(trust(&world)[1..].iter().all(|&trust| trust == 1_000_000), "{at}");
        }
    }
}

#[test]
fn honest_guests_are_trusted_however_quick_or_idle() {
    let cases: [(&str, &[u64], u64, Work); 4] = [
        ("1:2:4", &[1000, 2000, 4000], 1_000, SHORT),
        ("heavy flows", &[1000, 1000, 1000], 20, Work::Short { cpu_us: 100_000 }),
        ("hardly any", &[1000, 1000, 1000], 6, SHORT),
        ("open and idle", &[1000, 1000], 100, Work::Long { cpu_us_per_ms: 0, lasts_ms: 3_000 }),
    ];
    for (what, capacities, per_second, work) in cases {
        let mut world = World::new(3, capacities);
        for second in 0..30 {
            world.run(1_000, per_second, work);
            let trust = trust(&world);
            let is_whole = trust.iter().all(|&trust| trust == 1_000_000);
            assert!(is_whole, "{what}, second {second}: {trust:?}");
        }
    }
}

#[test]
fn who_is_not_trusted_has_the_share_of_one_that_says_nothing() {
    let mut world = World::new(5, &[1000; 4]);
    world.guests[0].habit = Habit::Liar(|_| Fraction::ZERO);
    world.guests[1].habit = Habit::Silent;
    let shares = shares(&mut world, 500);
    assert!(shares[0] + 30 >= shares[1] && shares[0] >= 240, "{shares:?}");
}

#[test]
fn who_says_less_than_it_has_in_flight_is_not_believed_to_be_quick() {
    let said = |load, in_flight| {
        let mut world = World::new(6, &[1000; 4]);
        world.guests[0].habit = Habit::Modest { load, in_flight };
        let shares = shares(&mut world, 720);
        (shares[0], trust(&world))
    };
    let (honest, whole) = said(100, 100);
    assert_eq!(whole, [1_000_000; 4]);
    assert!(honest.abs_diff(250) <= 10, "{honest}");
    let (modest, whole) = said(20, 100);
    assert_eq!(whole, [1_000_000; 4], "a guest may be five times as quick");
    assert!(modest > 270, "{modest}");
    let (caught, trust) = said(20, 0);
    assert_eq!(trust, [0, 1_000_000, 1_000_000, 1_000_000]);
    assert!(caught.abs_diff(250) <= 10, "{caught}");
}

#[test]
fn who_says_to_be_idle_and_answers_late_is_not_believed() {
    let trust = |load, answers_ms| {
        let mut world = World::new(6, &[1000; 4]);
        world.guests[0].habit = Habit::Modest { load, in_flight: 100 };
        shares(&mut world, 720);
        let mut candidates: Vec<_> = (0..4).map(|at| world.candidate(at)).collect();
        for (candidate, ms) in candidates.iter_mut().zip([answers_ms, 1, 1, 1]) {
            candidate.answer_time = Some(Duration::from_millis(ms));
        }
        let outlook = Outlook::of(&candidates, world.now).unwrap();
        let trust = |candidate| outlook.forecast(candidate).trust.millionths();
        let others = candidates[1..].iter().map(trust).min();
        (trust(&candidates[0]), others)
    };
    let whole = Some(1_000_000);
    assert_eq!(trust(30, 8), (1_000_000, whole), "as others, nearly");
    assert_eq!(trust(30, 16), (0, whole));
    assert_eq!(trust(100, 16), (1_000_000, whole), "it does not say to be idle");
}
