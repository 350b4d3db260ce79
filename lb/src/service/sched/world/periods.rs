//! Reports that come seldom, or not at all: never much worse than not to look at them.

use super::*;

#[test]
fn agents_that_report_seldom_still_move_the_shares() {
    for period_ms in [500, 2_000, 5_000] {
        let mut world = World::new(5, &[1000; 3]);
        world.guests.iter_mut().for_each(|guest| guest.period_ms = period_ms);
        world.guests[0].hog_us = 100_000;
        world.run(6 * period_ms, 200, SHORT);
        world.shares();
        world.run(10_000, 200, SHORT);
        let shares = world.shares();
        assert!(shares[0] <= 15, "every {period_ms} ms: {shares:?}");
    }
}

/// How long flows take at most, one in a hundred aside, where guests are 85 % busy.
fn p99_ms(by: Scheduler, period_ms: u64, loss: u64, cpu_us: u64) -> u64 {
    let mut world = World::new(2, &[1000; 4]);
    (world.by, world.loss) = (by, loss);
    world.guests.iter_mut().for_each(|guest| guest.period_ms = period_ms);
    let (per_second, work) = (3_400_000 / cpu_us, Work::Short { cpu_us });
    world.settle(per_second, work);
    world.run(20_000, per_second, work);
    world.p99_ms()
}

#[test]
fn f26_f28_reports_of_any_age_are_not_worse_than_none_looked_at() {
    for (cpu_us, cases) in [
        (5_000, &[(500, 0), (500, 30), (2_000, 0), (5_000, 30), (10_000, 0)][..]),
        (100_000, &[(500, 0), (2_000, 30), (10_000, 0)][..]),
    ] {
        let blind_ms = p99_ms(Scheduler::Mh, 500, 0, cpu_us);
        for &(period_ms, loss) in cases {
            let p99_ms = p99_ms(Scheduler::Wll, period_ms, loss, cpu_us);
            assert!(
                p99_ms * 10 <= blind_ms * 11,
                "{cpu_us} µs, every {period_ms} ms, {loss} % lost: {p99_ms} ms, by hash {blind_ms}"
            );
        }
    }
}

#[test]
fn guests_of_unlike_speed_stay_so_while_reports_are_lost() {
    for (period_ms, loss) in [(500, 0), (2_000, 30), (10_000, 30)] {
        let mut world = World::new(2, &[1000, 2000, 4000]);
        world.loss = loss;
        world.guests.iter_mut().for_each(|guest| guest.period_ms = period_ms);
        world.settle(1_190, SHORT);
        world.run(20_000, 1_190, SHORT);
        let p99_ms = world.p99_ms();
        assert!(p99_ms <= 100, "every {period_ms} ms, {loss} % lost: {p99_ms} ms");
    }
}
