//! The benchmark: `./tests/bench.sh`, which says how it is used.
//!
//! Exits with 0 whatever the figures are; with 1 if one could not be measured.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use tests::bench::counts::Symbols;
use tests::bench::figures::{Effort, Job, Surroundings, jobs};
use tests::bench::report::{json, markdown, svg, text};
use tests::bench::sheet::Sheet;
use tests::bench::system::System;

/// Functions of a profile that a terminal is told.
const FUNCTIONS: usize = 12;

/// What the command line asks for.
struct Options {
    effort: Effort,
    /// Jobs whose name begins so; all when empty.
    only: Vec<String>,
    systems: Vec<System>,
    profile: bool,
    list: bool,
    json: Option<PathBuf>,
    /// Where `performance.md` is, whose results are to be written anew.
    write: Option<PathBuf>,
}

fn main() -> ExitCode {
    match Options::read(env::args().skip(1)) {
        Ok(options) => run(&options),
        Err(problem) => {
            eprintln!("bench: {problem}");
            ExitCode::from(2)
        }
    }
}

fn run(options: &Options) -> ExitCode {
    let is_wanted = |job: &Job| {
        options.only.is_empty() || options.only.iter().any(|only| job.name.starts_with(only))
    };
    let jobs: Vec<Job> = jobs(&options.effort).into_iter().filter(is_wanted).collect();
    if options.list {
        jobs.iter().for_each(|job| println!("{:<24} {}", job.name, names(&job.systems)));
        return ExitCode::SUCCESS;
    }
    let tree = env::var("FULCRUM_TREE").unwrap_or("unknown".into());
    let surroundings = Surroundings::of(&options.effort, tree);
    let mut sheet = Sheet::default();
    for round in 0..options.effort.rounds {
        for job in &jobs {
            measure(&mut sheet, job, round, options);
        }
    }
    print!("{}", text::report(&sheet, &surroundings));
    if options.profile {
        print!("{}", text::profiles(&sheet, FUNCTIONS));
    }
    match write(options, &sheet, &surroundings) {
        Ok(()) if sheet.failures.is_empty() => ExitCode::SUCCESS,
        Ok(()) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("bench: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// One system after the other, each round from another end, so that none is always the first.
fn measure(sheet: &mut Sheet, job: &Job, round: usize, options: &Options) {
    let mut systems: Vec<System> =
        job.systems.iter().copied().filter(|system| options.systems.contains(system)).collect();
    if round % 2 == 1 {
        systems.reverse();
    }
    for system in systems {
        let (start, failures) = (Instant::now(), sheet.failures.len());
        job.run(sheet, system, &options.effort);
        let seconds = start.elapsed().as_secs_f64();
        let failed = if sheet.failures.len() > failures { ", not all of it" } else { "" };
        let (round, rounds) = (round + 1, options.effort.rounds);
        eprintln!("round {round} of {rounds}: {}: {system}, {seconds:.0} s{failed}", job.name);
    }
}

fn write(options: &Options, sheet: &Sheet, surroundings: &Surroundings) -> std::io::Result<()> {
    if let Some(path) = &options.json {
        fs::write(path, json::document(sheet, surroundings))?;
    }
    if let Some(docs) = &options.write {
        let page = docs.join("performance.md");
        let before = fs::read_to_string(&page)?;
        fs::write(&page, markdown::renewed(&before, sheet, surroundings))?;
        fs::write(docs.join("performance.json"), json::document(sheet, surroundings))?;
        fs::write(docs.join("performance.svg"), svg::picture(sheet))?;
    }
    Ok(())
}

impl Options {
    fn read(mut words: impl Iterator<Item = String>) -> Result<Options, String> {
        let mut options = Options {
            effort: Effort::full(),
            only: Vec::new(),
            systems: System::ALL.to_vec(),
            profile: false,
            list: false,
            json: None,
            write: None,
        };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} wants a value"));
            match word.as_str() {
                "--quick" => options.effort = Effort::quick(),
                "--rounds" => options.effort.rounds = number(&value()?)?,
                "--seconds" => {
                    options.effort.load = Duration::from_secs(number(&value()?)? as u64);
                }
                "--only" => options.only = value()?.split(',').map(str::to_string).collect(),
                "--systems" => {
                    let named =
                        |name| System::named(name).ok_or(format!("no system '{name}' here"));
                    options.systems = value()?.split(',').map(named).collect::<Result<_, _>>()?;
                }
                "--profile" => options.profile = true,
                "--list" => options.list = true,
                "--json" => options.json = Some(value()?.into()),
                "--write" => options.write = Some(value()?.into()),
                other => return Err(format!("'{other}' is no option here (--help)")),
            }
        }
        if options.profile || options.write.is_some() {
            let map = env::var("FULCRUM_MAP").map_err(|_| "FULCRUM_MAP is not set")?;
            let map = fs::read_to_string(&map).map_err(|error| format!("{map}: {error}"))?;
            options.effort.symbols = Some(Symbols::of_map(&map));
        }
        Ok(options)
    }
}

fn number(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (1..1000).contains(number));
    number.ok_or(format!("'{text}' is no number from 1 to 999"))
}

fn names(systems: &[System]) -> String {
    systems.iter().map(|system| system.as_str()).collect::<Vec<_>>().join(" ")
}
