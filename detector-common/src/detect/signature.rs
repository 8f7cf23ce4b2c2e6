//! `signature`: packets that a rule describes.
//!
//! A packet first looks up who watches its ports: on a port that nobody does, that is all. On a watched one the [`filter`]
//! looks through the payload, [`confirm`] looks again where that saw something, and what may really be there is decided rule by
//! rule: [`gather`] brings together what rules ask of a packet, and a [`rule`] is a small program over that, which [`find`]s patterns.
//!
//! Where rules ask something of HTTP, each [`request`] is found, and its [`uri`] decoded and looked through too; these rules are asked about
//! one request after the other.

pub mod bytes;
pub mod confirm;
pub mod filter;
pub mod find;
pub mod gather;
pub mod request;
pub mod rule;
pub mod table;
pub mod threshold;
pub mod uri;
pub mod watch;
pub mod workspace;

use crate::{
    packet::PacketBytes,
    parse::{Ip, PAYLOAD_OFFSET_MAX},
};
use confirm::Step;
use request::{Place, View};
use table::{
    Action, FilterTable, Group, List, PATTERNS_MAX, Row, RuleTable, STRIDE, WITHOUT_PAYLOAD,
};
use threshold::{HELD_MAX, Meter, Words};
use watch::{WatchLists, Watched};
use workspace::{BLOCKS_MAX, CANDIDATES_MAX, Candidate, REQUESTS_MAX, Workspace};

/// Where to look into a packet, and for what. It fits into a word, for the kernel does it in functions of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Search {
    /// From the lowest: where the payload begins, in bytes from the start of the frame (16 bits); its length (16); the groups of
    /// the destination and of the source port (8 each); the generation (8); the length of a TCP header (8).
    word: u64,
}

impl Search {
    /// What to look for in `ip`; `None` if nobody watches its ports.
    #[inline(always)]
    #[must_use]
    pub fn of(ip: &Ip, watch: &WatchLists) -> Option<Self> {
        let Watched {
            generation,
            to,
            from,
        } = watch.of(&ip.transport);
        // A group that asks for packets without a payload has the highest bit.
        let least = if ip.payload_len == 0 {
            WITHOUT_PAYLOAD
        } else {
            1
        };
        if (to | from) < least {
            return None;
        }
        Some(Self {
            word: u64::from(ip.payload_offset as u16)
                | u64::from(ip.payload_len as u16) << 16
                | u64::from(to) << 32
                | u64::from(from) << 40
                | u64::from(generation) << 48
                | u64::from(ip.transport.tcp_header_len()) << 56,
        })
    }

    /// The search as a word.
    #[inline(always)]
    #[must_use]
    pub fn to_word(self) -> u64 {
        self.word
    }

    /// The search that a word was made of.
    #[inline(always)]
    #[must_use]
    pub fn from_word(word: u64) -> Self {
        Self { word }
    }

    /// Which generation of the tables it goes by.
    #[inline(always)]
    #[must_use]
    pub fn generation(self) -> u32 {
        (self.word >> 48) as u32 & 1
    }

    /// Where the payload begins, in bytes from the start of the frame.
    ///
    /// VERIFIER: the parser holds this bound, but it went through a word.
    #[inline(always)]
    fn start(self) -> usize {
        self.word as usize & PAYLOAD_OFFSET_MAX
    }

    /// Its length, in bytes.
    #[inline(always)]
    fn len(self) -> usize {
        (self.word >> 16) as usize & 0xffff
    }

    /// How much of it is looked through, `reach` bytes at most.
    #[inline(always)]
    fn len_within(self, reach: u16) -> usize {
        filter::within(self.len(), reach)
    }

    /// The groups of the destination and of the source port.
    #[inline(always)]
    fn groups(self, table: &FilterTable) -> [Group; 2] {
        [self.word >> 32, self.word >> 40].map(|group| table.group(group as u8))
    }

    /// What both groups ask together.
    #[inline(always)]
    fn group(self, table: &FilterTable) -> Group {
        let [to, from] = self.groups(table);
        to.with(from)
    }

    /// The acknowledgement number, eight bytes behind the start of the TCP header; 0 for another protocol. Few packets are asked for
    /// it, so the parser does not keep it.
    #[inline(always)]
    pub fn acknowledged<P: PacketBytes>(self, packet: &P) -> u32 {
        let header_len = (self.word >> 56) as usize;
        if header_len == 0 {
            return 0;
        }
        let header = self.start().saturating_sub(header_len);
        let [word] = packet.word(header.wrapping_add(8)).words;
        word.u32(0)
    }
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where the rule is counted (16 bits), and whether it is not to be told.
    ///
    /// VERIFIER: one number, of which the compiler makes no branches, and no half that nobody wrote.
    word: u32,
    /// Whether it is one that drops.
    pub drops: bool,
    /// The acknowledgement number of TCP; 0 for another protocol.
    pub acknowledged: u32,
}

impl Found {
    /// Where the rule is counted.
    #[inline(always)]
    #[must_use]
    pub fn slot(&self) -> u16 {
        self.word as u16
    }

    /// Whether it may be told.
    #[inline(always)]
    #[must_use]
    pub fn is_told(&self) -> bool {
        self.word >> 16 == 0
    }

    /// What is found with a row; nothing, if that is to let the packet pass.
    #[inline(always)]
    pub fn of<P: PacketBytes>(
        row: Row,
        is_untold: u32,
        search: Search,
        packet: &P,
    ) -> Option<Self> {
        if row.action == Action::Pass as u8 {
            return None;
        }
        Some(Self {
            word: u32::from(row.slot) | is_untold << 16,
            drops: row.action == Action::Drop as u8,
            acknowledged: search.acknowledged(packet),
        })
    }
}

/// Which text is looked through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text {
    /// The payload.
    Payload,
    /// The decoded targets of its requests.
    Decoded,
}

/// Who looks into a packet: the steps, each of which the kernel takes in a function of its own.
pub trait Inspector {
    /// The packet.
    type Packet: PacketBytes;
    /// What the filter looks for.
    fn filter_table(&self, search: Search) -> Option<&FilterTable>;
    /// The rules.
    fn rule_table(&self, search: Search) -> Option<&RuleTable>;
    /// Where it works.
    fn workspace(&mut self) -> Option<&mut Workspace>;
    /// Runs [`filter::run`].
    fn filter(&mut self, search: Search);
    /// Runs [`filter::len_of_again`].
    fn len_of_again(&mut self, search: Search, shift: u32) -> u32;
    /// Runs [`filter::again`].
    fn filter_again(&mut self, search: Search, shift: u32, len: u32);
    /// Runs [`confirm::run`] on the block of this index, and what it goes on with.
    fn confirm(&mut self, search: Search, index: u32, shift: u32);
    /// Runs [`confirm_each`].
    fn confirm_each(&mut self, search: Search, shift: u32);
    /// Runs [`look_through`].
    fn look_through(&mut self, search: Search, text: Text, shift: u32);
    /// Runs [`request::read`].
    fn read_requests(&mut self);
    /// Runs [`request::read_line`].
    fn read_line(&mut self, line: Place) -> Place;
    /// Runs [`request::head`].
    fn head(&mut self, from: Place) -> Place;
    /// Runs [`request::line_end`].
    fn line_end(&mut self, from: u32) -> Place;
    /// Runs [`request::end_of_line`].
    fn end_of_line(&mut self, from: u32) -> Place;
    /// Runs [`request::header_line`].
    fn header_line(&mut self, at: u32) -> Place;
    /// Runs [`request::trim`].
    fn trim(&mut self, begin: u32, end: u32) -> u32;
    /// Runs [`uri::decode`].
    fn decode(&mut self);
    /// Runs [`request::read_headers`].
    fn read_headers(&mut self, index: u32);
    /// Runs [`gather::headers`], [`gather::options`] and [`gather::payload`].
    fn gather(&mut self, search: Search);
    /// Runs [`ask_all`].
    fn ask_all(&mut self, search: Search);
    /// Runs [`rule::ask`] on each row of a list.
    fn ask_each(&mut self, search: Search, list: List);
    /// Runs [`threshold::run`] on the rule of this index.
    fn count(&mut self, search: Search, index: u32);
}

/// The row of the first rule that the packet matches, if there is one. What was left undecided, the workspace says.
#[inline(always)]
pub fn inspect<I: Inspector>(search: Search, inspector: &mut I) -> Option<Row> {
    let [to, from] = search.groups(inspector.filter_table(search)?);
    let group = to.with(from);
    inspector.workspace()?.begin();
    if group.classes != 0 {
        look_at_all_shifts(search, Text::Payload, group, inspector);
    }
    if group.requests != 0 {
        inspector.workspace()?.read_payload();
        inspector.read_requests();
        if inspector.workspace()?.decoded_len != 0 {
            look_at_all_shifts(search, Text::Decoded, group, inspector);
        }
    }
    let workspace = inspector.workspace()?;
    if workspace.candidates_len == 0 && to.always.len | from.always.len == 0 {
        return None;
    }
    let requests = workspace.requests_len;
    inspector.gather(search);
    inspector.workspace()?.leave_requests();
    inspector.ask_all(search);
    for index in 0..REQUESTS_MAX as u32 {
        if index >= requests {
            break;
        }
        if group.requests & Group::HEADERS != 0 {
            inspector.read_headers(index);
        }
        for view in [View::Decoded, View::AsItIs] {
            let workspace = inspector.workspace()?;
            if workspace.enter_request(index, view) {
                inspector.ask_all(search);
            }
        }
    }
    let held = inspector.workspace()?.held_len;
    for index in 0..=HELD_MAX as u32 {
        inspector.count(search, index);
        if index >= held {
            break;
        }
    }
    let best = inspector.workspace()?.finding();
    (best != u32::MAX).then_some(inspector.rule_table(search)?.row(best))
}

/// Looks through a text at every fourth byte, and at those between where that is asked for.
#[inline(always)]
fn look_at_all_shifts<I: Inspector>(search: Search, text: Text, group: Group, inspector: &mut I) {
    for shift in 0..STRIDE as u32 {
        if shift == 0 || group.shifts >> shift & 1 != 0 {
            inspector.look_through(search, text, shift);
        }
    }
}

/// Finds the patterns that stand in a text as far as windows show them that stand `shift` bytes behind every fourth byte.
#[inline(always)]
pub fn look_through<I: Inspector>(
    search: Search,
    text: Text,
    shift: u32,
    inspector: &mut I,
) -> Option<()> {
    if text == Text::Decoded {
        inspector.workspace()?.look_at_decoded();
    }
    if shift == 0 && text == Text::Payload {
        inspector.filter(search);
    } else {
        let len = inspector.len_of_again(search, shift);
        inspector.filter_again(search, shift, len);
    }
    inspector.confirm_each(search, shift);
    Some(())
}

/// Looks again at each block that the filter kept.
#[inline(always)]
pub fn confirm_each<I: Inspector>(search: Search, shift: u32, inspector: &mut I) -> Option<()> {
    let blocks = inspector.workspace()?.blocks_len;
    for index in 0..BLOCKS_MAX as u32 {
        if index >= blocks {
            break;
        }
        inspector.confirm(search, index, shift);
    }
    Some(())
}

/// Asks the rules of all candidates, and those that no pattern speaks for.
#[inline(always)]
pub fn ask_all<I: Inspector>(search: Search, inspector: &mut I) -> Option<()> {
    let candidates = inspector.workspace()?.candidates_len;
    for index in 0..CANDIDATES_MAX as u32 {
        if index >= candidates {
            break;
        }
        let workspace = inspector.workspace()?;
        if workspace.budget == 0 {
            workspace.is_cut_short = 1;
            return None;
        }
        let Candidate { pattern, place } = workspace.candidate(index);
        workspace.hint = place.into();
        let pattern = usize::from(pattern);
        let table = inspector.rule_table(search)?;
        let rows = table.patterns.get(pattern & (PATTERNS_MAX - 1));
        inspector.ask_each(search, rows.copied().unwrap_or_default());
    }
    inspector.workspace()?.hint = 0;
    let [to, from] = search.groups(inspector.filter_table(search)?);
    inspector.ask_each(search, to.always);
    inspector.ask_each(search, from.always);
    Some(())
}

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
    /// Where it works.
    pub workspace: &'a mut Workspace,
    /// Who counts it.
    pub meter: Meter<'a, W>,
}

impl<P: PacketBytes, W: Words + ?Sized> Inspector for Local<'_, P, W> {
    type Packet = P;

    fn filter_table(&self, _: Search) -> Option<&FilterTable> {
        Some(self.filter)
    }

    fn rule_table(&self, _: Search) -> Option<&RuleTable> {
        Some(self.rules)
    }

    fn workspace(&mut self) -> Option<&mut Workspace> {
        Some(self.workspace)
    }

    fn filter(&mut self, search: Search) {
        filter::run(search, self.packet, self.filter, self.workspace);
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
        confirm_each(search, shift, self);
    }

    fn look_through(&mut self, search: Search, text: Text, shift: u32) {
        look_through(search, text, shift, self);
    }

    fn read_requests(&mut self) {
        request::read(self);
    }

    fn read_line(&mut self, line: Place) -> Place {
        request::read_line(line, self).unwrap_or(line)
    }

    fn head(&mut self, from: Place) -> Place {
        request::head::<P>(from, self.workspace)
    }

    fn line_end(&mut self, from: u32) -> Place {
        request::line_end::<P>(from, self.workspace)
    }

    fn end_of_line(&mut self, from: u32) -> Place {
        request::end_of_line(from, self)
    }

    fn header_line(&mut self, at: u32) -> Place {
        request::header_line(at, self).unwrap_or(Place { at, note: 0 })
    }

    fn trim(&mut self, begin: u32, end: u32) -> u32 {
        request::trim::<P>(begin, end, self.workspace)
    }

    fn decode(&mut self) {
        uri::decode::<P>(self.workspace);
    }

    fn read_headers(&mut self, index: u32) {
        request::read_headers(index, self);
    }

    fn gather(&mut self, search: Search) {
        let options = gather::headers(&self.ip, self.packet, self.workspace);
        gather::options(options, self.packet, self.workspace);
        gather::payload(search, self.packet, self.workspace);
    }

    fn ask_all(&mut self, search: Search) {
        ask_all(search, self);
    }

    fn ask_each(&mut self, _: Search, list: List) {
        let table = self.rules;
        rule::each(list, table, |row| {
            let find = |exit, workspace: &mut Workspace| find::run::<P>(exit, table, workspace);
            let hold = |workspace: &mut Workspace| workspace.hold(row, table);
            rule::ask::<P>(row, table, self.workspace, find, hold);
        });
    }

    fn count(&mut self, _: Search, index: u32) {
        let source = self.ip.source;
        threshold::run(index, source, &mut self.meter, self.rules, self.workspace);
    }
}

impl<P: PacketBytes, W: Words + ?Sized> Local<'_, P, W> {
    /// What a search finds.
    pub fn search(&mut self, search: Search) -> Option<Found> {
        let row = inspect(search, self)?;
        Found::of(row, self.workspace.is_untold, search, self.packet)
    }
}
