//! What a command tree is made of.
//!
//! The tree is data: nodes with a word or a kind of value, one line of help, and what may follow.
//! Whoever wants to know something about the language asks this data: the parser, `?`, TAB, the
//! messages about errors, and the reader of configuration files.
//!
//! Most commands are paths. Where attributes may stand in any order (`set guest web1 mac … port
//! …`) a node opens a list of [clauses](Then::Clauses), and the last node of each clause leads
//! back to that list.

use lb::AdminState;

use super::value::{Choice, Kind};
use crate::config::{GroupPart, PortPart, ServicePart};

/// One step of a command.
#[derive(Clone, Copy)]
pub struct Node {
    pub token: Token,
    /// One line for `?`.
    pub help: &'static str,
    pub then: Then,
}

/// What a node matches.
#[derive(Clone, Copy)]
pub enum Token {
    /// A word, or a unique prefix of it.
    Word(&'static str),
    /// A word that must not be shortened: a letter of line noise should not switch a machine off.
    Whole(&'static str),
    /// Understood like a word where no listed word fits, but never offered.
    Alias(&'static str),
    /// A word that is a value.
    Choice(&'static str, Choice),
    Value(Kind),
}

/// What may follow a node.
#[derive(Clone, Copy)]
pub enum Then {
    /// Nothing: the line is a command.
    End(Action),
    /// One of these has to follow.
    Next(&'static [Node]),
    /// The line is a command, or one of these follows.
    EndOr(Action, &'static [Node]),
    /// At least one of these clauses, in any order.
    Clauses(Action, &'static [Node]),
    /// Any of these clauses, in any order.
    MaybeClauses(Action, &'static [Node]),
    /// The clause is complete and may not come again.
    Once,
    /// The clause is complete and may come again.
    Again,
}

/// What a complete line asks for; its values stand beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Show(Show),
    Set(Aspect),
    Delete(Aspect),
    Administer(AdminState),
    /// Counters begin anew.
    Clear,
    /// One flow ends.
    ResetFlow,
    /// A `show` again and again.
    Monitor(Show),
    Capture,
    /// Echo requests from the management address.
    Ping,
    /// Every page that matters, one after the other.
    Support,
    Configure,
    Load(Loading),
    Commit,
    /// Whether the candidate could be committed.
    CommitCheck,
    Confirm,
    Rollback,
    Discard,
    /// What ran before the last commit runs again.
    Undo,
    /// One mode up.
    Exit,
    /// Back to operational mode.
    End,
    Help,
    Write,
    Script(Switch),
    /// How many rows the terminal has.
    Length,
    Reboot,
    Poweroff,
    Filter(Sieve),
}

impl Action {
    /// Whether it is done to the candidate, for which one is in configuration mode.
    pub const fn is_configuring(self) -> bool {
        match self {
            Action::Set(_)
            | Action::Delete(_)
            | Action::Load(_)
            | Action::Commit
            | Action::CommitCheck
            | Action::Confirm
            | Action::Rollback
            | Action::Discard => true,
            Action::Show(_)
            | Action::Administer(_)
            | Action::Clear
            | Action::ResetFlow
            | Action::Monitor(_)
            | Action::Capture
            | Action::Ping
            | Action::Support
            | Action::Configure
            | Action::Undo
            | Action::Exit
            | Action::End
            | Action::Help
            | Action::Write
            | Action::Script(_)
            | Action::Length
            | Action::Reboot
            | Action::Poweroff
            | Action::Filter(_) => false,
        }
    }
}

/// What `show` shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// The candidate.
    Candidate,
    Capacity,
    /// Why a flow is where it is.
    Choice,
    /// The last decisions about new flows.
    Choices,
    /// The configurations that ran.
    Commits,
    /// What a commit would change.
    Comparison,
    /// The running configuration, or one that ran before.
    Configuration,
    Counters,
    Drops,
    Tables,
    Flows,
    /// Where a new flow would go.
    Foretold,
    Groups,
    Guests,
    Health,
    Lldp,
    Load,
    Log,
    Macs,
    Mirrors,
    Neighbors,
    /// What would become of a frame.
    Packet,
    Ports,
    Reals,
    Services,
    /// What the machine started with.
    StartUp,
    System,
    Version,
    Vlans,
}

/// What a statement of the configuration is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aspect {
    Hostname,
    /// How many flows the flow table has places for.
    Flows,
    /// The appliance's own, as a host.
    Address,
    Port,
    PortMatch,
    PortDescription,
    PortPart(PortPart),
    Mac,
    MacAgeing,
    Mirror,
    Groups(GroupPart),
    Guest,
    GuestAddress,
    GuestProbeSource,
    GuestTrust,
    GuestDescription,
    Service,
    Part(ServicePart),
    Real,
    RealPort,
    RealWeight,
    RealFlowsMax,
    RealCheck,
}

/// What lines that are loaded are to the candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loading {
    /// They come on top of it.
    Merge,
    /// They take its place.
    Replace,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    On,
    Off,
}

/// What `|` does with lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sieve {
    Match,
    Except,
    Begin,
    Count,
    First,
    Last,
    /// All of it at once, however long the screen is.
    NoMore,
    /// One document for a program, in place of lines.
    Json,
}

impl Token {
    /// What a person sees of it in `?` and in lists of what was expected.
    pub const fn label(self) -> &'static str {
        match self {
            Token::Word(word)
            | Token::Whole(word)
            | Token::Alias(word)
            | Token::Choice(word, _) => word,
            Token::Value(kind) => kind.label(),
        }
    }

    /// The word that it is; `None` for a value that is typed out.
    pub const fn word(self) -> Option<&'static str> {
        match self {
            Token::Word(word)
            | Token::Whole(word)
            | Token::Alias(word)
            | Token::Choice(word, _) => Some(word),
            Token::Value(_) => None,
        }
    }

    /// Whether `?`, TAB and messages offer it.
    pub const fn is_offered(self) -> bool {
        match self {
            Token::Word(_) | Token::Whole(_) | Token::Choice(..) | Token::Value(_) => true,
            Token::Alias(_) => false,
        }
    }
}
