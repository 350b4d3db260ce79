//! The keeper of the disk: does what tasks want, a step at a time, and never waits but at the start.
//!
//! A host's disk may stand still. Whoever commits is told so after [`PATIENCE`]; the request stays with
//! the device all the same, and when that answers at last the disk is as good as before. Until then
//! nothing new is begun. A device that breaks a rule is not asked again.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::string::String;
use core::cell::RefCell;
use core::time::Duration;

use drivers::{Disk, DiskFault};
use lb::Instant;

use super::{Commit, Found, Opening, Saving, State, Task, Trouble};

/// How long a start waits for the disk: a host that is busy itself takes its time, and a machine that did
/// not wait would run without what it was told to be.
pub const START_PATIENCE: Duration = Duration::from_secs(5);
/// How long a disk may stand still before those who wait are told.
const PATIENCE: Duration = Duration::from_secs(10);
/// Commits that may wait for the one before them.
const WAITING_MAX: usize = 4;

/// The disk, or why there is none.
pub struct Keeper {
    host: String,
    state: Contents,
    /// The device has a request, perhaps one that nobody waits for any more.
    is_asked: bool,
    /// When the disk last did something, or was first asked to.
    moved_at: Instant,
    disk: Option<Box<dyn Disk>>,
    saving: Option<(Saving, Ticket)>,
    waiting: VecDeque<(Commit, Ticket)>,
}

enum Contents {
    /// Nobody gave a disk.
    NoDisk,
    Opening(Opening),
    Known(State),
    Unusable(Trouble),
}

/// What became of a commit that was to be saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Waiting,
    /// It will survive a power cut.
    Saved {
        generation: u64,
    },
    NotSaved(Trouble),
}

/// Asks what became of a commit.
#[derive(Clone, Debug)]
pub struct Ticket(Rc<RefCell<Outcome>>);

impl Ticket {
    fn new(outcome: Outcome) -> Ticket {
        Ticket(Rc::new(RefCell::new(outcome)))
    }

    pub fn outcome(&self) -> Outcome {
        self.0.borrow().clone()
    }

    /// Says it to whoever asks, and to the log.
    fn tell(&self, outcome: Outcome) {
        match &outcome {
            Outcome::Saved { generation } => {
                log::info!("configuration: saved as generation {generation}");
            }
            Outcome::NotSaved(trouble) => {
                log::error!("configuration: not saved: {trouble} (E{})", trouble.code());
            }
            Outcome::Waiting => {}
        }
        *self.0.borrow_mut() = outcome;
    }
}

impl Keeper {
    /// No disk, or one that has no driver.
    pub fn without(trouble: Option<Trouble>) -> Keeper {
        let state = trouble.map_or(Contents::NoDisk, Contents::Unusable);
        Keeper {
            host: String::new(),
            state,
            is_asked: false,
            moved_at: Instant::START,
            disk: None,
            saving: None,
            waiting: VecDeque::new(),
        }
    }

    /// Takes a disk and reads what there is for `host`, for as long as a start may wait.
    pub fn open(
        disk: Box<dyn Disk>,
        host: &str,
        mut clock: impl FnMut() -> Instant,
    ) -> (Keeper, Result<Found, Trouble>) {
        let begun_at = clock();
        let mut keeper = Keeper::without(None);
        match Opening::new(disk.blocks()) {
            Ok(opening) => keeper.state = Contents::Opening(opening),
            Err(trouble) => return (Keeper::without(Some(trouble.clone())), Err(trouble)),
        }
        (keeper.host, keeper.disk) = (host.into(), Some(disk));
        loop {
            let now = clock();
            if let Some(found) = keeper.step(now) {
                return (keeper, found);
            }
            if now.since(begun_at) >= START_PATIENCE {
                let seconds = START_PATIENCE.as_secs();
                return (keeper, Err(Trouble::Stalled { seconds }));
            }
        }
    }

    /// Saves a commit after those that came before. `None`: there is no disk.
    pub fn save(&mut self, commit: Commit, now: Instant) -> Option<Ticket> {
        let outcome = match &self.state {
            Contents::NoDisk => return None,
            Contents::Unusable(trouble) => Outcome::NotSaved(trouble.clone()),
            // Which generations it has is not known, so this one may be taken.
            Contents::Opening(_) => {
                let seconds = now.since(self.moved_at).as_secs();
                Outcome::NotSaved(Trouble::Stalled { seconds })
            }
            Contents::Known(_) if self.is_read_only() => Outcome::NotSaved(Trouble::ReadOnly),
            Contents::Known(_) if self.waiting.len() == WAITING_MAX => {
                Outcome::NotSaved(Trouble::Busy)
            }
            Contents::Known(_) => Outcome::Waiting,
        };
        let ticket = Ticket::new(Outcome::Waiting);
        if outcome == Outcome::Waiting {
            if self.saving.is_none() && self.waiting.is_empty() {
                self.moved_at = now;
            }
            self.waiting.push_back((commit, ticket.clone()));
        } else {
            ticket.tell(outcome);
        }
        Some(ticket)
    }

    /// Whether commits are on their way to the disk.
    pub fn is_saving(&self) -> bool {
        self.saving.is_some() || !self.waiting.is_empty()
    }

    /// A step, if there is something to do. To be called at every turn.
    #[inline]
    pub fn poll(&mut self, now: Instant) {
        if self.is_asked || self.is_saving() || matches!(self.state, Contents::Opening(_)) {
            self.work(now);
        }
    }

    fn work(&mut self, now: Instant) {
        match self.step(now) {
            None => {}
            Some(Ok(Found { commits, .. })) => {
                let commits = commits.len();
                log::warn!("the disk has answered after all; its {commits} commits were not used");
            }
            Some(Err(trouble)) => log::error!("disk: {trouble} (E{})", trouble.code()),
        }
    }

    /// The generation that the next start would find, if it is known.
    pub fn generation(&self) -> Option<u64> {
        match &self.state {
            Contents::Known(state) => Some(state.committed()).filter(|&generation| generation > 0),
            Contents::NoDisk | Contents::Opening(_) | Contents::Unusable(_) => None,
        }
    }

    /// The highest generation that the disk has heard of, be it whole or not; `None` as long as there is
    /// no disk to save on.
    pub fn newest(&self) -> Option<u64> {
        match &self.state {
            Contents::Known(state) => Some(state.newest()),
            Contents::NoDisk | Contents::Opening(_) | Contents::Unusable(_) => None,
        }
    }

    fn is_read_only(&self) -> bool {
        self.disk.as_ref().is_some_and(|disk| disk.is_read_only())
    }

    /// Hears what the device has to say and asks for the next thing. `Some` when the disk was read, or
    /// when it cannot be.
    fn step(&mut self, now: Instant) -> Option<Result<Found, Trouble>> {
        if self.is_asked
            && let Err(fault) = self.hear(now)?
        {
            return self.fail(fault);
        }
        let found = self.conclude();
        self.begin_waiting();
        if let Err(fault) = self.ask() {
            return self.fail(fault);
        }
        found
    }

    /// The device's answer, if there is one.
    fn hear(&mut self, now: Instant) -> Option<Result<(), DiskFault>> {
        let Some(answer) = self.disk.as_mut()?.poll() else {
            self.lose_patience(now);
            return None;
        };
        (self.is_asked, self.moved_at) = (false, now);
        Some(answer.map(|read| {
            if let Some(task) = task(&mut self.state, &mut self.saving) {
                task.done(read);
            }
        }))
    }

    /// Tells whoever waits that the disk stands still. What it was asked for goes on, should it ever
    /// answer.
    fn lose_patience(&mut self, now: Instant) {
        if now.since(self.moved_at) >= PATIENCE {
            let seconds = PATIENCE.as_secs();
            self.tell_all(&Trouble::Stalled { seconds });
        }
    }

    fn tell_all(&mut self, trouble: &Trouble) {
        let saving = self.saving.take().map(|(_, ticket)| ticket);
        let waiting = self.waiting.drain(..).map(|(_, ticket)| ticket);
        for ticket in saving.into_iter().chain(waiting) {
            ticket.tell(Outcome::NotSaved(trouble.clone()));
        }
    }

    /// A request was not done: that is the end of its task, and of a disk that broke a rule or could
    /// not be read.
    fn fail(&mut self, fault: DiskFault) -> Option<Result<Found, Trouble>> {
        let trouble = Trouble::Fault(fault);
        let is_opening = matches!(self.state, Contents::Opening(_));
        if is_opening || matches!(fault, DiskFault::Ring(_)) {
            self.state = Contents::Unusable(trouble.clone());
            self.tell_all(&trouble);
            return Some(Err(trouble));
        }
        if let Some((_, ticket)) = self.saving.take() {
            ticket.tell(Outcome::NotSaved(trouble));
        }
        None
    }

    /// Ends the task that has nothing left to do.
    fn conclude(&mut self) -> Option<Result<Found, Trouble>> {
        if task(&mut self.state, &mut self.saving)?.next().is_some() {
            return None;
        }
        let state = core::mem::replace(&mut self.state, Contents::NoDisk);
        let (state, found) = match state {
            Contents::Opening(opening) => match opening.finish(&self.host) {
                Ok((state, found)) => (Contents::Known(state), Some(Ok(found))),
                Err(trouble) => (Contents::Unusable(trouble.clone()), Some(Err(trouble))),
            },
            Contents::Known(mut state) => {
                if let Some((saving, ticket)) = self.saving.take() {
                    let generation = state.saved(&saving);
                    ticket.tell(Outcome::Saved { generation });
                }
                (Contents::Known(state), None)
            }
            other => (other, None),
        };
        self.state = state;
        found
    }

    /// Begins to save the next commit, unless one is being saved.
    fn begin_waiting(&mut self) {
        let Contents::Known(state) = &mut self.state else {
            return;
        };
        while self.saving.is_none()
            && let Some((commit, ticket)) = self.waiting.pop_front()
        {
            match state.save(&commit, &self.host) {
                Ok(saving) => self.saving = Some((saving, ticket)),
                Err(trouble) => ticket.tell(Outcome::NotSaved(trouble)),
            }
        }
    }

    /// Gives the device the next request of the task, unless it has one.
    fn ask(&mut self) -> Result<(), DiskFault> {
        let (false, Some(disk)) = (self.is_asked, self.disk.as_mut()) else {
            return Ok(());
        };
        if let Some(request) = task(&mut self.state, &mut self.saving).and_then(|task| task.next())
        {
            disk.begin(request)?;
            self.is_asked = true;
        }
        Ok(())
    }
}

/// What the disk is there for at the moment.
fn task<'a>(
    state: &'a mut Contents,
    saving: &'a mut Option<(Saving, Ticket)>,
) -> Option<&'a mut dyn Task> {
    match state {
        Contents::Opening(opening) => Some(opening),
        Contents::Known(_) => saving.as_mut().map(|(saving, _)| saving as &mut dyn Task),
        Contents::NoDisk | Contents::Unusable(_) => None,
    }
}
