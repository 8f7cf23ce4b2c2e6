//! What a round looks like to a person.

use comfy_table::{Cell, CellAlignment, Table, presets};

use crate::{round::Round, traffic::Kind};

/// The private network.
pub(crate) const NETWORK: &str = "
  outside ── wan│gateway│lan ── switch ─┬─ host
  worms, ARP storm, visitors            └─ infected host

  Each is a network namespace of this process alone; detector runs on the gateway's two interfaces.
";

/// Prints what was sent, seen, dropped and what arrived.
pub(crate) fn print(round: &Round) {
    let mut table = Table::new();
    table
        .load_preset(presets::UTF8_HORIZONTAL_ONLY)
        .set_header(["traffic", "sent", "found", "dropped", "arrived"]);
    for (kind, tally) in &round.tally {
        let (found, dropped) = if *kind == Kind::Storm.name() || *kind == Kind::Captured.name() {
            round.storm()
        } else {
            round.matches(kind)
        };
        let numbers = [tally.sent as u64, found, dropped, tally.arrived as u64];
        let cells = numbers.map(|number| Cell::new(number).set_alignment(CellAlignment::Right));
        table.add_row([Cell::new(kind)].into_iter().chain(cells));
    }
    println!("{table}");
    for source in round.stats.sources.iter().filter(|source| {
        source.identity.detector != "signature"
            || source.identity.signature.as_deref() == Some("code-red")
    }) {
        println!(
            "  {} by {} on {} ({}): {} of {} packets, {} dropped",
            source.identity.name(),
            source.identity.source,
            source.interface,
            source.side,
            source.flagged,
            source.packets,
            source.dropped
        );
    }
    println!(
        "  {} findings printed by the agent, {} reports lost",
        round.findings.len(),
        round.stats.events.lost
    );
}
