//! What a round looks like to a person.

use comfy_table::{Cell, CellAlignment, Table, presets};

use detector_tests::lab::INFECTED;

use crate::{round::Round, traffic::Kind};

/// The private network.
pub(crate) const NETWORK: &str = "
  outside ── wan│gateway│lan ── switch ─┬─ host
  worms, ARP storm, visitors            └─ infected host

  Each is a network namespace of this process alone; detector runs on the gateway's two interfaces.
";

/// So many of the agent's own lines are shown.
const FINDINGS_SHOWN: usize = 5;

/// Prints what was sent, found and dropped, and what arrived.
pub(crate) fn print(round: &Round) {
    println!(
        "{}",
        if round.knows_its_traffic() {
            worms(round)
        } else {
            reasons(round)
        }
    );
    let first = round.findings.iter().take(FINDINGS_SHOWN);
    let hunts = ["arp_sweep", "infected: scan"]
        .into_iter()
        .filter_map(|what| {
            let mut lines = round.findings.iter().rev();
            lines.find(|line| line.contains(what) && line.contains(&INFECTED.ipv4.to_string()))
        });
    for line in first.chain(hunts) {
        println!("  {line}");
    }
    println!(
        "  {} lines of the agent in all, {} reports lost",
        round.findings.len(),
        round.stats.events.lost
    );
}

/// Each kind of the demo's own traffic.
fn worms(round: &Round) -> Table {
    let mut table = with_header(&["traffic", "sent", "found", "dropped", "arrived"]);
    for (kind, tally) in &round.tally {
        let (found, dropped) = match kind {
            Kind::Storm => round.storm(),
            Kind::Sweep | Kind::Scan => round.hunt(kind),
            Kind::Forged => (round.spared(), 0),
            Kind::Worm(_) | Kind::Ordinary | Kind::OrdinaryArp | Kind::Captured => {
                round.matches(kind)
            }
        };
        let numbers = [tally.sent as u64, found, dropped, tally.arrived as u64];
        let cells = numbers.map(|number| Cell::new(number).set_alignment(CellAlignment::Right));
        table.add_row([Cell::new(kind)].into_iter().chain(cells));
    }
    table
}

/// What the agent says of a capture, of which nothing is known beforehand.
fn reasons(round: &Round) -> Table {
    let mut table = with_header(&["reason or signature", "verdict", "packets"]);
    for counter in &round.stats.counters {
        table.add_row([
            &*counter.reason,
            &*counter.verdict,
            &counter.packets.to_string(),
        ]);
    }
    for signature in &round.stats.signatures {
        let dropped = format!("{} dropped", signature.dropped);
        table.add_row([&*signature.name, &dropped, &signature.packets.to_string()]);
    }
    table
}

fn with_header(columns: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_header(columns.to_vec());
    table
}
