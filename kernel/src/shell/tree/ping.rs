//! `ping`: whether an address answers the management address.

use super::{value, word};
use crate::shell::grammar::Then::{End, EndOr, Next};
use crate::shell::grammar::{Action, Node};
use crate::shell::value::Kind;

pub(super) const PING: Node =
    word("ping", "ask whether an address answers, by echo requests", Next(TO));

static TO: &[Node] = &[value(Kind::Address, "whom; not a guest", EndOr(Action::Ping, COUNT))];
static COUNT: &[Node] = &[word(
    "count",
    "how often, once a second (default: 5)",
    Next(&[value(Kind::Echoes, "it ends with the last one, or at Ctrl-C", End(Action::Ping))]),
)];
