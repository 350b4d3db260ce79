//! What keeps a port's tenants from others, and how often it did.

use alloc::string::ToString;

use lb::PortId;

use crate::config::InWords;
use crate::shell::Desk;
use crate::shell::page::Align::{Left, Right};
use crate::shell::page::{Page, Table, cell, words};

/// The rules of a port, in their order, with how many frames each decided about.
pub fn access(desk: &Desk<'_>, id: PortId) -> Page {
    let columns = [("RULE", Right), ("DOES", Left), ("TO", Left), ("FRAMES", Right)];
    let mut table = Table::new("rules", columns);
    let mut page = Page::part();
    let Some(list) = desk.appliance.dataplane.tables().access_list(id) else {
        page.table(table, "");
        page.unsaid("denied", None::<u64>);
        return page;
    };
    page.row(words("what may be sent to from here:"));
    for (rule, frames) in list.rules() {
        table.push([
            cell("rule", rule.number),
            cell("does", rule.action.as_str()),
            cell("to", InWords(&rule.to).to_string()),
            cell("frames", frames),
        ]);
    }
    page.table(table, "");
    page.fact("denied by no rule", cell("denied", list.denied()));
    page
}
