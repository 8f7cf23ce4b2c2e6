//! What a rule was compiled to, in words: for whom it is, where it is counted, how it is found, and what it asks.

mod operations;
mod said;

use detector_common::detect::signature::table::Row;
use serde::Serialize;

use super::{
    check::ports::{self, PortGroup},
    compile::{Variables, choose, stride, traffic, ways},
    pattern::Quoted,
    rule::Rule,
};
use crate::tables::Tables;

/// What a rule was compiled to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explained {
    /// Where it is counted; `null` of one that does not compile.
    pub slot: Option<u16>,
    /// How often it is told, or must hold, as the rule says it; `null` if it says nothing.
    pub threshold: Option<String>,
    /// What it asks and does with bits of its connection, as the rule says it.
    pub flow_bits: Vec<String>,
    /// Whether it is never told.
    pub is_silent: bool,
    /// How it is found; `null` if it is asked of every packet of its ports.
    pub found_by: Option<FoundBy>,
    /// Who sends to whom: there, and back if it is for both.
    pub ways: Vec<Way>,
}

/// The pattern that a rule is found by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FoundBy {
    /// The pattern, as a rule could say it.
    pub pattern: String,
    /// At every how many bytes of a payload a window is looked at for it: 4, 2 or 1.
    pub stride: usize,
    /// The four bytes that are looked for, for each way that it may stand.
    pub windows: Vec<String>,
}

/// One way of a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Way {
    /// Who sends, with variables resolved.
    pub source: String,
    /// From which ports.
    pub source_ports: String,
    /// To whom.
    pub destination: String,
    /// To which ports.
    pub destination_ports: String,
    /// The groups of ports that it is one of.
    pub groups: Vec<Group>,
    /// What is asked, one operation after the other, by number: where it goes on if that holds, and if not.
    pub operations: Vec<String>,
}

/// A group of ports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    /// `tcp to`, `tcp from`, `udp to`, `udp from` or `icmp`.
    pub traffic: &'static str,
    /// The ports, as a rule could say them.
    pub ports: String,
}

/// Explains a rule of those that were compiled to `tables`.
#[must_use]
pub fn explain(rule: &Rule, tables: &Tables, variables: &Variables) -> Explained {
    let slot = tables.book.slot(rule);
    // No rule is counted in the slot of rows that there are not.
    let rows = (0..).zip(&tables.rules.rows);
    let rows: Vec<_> = rows
        .filter(|(_, row)| Some(row.slot) == slot.filter(|slot| *slot != 0))
        .collect();
    let ([watch, _], [icmp, ..]) = (&tables.watch.lists, &tables.watch.icmp);
    let groups = ports::groups(watch, *icmp);
    let ways = ways(rule, variables).unwrap_or_default();
    let ways = ways.iter().zip(&rows).map(|(way, (_, row))| {
        let watched = traffic(
            rule.header.protocol,
            &way.destination_ports,
            &way.source_ports,
        );
        let is_of = |group: &&PortGroup| {
            watched
                .iter()
                .any(|(traffic, ports)| group.traffic == *traffic && group.has_any(ports))
        };
        Way {
            source: said::addresses(&way.source),
            source_ports: said::ports(&way.source_ports),
            destination: said::addresses(&way.destination),
            destination_ports: said::ports(&way.destination_ports),
            groups: groups.iter().filter(is_of).map(Group::of).collect(),
            operations: operations::said(rule, row.first, &tables.rules),
        }
    });
    Explained {
        slot,
        threshold: rule.threshold.map(|threshold| threshold.to_string()),
        flow_bits: rule.flow_bits.iter().map(ToString::to_string).collect(),
        is_silent: rule.is_silent,
        found_by: found_by(rule, &rows, tables),
        ways: ways.collect(),
    }
}

impl Group {
    fn of(group: &PortGroup) -> Self {
        Self {
            traffic: ports::name(group.traffic),
            ports: group.said(),
        }
    }
}

fn found_by(rule: &Rule, rows: &[(u16, &Row)], tables: &Tables) -> Option<FoundBy> {
    let choice = choose(rule)?;
    let pattern = rule.patterns.get(choice)?;
    let (row, _) = rows.first()?;
    // The pattern in whose list its row is, and the grams of that.
    let number = tables.rules.patterns.iter().position(|list| {
        let from = usize::from(list.first);
        let rows = tables.rules.lists.get(from..from + usize::from(list.len));
        rows.is_some_and(|rows| rows.contains(row))
    })?;
    let grams = tables.filter.grams.iter();
    let grams = grams.filter(|gram| gram.len != 0 && usize::from(gram.pattern) == number);
    let windows = grams.filter_map(|gram| {
        let at = usize::from(gram.at);
        let window = pattern.bytes.get(at..at + 4)?;
        Some(format!("{} at {at}", Quoted(window)))
    });
    Some(FoundBy {
        pattern: pattern.to_string(),
        stride: stride(rule, choice)?,
        windows: windows.collect(),
    })
}
