//! Configuration mode: the candidate, and what becomes of it.

use super::delete::DELETE as DELETE_NEXT;
use super::set::SET;
use super::{HELP, SHOW, TERMINAL, UNDO, WRITE, alias, choice, show, value, word};
use crate::shell::grammar::Then::{End, EndOr, MaybeClauses, Next, Once};
use crate::shell::grammar::{Action, Loading, Node, Show, Then};
use crate::shell::value::{Choice, Kind};

pub static CONFIGURATION: &[Node] = &[
    COMMIT,
    word("compare", "what a commit would change", COMPARE),
    CONFIRM,
    DELETE,
    DISCARD,
    word("exit", "leave configuration mode; the candidate stays", End(Action::Exit)),
    HELP,
    LOAD,
    NO,
    ROLLBACK,
    SET,
    word("show", "look at something; by itself: the candidate", CANDIDATE_SHOW),
    TERMINAL,
    UNDO,
    WRITE,
    alias("end", End(Action::End)),
    alias("quit", End(Action::Exit)),
];

/// After `configure`: a line of configuration mode, with which one enters it.
pub(super) static CONFIGURE_LINE: &[Node] = &[
    COMMIT,
    CONFIRM,
    DELETE,
    DISCARD,
    LOAD,
    NO,
    ROLLBACK,
    SET,
    alias("terminal", End(Action::Configure)),
];

const COMMIT: Node = word(
    "commit",
    "make the candidate run, all of it or nothing",
    MaybeClauses(Action::Commit, COMMIT_CLAUSES),
);
const CONFIRM: Node = word("confirm", "keep what a commit has put on trial", End(Action::Confirm));
const DELETE: Node = word("delete", "take a statement out of the candidate", Next(DELETE_NEXT));
const DISCARD: Node = word("discard", "make the candidate what runs", End(Action::Discard));
const LOAD: Node =
    word("load", "set lines into the candidate, up to a line 'end'", Next(LOAD_NEXT));
const NO: Node = word("no", "the same as delete", Next(DELETE_NEXT));
const ROLLBACK: Node = word("rollback", "make the candidate what ran before", Next(ROLLBACK_NEXT));

static COMMIT_CLAUSES: &[Node] = &[
    word("check", "only say what is wrong with it", End(Action::CommitCheck)),
    word(
        "comment",
        "a remark for show commits",
        Next(&[value(Kind::Comment, "in quotes if it has blanks", Once)]),
    ),
    word(
        "confirmed",
        "on trial: taken back by itself, unless confirm comes",
        Next(&[value(Kind::Time, "for so long, such as 5m", Once)]),
    ),
    choice("now", Choice::Now, "open flows of reals that went end at once", Once),
];

const CANDIDATE_SHOW: Then = EndOr(Action::Show(Show::Candidate), SHOW);

static LOAD_NEXT: &[Node] = &[
    word("merge", "on top of what it says", End(Action::Load(Loading::Merge))),
    word("replace", "in place of what it says", End(Action::Load(Loading::Replace))),
];

static ROLLBACK_NEXT: &[Node] = &[back(End(Action::Rollback))];

const COMPARE: Then = EndOr(Action::Show(Show::Comparison), COMPARE_WITH);
static COMPARE_WITH: &[Node] =
    &[word("rollback", "from what ran before, not from what runs", Next(COMPARE_ROLLBACK))];
static COMPARE_ROLLBACK: &[Node] = &[back(show(Show::Comparison))];

/// `show configuration …`
pub(super) static SHOW_CONFIGURATION: &[Node] = &[
    word("candidate", "what is being edited", show(Show::Candidate)),
    word("rollback", "what ran before", Next(SHOW_ROLLBACK)),
    word("startup", "what the machine started with", show(Show::StartUp)),
];
static SHOW_ROLLBACK: &[Node] = &[back(show(Show::Configuration))];

const fn back(then: Then) -> Node {
    value(Kind::Back, "how many commits ago; 0 is what runs", then)
}
