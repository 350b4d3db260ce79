//! What the appliance starts with: the first configuration that is found and whole.
//!
//! ```text
//!   the last commit on the disk ─▶ the one before it ─▶ the loader's file ─▶ QEMU's fw_cfg ─▶ none
//! ```
//!
//! A configuration with errors is refused whole, each of them is told, and the next one is taken. With
//! none of them the appliance is a plain switch, which always works. Older commits than the last two
//! are for a person to choose (`rollback`): a machine that neither of them fits has changed, and who
//! changed it should look.

use alloc::borrow::Cow;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::num::NonZeroU32;

use crate::appliance::Appliance;
use crate::config::{self, Config, Site};
use crate::control::Control;
use crate::shell::problem::Error;
use crate::store::{Commit, Passed, Trouble};

/// Commits of the disk that are tried.
const COMMITS_TRIED: usize = 2;

/// Where a configuration is from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StartedFrom {
    Disk {
        generation: u64,
    },
    /// The loader's module (`-initrd`).
    Loader,
    FwCfg,
    /// Nothing was given: a plain switch.
    #[default]
    BuiltIn,
}

/// A configuration that may be started with.
pub struct Offer<'a> {
    pub from: StartedFrom,
    pub text: Cow<'a, [u8]>,
}

/// Why a configuration was not taken, or could not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    Disk(Trouble),
    Slot(Passed),
    Refused { from: StartedFrom, errors: Vec<Error> },
}

/// A start on its way: some configuration reads well, and what is left should the tables refuse it.
pub struct Start<'a> {
    offers: vec::IntoIter<Offer<'a>>,
    chosen: Option<(StartedFrom, Config)>,
    notes: Vec<Note>,
}

/// How the appliance started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Started {
    pub from: StartedFrom,
    pub statements: usize,
    /// In the order in which things were tried.
    pub notes: Vec<Note>,
}

impl StartedFrom {
    pub fn as_str(&self) -> &'static str {
        match self {
            StartedFrom::Disk { .. } => "disk",
            StartedFrom::Loader => "loader",
            StartedFrom::FwCfg => "fw_cfg",
            StartedFrom::BuiltIn => "built-in",
        }
    }
}

/// The commits of a disk that are tried, newest first.
pub fn offers_of(commits: &[Commit]) -> impl Iterator<Item = Offer<'_>> {
    commits.iter().take(COMMITS_TRIED).map(|commit| Offer {
        from: StartedFrom::Disk { generation: commit.generation },
        text: Cow::Borrowed(commit.text.as_bytes()),
    })
}

impl<'a> Start<'a> {
    /// Reads offers until one is whole; `notes` is what was wrong before that.
    pub fn choose(offers: Vec<Offer<'a>>, notes: Vec<Note>, site: &Site) -> Start<'a> {
        let mut start = Start { offers: offers.into_iter(), chosen: None, notes };
        start.next(site);
        start
    }

    /// How many flows it asks for.
    pub fn flows(&self) -> Option<NonZeroU32> {
        self.chosen.as_ref().and_then(|(_, config)| config.flows)
    }

    /// Makes it the running configuration; should the tables refuse it, the next one. `control` knows
    /// afterwards how that went.
    pub fn finish(mut self, site: &Site, control: &mut Control, appliance: &mut Appliance) {
        let (from, statements) = self.run(site, control, appliance).unwrap_or_default();
        control.note_start(Started { from, statements, notes: self.notes });
    }

    fn run(
        &mut self,
        site: &Site,
        control: &mut Control,
        appliance: &mut Appliance,
    ) -> Option<(StartedFrom, usize)> {
        while let Some((from, config)) = self.chosen.take() {
            let statements = config.statements().len();
            match control.start_up(config, appliance) {
                Ok(()) => return Some((from, statements)),
                Err(errors) => self.notes.push(Note::Refused { from, errors }),
            }
            self.next(site);
        }
        None
    }

    fn next(&mut self, site: &Site) {
        for Offer { from, text } in self.offers.by_ref() {
            match config::load(&text, site) {
                Ok(config) => {
                    self.chosen = Some((from, config));
                    return;
                }
                Err(errors) => self.notes.push(Note::Refused { from, errors }),
            }
        }
    }
}

impl Note {
    /// What is said of it, line by line.
    pub fn lines(&self) -> Vec<String> {
        let coded = |code: u16, text: &dyn fmt::Display| vec![alloc::format!("% E{code} {text}")];
        match self {
            Note::Disk(trouble) => coded(trouble.code(), trouble),
            Note::Slot(passed) => coded(passed.damage.code(), passed),
            Note::Refused { from, errors } => {
                let head = alloc::format!("The configuration of {from} is refused:");
                [head].into_iter().chain(errors.iter().map(|error| error.to_string())).collect()
            }
        }
    }
}

impl fmt::Display for StartedFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartedFrom::Disk { generation } => write!(f, "the disk, generation {generation}"),
            StartedFrom::Loader => f.write_str("the loader's file"),
            StartedFrom::FwCfg => f.write_str("fw_cfg"),
            StartedFrom::BuiltIn => f.write_str("no configuration"),
        }
    }
}

impl fmt::Display for Started {
    /// One line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.from {
            StartedFrom::BuiltIn => f.write_str("configuration: none, this is a plain switch"),
            from => write!(f, "configuration: {from}, {} statements", self.statements),
        }
    }
}
