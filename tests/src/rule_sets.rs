//! Rule sets that are made up, packets for them, and what must hold of both: a matcher that is slow and plainly right says what
//! is to be found ([`matcher`]), and every index of the tables stays within them ([`bounds`]).
//!
//! A case is made from bytes, so that a fuzzer can drive it, and the bytes of a seed make the same case on every machine.

pub mod bounds;
mod choices;
mod grammar;
pub mod http;
pub mod matcher;
mod packet;
mod payload;
mod request;

use std::path::Path;

use bytemuck::allocation::zeroed_box;
use detector::{
    rules::{Action, AddressRange, Rule, RuleSet, Set, Variables},
    tables::{HashSeed, Tables},
};
use detector_common::{
    config::{Config, Mode},
    detect::signature::{Found, Local, Search, threshold::Meter, workspace::Workspace},
    packet::Frame,
    parse::{Network, parse},
};

pub use self::packet::{IpOptions, Packet, Transport};
use self::{choices::Choices, matcher::HOME_NET};

/// The most packets of one case.
const PACKETS_MAX: usize = 16;

/// A rule set that is in force, and packets for it.
pub struct Case {
    /// The file.
    pub text: String,
    /// Those of its rules that are taken whole and compiled.
    pub rules: Vec<Rule>,
    /// What became of them.
    pub tables: Tables,
    /// The packets.
    pub packets: Vec<Packet>,
}

impl Case {
    /// The case that these bytes make.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut choices = Choices::new(bytes);
        let text = grammar::file(&mut choices);
        let (rules, tables) = compiled(&text);
        let count = 1 + choices.below(PACKETS_MAX);
        let packets = (0..count).map(|_| payload::packet(&rules, &mut choices));
        Self {
            packets: packets.collect(),
            text,
            rules,
            tables,
        }
    }

    /// Fails if the tables say something else of `packet` than the rules do; gives the number of the rule that is found.
    pub fn agree(&self, packet: &Packet) -> Result<Option<u32>, String> {
        let expected = matcher::first(&self.rules, packet);
        let expected = expected.filter(|rule| rule.header.action != Action::Pass);
        let (found, is_cut_short) = search(&self.tables, packet);
        let entry = found.and_then(|found| self.tables.book.get(found.slot()));
        let sid = entry.map(|entry| entry.sid);
        let is_right = if is_cut_short {
            // Not all was decided. What was found must be so all the same.
            let rule = self.rules.iter().find(|rule| Some(rule.sid) == sid);
            found.is_none() || rule.is_some_and(|rule| matcher::matches(rule, packet))
        } else {
            let drops = expected.map(|rule| rule.header.action == Action::Drop);
            sid == expected.map(|rule| rule.sid) && found.map(|found| found.drops) == drops
        };
        if is_right {
            return Ok(sid);
        }
        let headers = Packet {
            payload: Vec::new(),
            ..packet.clone()
        };
        Err(format!(
            "found {}\nand was to find {}\n(cut short: {is_cut_short}) in \"{}\" behind {headers:?}",
            self.shown(sid),
            self.shown(expected.map(|rule| rule.sid)),
            packet.payload.escape_ascii()
        ))
    }

    /// The rule of this number, as it stands in the file.
    fn shown(&self, sid: Option<u32>) -> &str {
        let rule = self.rules.iter().find(|rule| Some(rule.sid) == sid);
        let line = rule.and_then(|rule| self.text.lines().nth(rule.origin.line - 1));
        line.unwrap_or("nothing")
    }
}

/// The rules of a file that are taken whole and fit, and their tables, which enforce.
#[must_use]
pub fn compiled(text: &str) -> (Vec<Rule>, Tables) {
    let config = Config::DEFAULT.with_mode(Mode::Enforce);
    let mut rules = RuleSet::from_bytes(Path::new("made-up.rules"), text.as_bytes()).rules;
    loop {
        let tables = Tables::new(config, HashSeed::FIXED, &rules, &variables());
        if tables.refused.is_empty() {
            return (rules, tables);
        }
        // As the agent does: who is refused is left out, and nobody else. One that fails for all leaves nothing behind, so it
        // goes too and the others are tried again.
        for (index, _) in tables.refused.iter().rev() {
            rules.remove(*index);
        }
    }
}

/// What names stand for in rules that are made up.
fn variables() -> Variables {
    let mut variables = Variables::with_http(&matcher::HTTP_PORTS);
    if let Ok(home) = Set::<AddressRange>::parse(HOME_NET) {
        variables.addresses.insert("HOME_NET".to_owned(), home);
    }
    variables
}

/// What the tables say of a packet, and whether something was left undecided.
#[must_use]
pub fn search(tables: &Tables, packet: &Packet) -> (Option<Found>, bool) {
    let bytes = packet.build();
    let frame = Frame::whole(&bytes);
    let ip = match parse(&frame).map(|parsed| parsed.network) {
        Ok(Network::Ip(ip)) => ip,
        Ok(Network::Arp(_)) | Err(_) => return (None, false),
    };
    let Some(search) = Search::of(&ip, &tables.watch) else {
        return (None, false);
    };
    let mut workspace: Box<Workspace> = zeroed_box();
    let mut local = Local {
        packet: &frame,
        ip,
        filter: &tables.filter,
        rules: &tables.rules,
        carried: None,
        workspace: &mut workspace,
        meter: Meter {
            now_ns: 0,
            seed: 0,
            // Rules that are made up have no threshold.
            words: &mut [] as &mut [u64],
        },
        flow_words: &mut [],
        decider: None,
    };
    let found = local.search(search);
    (found, workspace.is_cut_short != 0)
}
