//! The steps of prefilter and inspection where there is no kernel: one calls the other.

use super::{
    Found, Records, Search,
    carry::{Carry, Segment},
    confirm::{self, Step},
    filter, find, flowbits, gather, held,
    inspect::{self, Inspector},
    line::{self, Ending, Place, Stage},
    partial::Decider,
    prefilter::{self, Prefilter, Text},
    request::{self, HeaderLine, Order},
    rule,
    table::{FilterTable, Kind, List, RuleTable},
    test,
    threshold::{Meter, Words},
    uri,
    workspace::Workspace,
};
use crate::{packet::PacketBytes, parse::Ip};

/// Who inspects where there is no kernel.
#[derive(Debug)]
pub struct Local<'a, P, W: ?Sized> {
    /// The packet.
    pub packet: &'a P,
    /// What it was parsed as.
    pub ip: Ip,
    /// What the filter looks for.
    pub filter: &'a FilterTable,
    /// The rules.
    pub rules: &'a RuleTable,
    /// The segment that the packet is, and what is kept where its connection has its place; `None` if nothing is to be joined.
    pub carried: Option<(Segment, &'a Carry)>,
    /// Where it works.
    pub workspace: &'a mut Workspace,
    /// Who counts it.
    pub meter: Meter<'a, W>,
    /// The words of [`flowbits`].
    pub flow_words: &'a mut W,
    /// Who decides what the kernel does not; without, that holds, as in the kernel.
    pub decider: Option<&'a dyn Decider>,
}

impl<P: PacketBytes, W: Words + ?Sized> Records for Local<'_, P, W> {
    type Packet = P;

    fn filter_table(&self, _: Search) -> Option<&FilterTable> {
        Some(self.filter)
    }

    fn workspace(&mut self) -> Option<&mut Workspace> {
        Some(self.workspace)
    }
}

impl<P: PacketBytes, W: Words + ?Sized> Prefilter for Local<'_, P, W> {
    fn filter(&mut self, search: Search) {
        let sift = |offset, at, workspace: &mut Workspace| {
            filter::sift(offset, at, self.packet, self.filter, workspace)
        };
        filter::run(search, self.packet, self.filter, self.workspace, sift);
    }

    fn len_of_again(&mut self, search: Search, shift: u32) -> u32 {
        filter::len_of_again(search, shift, self.filter, self.workspace)
    }

    fn filter_again(&mut self, search: Search, shift: u32, len: u32) {
        filter::again::<P>(search, shift, len, self.filter, self.workspace);
    }

    fn confirm(&mut self, search: Search, index: u32, shift: u32) {
        let table = self.filter;
        let look = |number, at, workspace: &mut Workspace| {
            confirm::look::<P>(number, at, table, workspace);
        };
        let go_on = |step, number, at, workspace: &mut Workspace| match step {
            Step::Look => look(number, at, workspace),
            Step::Chain => {
                let look = |number, workspace: &mut Workspace| look(number, at, workspace);
                confirm::chain::<P>(number, at, table, workspace, look);
            }
        };
        confirm::run::<P>(search, index, shift, table, self.workspace, go_on);
    }

    fn confirm_each(&mut self, search: Search, shift: u32) {
        prefilter::confirm_each(search, shift, self);
    }

    fn join(&mut self, reach: u32) {
        if let Some((segment, carry)) = self.carried {
            carry.join(&segment, reach, self.packet, self.workspace);
        }
    }

    fn look_at(&mut self, search: Search, text: Text) {
        prefilter::look_at(search, text, self);
    }

    fn look_through(&mut self, search: Search, text: Text, shift: u32) {
        prefilter::look_through(search, text, shift, self);
    }

    fn read_requests(&mut self) {
        request::read(self);
    }

    fn read_line(&mut self, line: Place<Order>) -> Place<Order> {
        request::read_line(line, self).unwrap_or(line)
    }

    fn head(&mut self, from: Place<Stage>) -> Place<Stage> {
        line::head::<P>(from, self.workspace)
    }

    fn line_end(&mut self, from: u32) -> Place<Ending> {
        line::line_end::<P>(from, self.workspace)
    }

    fn end_of_line(&mut self, from: u32) -> Place<Ending> {
        line::end_of_line(from, self)
    }

    fn header_line(&mut self, at: u32) -> Place<HeaderLine> {
        request::header_line(at, self).unwrap_or(Place {
            at,
            note: HeaderLine::ONE,
        })
    }

    fn trim(&mut self, begin: u32, end: u32) -> u32 {
        line::trim::<P>(begin, end, self.workspace)
    }

    fn decode(&mut self) {
        uri::decode::<P>(self.workspace);
    }

    fn read_headers(&mut self, index: u32) {
        request::read_headers(index, self);
    }
}

impl<P: PacketBytes, W: Words + ?Sized> Inspector for Local<'_, P, W> {
    fn rule_table(&self, _: Search) -> Option<&RuleTable> {
        Some(self.rules)
    }

    fn gather(&mut self, search: Search) {
        let options = gather::headers(search, &self.ip, self.packet, self.workspace);
        gather::options(options, self.packet, self.workspace);
        gather::payload(search, self.packet, self.workspace);
    }

    fn ask_about(&mut self, search: Search, text: Text) {
        inspect::ask_about(search, text, self);
    }

    fn ask_all(&mut self, search: Search) {
        inspect::ask_all(search, self);
    }

    fn ask_candidate(&mut self, search: Search, index: u32) {
        inspect::ask_candidate(search, index, self);
    }

    fn ask_each(&mut self, _: Search, list: List) {
        let table = self.rules;
        rule::each(list, table, |row| {
            let find = |exit, workspace: &mut Workspace| find::run::<P>(exit, table, workspace);
            let test = |exit, workspace: &mut Workspace| {
                let asked = self.decider.zip(table.operation(exit));
                match asked.filter(|(_, operation)| operation.kind == Kind::Regex as u8) {
                    Some((decider, operation)) => decider.holds(operation, workspace),
                    None => test::is_so::<P>(exit, table, workspace),
                }
            };
            let hold = |workspace: &mut Workspace| workspace.hold(row, table);
            rule::ask::<P>(row, table, self.workspace, find, test, hold);
        });
    }

    fn decide_held(&mut self, _: Search, from: u32) -> u32 {
        let (ip, table) = (self.ip, self.rules);
        let mut flow_meter = Meter {
            words: &mut *self.flow_words,
            ..self.meter
        };
        let ask_bits = |row, workspace: &mut Workspace| {
            flowbits::run(row, &ip, &mut flow_meter, table, workspace)
        };
        let (meter, workspace) = (&mut self.meter, &mut *self.workspace);
        held::run::<P>(from, ip.source, meter, table, workspace, ask_bits)
    }

    fn decides_rest(&self) -> bool {
        self.decider.is_some()
    }
}

impl<P: PacketBytes, W: Words + ?Sized> Local<'_, P, W> {
    /// What a search finds.
    pub fn search(&mut self, search: Search) -> Option<Found> {
        if !prefilter::run(search, self) {
            return None;
        }
        let row = inspect::run(search, self)?;
        Found::of(row, self.workspace.is_untold, search, self.packet)
    }
}
