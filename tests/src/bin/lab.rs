//! The scheduling laboratory: `./tests/lab.sh`, which says how it is used.
//!
//! Exits with 0 whatever the goals: what is missed is a result like any other.

use std::env;
use std::fs;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;

use tests::lab::report::{csv, markdown, svg, text};
use tests::lab::{EVALUATION, Policy, Results, TUNING, goals, scenario};

/// What the command line asks for.
struct Options {
    seeds: &'static [u64],
    /// Scenarios whose name begins so; all when empty.
    only: Vec<String>,
    policies: Vec<Policy>,
    threads: NonZeroUsize,
    /// Goals alone.
    brief: bool,
    list: bool,
    /// Where `laboratory.md` is, whose results are to be written anew.
    write: Option<PathBuf>,
}

fn main() -> ExitCode {
    match Options::read(env::args().skip(1)) {
        Ok(options) => run(&options),
        Err(problem) => {
            eprintln!("lab: {problem}");
            ExitCode::from(2)
        }
    }
}

fn run(options: &Options) -> ExitCode {
    let chosen = |scenario: &scenario::Scenario| {
        options.only.is_empty() || options.only.iter().any(|only| scenario.name.starts_with(only))
    };
    let scenarios: Vec<_> = scenario::all().into_iter().filter(chosen).collect();
    if options.list {
        scenarios.iter().for_each(|scenario| println!("{:<22} {scenario}", scenario.name));
        return ExitCode::SUCCESS;
    }
    let policies = options.policies.clone();
    let results = Results::collect(scenarios, policies, options.seeds, options.threads);
    let findings = goals::judge(&results);
    if !options.brief {
        print!("{}", text::scenarios(&results));
    }
    print!("{}", text::goals(&findings));
    let Some(docs) = &options.write else {
        return ExitCode::SUCCESS;
    };
    let page = docs.join("laboratory.md");
    let written = fs::read_to_string(&page).and_then(|before| {
        fs::write(&page, markdown::renewed(&before, &results, &findings))?;
        fs::write(docs.join("laboratory.csv"), csv::runs(&results))?;
        fs::write(docs.join("laboratory.svg"), svg::picture(&results))
    });
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("lab: {}: {problem}", page.display());
            ExitCode::FAILURE
        }
    }
}

impl Options {
    fn read(mut words: impl Iterator<Item = String>) -> Result<Options, String> {
        let mut options = Options {
            seeds: EVALUATION,
            only: Vec::new(),
            policies: Policy::ALL.to_vec(),
            threads: NonZeroUsize::MIN,
            brief: false,
            list: false,
            write: None,
        };
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} wants a value"));
            match word.as_str() {
                "--seeds" => {
                    options.seeds = match value()?.as_str() {
                        "evaluation" => EVALUATION,
                        "tuning" => TUNING,
                        other => return Err(format!("no seeds '{other}': evaluation, tuning")),
                    }
                }
                "--only" => options.only = value()?.split(',').map(str::to_string).collect(),
                "--schedulers" => options.policies = policies(&value()?)?,
                "--threads" => {
                    options.threads = value()?.parse().map_err(|_| "--threads wants a number")?;
                }
                "--goals" => options.brief = true,
                "--list" => options.list = true,
                "--write" => options.write = Some(value()?.into()),
                other => return Err(format!("'{other}' is no option here (--help)")),
            }
        }
        Ok(options)
    }
}

fn policies(names: &str) -> Result<Vec<Policy>, String> {
    let named = |name| Policy::named(name).ok_or(format!("no scheduler '{name}' here"));
    names.split(',').map(named).collect()
}
