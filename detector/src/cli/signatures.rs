//! `detector signatures`: what worms are looked for.

use clap::Args;
use comfy_table::Table;
use detector_common::detect::signature::worms::{SIGNATURES, Signature, Traffic};
use serde::Serialize;

use super::table;
use crate::{
    exit::{Exit, Failure},
    output::{self, Format, SCHEMA_VERSION},
};

/// Lists the signatures
///
/// Of those that a packet matches, the first in this order is its finding.
#[derive(Debug, Args)]
#[command(after_long_help = JSON_HELP)]
pub(super) struct Arguments {
    /// The form of the list
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    output: Format,
}

const JSON_HELP: &str = "\
The JSON object:
  schema_version  1
  signatures      [{id, name, title, severity, reference, traffic}]; numbers and names never change their meaning";

pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    match arguments.output {
        Format::Human => output::print(|out| writeln!(out, "{}", human().trim_fmt())),
        Format::Json => output::print_json(&List {
            schema_version: SCHEMA_VERSION,
            signatures: SIGNATURES.iter().map(Entry::of).collect(),
        }),
    }?;
    Ok(Exit::Fine)
}

#[derive(Serialize)]
struct List {
    schema_version: u32,
    signatures: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    id: u16,
    name: &'static str,
    title: &'static str,
    severity: &'static str,
    reference: &'static str,
    /// The packets that it is looked for in, in words.
    traffic: String,
}

impl Entry {
    fn of(signature: &Signature) -> Self {
        Self {
            id: signature.id,
            name: signature.name,
            title: signature.title,
            severity: signature.severity.name(),
            reference: signature.reference,
            traffic: in_words(signature.traffic),
        }
    }
}

fn human() -> Table {
    let columns = ["id", "name", "severity", "traffic", "title", "reference"];
    let mut table = table::with_header(&columns);
    for entry in SIGNATURES.iter().map(Entry::of) {
        table.add_row([
            &entry.id.to_string(),
            entry.name,
            entry.severity,
            &entry.traffic,
            entry.title,
            entry.reference,
        ]);
    }
    table
}

fn in_words(traffic: Traffic) -> String {
    match traffic {
        Traffic::Http | Traffic::HttpQuery => "HTTP requests".to_owned(),
        Traffic::TcpTo(ranges) => {
            let ports = ranges
                .iter()
                .map(|range| match (range.start(), range.end()) {
                    (first, last) if first == last => first.to_string(),
                    (first, last) => format!("{first}-{last}"),
                });
            format!("TCP to {}", ports.collect::<Vec<_>>().join(", "))
        }
        Traffic::UdpTo(port) => format!("UDP to {port}"),
        Traffic::UdpFrom(port) => format!("UDP from {port}"),
        Traffic::IcmpEcho => "ICMP echo requests".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_written_as_people_write_them() {
        assert_eq!(
            in_words(Traffic::TcpTo(&[23..=23, 2323..=2323])),
            "TCP to 23, 2323"
        );
        assert_eq!(in_words(Traffic::TcpTo(&[3127..=3199])), "TCP to 3127-3199");
    }
}
