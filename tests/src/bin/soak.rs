//! `./tests/soak.sh`: faults of all kinds for a long time, or of one kind many times.

use std::env;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use tests::faults::{a_link_flaps, nics_come_and_go, soak};
use tests::machine::Board;

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let begun = Instant::now();
    match words[..] {
        ["cycles", count] if count.parse::<usize>().is_ok() => cycles(count.parse().unwrap()),
        [seconds, seed] if seconds.parse::<u64>().is_ok() && seed.parse::<u64>().is_ok() => {
            let time = Duration::from_secs(seconds.parse().unwrap());
            let is_over = |_| begun.elapsed() > time;
            print!("{}", soak(Board::Q35, seed.parse().unwrap(), is_over));
        }
        _ => {
            eprintln!("soak.sh SECONDS SEED | soak.sh cycles COUNT");
            return ExitCode::FAILURE;
        }
    }
    println!("{} s, no frame of the others was lost", begun.elapsed().as_secs());
    ExitCode::SUCCESS
}

/// A NIC comes and goes so often, by each way of plugging in turn a third; and a link flaps as often.
fn cycles(count: usize) {
    for (at, board) in [Board::Q35, Board::Q35Native, Board::Pc].into_iter().enumerate() {
        let rounds = (count + at) / 3;
        nics_come_and_go(board, rounds);
        println!("{board:?}: a NIC came and went {rounds} times; every buffer is in the pool");
    }
    a_link_flaps(Board::Q35, count);
    println!("a link went down and came back {count} times; every buffer is in the pool");
}
