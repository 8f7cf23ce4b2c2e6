//! From rules to the tables that the kernel and `replay` read.
//!
//! What a rule asks ([`stage`]) becomes a small program ([`program`]); what the filter looks for of it, four bytes of one of its patterns
//! ([`grams`]); and who looks at which packets, groups of ports ([`groups`]).

mod flowbits;
mod grams;
mod groups;
mod program;
mod ranges;
mod stage;

use bytemuck::{Zeroable as _, allocation::zeroed_box};
use detector_common::detect::signature::{
    table::{Action as Verdict, FilterTable, Joins, LISTS_MAX, List, RULES_MAX, Row, RuleTable},
    watch::WatchList,
};

pub use self::ranges::Variables;
use self::{
    flowbits::Bits,
    grams::{Grams, Sign},
    groups::Member,
    program::Programs,
};
pub(super) use self::{
    flowbits::Turn,
    grams::{choose, stride},
    groups::{Traffic, traffic},
    ranges::{Range, Ranges, complement, merged},
    stage::{Stage, Way, stages},
};
use super::{
    header::{Action, Endpoint, Protocol},
    pattern::{Anchor, Buffer, Pattern},
    pcre::Pcre,
    problem::Problem,
    rule::{Rule, Test},
    threshold::Threshold,
};

/// Rules as tables.
#[derive(Debug)]
pub struct Compiled {
    /// What the filter looks for.
    pub filter: Box<FilterTable>,
    /// The rules.
    pub rules: Box<RuleTable>,
    /// Which ports they watch.
    pub watch: Box<WatchList>,
    /// The group of ICMP.
    pub icmp: u8,
    /// The regular expressions that the agent decides, by number.
    pub regexes: Vec<Pcre>,
    /// The rules that could not be compiled, by their index, and why.
    pub refused: Vec<(usize, Problem)>,
}

/// A row that is to be.
struct Draft {
    turn: (Verdict, Turn),
    rule: usize,
    way: Way,
    sign: Option<Sign>,
}

/// Compiles `rules`, each of which is counted in the slot that is given with it; one without a slot finds no room. Of those that a packet matches, one that passes goes before one
/// that drops, and that before one that alerts; of these the first.
pub fn compile(rules: &[Rule], slots: &[Option<u16>], variables: &Variables) -> Compiled {
    let mut compiled = Compiled {
        filter: zeroed_box(),
        rules: zeroed_box(),
        watch: zeroed_box(),
        icmp: 0,
        regexes: Vec::new(),
        refused: Vec::new(),
    };
    let mut grams = Grams::default();
    let mut drafts = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        match draft(index, rule, variables, &mut grams) {
            Ok(ways) => drafts.extend(ways),
            Err(problem) => compiled.refused.push((index, problem)),
        }
    }
    drafts.sort_by_key(|draft| (draft.turn, draft.rule));
    if let Err((rule, problem)) = compiled.write(rules, slots, &drafts, &grams) {
        // What does not fit together is nothing.
        compiled.refused.push((rule, problem));
        compiled.filter = zeroed_box();
        compiled.rules = zeroed_box();
        *compiled.watch = WatchList::zeroed();
        compiled.icmp = 0;
        compiled.regexes.clear();
    }
    compiled.refused.sort_by_key(|(rule, _)| *rule);
    compiled
}

/// The ways of a rule: there, and back if it is for both.
pub(super) fn ways(rule: &Rule, variables: &Variables) -> Result<Vec<Way>, Problem> {
    let header = &rule.header;
    let mut ways = vec![way(&header.source, &header.destination, variables)?];
    if header.both_ways {
        ways.push(way(&header.destination, &header.source, variables)?);
    }
    Ok(ways)
}

/// The rows that a rule is to have, one for each way.
fn draft(
    index: usize,
    rule: &Rule,
    variables: &Variables,
    grams: &mut Grams,
) -> Result<Vec<Draft>, Problem> {
    let ways = ways(rule, variables)?;
    // Tried on its own, so that a rule that is refused leaves nothing behind.
    let choice = choose(rule);
    for way in &ways {
        Programs::default().add(rule, way, choice)?;
    }
    let sign = match choice {
        Some(choice) => grams.add(rule, choice, ways.len() as u32)?,
        None => None,
    };
    let drafts = ways.into_iter().map(|way| Draft {
        turn: turn(rule),
        rule: index,
        way,
        sign,
    });
    Ok(drafts.collect())
}

fn way(from: &Endpoint, to: &Endpoint, variables: &Variables) -> Result<Way, Problem> {
    let way = Way {
        source: ranges::of(&from.0, variables)?,
        source_ports: ranges::of(&from.1, variables)?,
        destination: ranges::of(&to.0, variables)?,
        destination_ports: ranges::of(&to.1, variables)?,
    };
    for (name, ranges) in [
        ("addresses", &way.source),
        ("ports", &way.source_ports),
        ("addresses", &way.destination),
        ("ports", &way.destination_ports),
    ] {
        if ranges.is_empty() {
            return Err(Problem::Never(name, "none is left of them"));
        }
    }
    Ok(way)
}

/// Whose turn it is: of rules that match, the lesser goes before the others, and of those with the same the first.
pub(super) fn turn(rule: &Rule) -> (Verdict, Turn) {
    (precedence(rule.header.action), Turn::of(rule))
}

/// What goes before what: the lesser first.
fn precedence(action: Action) -> Verdict {
    match action {
        Action::Pass => Verdict::Pass,
        Action::Drop => Verdict::Drop,
        Action::Alert => Verdict::Alert,
    }
}

impl Compiled {
    fn write(
        &mut self,
        rules: &[Rule],
        slots: &[Option<u16>],
        drafts: &[Draft],
        grams: &Grams,
    ) -> Result<(), (usize, Problem)> {
        let table = &mut *self.rules;
        let mut bits = Bits::of(rules)?;
        let mut programs = Programs::default();
        let mut members = Vec::new();
        let mut by_pattern = vec![Vec::new(); grams.len()];
        if let Some(draft) = drafts.get(RULES_MAX) {
            return Err((draft.rule, Problem::NoRoom("rules", RULES_MAX)));
        }
        for (index, (draft, row)) in drafts.iter().zip(&mut table.rows).enumerate() {
            let Some(rule) = rules.get(draft.rule) else {
                continue;
            };
            let at = |problem| (draft.rule, problem);
            let slot = slots.get(draft.rule).copied().flatten();
            *row = Row {
                first: programs.add(rule, &draft.way, choose(rule)).map_err(at)?,
                slot: slot.ok_or_else(|| at(Problem::NoRoom("rules", RULES_MAX)))?,
                action: precedence(rule.header.action) as u8,
                of_request: rule.is_of_requests().into(),
                joins: joins(rule) as u8,
                flags: (u8::from(rule.is_partial()) * Row::PARTIAL)
                    | (u8::from(rule.is_silent) * Row::SILENT),
                flow_bits: bits.add(rule).map_err(at)?,
                ..rule.threshold.map_or(Row::default(), Threshold::row)
            };
            if let Some(rows) = draft
                .sign
                .and_then(|sign| by_pattern.get_mut(usize::from(sign.pattern)))
            {
                rows.push(index as u16);
            }
            let way = &draft.way;
            let watched = traffic(
                rule.header.protocol,
                &way.destination_ports,
                &way.source_ports,
            );
            members.extend(watched.into_iter().map(|(traffic, ports)| Member {
                row: index as u16,
                traffic,
                ports,
                sign: draft.sign,
                without_payload: asks_no_payload(rule),
                of_requests: rule.is_of_requests(),
                of_headers: rule.asks_of(|buffer| buffer == Buffer::HttpHeader),
            }));
        }
        bits.write(table);
        for (place, operation) in table.operations.iter_mut().zip(programs.operations) {
            *place = operation;
        }
        self.regexes = programs.regexes;
        for (place, word) in table.words.iter_mut().zip(programs.words) {
            *place = word;
        }
        let last = drafts.last().map_or(0, |draft| draft.rule);
        let classes = groups::write(
            &members,
            grams.len(),
            &mut self.filter,
            &mut table.lists,
            &mut self.watch,
            &mut self.icmp,
        )
        .map_err(|problem| (last, problem))?;
        grams.write(&mut self.filter, &classes);
        write_lists(&self.filter, table, &by_pattern).map_err(|problem| (last, problem))
    }
}

/// Writes the rows of each pattern behind the lists that there are.
fn write_lists(
    filter: &FilterTable,
    table: &mut RuleTable,
    by_pattern: &[Vec<u16>],
) -> Result<(), Problem> {
    let always = filter
        .groups
        .iter()
        .map(|group| group.always.first + group.always.len);
    let mut next = usize::from(always.max().unwrap_or_default());
    for (pattern, rows) in table.patterns.iter_mut().zip(by_pattern) {
        let places = table.lists.get_mut(next..next + rows.len());
        places
            .ok_or(Problem::NoRoom("entries of lists of rules", LISTS_MAX))?
            .copy_from_slice(rows);
        *pattern = List {
            first: next as u16,
            len: rows.len() as u16,
        };
        next += rows.len();
    }
    Ok(())
}

/// Whether a rule is asked of what came before a segment together with its beginning. Half of what is sent says nothing of what is not
/// there, nor of how long it is.
fn joins(rule: &Rule) -> Joins {
    let of_payload = || {
        let patterns = rule.patterns.iter();
        patterns.filter(|pattern| pattern.buffer == Buffer::Payload)
    };
    let asks_extent = rule.tests.iter().any(|test| {
        matches!(
            test,
            Test::DataSize(_)
                | Test::ByteTest(_)
                | Test::DataAt {
                    buffer: Buffer::Payload,
                    ..
                }
        )
    });
    let has_pattern = rule.patterns.iter().any(|pattern| !pattern.negated);
    let is_of_packets = rule.header.protocol != Protocol::Tcp || rule.flow.packets_only;
    let asks_rest =
        |pcre: &Pcre| pcre.buffer == Buffer::Payload && (pcre.negated || pcre.asks_behind);
    if is_of_packets
        || asks_extent
        || !has_pattern && !rule.is_of_requests()
        || of_payload().any(|pattern| pattern.negated || pattern.ends || pattern.jump.is_some())
        || rule.pcres.iter().any(asks_rest)
    {
        return Joins::Never;
    }
    let counts_from_start = |pattern: &Pattern| match pattern.anchor {
        Anchor::Absolute { offset, depth } => offset != 0 || depth.is_some(),
        Anchor::Relative {
            after: None,
            distance,
            within,
        } => distance != 0 || within.is_some(),
        Anchor::Relative { after: Some(_), .. } => false,
    };
    if of_payload().any(counts_from_start) {
        Joins::Whole
    } else {
        Joins::Always
    }
}

/// Whether a packet without a payload may match.
fn asks_no_payload(rule: &Rule) -> bool {
    let has_pattern = rule.patterns.iter().any(|pattern| !pattern.negated);
    let asks_length = rule.tests.iter().any(|test| match test {
        Test::DataSize(numbers) => numbers.negated == (numbers.first == 0),
        Test::DataAt { negated, bytes, .. } => !negated && *bytes > 0,
        Test::ByteTest(_) => true,
        Test::IcmpType(_)
        | Test::IcmpCode(_)
        | Test::TimeToLive(_)
        | Test::Identification(_)
        | Test::Acknowledgement(_)
        | Test::Sequence(_)
        | Test::Window(_)
        | Test::IcmpId(_)
        | Test::IcmpSequence(_)
        | Test::IpProtocol(_)
        | Test::Flags(_)
        | Test::IpOption(_)
        | Test::FragmentBits(_)
        | Test::Trait(_) => false,
    });
    !has_pattern && !asks_length && !rule.is_of_requests()
}
