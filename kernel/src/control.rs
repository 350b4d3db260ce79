//! The one funnel through which the tables change, and the configurations on their way to it.
//!
//! ```text
//!  set, delete, load, rollback ─▶ candidate ─ commit ─▶ check ─▶ Plan ─▶ difference to the last Plan
//!                                     ▲                                          │ steps
//!       archive, to go back to ───────┘ ◀── running ◀────────────────────────── tables
//!          ▲ at the start          kept ─▶ disk
//! ```
//!
//! There is one candidate, whoever edits it: two people at two consoles see each other's changes, and
//! a commit is of both. While nobody edits it, it is the running configuration.
//!
//! A commit is checked as a whole before anything is touched. What reaches the tables is the
//! difference, so a service that a change does not name keeps its flows and counters. Should the
//! tables refuse a step all the same (a table is full of reals that wait for their last flows),
//! the steps before it are taken back, and everything is as it was.
//!
//! A commit may be on trial: without [`Control::confirm`] in time, the configuration of before comes
//! back by itself ([`Control::tick`]). It is kept, in the archive and on the disk, only when it was
//! confirmed.

mod difference;
mod perform;
mod plugging;
mod remarks;
mod saving;
mod switching;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use drivers::pci::Address;
use lb::{AdminState, Command, Instant, Name};

use self::difference::difference;
use self::perform::perform;
pub use self::remarks::Remark;
use self::remarks::Waiting;
pub use self::saving::Kept;
use crate::appliance::{Appliance, Attached};
use crate::config::archive::Archive;
use crate::config::{self, Config, Plan, Site, Statement, THINGS_MAX};
use crate::seats::Place;
use crate::shell::problem::{Error, Problem, unchanged};
use crate::start::Started;
use crate::store::Keeper;

/// Until a configuration that the tables do not take back is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// The running configuration and what it came to, the candidate, and what ran before.
pub struct Control {
    running: Config,
    plan: Plan,
    candidate: Config,
    /// Changes of the candidate so far.
    edits: u64,
    /// The seats in configuration mode, in the order in which they came.
    editors: Vec<Place>,
    /// What the machine started with, and how it came to that.
    start_up: Config,
    started: Started,
    archive: Archive,
    keeper: Keeper,
    /// Seconds since 1970 at [`Instant::START`], if that is known.
    began: Option<u64>,
    trial: Option<Trial>,
    site: Site,
}

/// A commit that waits to be confirmed.
struct Trial {
    before: Config,
    until: Instant,
    comment: Option<String>,
}

/// How to commit.
#[derive(Clone, Debug, Default)]
pub struct Order {
    /// It is on trial for so long.
    pub trial: Option<Duration>,
    /// Open flows of reals that went end at once.
    pub cuts: bool,
    pub comment: Option<String>,
}

/// What a commit came to.
#[derive(Debug)]
pub struct Done {
    /// `None` if it is on trial.
    pub kept: Option<Kept>,
    pub remarks: Vec<Remark>,
}

impl Control {
    /// Names the ports and makes the appliance a plain learning switch.
    pub fn begin(site: Site, appliance: &mut Appliance) -> Control {
        let mut control = Control {
            running: Config::default(),
            plan: Plan::default(),
            candidate: Config::default(),
            edits: 0,
            editors: Vec::new(),
            start_up: Config::default(),
            started: Started::default(),
            archive: Archive::default(),
            keeper: Keeper::without(None),
            began: None,
            trial: None,
            site,
        };
        if let Err(errors) = control.change(Config::default(), appliance) {
            errors.iter().for_each(|error| log::error!("{error}"));
        }
        control.file(Some("plain switch".to_string()), appliance.now());
        control
    }

    pub fn config(&self) -> &Config {
        &self.running
    }

    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    pub fn site(&self) -> &Site {
        &self.site
    }

    pub fn candidate(&self) -> &Config {
        &self.candidate
    }

    /// What the machine started with.
    pub fn start_up_config(&self) -> &Config {
        &self.start_up
    }

    /// How the machine started.
    pub fn started(&self) -> &Started {
        &self.started
    }

    /// Notes how the machine started.
    pub fn note_start(&mut self, started: Started) {
        self.started = started;
    }

    /// A number that changes with the candidate.
    pub fn edits(&self) -> u64 {
        self.edits
    }

    /// Whether a commit would change anything.
    pub fn is_edited(&self) -> bool {
        self.candidate != self.running
    }

    pub fn archive(&self) -> &Archive {
        &self.archive
    }

    /// The configuration that ran so many commits ago; 0 is the running one.
    pub fn committed(&self, back: usize) -> Result<Config, Problem> {
        // One on trial is not in the archive yet.
        let ahead = usize::from(self.trial.is_some());
        let archived = match back {
            0 => Some(self.running.clone()),
            _ => self.archive.get(back - ahead),
        };
        let last = self.archive.commits().len() + ahead - 1;
        archived.ok_or(Problem::NoCommit { back, last })
    }

    /// How long the last commit still waits to be confirmed.
    pub fn on_trial(&self, now: Instant) -> Option<Duration> {
        self.trial.as_ref().map(|trial| trial.until.since(now))
    }

    /// Makes what a file says ([`config::load`]) the running configuration.
    pub fn start_up(
        &mut self,
        config: Config,
        appliance: &mut Appliance,
    ) -> Result<(), Vec<Error>> {
        self.change(config, appliance)?;
        self.start_up = self.running.clone();
        self.candidate = self.running.clone();
        self.file(Some("start-up".to_string()), appliance.now());
        appliance.prepare();
        Ok(())
    }

    /// The seats in configuration mode, in the order in which they came.
    pub fn editors(&self) -> &[Place] {
        &self.editors
    }

    /// A seat enters configuration mode.
    pub fn enter(&mut self, place: Place) {
        self.editors.push(place);
    }

    /// A seat leaves it; the candidate stays as it is.
    pub fn leave(&mut self, place: Place) {
        self.editors.retain(|editor| *editor != place);
    }

    /// Changes the candidate by a statement.
    pub fn edit(&mut self, statement: &Statement) -> Result<(), Problem> {
        let is_more = matches!(statement, Statement::Set(_));
        if is_more && self.candidate.things() >= THINGS_MAX {
            return Err(Problem::TooManyThings { max: THINGS_MAX });
        }
        self.candidate.take(statement)?;
        self.edits += 1;
        Ok(())
    }

    /// Makes another configuration the candidate.
    pub fn replace_candidate(&mut self, candidate: Config) {
        self.edits += 1;
        self.candidate = candidate;
    }

    /// Makes the candidate what runs.
    pub fn discard(&mut self) {
        self.edits += 1;
        self.candidate.clone_from(&self.running);
    }

    /// Whether the candidate holds together.
    pub fn check(&self) -> Result<(), Vec<Error>> {
        self.plan_of(&self.candidate).map(drop)
    }

    /// Makes the candidate the running configuration, or changes nothing.
    pub fn commit(
        &mut self,
        Order { trial, cuts, comment }: Order,
        appliance: &mut Appliance,
    ) -> Result<Done, Vec<Error>> {
        let now = appliance.now();
        if let Some(left) = self.on_trial(now) {
            return Err(vec![Error::whole(Problem::OnTrial { left })]);
        }
        let (before, plan_before) = (self.running.clone(), self.plan.clone());
        self.change(self.candidate.clone(), appliance)?;
        let mut remarks = remarks::of(&before, &plan_before, self, appliance);
        if cuts {
            remarks.retain(|remark| !matches!(remark, Remark::Drains { .. }));
            remarks.extend(cut(appliance));
        }
        let kept = match trial {
            Some(time) => {
                self.trial = Some(Trial { before, until: now + time, comment });
                log::info!("configuration: committed, {}s to confirm", time.as_secs());
                None
            }
            None => Some(self.keep(comment, now)),
        };
        Ok(Done { kept, remarks })
    }

    /// Makes what ran before the last commit run again: a commit of its own, but for one that is on
    /// trial, which ends. Nobody's changes to the candidate are lost.
    pub fn undo(&mut self, appliance: &mut Appliance) -> Result<Done, Vec<Error>> {
        let refuse = |problem| Err(vec![Error::whole(problem)]);
        if let Some(trial) = &self.trial {
            let (before, plan_before) = (self.running.clone(), self.plan.clone());
            self.change(trial.before.clone(), appliance)?;
            self.trial = None;
            log::info!("configuration: the commit on trial is taken back");
            let remarks = remarks::of(&before, &plan_before, self, appliance);
            return Ok(Done { kept: None, remarks });
        }
        if self.is_edited() {
            return refuse(Problem::Edited);
        }
        if self.archive.commits().nth(1).is_none_or(|commit| commit.generation == 0) {
            return refuse(Problem::NothingToUndo);
        }
        self.candidate = self.committed(1).map_err(|problem| vec![Error::whole(problem)])?;
        let order = Order { comment: Some("undo".to_string()), ..Order::default() };
        self.commit(order, appliance).inspect_err(|_| self.discard())
    }

    /// Ends the trial of the last commit.
    pub fn confirm(&mut self, now: Instant) -> Result<Kept, Problem> {
        let trial = self.trial.take().ok_or(Problem::NoTrial)?;
        Ok(self.keep(trial.comment, now))
    }

    /// To be called at every turn: saving goes on, and a commit that nobody has confirmed in time is taken
    /// back, which it says. The candidate still has it.
    #[inline]
    pub fn tick(&mut self, appliance: &mut Appliance) -> Option<String> {
        let now = appliance.now();
        self.keeper.poll(now);
        let trial = self.trial.take_if(|trial| trial.until <= now)?;
        self.take_back(trial, appliance)
    }

    fn take_back(&mut self, trial: Trial, appliance: &mut Appliance) -> Option<String> {
        let now = appliance.now();
        if let Err(errors) = self.change(trial.before.clone(), appliance) {
            errors.iter().for_each(|error| log::error!("{error}"));
            self.trial = Some(Trial { until: now + RETRY, ..trial });
            return None;
        }
        let news = "the commit was not confirmed in time and is taken back";
        log::warn!("configuration: {news}");
        Some(format!("Configuration: {news}. The candidate still has it.\n"))
    }

    /// Makes a guest's reals (or one of them) ready, drains them or takes them out; then there are
    /// flows to wait for.
    pub fn administer(
        &mut self,
        service: Option<Name>,
        guest: Name,
        state: AdminState,
        appliance: &mut Appliance,
    ) -> Result<Vec<Remark>, Error> {
        let whose =
            service.as_ref().map_or(String::new(), |service| format!(" in service {service}"));
        let line = format!("guest {guest}{whose}: {}", state.as_str());
        let command = Command::Administer { service: service.clone(), guest: guest.clone(), state };
        appliance
            .apply(&command)
            .map_err(|refusal| Error::whole(Problem::Refused(Box::new(refusal))))?;
        log::info!("operator: {line}");
        Ok(match state {
            AdminState::Ready => Vec::new(),
            AdminState::Drain | AdminState::Maint => {
                remarks::left(service.as_ref(), &guest, appliance)
            }
        })
    }

    /// Makes `config` the running configuration, or changes nothing.
    fn change(&mut self, config: Config, appliance: &mut Appliance) -> Result<(), Vec<Error>> {
        let plan = self.plan_of(&config)?;
        appliance.have_ports(plan.ports.len());
        perform(difference(&self.plan, &plan), appliance)?;
        let awaited = config::awaited(&config.ports, &self.site);
        self.site.nics.extend(awaited);
        (self.running, self.plan) = (config, plan);
        Ok(())
    }

    fn plan_of(&self, config: &Config) -> Result<Plan, Vec<Error>> {
        config::check(config, &self.site).map_err(|findings| {
            let invalid = |finding| Error::whole(Problem::Invalid(Box::new(finding)));
            unchanged(findings.into_iter().map(invalid).collect())
        })
    }

    /// Puts the running configuration into the archive; its generation.
    fn file(&mut self, comment: Option<String>, now: Instant) -> u64 {
        let said = comment.as_ref().map_or(String::new(), |comment| format!(" ({comment})"));
        let generation = self.archive.push(&self.running, comment, now);
        if generation > 0 {
            log::info!("configuration: generation {generation}{said}");
        }
        generation
    }
}

/// Has nobody wait any more for the open flows of reals that went.
pub fn cut(appliance: &mut Appliance) -> Vec<Remark> {
    let waiting = remarks::waiting(appliance).into_iter();
    let cut = waiting.filter_map(|Waiting { service, guest, flows }| {
        let command = Command::CutReal { service: service.clone(), guest: guest.clone() };
        // It is there, and refused is only what is not.
        appliance.apply(&command).ok()?;
        log::info!("operator: {flows} open flows of real {guest} of service {service} end");
        Some(Remark::Cut { service, guest, flows })
    });
    cut.collect()
}

/// The machine, as a configuration sees it.
pub fn site<'a>(
    nics: impl Iterator<Item = &'a Attached>,
    bays: Vec<Address>,
    flows_fit: usize,
) -> Site {
    Site { nics: nics.map(Attached::id).collect(), bays, flows_fit }
}
